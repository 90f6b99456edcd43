"""`examples/aws-cli/cutover.sh` with a fake AWS CLI: exit codes, and hostile values."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client.result import FAILURES, OTHER_FAILURE
from tests.unit.ci_logs import PAYLOADS, executed

SCRIPT = Path(__file__).parents[2] / "examples" / "aws-cli" / "cutover.sh"
FAKE = Path(__file__).with_name("fake_aws.py")
MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:eip-cutover"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:eip-cutover:release-8f2c6a9-1"
RUNNING = {"status": "RUNNING"}
DONE = {"status": "SUCCEEDED", "output": '{"outcome":"CUT_OVER"}'}
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]


@dataclass
class Ran:
    code: int
    out: str
    err: str
    calls: list[list[str]]

    @property
    def inputs(self) -> list[Any]:
        """The inputs of StartExecution, parsed as JSON."""
        started = [dict(zip(call[2::2], call[3::2], strict=True)) for call in self.calls if "start-execution" in call]
        return [json.loads(options["--input"]) for options in started]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    (programs / "aws").chmod(0o755)

    def run(*described: Any, start: Any = None, shell: str = "sh", **environment: str) -> Ran:
        answers = {"start": start or {"executionArn": EXECUTION}, "described": described or [DONE]}
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        (tmp_path / "calls.jsonl").write_text("")
        given = {"STATE_MACHINE_ARN": MACHINE, "NAME": "release-8f2c6a9-1", "SERVER": "tao", "SECONDS_APART": "0"}
        ended = subprocess.run(
            [shell, SCRIPT],
            env={"PATH": f"{programs}:{os.environ['PATH']}", "FAKE_AWS": str(tmp_path), **given, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        calls = [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
        return Ran(ended.returncode, ended.stdout, ended.stderr, calls)

    return run


OUTCOMES = {name: code for name, code in FAILURES.items() if name.isidentifier() and not name.isupper()}
OUTCOMES |= {"States.Runtime": OTHER_FAILURE}


@pytest.mark.parametrize(("error", "code"), OUTCOMES.items())
def test_each_failure_has_the_exit_code_of_the_client_and_its_cause(run: Any, error: str, code: int) -> None:
    ran = run(RUNNING, {"status": "FAILED", "error": error, "cause": 'Answer "no" $(date).'})
    assert ran.code == code
    assert f'{error}: Answer "no" $(date).' in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(("status", "code"), [("ABORTED", 17), ("TIMED_OUT", 18)])
def test_an_execution_that_is_stopped_or_times_out_has_its_own_code(run: Any, status: str, code: int) -> None:
    ran = run(RUNNING, {"status": status})
    assert ran.code == code
    assert "The repair runs automatically" in ran.err


@pytest.mark.parametrize("shell", SHELLS)
def test_a_cutover_prints_its_output_and_nothing_else(run: Any, shell: str) -> None:
    ran = run(RUNNING, RUNNING, DONE, shell=shell, PAIR="web", EXPECTED_RELEASE="2")
    assert (ran.code, ran.out) == (0, '{"outcome":"CUT_OVER"}\n')
    assert ran.inputs == [{"pair": "web", "serverName": "tao", "expectedRelease": "2"}]


def test_a_release_and_a_dry_run_need_no_server(run: Any) -> None:
    assert run(DONE, SERVER="", RELEASE="42", PAIR="web").inputs == [{"pair": "web", "release": "42"}]
    assert run(DONE, SERVER="", DRY_RUN="true").inputs == [{"dryRun": True}]


@pytest.mark.parametrize(("error", "code"), [("DeployFailed", 21), ("NotApproved", 22)])
def test_a_release_that_did_not_go_live_has_a_code_of_its_own(run: Any, error: str, code: int) -> None:
    assert run(RUNNING, {"status": "FAILED", "error": error, "cause": "x"}, RELEASE="42").code == code


HOSTILE = ['"', "\\", '\\"', "'", "$(touch run)", "`touch run`", "; touch run", '","dryRun":true,"x":"', "é",
          "--query", "* ?", "%s%n", "&amp;", "a  b", "-n", "\\n", "À\u00a0€“😀"]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_breaks_out_of_its_quotes(run: Any, tmp_path: Path, value: str, shell: str) -> None:
    ran = run(shell=shell, PAIR=value, RELEASE=value, SERVER=value, EXPECTED_RELEASE=value)
    assert ran.inputs == [{"pair": value, "release": value, "serverName": value, "expectedRelease": value}]
    assert not (tmp_path / "run").exists()


CONTROLS = ("a\nb", "\x1b[2J", "a\tb", "\x7f", "\u009b2J", "a\u0085")
UNPRINTABLE = [{key: value} for key in ("PAIR", "RELEASE", "SERVER", "EXPECTED_RELEASE") for value in CONTROLS]
WRONG = [
    *({"STATE_MACHINE_ARN": arn} for arn in ("", "file:///etc/passwd", f"{MACHINE}\nx")), {"SERVER": ""},
    *({"NAME": name} for name in ("", "file:///etc/passwd", "a b", "v1.2", "release-é", "x" * 81, "ok\n$(date)")),
    {"DRY_RUN": "yes"},
]  # fmt: skip


@pytest.mark.parametrize("given", UNPRINTABLE + WRONG, ids=str)
def test_a_wrong_value_is_refused_before_anything_is_started(run: Any, given: dict[str, str]) -> None:
    ran = run(**given)
    assert (ran.code, ran.calls) == (2, [])
    assert ran.err


PROGRAMS = {"aws", "grep", "sed", "sleep", "tr"}


@pytest.mark.parametrize("missing", [*sorted(PROGRAMS), "od"])
def test_without_a_program_that_the_checks_need_nothing_is_started(run: Any, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "few programs"
    folder.mkdir()
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    for program in PROGRAMS - {missing}:
        (folder / program).symlink_to(str(shutil.which(program, path=path)))
    shell = str(shutil.which("sh"))
    ran = run(shell=shell, PATH=str(folder), PAIR="a\nb")
    assert (ran.code, ran.calls) == (2, [])
    assert run(shell=shell, PATH=str(folder)).code == (0 if missing not in PROGRAMS else 2)


@pytest.mark.parametrize("variables", [{}, {"AWS_REGION": "eu-central-1"}, {"AWS_REGION": "us-east-1"},
                                       {"AWS_DEFAULT_REGION": "us-east-1"}], ids=str)  # fmt: skip
def test_the_region_is_that_of_the_state_machine_in_both_versions_of_the_aws_cli(
    run: Any, variables: dict[str, str]
) -> None:
    assert run(**variables).code == 0


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_that_servers_answered_is_a_command_to_a_ci_system(run: Any, payload: str, shell: str) -> None:
    assert executed(payload)
    failed = [run({"status": "FAILED", "error": error, "cause": payload}, shell=shell) for error in ("x", payload)]
    refused = run(start=payload, shell=shell)
    output = {"outcome": "CUT_OVER", "answers": payload}
    done = run({"status": "SUCCEEDED", "output": json.dumps(output, ensure_ascii=False)}, shell=shell)
    for ran in (*failed, refused, done):
        log = ran.out + ran.err
        assert not executed(log)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", log)
    assert [ran.code for ran in (*failed, refused, done)] == [19, 19, 1, 0]
    assert json.loads(done.out) == output


# Control characters of 8 bits, in UTF-8 and, as in other encodings, alone. Characters with such bytes must stay.
EIGHT_BITS = {
    "\u009b31mred": " 31mred", "a\u0080\u009f\u0085b": "a   b", "é\u009d0;title\u009c": "é 0;title ",
    "\udc9b31m": " 31m", "a\udc9b\udc9bb": "a  b", "#\u0090#[error]no": "# #[error]no",
    "À\u00a0€“😀Â\u2028": "À\u00a0€“😀Â\u2028",
}  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("text", EIGHT_BITS)
def test_control_characters_of_8_bits_are_not_printed_and_other_characters_are(run: Any, text: str, shell: str) -> None:
    bytes_alone = {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    failed = run({"status": "FAILED", "error": "x", "cause": text}, shell=shell, **bytes_alone)
    assert failed.err.endswith(f"x: {EIGHT_BITS[text]}\n")
    done = run(
        {"status": "SUCCEEDED", "output": json.dumps({"answers": text}, ensure_ascii=False)}, shell=shell, **bytes_alone
    )
    assert json.loads(done.out) == {"answers": EIGHT_BITS[text]}


@pytest.mark.parametrize(
    ("start", "server", "code", "says"),
    [
        ("ExecutionAlreadyExists", "tao", 0, "so nothing was started"),
        ("ExecutionAlreadyExists", "bittybot", 1, "another input"),
        ("AccessDeniedException", "tao", 1, "AccessDeniedException"),
    ],
)
def test_a_refused_start_is_an_error_unless_the_same_execution_exists(
    run: Any, start: str, server: str, code: int, says: str
) -> None:
    ran = run({**DONE, "input": json.dumps({"serverName": server}, separators=(",", ":"))}, start=start)
    assert (ran.code, bool(ran.out)) == (code, code == 0)
    assert says in ran.err


def test_polling_continues_after_some_failures(run: Any) -> None:
    assert run("ThrottlingException", RUNNING, "ExpiredToken", DONE, TRIES="2").code == 0


def test_polling_that_keeps_failing_ends_and_says_that_the_execution_continues(run: Any) -> None:
    ran = run(RUNNING, "ExpiredToken", TRIES="3")
    assert ran.code == 1
    assert f"It continues: {EXECUTION}" in ran.err
