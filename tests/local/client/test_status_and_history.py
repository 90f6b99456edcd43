"""`status` and `history`, and what the client cannot do."""

import json
import re
import subprocess
import sys
import time

import pytest

from local.aws import LocalAws
from tests.local.client.runs import CLIENT, PROJECT, Run, environment


def test_history_shows_the_last_executions(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"}, name=f"first-{time.time_ns()}")
    unhealthy = f"second-{time.time_ns()}"
    aws.servers["bittybot"].make_unhealthy()
    aws.execute({}, name=unhealthy)
    done = run("history", "--limit", "2", "--pair", "web")
    assert (done.returncode, done.stderr) == (0, "")
    heading, second, first = done.stdout.splitlines()
    assert heading.split()[:3] == ["when", "outcome", "pair"]
    assert re.search(
        rf"^20\d\d-\d\d-\d\d .*  StagingUnhealthy  web +tao stays +\d+\.\d s  unknown +{unhealthy}$", second
    )
    assert re.search("  CUT_OVER +web +bittybot → tao ", first)
    newest, _ = json.loads(run("history", "--limit", "2", "--json").stdout)["executions"]
    assert (newest["name"], newest["outcome"], newest["wasLive"], newest["by"]) == (
        unhealthy, "StagingUnhealthy", "tao", None,
    )  # fmt: skip


def test_status_shows_what_the_record_and_production_say(aws: LocalAws, run: Run) -> None:
    name = f"first-{time.time_ns()}"
    aws.execute({"serverName": "tao"}, name=name)
    aws.servers["tao"].make_unhealthy()
    (web,) = json.loads(run("status", "--json").stdout)["pairs"]
    assert (web["live"], web["liveBefore"], web["rollbackTo"]["server"]) == ("tao", "bittybot", "bittybot")
    assert (web["sound"], web["lock"], web["lastOutcome"]["outcome"]) == (True, None, "CUT_OVER")
    assert [(answer["status"], answer["good"]) for answer in web["answers"]] == [(500, False)]
    shown = run("status").stdout
    assert re.search(r"^live +tao, since 20\d\d-\S+; before that, bittybot$", shown, re.MULTILINE)
    assert re.search(r"^answers +500 to GET http://127\S+ from this machine: expected 200$", shown, re.MULTILINE)
    assert re.search(f"^last outcome +CUT_OVER at .*, of {name}$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "more", "code", "says"),
    [
        (["status"], {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 1, "There are no AWS credentials"),
        (["status"], {"AWS_REGION": None, "AWS_DEFAULT_REGION": None}, 1, "No Region is set"),
        (["status"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1, "The call to AWS failed"),
        (["status"], {"AWS_PROFILE": "nobody"}, 1, "nobody"),
        (["start"], {"EIP_CUTOVER_STACK": "Nope"}, 1, "There is no stack Nope in us-east-1"),
        *(([command, "--pair", "wbe"], {}, 2, "There is no pair 'wbe'; the stack has web")
          for command in ("start", "status", "unlock", "history")),
        (["start", "--name", "a b"], {}, 2, "--name"),
        (["history", "--limit", "0"], {}, 2, "--limit"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list | dict) else None,
)  # fmt: skip
def test_a_command_that_fails_prints_one_clear_sentence(
    run: Run, words: list[str], more: dict[str, str | None], code: int, says: str
) -> None:
    done = run(*words, **more)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if "--pair" in words or code == 1:
        assert done.stderr.count("\n") == 1


def test_a_reader_that_stops_reading_gets_one_sentence(aws: LocalAws) -> None:
    piped = f"{sys.executable} {CLIENT[1]} history --json | head -c 0"
    shell = subprocess.run(["sh", "-c", piped], env=environment(aws), capture_output=True, text=True, check=False)
    assert shell.stderr in ("", "cutover.py: The output could not be written: Broken pipe.\n")


def test_the_help_lists_every_exit_code_as_the_document_does(run: Run) -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (PROJECT / "docs" / "client.md").read_text(), re.MULTILINE)
    for words in ([], ["start"], ["watch"], ["rollback"], ["unlock"]):
        listed = re.findall(r"^ +(\d+)  (.+)$", run(*words, "--help").stdout, re.MULTILINE)
        assert [(code, meaning) for code, meaning in listed] == rows
