"""The verdict on a run: its words and its colour follow from how it ended and from what was measured."""

from typing import Any

import pytest

from local.aws import Execution
from local.headline import Headline, headline
from local.load import Answer
from local.summary import summarized

GOOD = [None] * 8
OUTAGE = [None, None, "status 500", "status 500", "status 500", None, None, None]
NO_END = [None, None, None, None, "reset", "reset", "reset", "reset"]
CUT_OVER: dict[str, Any] = {"status": "SUCCEEDED", "output": {"outcome": "CUT_OVER"}}
DRY_RUN: dict[str, Any] = {"status": "SUCCEEDED", "output": {"outcome": "DRY_RUN"}}
REFUSED: dict[str, Any] = {"status": "FAILED", "error": "StagingUnhealthy"}
ROLLED_BACK: dict[str, Any] = {"status": "FAILED", "error": "RolledBack"}
NOT_ROLLED_BACK: dict[str, Any] = {"status": "FAILED", "error": "RollbackFailed"}
STOPPED: dict[str, Any] = {"status": "ABORTED"}


@pytest.mark.parametrize(
    ("execution", "errors", "moved", "back", "text", "good"),
    [
        (CUT_OVER, GOOD, True, False, "No request failed", True),
        (CUT_OVER, OUTAGE, True, False, "Bad for 1.2 s, then good", False),
        (CUT_OVER, NO_END, True, False, "Bad for 1.2 s, and it goes on", False),
        (DRY_RUN, GOOD, False, True, "No request failed", True),
        (REFUSED, GOOD, False, True, "Refused: nothing changed", True),
        (REFUSED, OUTAGE, False, True, "Bad for 1.2 s, then good", False),
        (REFUSED, NO_END, False, True, "Bad for 1.2 s, and it goes on", False),
        (REFUSED, GOOD, True, True, "Not finished: StagingUnhealthy", False),
        (ROLLED_BACK, GOOD, True, True, "Rolled back: no request failed", True),
        (ROLLED_BACK, OUTAGE, True, True, "Bad for 1.2 s, then back", False),
        (ROLLED_BACK, OUTAGE, True, False, "Bad for 1.2 s, then good", False),
        (ROLLED_BACK, NO_END, True, True, "Bad for 1.2 s, and it goes on", False),
        (ROLLED_BACK, GOOD, True, False, "Not finished: RolledBack", False),
        (NOT_ROLLED_BACK, GOOD, True, False, "Not finished: RollbackFailed", False),
        (STOPPED, GOOD, False, True, "Not finished: ABORTED", False),
    ],
)
def test_the_verdict_is_of_the_end_and_of_the_requests(
    execution: dict[str, Any], errors: list[str | None], moved: bool, back: bool, text: str, good: bool
) -> None:
    """Requests 0.4 s apart, each answered within 10 ms."""
    ended = Execution(**({"arn": "arn", "output": None, "error": None, "cause": None} | execution))
    measured = summarized([Answer(0.4 * number, 10, None, error) for number, error in enumerate(errors)])
    assert headline(ended, measured, moved=moved, back=back) == Headline(text, good)


def test_an_outage_of_less_than_a_second_is_in_milliseconds() -> None:
    ended = Execution("arn", "SUCCEEDED", {}, None, None)
    measured = summarized([Answer(0, 1, None, "reset"), Answer(0.3, 12, None, None)])
    assert headline(ended, measured, moved=True, back=False).text == "Bad for 312 ms, then good"
