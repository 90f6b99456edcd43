"""The key `readiness`, in a pair or beside `pairs`: how often a pair is evaluated, and when it is not ready."""

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WrapValidator

from domain.pair import rate_of
from stacks.configuration.allowed import LEFT_OUT, Allowed, Section, section, text, whole_number
from stacks.configuration.problems import problem

MONTHS, DAYS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC", "SUN|MON|TUE|WED|THU|FRI|SAT"


def _field(value: str, step: str, *more: str) -> str:
    by = step and rf"(?:/(?:{step}))?"
    values = rf"(?:{value})(?:-(?:{value}))?{by}"
    return rf"(?:{'|'.join((f'[*]{by}', f'{values}(?:,{values})*', *more))})"


# Source: EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler".
MINUTES, HOURS = _field("[0-5]?[0-9]", "[1-9]|[1-5][0-9]"), _field("[01]?[0-9]|2[0-3]", "[1-9]|1[0-9]|2[0-3]")
MONTH, YEAR = _field(f"0?[1-9]|1[0-2]|{MONTHS}", "[1-9]|1[0-2]"), _field("19[7-9][0-9]|2[01][0-9]{2}", "[1-9][0-9]?")
DAY, WEEKDAY = "0?[1-9]|[12][0-9]|3[01]", f"[1-7]|{DAYS}"
OF_MONTH = _field(DAY, DAY, "L", f"(?:{DAY})W")
OF_WEEK = _field(WEEKDAY, "", f"(?:{WEEKDAY})?L", f"(?:{WEEKDAY})#[1-5]")
CRON = rf"cron\({MINUTES} +{HOURS} +(?:{OF_MONTH} +{MONTH} +[?]|[?] +{MONTH} +{OF_WEEK}) +{YEAR}\)"
RATE = r"rate\((?:1 (?:minute|hour|day)|(?:[2-9]|[1-9][0-9]{1,5}) (?:minutes|hours|days))\)"
SCHEDULE_WORDS = (
    '"rate(1 day)", "rate(12 hours)" or another number of minutes, hours or days, or "cron(minutes hours day-of-month '
    'month day-of-week year)" with "?" for one of the two days, as in "cron(0 6 ? * MON-FRI *)"'
)


def minutes_apart(expression: str) -> int:
    """The shortest time between two evaluations of this schedule."""
    if rate := rate_of(expression):
        return rate // timedelta(minutes=1)
    minutes, hours, *_ = expression[5:].split()
    times = sorted({60 * hour + minute for hour in _values(hours, 24) for minute in _values(minutes, 60)})
    return min(later - time for time, later in pairwise([*times, times[0] + 1440]))


def _values(field: str, end: int) -> Iterator[int]:
    for first, last, by, step in re.findall(r"(\d+)-?(\d*)(/?)(\d*)", re.sub("[*]/?", "0/", field)):
        yield from range(int(first), int(last) + 1 if last else end if by else int(first) + 1, int(step or 1))


def _is_seldom_enough(expression: str) -> str:
    fields = expression[5:-1].split()
    for first, last in re.findall(r"(\d+)-(\d+)", " ".join([*fields[:2], fields[-1]])):  # days and months go round
        if int(first) > int(last):
            raise problem('ranges of times and years that end after they begin, as in "22-23,0-5"')
    if minutes_apart(expression) < 5:
        raise problem("at least 5 minutes from one evaluation to the next, also across the hour")
    return expression


class Readiness(Section):
    """Would a cutover of the pair work now, and soon?"""

    scheduleExpression: Annotated[
        str, text(SCHEDULE_WORDS, f"{RATE}|{CRON}", Field(max_length=256)), AfterValidator(_is_seldom_enough)
    ] = "rate(1 day)"
    """In UTC, at least 5 minutes apart."""
    certificateExpiryDays: Annotated[int, whole_number(1, 398)] = 14
    """If a certificate expires within so many days, the pair is not ready."""


def _resolved(given: Any, _: Any, info: ValidationInfo) -> Readiness | Literal[False]:
    """The keys of a pair, then those beside `pairs`, then the defaults."""
    general = (info.context or {}).get("readiness", Readiness())
    own = general if given is LEFT_OUT else given is not False and Readiness.model_validate(given)
    return general.model_copy(update=own.model_dump(exclude_unset=True)) if general and own else own


OR_FALSE = Allowed(f"false, or {section(Readiness).words}")
Evaluated = Annotated[Readiness | Literal[False], WrapValidator(_resolved), OR_FALSE]
