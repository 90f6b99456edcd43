"""The document with the commands of a pair, and its script, which a real shell runs as the agent does."""

import json
import os
import subprocess
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from domain.pair import Pair
from domain.release_commands import document, steps
from local.systems_manager_requests import Document, Refused
from tests.unit.example_pair import WEB

VALUES = {"Pair": "web", "Server": "tao", "Release": "7", "Execution": "arn:aws:states:x:1:execution:a:b"}


def of(command: str, **hooks: Any) -> Pair:
    return replace(WEB, deploy={"command": command, "timeoutSeconds": 60}, hooks=hooks)


def hook(command: str) -> dict[str, Any]:
    return {"server": "idle", "command": command, "timeoutSeconds": 60, "onFailure": "FAIL"}


def ran(tmp_path: Path, pair: Pair, step: str = "deploy", **values: str) -> subprocess.CompletedProcess[str]:
    """What the agent does: the script is a file without an interpreter, executed by sh."""
    of_pair = document(pair)
    assert of_pair
    parsed = Document(of_pair.content)
    given = {**VALUES, "Step": step, "TimeoutSeconds": "60", **values}
    file = tmp_path / "_script.sh"
    file.write_text(parsed.script(parsed.values({name: [value] for name, value in given.items()})))
    file.chmod(0o700)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    return subprocess.run(
        ["/bin/sh", "-c", str(file)],
        env=environment,
        input="not for it!",
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
        start_new_session=True,  # the agent gives it a process group of its own
    )


def test_a_command_finds_the_pair_the_server_the_release_and_the_execution(tmp_path: Path) -> None:
    result = ran(tmp_path, of('echo "$PAIR $SERVER $RELEASE $EXECUTION"'))
    assert (result.stdout, result.stderr) == (f"web tao 7 {VALUES['Execution']}\n", "")


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("true", 0, ""),
        ("false", 1, ""),
        ("echo begins; exit 3; echo never", 3, "begins\n"),
        ("kill -9 $$", 137, "Killed"),
        ("no-such-program", 127, "not found"),
        ("if", 2, "yntax"),
        ("echo a; echo b >&2; echo c", 0, "a\nb\nc\n"),
        ("echo \"it's\" '$RELEASE' `echo \\$RELEASE` \\\\", 0, "it's $RELEASE 7 \\\n"),
        ("cat | wc -c | tr -d ' '", 0, "0\n"),  # there is no input to wait for
        ("echo ') ;; *) esac'", 0, ") ;; *) esac\n"),
        ("code=7; output=/dev/null; echo kept", 0, "kept\n"),
        ("cd /; unset TMPDIR; echo moved", 0, "moved\n"),
    ],
)
def test_a_command_is_run_by_a_shell_of_its_own(tmp_path: Path, command: str, code: int, output: str) -> None:
    result = ran(tmp_path, of(command))
    assert result.returncode == code
    assert output in result.stdout
    assert result.stderr == "" or command.startswith("kill")
    assert [file.name for file in tmp_path.iterdir()] == ["_script.sh"]  # nothing is left


def test_a_command_with_a_syntax_error_fails_alone(tmp_path: Path) -> None:
    pair = of("echo deployed", beforeCutover=[hook("case ("), hook('echo "$RELEASE"')])
    results = {name: ran(tmp_path, pair, name) for name in ("deploy", "beforeCutover0", "beforeCutover1")}
    assert [result.returncode == 0 for result in results.values()] == [True, False, True]
    assert results["beforeCutover1"].stdout == "7\n"


def test_of_a_long_output_the_last_20_lines_are_shown_and_of_long_lines_their_end(tmp_path: Path) -> None:
    lines = ran(tmp_path, of("seq 1 1000")).stdout.splitlines()
    assert lines == [str(number) for number in range(981, 1001)]
    long = ran(tmp_path, of("head -c 90000 /dev/zero | tr '\\0' x; echo; echo the end")).stdout
    assert len(long) <= 24_000  # more is cut at its end by Systems Manager
    assert long.endswith("\nthe end\n")


def test_a_daemon_does_not_keep_the_script_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    result = ran(tmp_path, of("sleep 5 & echo started $!"))
    assert result.stdout.startswith("started")
    assert time.monotonic() - began < 4
    os.kill(int(result.stdout.split()[1]), 9)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("value", ["a b", "a'b", "$(reboot)", "a;b", "`a`", "a\nb", "a\\b", 'a"b', "é", "a" * 513])
def test_no_value_has_a_meaning_for_a_shell(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Refused, match=f"Parameter {name} does not match") as _:
        ran(tmp_path, of("true"), **{name: value})


def test_a_step_that_the_pair_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Step has a value that is not in its allowedValues"):
        ran(tmp_path, of("true"), step="beforeCutover0")


def test_the_time_of_a_command_is_its_own(tmp_path: Path) -> None:
    of_pair = document(of("true"))
    assert of_pair
    assert Document(of_pair.content).timeout_seconds({"TimeoutSeconds": "90"}) == 90


def test_pairs_with_the_same_commands_share_a_document_whose_name_is_its_hash() -> None:
    one, same, other = (document(pair) for pair in (of("a"), replace(of("a"), name="api"), of("b")))
    assert one
    assert (one, one.hash[:16]) == (same, one.key)
    assert one.hash == sha256(one.content.encode()).hexdigest()
    assert other
    assert other.key != one.key
    assert json.loads(one.content)["schemaVersion"] == "2.2"


def test_a_pair_that_runs_nothing_has_no_document() -> None:
    function = {"server": "live", "function": "arn:f", "timeoutSeconds": 60, "onFailure": "CONTINUE"}
    only_functions = replace(WEB, hooks={"afterCutover": [function]})
    assert [document(pair) for pair in (WEB, only_functions)] == [None, None]
    (step,) = steps(only_functions, "afterCutover")
    assert (step.name, step.function, step.server, step.on_failure) == ("afterCutover0", "arn:f", "live", "CONTINUE")
    assert [steps(WEB, "deploy"), steps(WEB, "beforeCutover")] == [[], []]


def test_a_command_that_hangs_is_killed_with_all_that_it_started_after_its_last_lines(tmp_path: Path) -> None:
    beats = tmp_path / "beats"
    hangs = of(f"echo step 1; (while :; do echo >>{beats}; sleep 0.05; done) & sleep 60")
    result = ran(tmp_path, hangs, TimeoutSeconds="3")
    assert result.returncode == -9
    assert result.stdout == "step 1\n(killed after 3 s, its timeoutSeconds)\n"
    beaten = beats.read_text()
    time.sleep(0.3)
    assert beats.read_text() == beaten
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("tmp")] == []
