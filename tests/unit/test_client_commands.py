"""The whole client in this process, with an AWS that does what the local AWS cannot."""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import IO, Any

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
    item,
    lock_table,
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
    for words in (options, []):
        assert main(["start", *words], session=session(stepfunctions=service, ssm=parameter_store(PAIR))) == 0
    first, second = [parameters for name, parameters in service.calls if name == "start_execution"]
    assert first["name"] == "release-7-1"
    assert json.loads(first["input"]) == {"pair": "web", "serverName": "tao", "dryRun": True, "expectedRelease": "7"}
    assert json.loads(second["input"]) == {}
    # Never without a name: the SDK may send the call twice.
    assert second["name"].startswith("cutover-")


@pytest.mark.parametrize("release", ["42", "v1.2.3+build_7/x=-", "a" * 128])
def test_a_release_is_an_input_of_the_workflow(release: str) -> None:
    assert started("--release", release) == (0, {"release": release})


@pytest.mark.parametrize("release", ["", "a b", "7;reboot", "$(x)", "x\n", "straße", "a" * 129])
def test_a_release_that_a_shell_could_execute_is_refused_before_any_call_to_aws(release: str, capsys: Capture) -> None:
    assert main(["start", f"--release={release}"], session=session()) == 2
    assert "is not a release: use 1 to 128 letters, digits, -, _, ., +, / and =" in " ".join(
        capsys.readouterr().err.split()
    )


def test_after_a_start_without_an_answer_the_client_says_how_to_check(capsys: Capture) -> None:
    service = states(execution("x"), start_execution=ReadTimeoutError(endpoint_url="https://states"))
    words = ["start", "--name", "release-7-1", "--stack", "Other", "--json"]
    assert main(words, session=session(stepfunctions=service)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"It may have been started: {EXECUTION}:release-7-1\n" in err
    assert f"\n  cutover.py watch {EXECUTION}:release-7-1 --stack Other\n" in err


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
    assert f"\n  cutover.py watch {EXECUTION}:x\n" in err
    assert f"\n  aws stepfunctions stop-execution --execution-arn {EXECUTION}:x\n" in err


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
    assert "cutover.py: The output could not be written: Broken pipe.\n" in err
    assert f"It continues: {EXECUTION}:x\n" in err
    assert f"\n  cutover.py watch {EXECUTION}:x\n" in err


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


def full_disk() -> IO[str]:
    return open("/dev/full", "w")  # noqa: PTH123 - the client closes nothing


def closed_pipe() -> IO[str]:
    read, written = os.pipe()
    os.close(read)
    return os.fdopen(written, "w")


@pytest.mark.parametrize(
    ("output", "says"), [(full_disk, "No space left on device"), (closed_pipe, "Broken pipe")], ids=["full", "closed"]
)
@pytest.mark.parametrize(
    "words",
    [
        ["start"], ["rollback"], ["watch", "x"], ["watch"], ["status"], ["status", "--json"], ["history"],
        ["history", "--json"], ["--help"], ["start", "--help"],
        ["init", "--production", "127.0.0.31", "--staging", "127.0.0.32"], ["commands"], ["commands", "--json"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_output_that_cannot_be_written_is_one_sentence_and_an_exit_code(
    words: list[str], output: Callable[[], IO[str]], says: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [
        {"AllocationId": f"eipalloc-{n}", "PublicIp": f"127.0.0.3{ord(n) - 96}", "InstanceId": f"i-{n}",
         "AssociationId": "x"}
        for n in ("a", "b")
    ]  # fmt: skip
    instances = [{"InstanceId": f"i-{n}", "NetworkInterfaces": [{}]} for n in ("a", "b")]
    found = {"Addresses": addresses}, {"Reservations": [{"Instances": instances}]}
    running = execution("x", "RUNNING")
    services = {
        "stepfunctions": states(running, list_executions={"executions": [running]}),
        "ssm": parameter_store(PAIR),
        "dynamodb": lock_table(),
        "ec2": Service(describe_addresses=found[0], describe_instances=found[1]),
        "cloudtrail": Service(lookup_events={"Events": []}),
    }
    with output() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(words, session=session(**services)) == 130
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == f"cutover.py: The output could not be written: {says}."
    assert "Traceback" not in err


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
    [
        [],
        ["--production", "127.0.0.31"],
        ["--replace", "bittybot"],
        ["--replace", "bittybot", "--instance", "i-0123456789abcdef0", "--staging", "127.0.0.31"],
        ["--replace", "bittybot", "--instance", "i-0123456789abcdef0", "--name", "web"],
        ["--replace", "bittybot", "--instance", "tao"],
        ["--replace", "bittybot", "--instance", ""],
    ],
    ids=" ".join,
)
def test_options_of_init_that_do_not_belong_together_are_refused_before_any_call_to_aws(
    words: list[str], capsys: Capture
) -> None:
    assert main(["init", *words], session=session()) == 2
    out, err = capsys.readouterr()
    assert (out, "Error: " in err) == ("", True)


def test_init_prints_the_servers_of_a_pair_with_a_new_instance(capsys: Capture) -> None:
    new = {"InstanceId": "i-0123456789abcdef0", "State": {"Name": "running"},
           "Placement": {"AvailabilityZone": "eu-west-1a"},
           "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "Attachment": {"DeviceIndex": 0}}]}  # fmt: skip
    ec2 = Service(describe_addresses={"Addresses": []}, describe_instances={"Reservations": [{"Instances": [new]}]})
    words = ["init", "--replace", "bittybot", "--instance", "i-0123456789abcdef0", "--json"]
    assert main(words, session=session(ssm=parameter_store(PAIR), ec2=ec2)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"web": {"servers": {"bittybot": "i-0123456789abcdef0", "tao": "i-b"}}}
    assert "Put this into the pair web in cdk.json" in err


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


def test_with_several_pairs_unlock_needs_a_choice(capsys: Capture) -> None:
    assert main(["unlock"], session=session(ssm=parameter_store(*TWO_PAIRS))) == 1
    assert "Choose a pair with --pair. The stack has shop, web." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ([], {"rollback": True}),
        (["--pair", "web", "--dry-run"], {"rollback": True, "pair": "web", "dryRun": True}),
    ],
)
def test_rollback_starts_the_workflow_and_reads_nothing_else(words: list[str], request_: dict[str, Any]) -> None:
    service = states(cut_over("x", "tao", "tao", outcome="ALREADY_LIVE"))
    # Any other service is unknown to this session.
    assert main(["rollback", *words, "--detailed-exit-code"], session=session(stepfunctions=service)) == 3
    ((name, started), *others) = service.calls
    assert (name, json.loads(started["input"])) == ("start_execution", request_)
    assert started["name"].startswith("rollback-")
    assert {name for name, _ in others} == {"describe_execution", "get_execution_history"}


@pytest.mark.parametrize(("error", "code"), [("InvalidRequest", 10), ("PreflightFailed", 13)])
def test_a_rollback_that_is_refused_has_the_exit_code_of_the_refusal(error: str, code: int) -> None:
    refused = states(execution("x", "FAILED", error=error, cause="No cutover is on record."))
    assert main(["rollback"], session=session(stepfunctions=refused)) == code


def started(*words: str, **services: Service) -> Any:
    """The exit code of `start`, and the input of the execution that it starts, None if it starts nothing."""
    service = states(cut_over("x", "bittybot", "tao"))
    code = main(["start", *words], session=session(stepfunctions=service, **services))
    inputs = [json.loads(parameters["input"]) for name, parameters in service.calls if name == "start_execution"]
    return code, inputs[0] if inputs else None


@pytest.mark.parametrize(
    ("wait", "seconds"), [("15m", 900), ("90s", 90), ("1h", 3600), ("3600", 3600), ("60m", 3600), ("0", None)]
)
def test_a_start_waits_as_long_as_it_is_asked_to(wait: str, seconds: int | None) -> None:
    assert started("--wait", wait) == (0, {"waitSeconds": seconds} if seconds else {})
    assert started("--emergency") == (0, {"emergency": True})


@pytest.mark.parametrize("wait", ["", "2h", "3601", "61m", "-1", "1.5m", "1 m", "soon", "1d", "٣m", "9" * 5000, "15M"])
def test_a_wrong_wait_is_refused_before_any_call_to_aws(wait: str, capsys: Capture) -> None:
    assert main(["start", f"--wait={wait}"], session=session()) == 2
    assert "is not a duration of at most 1h" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--server", "toa"], "Pair web has no server 'toa'; its servers are bittybot and tao."),
        (["--server", ""], "has no server ''"),
        (["--pair", "wbe"], "There is no pair 'wbe'; the stack has web."),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_is_started_or_announced(
    words: list[str], says: str, capsys: Capture
) -> None:
    assert started(*words, ssm=parameter_store(PAIR)) == (2, None)
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), says in err) == ("", 1, True)
    assert started("--server", "TAO", ssm=parameter_store(PAIR)) == (0, {"serverName": "TAO"})


@pytest.mark.parametrize("answer", [refusal("AccessDeniedException"), {"Parameters": []}], ids=["denied", "no pairs"])
def test_without_the_pairs_a_start_goes_on_and_the_workflow_refuses_a_wrong_name(answer: Any) -> None:
    ssm = Service(get_parameters_by_path=answer)
    assert started("--server", "toa", "--pair", "w", ssm=ssm) == (0, {"pair": "w", "serverName": "toa"})
    # An unset variable in CI must not become the idle server.
    assert started("--server", "", "--pair", "", ssm=ssm) == (0, {"pair": "", "serverName": ""})


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
        "dynamodb": lock_table(item(pair="web", revision=1), item(**lock)),
        "stepfunctions": states(execution("x", "RUNNING")),
    }
    assert main(["status", "--json"], session=session(**services)) == 0
    shop, web = json.loads(capsys.readouterr().out)["pairs"]
    assert (web["pair"], web["live"], web["idle"], web["sound"], web["lock"]) == ("web", "b", "a", False, None)
    assert (shop["pair"], shop["live"], shop["sound"], shop["staging"]) == ("shop", None, False, None)
    held = {key: lock[key] for key in ("execution", "since", "server")}
    assert shop["lock"] == {**held, "bakesUntil": None, "approvesUntil": None, "command": None, "status": "RUNNING"}
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
    held = account(execution("x", status), dynamodb=lock_table(item(pair="web", execution=holder, since=since)))
    (standing,) = standings(held, [PAIR])
    assert standing.holder_status == status
    line = dict(standing.lines(held.command))["lock"]
    assert says in line
    is_dead = status in ("SUCCEEDED", "GONE")
    assert line.startswith("dead: ") == is_dead
    assert line.endswith("\ncutover.py unlock --pair web") == is_dead
