"""What an independent judge found in the metric and the schedule expressions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.pair import Pair
from report_locks import readiness_of
from stacks.configuration.readiness import Readiness

defect = pytest.mark.xfail(strict=True, reason="found by the judge of readiness")
NOW = datetime.now(UTC)


def lowest(result: dict[str, Any], schedule: str) -> tuple[float, ...]:
    configured: dict[str, Any] = {
        "production": "eipalloc-1", "staging": "eipalloc-2", "servers": {"tao": "i-1", "kai": "i-2"}, "healthCheck": [],
        "bakeSeconds": 7200, "alarms": [], "readiness": {"scheduleExpression": schedule},
    }  # fmt: skip
    *_, of_all = readiness_of({"web": Pair.from_json("web", configured)}, {"web": result}, NOW)
    return of_all.values


@defect
def test_a_pair_that_an_execution_has_held_since_is_not_overdue() -> None:
    """A bake of two hours, or an approval of two days: meanwhile, no evaluation can be made."""
    result = {"ready": True, "checkedAt": (NOW - timedelta(hours=1, minutes=15)).isoformat()}
    assert lowest(result, "rate(5 minutes)") == (1,)


def test_a_pair_whose_evaluations_begin_again_or_more_often_is_overdue_at_once() -> None:
    """Not a promise: `readiness` was false for 40 days, or the rate was 1 day. It ends with the next evaluation."""
    assert lowest({"ready": True, "checkedAt": (NOW - timedelta(days=40)).isoformat()}, "rate(1 day)") == (0,)
    assert lowest({"ready": True, "checkedAt": (NOW - timedelta(hours=20)).isoformat()}, "rate(5 minutes)") == (0,)


def accepted(expression: str) -> bool:
    try:
        return bool(Readiness.model_validate({"scheduleExpression": expression}))
    except ValidationError:
        return False


@defect
@pytest.mark.parametrize("expression", ["cron(0 6 ? * MON-SUN *)"])
def test_all_days_of_the_week_are_a_schedule(expression: str) -> None:
    assert accepted(expression)


@defect
@pytest.mark.parametrize("days", ["MON/2", "*/2", "2/2"])
def test_a_step_of_weekdays_is_refused_because_the_documentation_has_no_slash_there(days: str) -> None:
    assert not accepted(f"cron(0 6 ? * {days} *)")


@defect
@pytest.mark.parametrize(
    "expression", ["cron(0 6 * * ? 2025)", "cron(0 6 1 1 ? 1970)", "cron(0 6 31 2 ? *)", "cron(0 6 30 FEB ? *)"]
)
def test_a_schedule_that_never_comes_is_refused(expression: str) -> None:
    assert not accepted(expression)
