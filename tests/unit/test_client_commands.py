"""The whole client in this process, with an AWS that does what the local AWS cannot."""

import json
import os
import signal
import sys
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from client.commands import main
from client.status import standings
from tests.unit.client_doubles import (
    DATE,
    EXECUTION,
    PAIR,
    Service,
    account,
    cut_over,
    event,
    execution,
    in_turn,
    parameter_store,
    planned,
    published,
    refusal,
    session,
    task_output,
)

Capture = pytest.CaptureFixture[str]


def states(described: dict[str, Any], **more: Any) -> Service:
    history = {"events": [*planned("bittybot"), event(4, "ExecutionSucceeded")][::-1]}
    answers = {"start_execution": {"executionArn": "x"}, "describe_execution": described}
    return Service(**{**answers, "get_execution_history": history, **more})


@pytest.mark.parametrize("words", [["start"], ["watch", "x"]], ids=lambda words: words[0])
def test_a_failure_ends_the_client_with_its_exit_code_and_advice(words: list[str], capsys: Capture) -> None:
    service = states(execution("x", "FAILED", error="RolledBack", cause="..."))
    assert main([*words, "--json"], session=session(stepfunctions=service)) == 15
    document = json.loads(capsys.readouterr().out)
    assert (document["exitCode"], bool(document["advice"])) == (15, True)


def test_watch_follows_an_execution_that_has_just_started_elsewhere(capsys: Capture) -> None:
    describes = in_turn(refusal("ExecutionDoesNotExist"), cut_over("x", "bittybot", "tao"))
    assert main(["watch", "x"], session=session(stepfunctions=states({}, describe_execution=describes))) == 0
    assert f"x: {EXECUTION}:x\n" in capsys.readouterr().out


def test_the_input_has_only_the_given_options() -> None:
    service = states(cut_over("x", "bittybot", "tao"))
    options = ["--pair", "web", "--server", "tao", "--dry-run", "--expected-release", "7", "--name", "release-7-1"]
    for words in (options, [], ["--server", ""]):
        assert main(["start", *words], session=session(stepfunctions=service)) == 0
    first, second, third = [parameters for name, parameters in service.calls if name == "start_execution"]
    assert first["name"] == "release-7-1"
    assert json.loads(first["input"]) == {"pair": "web", "serverName": "tao", "dryRun": True, "expectedRelease": "7"}
    assert json.loads(second["input"]) == {}
    # Never without a name: the SDK may send the call twice.
    assert second["name"].startswith("cutover-")
    # An unset variable in CI must not become the idle server: the workflow refuses an empty name.
    assert json.loads(third["input"]) == {"serverName": ""}


def test_after_a_start_without_an_answer_the_client_says_how_to_check(capsys: Capture) -> None:
    service = states(execution("x"), start_execution=ReadTimeoutError(endpoint_url="https://states"))
    words = ["start", "--name", "release-7-1", "--stack", "Other", "--json"]
    assert main(words, session=session(stepfunctions=service)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"It may have been started: {EXECUTION}:release-7-1\n" in err
    assert "cutover.py watch release-7-1 --stack Other\n" in err


def test_a_start_that_is_refused_is_one_sentence(capsys: Capture) -> None:
    denied = refusal("AccessDeniedException", operation="StartExecution")
    assert main(["start"], session=session(stepfunctions=states(execution("x"), start_execution=denied))) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_execution_that_cannot_be_followed_continues_and_the_client_says_so(capsys: Capture) -> None:
    service = states(execution("x"), describe_execution=refusal("ExpiredTokenException"))
    assert main(["start"], session=session(stepfunctions=service)) == 1
    err = capsys.readouterr().err
    assert "It continues: arn:aws:states:" in err
    assert "Renew them" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_an_exit_code_and_restores_the_handlers(number: signal.Signals, code: int, capsys: Capture) -> None:
    def interrupted(**_: object) -> None:
        os.kill(os.getpid(), number)

    # In the background of a shell, where tests may run, SIGINT is ignored.
    interrupt, before = signal.getsignal(signal.SIGINT), signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert main(["status"], session=session(ssm=Service(get_parameters_by_path=interrupted))) == code
    assert signal.signal(signal.SIGTERM, before) == signal.SIG_IGN
    signal.signal(signal.SIGINT, interrupt)
    assert "Traceback" not in capsys.readouterr().err


def test_after_an_interruption_the_execution_runs_on_and_the_client_says_how_to_follow_and_stop_it(
    capsys: Capture,
) -> None:
    service = states(execution("x"), describe_execution=lambda **_: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["start", "--name", "x"], session=session(stepfunctions=service)) == 143
    assert {name for name, _ in service.calls} == {"start_execution", "describe_execution"}
    err = capsys.readouterr().err
    assert "cutover.py watch x\n" in err
    assert f"aws stepfunctions stop-execution --execution-arn {EXECUTION}:x\n" in err


@pytest.mark.parametrize("words", [["start", "--name", "x"], ["watch", "x"]], ids=lambda words: words[0])
def test_a_reader_that_stops_reading_does_not_stop_the_execution(
    words: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(words, session=session(stepfunctions=states(execution("x", "RUNNING")))) == 130
    err = capsys.readouterr().err
    assert "Interrupted. Nothing was stopped.\n" in err
    assert f"It continues: {EXECUTION}:x\n" in err
    assert "cutover.py watch x\n" in err


@pytest.mark.parametrize("is_open", [True, False])
def test_a_command_that_cannot_write_its_result_has_the_exit_code_of_the_execution(
    is_open: bool, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream if is_open else None)
        failed = states(execution("x", "FAILED", error="RolledBack"))
        assert main(["watch", "x", "--json"], session=session(stepfunctions=failed)) == 15
    assert ("cutover.py: RolledBack; the rest could not be written.\n" in capsys.readouterr().err) == is_open


COMMANDS_TO_CI = "::error::a ##[error]b ##vso[task.complete result=Failed;]c"


@pytest.mark.parametrize(
    "words",
    [
        ["watch", "x"], ["watch", "x", "--json"], ["history"], ["history", "--json"],
        ["start", "--pair", "\n" + COMMANDS_TO_CI], ["history", "--limit", "\n" + COMMANDS_TO_CI],
        ["status", "--pair", COMMANDS_TO_CI], ["watch", COMMANDS_TO_CI],
    ],
)  # fmt: skip
def test_no_text_from_others_is_a_command_to_ci(words: list[str], capsys: Capture) -> None:
    cause, error = "\n" + COMMANDS_TO_CI, COMMANDS_TO_CI
    failed = execution("x", "FAILED", error=error, cause=cause, input=json.dumps({"pair": cause}))
    failed["name"] = cause
    report = {"healthy": False, "server": cause, "checks": [{"check": cause, "probes": [{"error": cause}]}]}
    events = [
        event(1, "TaskStateEntered", name=cause),
        event(2, "TaskSucceeded", output=task_output(report)),
        event(3, "TaskFailed", error=error, cause=cause),
    ]
    services = {
        "stepfunctions": states(
            failed, get_execution_history={"events": events[::-1]}, list_executions={"executions": [failed]}
        ),
        "cloudtrail": Service(lookup_events=refusal("AccessDenied", cause)),
        "ssm": parameter_store(*TWO_PAIRS),
    }
    main(words, session=session(**services))
    for output in capsys.readouterr():
        assert not [line for line in output.splitlines() if line.strip().startswith("::")]
        assert "##[" not in output
        assert "##vso[" not in output


@pytest.mark.parametrize(
    "name", ["", "a b", "release-1.2", "straße", "日本", "x" * 81, "x\n", "a/b", "a:b", "\x00"], ids=ascii
)
def test_a_name_whose_execution_may_not_be_logged_is_refused_before_any_call_to_aws(name: str, capsys: Capture) -> None:
    assert main(["start", "--name", name], session=session()) == 2
    assert "use 1 to 80 of the characters 0-9, A-Z, a-z, - and _" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--staging", "127.0.0.31"], ["--staging", "tao"], ["--production", "::1"], ["--name", "a b"], ["--name", ""]],
    ids=" ".join,
)
def test_a_wrong_command_line_of_init_is_refused_before_any_call_to_aws(words: list[str], capsys: Capture) -> None:
    assert main(["init", "--production", "127.0.0.31", "--staging", "127.0.0.32", *words], session=session()) == 2
    out, err = capsys.readouterr()
    assert (out, "Error: Invalid value for" in err) == ("", True)


def test_history_says_who_started_an_execution_or_why_that_is_unknown(capsys: Capture) -> None:
    listed = cut_over("release-7", "bittybot", "tao")
    event = {
        "eventSource": "states.amazonaws.com",
        "userIdentity": {"type": "IAMUser", "userName": "alice"},
        "responseElements": {"executionArn": listed["executionArn"]},
    }
    for trail, by, reason in (
        ({"Events": [{"CloudTrailEvent": json.dumps(event)}]}, "alice", ""),
        (refusal("AccessDeniedException", operation="LookupEvents"), "unknown", "LookupEvents is not permitted"),
    ):
        services = {
            "stepfunctions": states(listed, list_executions={"executions": [listed]}),
            "cloudtrail": Service(lookup_events=trail),
        }
        assert main(["history"], session=session(**services)) == 0
        out, err = capsys.readouterr()
        assert f"8.2 s  {by}" in out.splitlines()[1]
        assert reason in err
        assert bool(err) == bool(reason)


TWO_PAIRS = [
    published(name, f"eipalloc-{name}-p", f"eipalloc-{name}-s", {"a": f"i-{name}-a", "b": f"i-{name}-b"})
    for name in ("web", "shop")
]


@pytest.mark.parametrize("command", ["rollback", "unlock"])
def test_with_several_pairs_a_command_that_changes_something_needs_a_choice(command: str, capsys: Capture) -> None:
    assert main([command], session=session(ssm=parameter_store(*TWO_PAIRS))) == 1
    assert "Choose a pair with --pair. The stack has shop, web." in capsys.readouterr().err


def test_status_shows_every_pair_with_its_own_addresses_and_lock(capsys: Capture) -> None:
    addresses = [
        {"AllocationId": "eipalloc-web-p", "PublicIp": "203.0.113.1", "InstanceId": "i-web-b", "AssociationId": "x"},
        {"AllocationId": "eipalloc-web-s", "PublicIp": "203.0.113.2", "NetworkInterfaceId": "eni-1",
         "AssociationId": "y"},
        {"AllocationId": "eipalloc-shop-p", "PublicIp": "203.0.113.3"},
    ]  # fmt: skip
    lock = {"pair": "shop", "execution": f"{EXECUTION}:x", "since": "2026-02-01T09:30:00Z", "server": "b"}
    services = {
        "ssm": parameter_store(*TWO_PAIRS),
        "ec2": Service(describe_addresses={"Addresses": addresses}),
        "dynamodb": Service(scan=[{"Items": []}, {"Items": [{key: {"S": value} for key, value in lock.items()}]}]),
        "stepfunctions": states(execution("x", "RUNNING")),
    }
    assert main(["status", "--json"], session=session(**services)) == 0
    shop, web = json.loads(capsys.readouterr().out)["pairs"]
    assert (web["pair"], web["live"], web["idle"], web["sound"], web["lock"]) == ("web", "b", "a", False, None)
    assert (shop["pair"], shop["live"], shop["sound"], shop["staging"]) == ("shop", None, False, None)
    assert shop["lock"] == {**{key: lock[key] for key in ("execution", "since", "server")}, "status": "RUNNING"}
    assert web["production"] == {
        "publicIp": "203.0.113.1", "allocationId": "eipalloc-web-p", "associationId": "x",
        "server": "b", "instanceId": "i-web-b", "privateIp": None,
    }  # fmt: skip
    assert main(["status"], session=session(**services)) == 0
    out = capsys.readouterr().out
    assert "203.0.113.1 on b (i-web-b)" in out
    assert "203.0.113.3 on no server" in out
    assert "203.0.113.2 on eni-1, which is not in the pair" in out
    assert "eipalloc-shop-s is not an address of this account and Region" in out


@pytest.mark.parametrize(
    ("holder", "age", "status", "says"),
    [
        (f"{EXECUTION}:x", 1, "RUNNING", "the execution is running"),
        (f"{EXECUTION}:x", 1, "SUCCEEDED", "the execution ended SUCCEEDED"),
        (f"{EXECUTION}:y", 45, "GONE", "the execution no longer exists"),
        (f"{EXECUTION}:y", 24, "NOT_KNOWN_YET", "does not know the execution yet"),
        ("someone, by hand", 1, "UNKNOWN", "the holder is not an execution"),
    ],
)
def test_status_says_who_holds_the_lock_and_whether_that_execution_runs(
    holder: str, age: int, status: str, says: str
) -> None:
    since = (parsedate_to_datetime(DATE["date"]) - timedelta(seconds=age)).isoformat()
    item = {"pair": {"S": "web"}, "execution": {"S": holder}, "since": {"S": since}}
    held = account(execution("x", status), dynamodb=Service(scan={"Items": [item]}))
    (standing,) = standings(held, [PAIR], held.locks())
    assert standing.holder_status == status
    line = dict(standing.lines())["lock"]
    assert says in line
    assert line.startswith("dead: ") == (status in ("SUCCEEDED", "GONE"))
