"""How a problem of the configuration is written: one line with the key's path, what was found and what is allowed."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence

from pydantic_core import PydanticKnownError

from domain.pair import NAME_PATTERN

LONGEST_SHOWN = 60  # characters


class InvalidConfiguration(ValueError):
    """The context cannot be deployed; the message has a line for each of `problems`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n  ".join(["The configuration (context in cdk.json) is not valid:", *problems]))
        self.problems = tuple(problems)


def problem(allowed: str, found: str = "") -> PydanticKnownError:
    """What a validator raises. Without `found`, the value itself is shown. Only a type that pydantic knows can be
    raised again with other errors, and no validator has another use for this type."""
    return PydanticKnownError("assertion_error", {"error": (allowed, found)})


def line(path: str, found: str, allowed: str) -> str:
    return f"{path}: found {found}; allowed: {allowed}"


def path_of(parent: str, name: str) -> str:
    """The path of a key: `web.port`, or `web["a b"]` if the key is not a plain name."""
    if re.fullmatch(NAME_PATTERN, name):
        return f"{parent}.{name}" if parent else name
    return f"{parent}[{shown(name)}]"


def shown(value: object) -> str:
    """The value as JSON on one line, shortened, with every invisible character escaped."""
    try:
        text = json.dumps(value, default=repr)
    except (TypeError, ValueError, RecursionError):  # nested without end, or a number of thousands of digits
        return f"a value that cannot be shown ({type(value).__name__})"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text)} characters)"


def meant(name: str, known: Iterable[str]) -> str:
    """A guess at the intended name, also for names of ELB's API such as HealthCheckPort."""
    by_lower_case = {key.lower(): key for key in known}
    lower_case = name.lower()
    close = difflib.get_close_matches(lower_case.removeprefix("healthcheck") or lower_case, by_lower_case, n=1)
    return f'; did you mean "{by_lower_case[close[0]]}"?' if close else ""
