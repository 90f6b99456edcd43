"""What the client shows of an execution's history."""

import json
from typing import Any

import pytest

from client.progress import Progress, states_of
from tests.unit.client_doubles import event, task_output

PROBES = [
    {"status": 200, "milliseconds": 11.6, "error": None},
    {"status": None, "milliseconds": 2000.2, "error": "no answer within 2 s"},
    {"status": 503, "milliseconds": 4, "error": None},
]
SHOWN = "200 in 12 ms, no answer within 2 s in 2000 ms, 503 in 4 ms"


def health(**more: Any) -> dict[str, Any]:
    return {"healthy": True, "address": "staging", "publicIp": "203.0.113.11", "server": "tao", **more}


def texts(*events: dict[str, Any]) -> list[str]:
    progress = Progress()
    return [line.text for each in events for line in progress.read(each)]


def succeeded(payload: object) -> dict[str, Any]:
    return event(2, "TaskSucceeded", output=task_output(payload))


def parallel_until(*more: dict[str, Any]) -> Progress:
    progress = Progress()
    for each in (
        event(1, "ExecutionStarted", input="{}"),
        event(2, "ParallelStateEntered", name="Preflight"),
        event(3, "ParallelStateStarted"),
        event(4, "TaskStateEntered", previous=3, name="HealthCheckStaging"),
        event(5, "TaskStateEntered", previous=3, name="CheckServers"),
        event(6, "TaskScheduled", previous=4, resource="invoke"),
        *more,
    ):
        progress.read(each)
    return progress


def test_every_state_is_shown_when_it_is_entered_except_a_choice() -> None:
    assert texts(
        event(1, "ExecutionStarted", input="{}"),
        event(2, "TaskStateEntered", name="DescribeAddresses"),
        event(3, "TaskStateExited", name="DescribeAddresses"),
        event(4, "ChoiceStateEntered", name="AlreadyLive?"),
        event(5, "ChoiceStateExited", name="AlreadyLive?"),
        event(6, "WaitStateEntered", name="SomeStateOfTheFuture"),
        event(7, "SucceedStateEntered", name="CutOver"),
    ) == ["DescribeAddresses", "SomeStateOfTheFuture", "CutOver"]


def test_the_probes_of_each_check_are_shown() -> None:
    checks = [
        {"check": "http://203.0.113.11/health", "probes": PROBES},
        {"check": "http://203.0.113.11/", "probes": []},
    ]
    assert texts(succeeded(health(checks=checks))) == [
        "tao is healthy through staging 203.0.113.11",
        f"http://203.0.113.11/health: {SHOWN}",
        "http://203.0.113.11/: none",
    ]


@pytest.mark.parametrize("more", [{}, {"checks": "none"}, {"checks": [7, {"check": "x"}]}, {"checks": {}}], ids=str)
def test_a_health_check_without_probes_is_shown_without_them(more: dict[str, Any]) -> None:
    assert texts(succeeded(health(**more))) == ["tao is healthy through staging 203.0.113.11"]


@pytest.mark.parametrize(("release", "says"), [("6\x1b[2J", "has release 6 [2J"), (None, "does not say its release")])
def test_a_server_that_was_asked_for_its_release_is_neither_healthy_nor_not(release: str | None, says: str) -> None:
    progress, payload = Progress(), {"hasRelease": False, "release": release, "server": "bittybot"}
    (line,) = progress.read(succeeded(payload))
    assert (line.text, line.good, progress.health_checks) == (f"bittybot {says}", None, [])


@pytest.mark.parametrize(
    "output", [None, "", "{", "[]", '"x"', '{"Payload": null}', '{"Payload": [1]}', '{"a": 1}', "[" * 10**5]
)
def test_any_other_output_is_not_a_health_check(output: str | None) -> None:
    assert texts(event(2, "TaskSucceeded", output=output)) == []


def test_a_failed_step_is_shown_with_its_state_and_the_message_of_the_function() -> None:
    cause = '{"errorMessage": "EC2 is busy", "errorType": "EC2Unavailable"}'
    assert texts(
        event(1, "TaskStateEntered", previous=0, name="ReassociateProduction"),
        event(2, "TaskScheduled", resource="invoke"),
        event(3, "TaskFailed", error="EC2Unavailable", cause=cause),
    )[1:] == ["ReassociateProduction failed: EC2Unavailable: EC2 is busy"]
    assert texts(event(1, "TaskTimedOut", error="States.Timeout")) == ["a step failed: States.Timeout"]


RETRY = [
    {"ErrorEquals": ["EC2Throttled"], "MaxAttempts": 400},
    {"ErrorEquals": ["EC2Unavailable", "States.Timeout"], "MaxAttempts": 4},
    {"ErrorEquals": ["States.ALL"]},
]
DEFINITION = {"States": {"Preflight": {"Branches": [{"States": {"CheckServers": {"Retry": RETRY}}}]}}}


def tries(*errors: str, definition: object) -> list[str]:
    """The lines of the state CheckServers, which fails with these errors, one after the other."""
    progress = Progress(definition=states_of(definition))
    events = [event(1, "TaskStateEntered", name="Other"), event(2, "TaskFailed", error="EC2Unavailable"),
              event(3, "TaskStateEntered", previous=0, name="CheckServers"), event(4, "TaskScheduled")]  # fmt: skip
    for number, error in enumerate(errors):
        events += [event(2 * number + 5, "TaskFailed", error=error), event(2 * number + 6, "TaskScheduled")]
    return [line.text for each in events for line in progress.read(each) if "trying" in line.text]


@pytest.mark.parametrize(
    ("errors", "definition", "last"),
    [
        (["EC2Unavailable"], DEFINITION, "2 of 5"),
        (["EC2Unavailable", "EC2Unavailable"], DEFINITION, "3 of 5"),
        (["EC2Unavailable", "EC2Throttled"], DEFINITION, "2 of 401"),
        (["Lambda.Unknown"], DEFINITION, "2 of 4"),
        (["EC2Unavailable"], {}, "try 2"),
        (["EC2Unavailable"], None, "try 2"),
        (["EC2Unavailable"], {"States": {"CheckServers": {}, "x": 7}}, "try 2"),
    ],
)
def test_another_try_says_which_of_how_many_it_is(errors: list[str], definition: object, last: str) -> None:
    shown = tries(*errors, definition=definition)
    assert len(shown) == len(errors)
    assert shown[-1] == f"CheckServers: trying again, {last}"


def test_the_same_failure_again_is_only_another_try() -> None:
    failures = [("X", "a"), ("X", "a"), ("X", "b")]
    events = [event(1, "TaskStateEntered", previous=0, name="Notify")]
    for error, cause in failures:
        events += [event(len(events) + 1, "TaskFailed", error=error, cause=cause)]
        events += [event(len(events) + 1, "TaskScheduled")]
    events += [event(8, "TaskStateEntered", name="Notify"), event(9, "TaskFailed", error="X", cause="b")]
    assert texts(*events) == [
        "Notify", "Notify failed: X: a", "Notify: trying again, try 2", "Notify: trying again, try 3",
        "Notify failed: X: b", "Notify: trying again, try 4", "Notify failed: X: b",
    ]  # fmt: skip


def test_a_failure_is_shown_without_the_commands_that_the_summary_has() -> None:
    cause = json.dumps({"errorMessage": "A person must act. Run:\naws ec2 associate-address &&\naws ec2 x"})
    assert texts(event(1, "TaskFailed", error="E", cause=cause)) == ["a step failed: E: A person must act. Run:"]


def test_a_try_whose_state_is_unknown_is_not_taken_for_another_try() -> None:
    unlinked = [event(1, "TaskFailed", previous=0, error="X"), event(2, "TaskScheduled", previous=0)]
    assert texts(*unlinked) == ["a step failed: X"]
    alone = texts(event(1, "TaskStateEntered", previous=0, name="Notify"), *unlinked)
    assert alone == ["Notify", "Notify failed: X", "Notify: trying again, try 2"]


def test_a_pair_that_another_execution_holds_and_the_waits_are_shown_in_words_and_once() -> None:
    held = "DynamoDB.ConditionalCheckFailedException"
    events = list[dict[str, Any]]()
    for _ in range(5):
        for kind, name in (("Task", "AcquireLock"), ("Task", "DescribeLock"), ("Wait", "WaitForHolder")):
            events.append(event(len(events) + 1, f"{kind}StateEntered", name=name))
            if name == "AcquireLock":
                events.append(event(len(events) + 1, "TaskFailed", error=held, cause="The conditional request failed"))
    lines = texts(*events, event(len(events) + 1, "WaitStateEntered", name="WaitForLastCall"))
    once = ["AcquireLock", "AcquireLock: another execution holds the pair", "DescribeLock",
            "WaitForHolder: waiting for the other execution"]  # fmt: skip
    assert lines == [
        *once, *once[:3], "WaitForLastCall: waiting until the last call of the stopped execution is over",
    ]  # fmt: skip


def test_the_plan_after_a_wait_is_kept_and_shown_if_it_is_another() -> None:
    progress = Progress()
    plans: list[dict[str, Any]] = [
        {key: {} for key in ("live", "idle", "production", "staging")} | {"reason": why} for why in "aab"
    ]
    shown = [line.text for plan in plans for line in progress.read(succeeded(plan))]
    assert shown == ["plan: a", "plan: b"]
    assert progress.plan == plans[-1]


def test_a_bake_shows_until_when_it_takes_and_its_rounds_are_not_repeated() -> None:
    until = "2026-02-01T10:30:00Z"
    parameters = json.dumps({"FunctionName": "x", "Payload": {"until": until}})
    progress, lines = Progress(), list[str]()
    for number in range(1, 13, 4):
        for each in (
            event(number, "TaskStateEntered", name="Bake"),
            event(number + 1, "TaskScheduled", parameters=parameters),
            event(number + 2, "TaskSucceeded", output=task_output(health())),
            event(number + 3, "TaskStateExited", name="Bake"),
        ):
            lines += [line.text for line in progress.read(each)]
            if each["type"] == "TaskSucceeded":
                assert progress.now == f"Bake: until {until}"
    assert lines == ["Bake", f"Bake: until {until}", "tao is healthy through staging 203.0.113.11"]
    assert len(progress.states) == len(progress.health_checks) == 1
    (failed,) = progress.read(event(13, "TaskFailed", error="ProductionUnhealthy"))
    assert failed.good is False
    progress.read(event(14, "TaskStateEntered", name="ReleaseLock"))
    assert progress.now == "ReleaseLock"


def test_the_commands_of_a_state_are_shown_with_their_durations_when_it_ends() -> None:
    commands = [
        {"step": "deploy", "server": "tao", "status": "Success", "seconds": 41.04, "line": "Release 7 is up"},
        {"step": "beforeCutover0", "server": "live", "status": "SUCCEEDED", "seconds": 75, "line": None},
        {"step": "beforeCutover1", "server": "tao", "status": "TimedOut", "seconds": 60, "line": "a\naws ec2 x\x1b[2J"},
        7,
        {"seconds": float("nan"), "line": ""},
    ]
    payload = {"moment": "deploy", "commands": commands, "warnings": []}
    lines = Progress().read(succeeded(payload))
    assert [(line.text, line.good) for line in lines] == [
        ("deploy on tao: Success after 41.0 s | Release 7 is up", True),
        ("beforeCutover0 on live: SUCCEEDED after 1 min 15 s", True),
        ("beforeCutover1 on tao: TimedOut after 1 min 00 s | a aws ec2 x [2J", False),
        ("unknown on unknown: unknown", False),
    ]
    assert texts(succeeded({"moment": "deploy", "commands": 7}), succeeded({"commands": commands})) == []


def test_a_hostile_text_is_one_short_line() -> None:
    (line,) = texts(event(1, "TaskFailed", error="E", cause="a\nb\x1b[31m\u202e" + "x" * 5_000))
    assert line.startswith("a step failed: E: a b [31m ")
    assert len(line) < 400


def test_the_running_states_are_the_parallel_state_and_its_branches() -> None:
    assert parallel_until().now == "Preflight: HealthCheckStaging, CheckServers"
    branch_done = event(7, "TaskStateExited", previous=6, name="HealthCheckStaging")
    assert parallel_until(branch_done).now == "Preflight: CheckServers"


def test_a_failure_in_a_branch_names_the_branch_and_the_branch_ends_with_its_parallel_state() -> None:
    progress = parallel_until()
    (line,) = progress.read(event(7, "TaskFailed", previous=6, error="StagingUnhealthy", cause="500"))
    assert (line.text, line.good) == ("HealthCheckStaging failed: StagingUnhealthy: 500", False)
    progress.read(event(8, "ParallelStateFailed", error="StagingUnhealthy", cause="500"))
    progress.read(event(9, "ParallelStateExited", name="Preflight"))
    progress.read(event(10, "TaskStateEntered", name="ReleaseLock"))
    assert progress.now == "ReleaseLock"
    assert not progress.ended


@pytest.mark.parametrize("kind", ["ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"])
def test_the_last_event_ends_the_progress_and_only_the_summary_shows_it(kind: str) -> None:
    progress = Progress()
    assert progress.read(event(1, kind, error="RolledBack", cause="...")) == []
    assert progress.ended


def test_an_execution_that_was_redriven_has_not_ended() -> None:
    progress = Progress()
    progress.read(event(1, "ExecutionFailed", error="RolledBack"))
    progress.read(event(2, "ExecutionRedriven"))
    assert not progress.ended


def test_a_try_that_failed_without_an_error_is_shown_as_failed() -> None:
    entered = event(1, "TaskStateEntered", previous=0, name="WaitForApproval")
    assert texts(entered, event(2, "TaskFailed"))[1:] == ["WaitForApproval failed: TaskFailed"]
