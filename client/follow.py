"""From an execution that may still run to its result: polls gently, and tells what happens as soon as it is known."""

import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError

from client.account import Account, moment_of
from client.errors import AWS_ERRORS, DENIED, Problem, UnknownExecution, code_of, is_passing, sentence
from client.progress import Progress
from client.result import RUNNING, Result, result_of
from client.screen import Screen
from client.text import JsonObject, duration

FIRST_SECONDS, LONGEST_SECONDS, GROWTH = 0.5, 2.0, 1.25
# DescribeExecution and GetExecutionHistory are eventually consistent: API reference of Step Functions.
UNSEEN_SECONDS = 20.0
LAST_LOOKS = 4
PATIENCE_SECONDS = 300.0

T = TypeVar("T")


class LostSight(Problem):
    """The execution could not be followed any further, and goes on by itself."""


class Follower:
    """Follows one execution. `sleep` and `monotonic` are time's own but in tests."""

    def __init__(
        self,
        account: Account,
        arn: str,
        screen: Screen,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account, self._arn, self._screen = account, arn, screen
        self._sleep, self._monotonic = sleep, monotonic
        self._progress = Progress()
        self._history_denied = False
        self._began: float | None = None

    def result(self) -> Result:
        """Return when it has ended. Raises LostSight where AWS cannot be asked any more."""
        with self._screen.live(lambda: self._progress.now, self._elapsed):
            described = self._until_ended()
            for look in range(LAST_LOOKS):
                if self._progress.ended or self._history_denied:
                    break
                if look:
                    self._sleep(FIRST_SECONDS)
                self._patiently(self._read_history)
        return result_of(described, self._progress)

    def _until_ended(self) -> JsonObject:
        pause = FIRST_SECONDS
        while True:
            described = self._patiently(lambda: self._account.describe(self._arn))
            if self._began is None:
                age = (moment_of(described) - described["startDate"]).total_seconds()
                self._began = self._monotonic() - max(age, 0)
            self._patiently(self._read_history)
            if described["status"] not in RUNNING:
                return described
            self._sleep(pause)
            pause = min(pause * GROWTH, LONGEST_SECONDS)

    def _elapsed(self) -> float:
        return 0 if self._began is None else self._monotonic() - self._began

    def _read_history(self) -> None:
        if self._history_denied:
            return
        try:
            events = self._account.events(self._arn, after=self._progress.last)
        except ClientError as error:
            if code_of(error) not in DENIED:
                raise
            # The outcome matters more than the steps to it.
            self._history_denied = True
            self._screen.line("The steps cannot be shown: GetExecutionHistory is not permitted.", "yellow")
            return
        for event in events:
            for line in self._progress.read(event):
                style = "" if line.good is None else "green" if line.good else "yellow"
                self._screen.line(f"{line.seconds:8.2f} s  {line.text}", style)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Asks again while AWS does not answer, throttles or fails; says so once, and for five minutes at most."""
        began = self._monotonic()
        told = False
        while True:
            try:
                return ask()
            except UnknownExecution as error:
                if self._monotonic() - began > UNSEEN_SECONDS:
                    raise LostSight(str(error)) from None
            except AWS_ERRORS as error:
                if not is_passing(error):
                    raise LostSight(sentence(error)) from None
                if self._monotonic() - began > PATIENCE_SECONDS:
                    raise LostSight(f"{sentence(error)} That was so for {duration(PATIENCE_SECONDS)}.") from None
                if not told:
                    self._screen.line(f"{sentence(error)} Asking again ...", "yellow")
                told = True
            self._sleep(LONGEST_SECONDS)
