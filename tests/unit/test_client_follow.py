"""The client follows an execution while AWS is slow, busy, or stops answering."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from client.account import Account
from client.executions import CannotFollow, Follower
from client.screen import Screen
from tests.unit.client_doubles import (
    BEGAN,
    EXECUTION,
    Service,
    cut_over,
    event,
    execution,
    in_turn,
    item,
    planned,
    refusal,
    session,
)

ARN = f"{EXECUTION}:release-1"
HISTORY = [
    *planned("bittybot"),
    event(4, "TaskStateExited", name="DescribeAddresses"),
    event(5, "TaskStateEntered", name="ReassociateProduction"),
    event(6, "TaskStateExited", name="ReassociateProduction"),
    event(7, "ExecutionSucceeded", output="{}"),
]


class Following:
    """One follower, its clock, and what it wrote. Both calls are answered in turn."""

    def __init__(
        self,
        *,
        describes: list[Any],
        histories: list[Any],
        screen: type[Screen] = Screen,
        definition: object = None,
        locks: list[Any] | None = None,
    ) -> None:
        pages = [each if isinstance(each, Exception) else {"events": each[::-1]} for each in histories]
        self.states = Service(
            describe_execution=in_turn(*describes),
            get_execution_history=in_turn(*pages),
            describe_state_machine_for_execution=definition,
        )
        self.pauses: list[float] = []
        self._out = io.StringIO()
        self.screen = screen(self._out)
        self.table = Service(get_item=in_turn(*(locks or [{}])))
        account = Account(session(stepfunctions=self.states, dynamodb=self.table))
        self.result = Follower(account, ARN, self.screen, self.pauses.append, lambda: sum(self.pauses)).result

    @property
    def shown(self) -> list[str]:
        """What was printed after the time of the state that is the last in the history."""
        return [line.partition(" s  ")[2] or line.strip() for line in self.lines[3:]]

    @property
    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()


RUNNING, ENDED = execution("release-1", "RUNNING"), cut_over("release-1", "bittybot", "tao")


def test_each_state_is_shown_once_as_the_history_grows() -> None:
    histories = [[], HISTORY[:3], HISTORY[:5], HISTORY]
    following = Following(describes=[RUNNING, RUNNING, RUNNING, ENDED], histories=histories)
    assert following.result().outcome == "CUT_OVER"
    assert [line.split("  ")[-1] for line in following.lines] == [
        "DescribeAddresses", "plan: it was asked for", "ReassociateProduction",
    ]  # fmt: skip
    assert following.lines[2] == "    0.40 s  ReassociateProduction"


def test_the_client_polls_every_half_second_at_first_and_every_two_seconds_later() -> None:
    following = Following(describes=[RUNNING] * 20 + [ENDED], histories=[HISTORY])
    following.result()
    assert following.pauses[0] == 0.5
    assert following.pauses == sorted(following.pauses)
    assert following.pauses[-1] == 2
    assert len(following.pauses) == 20


@pytest.mark.parametrize(
    ("histories", "last_state", "pauses"),
    [
        ([HISTORY], "ReassociateProduction", 0),
        ([HISTORY[:3], HISTORY], "ReassociateProduction", 1),
        ([HISTORY[:3]], "DescribeAddresses", 3),
    ],
    ids=["complete", "late", "never complete"],
)
def test_an_ended_execution_is_reported_when_its_history_is_complete_or_after_some_reads(
    histories: list[Any], last_state: str, pauses: int
) -> None:
    following = Following(describes=[ENDED], histories=histories)
    result = following.result()
    assert (result.outcome, result.reported["states"][-1]["name"]) == ("CUT_OVER", last_state)
    assert following.pauses == [0.5] * pauses


TRANSIENT = [
    refusal("ThrottlingException", operation="DescribeExecution"),
    refusal("TooManyRequestsException"),
    refusal("ServiceUnavailable", status=503),
    refusal("Whatever", status=500),
    EndpointConnectionError(endpoint_url="https://states"),
    ReadTimeoutError(endpoint_url="https://states"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
@pytest.mark.parametrize("where", ["describes", "histories"])
def test_a_transient_error_is_shown_once_and_retried(error: Exception, where: str) -> None:
    answers: dict[str, Any] = {"describes": [RUNNING, ENDED], "histories": [HISTORY]}
    answers[where] = [error, error, error, *answers[where]]
    following = Following(describes=answers["describes"], histories=answers["histories"])
    assert following.result().outcome == "CUT_OVER"
    assert sum("Trying again" in line for line in following.lines) == 1


def test_the_client_gives_up_after_five_minutes_of_errors() -> None:
    following = Following(describes=[refusal("ThrottlingException")], histories=[[]])
    with pytest.raises(CannotFollow, match="Gave up after 5 min 00 s"):
        following.result()
    assert 300 <= sum(following.pauses) < 310


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refusal("ExpiredTokenException"), "Renew them"),
        (refusal("AccessDeniedException", operation="DescribeExecution"), "DescribeExecution is not permitted"),
        (NoCredentialsError(), "no AWS credentials"),
    ],
    ids=repr,
)
def test_the_client_gives_up_at_once_after_an_error_that_is_not_transient(error: Exception, says: str) -> None:
    following = Following(describes=[RUNNING, error], histories=[HISTORY[:2]])
    with pytest.raises(CannotFollow, match=says):
        following.result()
    assert len(following.pauses) == 1


def test_an_execution_that_was_just_started_may_be_unknown_for_a_moment() -> None:
    unknown = refusal("ExecutionDoesNotExist")
    following = Following(describes=[unknown, unknown, ENDED], histories=[unknown, HISTORY])
    assert following.result().outcome == "CUT_OVER"
    following = Following(describes=[unknown], histories=[[]])
    with pytest.raises(CannotFollow, match=r"does not know the execution .* Gave up after 20\.0 s"):
        following.result()
    assert 20 <= sum(following.pauses) < 30


def test_without_the_permission_for_the_history_the_outcome_is_still_reported() -> None:
    denied = refusal("AccessDeniedException", operation="GetExecutionHistory")
    following = Following(describes=[RUNNING, RUNNING, ENDED], histories=[denied])
    assert following.result().outcome == "CUT_OVER"
    assert following.lines == ["The steps cannot be shown: GetExecutionHistory is not permitted."]


RETRY = [{"ErrorEquals": ["X"], "MaxAttempts": 4}]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"definition": json.dumps({"States": {"CheckServers": {"Retry": RETRY}}})}, "2 of 5"),
        (refusal("AccessDeniedException"), "try 2"),
        (ReadTimeoutError(endpoint_url="https://states"), "try 2"),
        ({"definition": "{"}, "try 2"),
    ],
    ids=["permitted", "denied", "no answer", "unusable"],
)
def test_the_number_of_tries_is_read_once_and_only_after_a_failure(answer: Any, shown: str) -> None:
    failing = [
        event(1, "TaskStateEntered", previous=0, name="CheckServers"),
        event(2, "TaskFailed", error="X"),
        event(3, "TaskScheduled"),
        event(4, "TaskFailed", error="X"),
        event(5, "TaskScheduled"),
    ]
    histories = [failing[:1], failing[:3], [*failing, event(6, "ExecutionSucceeded")]]
    following = Following(describes=[RUNNING, RUNNING, ENDED], histories=histories, definition=answer)
    following.result()
    asked = [name for name, _ in following.states.calls]
    assert asked.count("describe_state_machine_for_execution") == 1
    assert asked.index("describe_state_machine_for_execution") > asked.index("get_execution_history") + 1
    assert f"CheckServers: trying again, {shown}" in following.lines[2]
    following = Following(describes=[ENDED], histories=[HISTORY])
    following.result()
    assert "describe_state_machine_for_execution" not in [name for name, _ in following.states.calls]


def test_the_time_shown_on_a_terminal_counts_from_the_start_by_the_clock_of_aws() -> None:
    shown: list[float] = []

    class Terminal(Screen):
        def live(self, now: Callable[[], str], seconds: Callable[[], float]) -> Any:
            self.seconds = seconds
            return super().live(now, seconds)

        def line(self, text: str, style: str = "", label: str = "") -> None:
            shown.append(self.seconds())

    running = {**RUNNING, "startDate": BEGAN + timedelta(minutes=29)}  # a minute before the answer's Date
    Following(describes=[running, ENDED], histories=[HISTORY], screen=Terminal).result()
    assert shown[0] == 60


def held(execution: str = ARN, **attributes: Any) -> dict[str, Any]:
    """The answer of GetItem for the lock of this execution."""
    return {"Item": item(pair="web", execution=execution, since="2026-02-01T09:30:00Z", server="tao", **attributes)}


def ran(status: str, line: str = "", step: str = "deploy") -> dict[str, Any]:
    command = {"step": step, "server": "tao", "status": status, "line": line}
    return held(command=command)


def during(state: str, *locks: Any, polls: int = 30) -> Following:
    """Followed for some polls while an execution is in this state, and the lock's item is this in turn."""
    entered = [*planned("bittybot"), event(4, "TaskStateExited", name="DescribeAddresses"),
               event(5, "TaskStateEntered", name=state)]  # fmt: skip
    left = [*entered, event(6, "TaskStateExited", name=state), event(7, "ExecutionSucceeded")]
    following = Following(
        describes=[*[RUNNING] * polls, ENDED], histories=[*[entered] * polls, left], locks=list(locks)
    )
    assert following.result().outcome == "CUT_OVER"
    return following


@pytest.mark.parametrize("state", ["DeployRelease", "BeforeCutover", "AfterCutover", "AfterRollback", "EndCommand"])
def test_a_command_has_a_line_for_each_change_of_its_status_and_its_last_line(state: str) -> None:
    step = "deploy" if state in ("DeployRelease", "EndCommand") else f"{state[0].lower()}{state[1:]}0"
    steps = [("Pending", ""), ("InProgress", ""), ("InProgress", ""), ("InProgress", "Unpacking release 7\x1b[2J"),
             ("InProgress", "Unpacking release 7\x1b[2J"), ("Success", "aws ec2 x")]  # fmt: skip
    following = during(state, {}, *(ran(*each, step) for each in steps))
    assert following.shown == [
        f"{step} on tao: Pending",
        f"{step} on tao: InProgress",
        f"{step} on tao: InProgress | Unpacking release 7 [2J",
        f"{step} on tao: Success | aws ec2 x",
    ]


def test_the_lock_is_read_at_most_every_two_seconds_and_only_while_it_says_more() -> None:
    following = during("DeployRelease", ran("InProgress"))
    assert len(following.table.calls) <= sum(following.pauses) / 2 + 1
    assert during("Bake").table.calls == []
    first = Following(
        describes=[RUNNING, RUNNING, ENDED], histories=[[event(1, "TaskStateEntered", name="EndCommand")]]
    )
    first.result()
    assert first.table.calls == [], "the pair is not known yet"


@pytest.mark.parametrize(
    "answer",
    [
        refusal("AccessDeniedException", operation="GetItem"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        {},
        held(f"{EXECUTION}:another", command={"step": "deploy", "server": "tao", "status": "InProgress"}),
        held(command="{"),
        held(command={"step": "beforeCutover0", "server": "tao", "status": "Success"}),
    ],
    ids=["denied", "no answer", "no item", "of another execution", "by hand", "of an earlier state"],
)
def test_a_lock_that_does_not_say_what_runs_is_skipped_silently(answer: Any) -> None:
    assert during("DeployRelease", answer).shown == []


def test_the_wait_for_approval_says_once_until_when_and_how_to_answer() -> None:
    waits = held(approvalToken="AAAA", approvesUntil="2026-02-01T10:30:00Z")
    shown = during("WaitForApproval", held(), waits).shown
    assert shown == [
        "waits for approval until 2026-02-01T10:30:00Z",
        "cutover.py approve --pair web",
        "cutover.py reject --pair web",
    ]


def test_on_a_terminal_the_live_line_has_the_last_line_of_the_command() -> None:
    seen: list[str] = []

    class Terminal(Screen):
        def live(self, now: Callable[[], str], seconds: Callable[[], float]) -> Any:
            self.now = now
            return super().live(now, seconds)

        def line(self, text: str, style: str = "", label: str = "") -> None:
            seen.append(self.now())

    entered = [*planned("bittybot"), event(4, "TaskStateExited", name="DescribeAddresses"),
               event(5, "TaskStateEntered", name="DeployRelease")]  # fmt: skip
    locks = [ran("InProgress", "Unpacking")]
    Following(describes=[RUNNING, ENDED], histories=[entered], screen=Terminal, locks=locks).result()
    assert seen[-1] == "DeployRelease: deploy on tao: InProgress | Unpacking"
