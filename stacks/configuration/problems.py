"""How a problem of the configuration is told: on one line, with the key's path, what was found and what is allowed.

And how a context value is read before anything is known of it: `parsed`, and at the end `refuse`.
"""

import difflib
import json
import re
from collections.abc import Iterable, Sequence

LONGEST_SHOWN_CHARACTERS = 60
NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NOTHING = object()  # neither given nor defaulted; null is something
NO_JSON = object()  # text that is none, and reported


class InvalidConfiguration(ValueError):
    """The context cannot be deployed; the message has a line for each of `problems`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n  ".join(["The configuration (context in cdk.json) is not valid:", *problems]))
        self.problems = tuple(problems)


def refuse(problems: Sequence[str]) -> None:
    """Raises InvalidConfiguration if there is a problem."""
    if problems:
        raise InvalidConfiguration(problems)


def parsed(name: str, context: object, problems: list[str]) -> object:
    """What `node.try_get_context(name)` returned as a value: NOTHING for None, NO_JSON for text that is not JSON."""
    if not isinstance(context, str):
        return NOTHING if context is None else context

    def each_key_once(items: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in items]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            problems.append(problem(name, f"the key {shown(key)} more than once", "each key of an object once"))
        return dict(items)

    try:
        return json.loads(context, object_pairs_hook=each_key_once)
    except (ValueError, RecursionError) as error:
        problems.append(problem(name, f"text that is not JSON ({error}): {shown(context)}", "an object as JSON"))
        return NO_JSON


def problem(path: str, found: str, allowed: str) -> str:
    return f"{path}: found {found}; allowed: {allowed}"


def path_of(parent: str, name: object) -> str:
    """The path of a key: `web.port`; of an item: `web[0]`; of a key that is no plain name: `web["a b"]`."""
    if isinstance(name, str) and re.fullmatch(NAME, name):
        return f"{parent}.{name}"
    return f"{parent}[{shown(name)}]"


def shown(value: object) -> str:
    """The value as JSON on one line, shortened, with every invisible character made visible."""
    if value is NOTHING:
        return "nothing"
    try:
        text = json.dumps(value, default=repr)
    except (TypeError, ValueError, RecursionError):  # nested without end, or a number of thousands of digits
        return f"a value that cannot be shown ({type(value).__name__})"
    if len(text) <= LONGEST_SHOWN_CHARACTERS:
        return text
    return f"{text[:LONGEST_SHOWN_CHARACTERS]}… ({len(text)} characters)"


def meant(name: object, known: Iterable[str]) -> str:
    """A guess at what was meant, also for the names of ELB's API such as HealthCheckPort."""
    by_lower_case = {key.lower(): key for key in known}
    lower_case = str(name).lower()
    close = difflib.get_close_matches(lower_case.removeprefix("healthcheck") or lower_case, by_lower_case, n=1)
    return f'; did you mean "{by_lower_case[close[0]]}"?' if close else ""
