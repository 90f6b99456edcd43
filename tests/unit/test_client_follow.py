"""Following an execution while AWS is slow, busy, or not to be asked any more."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from client.errors import UnknownExecution
from client.follow import Follower, LostSight
from client.result import Result
from client.screen import Screen
from tests.unit.client_doubles import (
    BEGAN,
    EXECUTION,
    AccountInMemory,
    cut_over,
    event,
    execution,
    planned,
    refusal,
)

ARN = f"{EXECUTION}:release-1"
HISTORY = [
    *planned("bittybot"),
    event(4, "TaskStateExited", name="DescribeAddresses"),
    event(5, "TaskStateEntered", name="ReassociateProduction"),
    event(6, "TaskStateExited", name="ReassociateProduction"),
    event(7, "ExecutionSucceeded", output="{}"),
]


class Script(AccountInMemory):
    """Answers with what was written down for each call, the last of it for ever; an exception is raised."""

    def __init__(self, *, describes: list[Any], histories: list[Any]) -> None:
        super().__init__()
        self._describes, self._pages = describes, histories
        self.asked_after: list[int] = []

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def describe(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self._next(self._describes)
        return found

    def events(self, arn: str, *, after: int = 0) -> list[dict[str, Any]]:
        self.asked_after.append(after)
        return [each for each in self._next(self._pages) if each["id"] > after]


class Following:
    """One follower, its clock, and what it wrote."""

    def __init__(self, account: Script) -> None:
        self.pauses: list[float] = []
        self._out = io.StringIO()
        self._follower = Follower(account, ARN, Screen(self._out), sleep=self.pauses.append, monotonic=self._monotonic)

    def result(self) -> Result:
        return self._follower.result()

    @property
    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()

    def _monotonic(self) -> float:
        return sum(self.pauses)


RUNNING, ENDED = execution("release-1", "RUNNING"), cut_over("release-1", "bittybot", "tao")


def test_states_are_told_once_each_as_the_history_grows() -> None:
    account = Script(describes=[RUNNING, RUNNING, RUNNING, ENDED], histories=[[], HISTORY[:3], HISTORY[:5], HISTORY])
    following = Following(account)
    assert following.result().outcome == "CUT_OVER"
    assert [line.split("  ")[-1] for line in following.lines] == [
        "DescribeAddresses", "plan: it was asked for", "ReassociateProduction",
    ]  # fmt: skip
    assert following.lines[2] == "    0.40 s  ReassociateProduction"
    assert account.asked_after == [0, 0, 3, 5]


def test_it_asks_every_half_second_at_first_and_every_two_seconds_in_the_end() -> None:
    following = Following(Script(describes=[RUNNING] * 20 + [ENDED], histories=[HISTORY]))
    following.result()
    assert following.pauses[0] == 0.5
    assert following.pauses == sorted(following.pauses)
    assert following.pauses[-1] == 2
    assert len(following.pauses) == 20


def test_an_execution_that_has_ended_already_is_reported_without_a_pause() -> None:
    following = Following(Script(describes=[ENDED], histories=[HISTORY]))
    assert following.result().outcome == "CUT_OVER"
    assert following.pauses == []


def test_a_history_that_lags_behind_the_end_is_waited_for_but_not_for_ever() -> None:
    following = Following(Script(describes=[ENDED], histories=[HISTORY[:3], HISTORY[:3], HISTORY]))
    assert following.result().states[-1]["name"] == "ReassociateProduction"
    following = Following(Script(describes=[ENDED], histories=[HISTORY[:3]]))
    assert following.result().outcome == "CUT_OVER"
    assert sum(following.pauses) < 3


PASSING = [
    refusal("ThrottlingException", operation="DescribeExecution"),
    refusal("TooManyRequestsException"),
    refusal("ServiceUnavailable", status=503),
    refusal("Whatever", status=500),
    EndpointConnectionError(endpoint_url="https://states"),
    ReadTimeoutError(endpoint_url="https://states"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
@pytest.mark.parametrize("where", ["describes", "histories"])
def test_what_passes_is_waited_for_and_told_once(error: Exception, where: str) -> None:
    answers: dict[str, list[Any]] = {"describes": [RUNNING, ENDED], "histories": [HISTORY]}
    answers[where] = [error, error, error, *answers[where]]
    following = Following(Script(describes=answers["describes"], histories=answers["histories"]))
    assert following.result().outcome == "CUT_OVER"
    assert sum("Asking again" in line for line in following.lines) == 1


def test_what_does_not_pass_within_five_minutes_is_given_up() -> None:
    following = Following(Script(describes=[refusal("ThrottlingException")], histories=[[]]))
    with pytest.raises(LostSight, match="That was so for 5 min 00 s"):
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
def test_what_will_not_pass_is_given_up_at_once(error: Exception, says: str) -> None:
    following = Following(Script(describes=[RUNNING, error], histories=[HISTORY[:2]]))
    with pytest.raises(LostSight, match=says):
        following.result()
    assert len(following.pauses) == 1


def test_an_execution_that_was_just_started_may_be_unknown_for_a_moment() -> None:
    unknown = UnknownExecution("Step Functions knows no execution release-1")
    following = Following(Script(describes=[unknown, unknown, ENDED], histories=[unknown, HISTORY]))
    assert following.result().outcome == "CUT_OVER"
    following = Following(Script(describes=[unknown], histories=[[]]))
    with pytest.raises(LostSight, match="knows no execution"):
        following.result()
    assert sum(following.pauses) < 30


def test_without_the_permission_for_the_history_the_outcome_is_reported_all_the_same() -> None:
    denied = refusal("AccessDeniedException", operation="GetExecutionHistory")
    following = Following(Script(describes=[RUNNING, RUNNING, ENDED], histories=[denied]))
    assert following.result().outcome == "CUT_OVER"
    assert following.lines == ["The steps cannot be shown: GetExecutionHistory is not permitted."]


def test_the_time_shown_on_a_terminal_counts_from_the_start_by_the_clock_of_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[float] = []

    class Terminal(Screen):
        def live(self, now: Callable[[], str], seconds: Callable[[], float]) -> Any:
            self.seconds = seconds
            return super().live(now, seconds)

        def line(self, text: str, style: str = "") -> None:
            shown.append(self.seconds())

    running = {**RUNNING, "startDate": BEGAN + timedelta(minutes=29)}  # a minute before the answer's Date
    account = Script(describes=[running, ENDED], histories=[HISTORY])
    Follower(account, ARN, Terminal(io.StringIO()), sleep=lambda _: None, monotonic=lambda: 1_000.0).result()
    assert shown[0] == 60
