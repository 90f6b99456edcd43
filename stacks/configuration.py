"""The context value `pairs` of cdk.json, validated before anything is synthesized from it.

A wrong id or bound that got past here would be found by an execution, halfway through a cutover. So every
problem is reported, and all at once: the key's path, the value found, what is allowed.

To add a key, add a line to `HealthCheck` or `Pair`: its name, its type, what is allowed and its default.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypedDict, cast, get_type_hints

LONGEST_DEADLINE_SECONDS = 840  # a Lambda function runs at most 900 seconds
LONGEST_SHOWN_CHARACTERS = 60
NOTHING = object()  # neither given nor defaulted; null is something


class InvalidConfiguration(ValueError):
    """The context value `pairs` cannot be deployed; the message has a line for each problem."""


@dataclass(frozen=True)
class Key:
    """What one key allows, in words and as a test. Without a default it is required.

    A default that is a function gets the keys before it of the same object.
    """

    allowed: str
    accepts: Callable[[object], bool]
    default: object = NOTHING


def text(allowed: str, pattern: str, default: object = NOTHING) -> Key:
    return Key(allowed, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)), default)


def whole_number(lowest: int, highest: int, default: object = NOTHING) -> Key:
    def accepts(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest

    return Key(f"a whole number from {lowest} to {highest}", accepts, default)


def status_codes(default: object = NOTHING) -> Key:
    """The `HttpCode` of an Application Load Balancer's `Matcher`: codes and ranges of codes from 200 to 499.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
    """

    def accepts(value: object) -> bool:
        parts = [re.fullmatch("([2-4][0-9]{2})(?:-([2-4][0-9]{2}))?", part) for part in str(value).split(",")]
        return isinstance(value, str) and all(part and (part[2] or part[1]) >= part[1] for part in parts)

    return Key('status codes from 200 to 499 as in "200", "200,301", "200-299" or "200-299,301"', accepts, default)


def port_of_protocol(check: Mapping[str, object]) -> int:
    return 443 if check.get("protocol") == "HTTPS" else 80


def deadline_of_probes(check: Mapping[str, object]) -> object:
    """Enough for as many of the slowest probes as a server needs that is healthy after all."""
    counts = [check.get(key) for key in ("healthyThresholdCount", "unhealthyThresholdCount")]
    seconds = [check.get(key) for key in ("intervalSeconds", "timeoutSeconds")]
    numbers = [number for number in counts + seconds if isinstance(number, int)]
    return sum(numbers[:2]) * max(numbers[2:]) if len(numbers) == 4 else LONGEST_DEADLINE_SECONDS


NAME = text(
    'a name of 1 to 64 letters, digits, "-", "_" and ".", the first a letter or a digit',
    "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
)
ALLOCATION_ID = text(
    'an allocation id: "eipalloc-" and 8 or 17 lower-case hex digits', "eipalloc-([0-9a-f]{8}|[0-9a-f]{17})"
)
INSTANCE_ID = text('an instance id: "i-" and 8 or 17 lower-case hex digits', "i-([0-9a-f]{8}|[0-9a-f]{17})")
DEADLINE = replace(
    whole_number(1, LONGEST_DEADLINE_SECONDS, default=deadline_of_probes),
    allowed=f"a whole number from 1 to {LONGEST_DEADLINE_SECONDS}; left out, it is (healthyThresholdCount + "
    "unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)",
)
URL_PATH = text(
    'one "/" and then at most 1023 printable ASCII characters, no spaces', "/(?!/)[!-~]{0,1023}", default="/"
)


class HealthCheck(TypedDict):
    """How a server is checked. The names are those of an ELB target group."""

    protocol: Annotated[str, text('"HTTP" or "HTTPS"', "HTTPS?", default="HTTP")]
    port: Annotated[int, whole_number(1, 65535, default=port_of_protocol)]
    path: Annotated[str, URL_PATH]
    matcher: Annotated[str, status_codes(default="200")]
    intervalSeconds: Annotated[int, whole_number(1, 300, default=1)]
    timeoutSeconds: Annotated[int, whole_number(1, 120, default=2)]
    healthyThresholdCount: Annotated[int, whole_number(1, 10, default=3)]
    unhealthyThresholdCount: Annotated[int, whole_number(1, 10, default=3)]
    deadlineSeconds: Annotated[int, DEADLINE]


class Pair(TypedDict):
    """Two addresses, by allocation id, and the two servers, by name, between which they change places."""

    production: Annotated[str, ALLOCATION_ID]
    staging: Annotated[str, ALLOCATION_ID]
    servers: dict[str, str]
    healthCheck: HealthCheck


def configured_pairs(context: object) -> dict[str, Pair]:
    """The pairs by name, with every default filled in.

    `context` is what `node.try_get_context("pairs")` returns: the object in cdk.json, or the JSON text of
    `cdk --context pairs='{...}'`. Raises InvalidConfiguration.
    """
    problems: list[str] = []
    pairs = _pairs(_parsed(context, problems), problems)
    if problems:
        raise InvalidConfiguration("\n  ".join(["The context value `pairs` is not valid:", *problems]))
    return pairs


def placeholder_ids(pairs: Mapping[str, Pair]) -> list[str]:
    """The paths of the ids that are still those of the shipped cdk.json: a 0, then one letter 16 times."""
    return [path for path, found in _ids(pairs) if re.search(r"-0([a-f])\1{15}$", found)]


def _parsed(context: object, problems: list[str]) -> object:
    if not isinstance(context, str):
        return NOTHING if context is None else context

    def each_key_once(items: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in items]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            problems.append(_problem("pairs", f"the key {_shown(key)} more than once", "each key of an object once"))
        return dict(items)

    try:
        return json.loads(context, object_pairs_hook=each_key_once)
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration(
            _problem("pairs", f"text that is not JSON ({error}): {_shown(context)}", "an object as JSON")
        ) from None


def _pairs(given: object, problems: list[str]) -> dict[str, Pair]:
    if not isinstance(given, Mapping) or not given:
        problems.append(_problem("pairs", _shown(given), "an object with at least one pair, under its name"))
        return {}
    pairs = {}
    for name, pair in given.items():
        path = _path("pairs", name)
        if not NAME.accepts(name):
            problems.append(_problem(path, f"the name {_shown(name)}", NAME.allowed))
        pairs[name] = _pair(path, pair, problems)
    seen: dict[str, str] = {}
    for path, found in _ids(pairs):
        if found in seen:
            problems.append(_problem(path, f"{_shown(found)}, which is {seen[found]} too", "each id once"))
        seen.setdefault(found, path)
    return pairs


def _pair(path: str, given: object, problems: list[str]) -> Pair:
    """The pair, or what is valid of it."""
    pair = _object(path, given, Pair, problems)
    if isinstance(given, Mapping):
        pair["servers"] = _servers(_path(path, "servers"), given.get("servers", NOTHING), problems)
        pair["healthCheck"] = _object(_path(path, "healthCheck"), given.get("healthCheck", {}), HealthCheck, problems)
    return cast(Pair, pair)


def _servers(path: str, given: object, problems: list[str]) -> dict[str, str]:
    if not isinstance(given, Mapping) or len(given) != 2:
        problems.append(_problem(path, _shown(given), "an object of exactly two servers, instance id by name"))
    valid: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, instance in given.items() if isinstance(given, Mapping) else ():
        server = _path(path, name)
        if not NAME.accepts(name):
            problems.append(_problem(server, f"the name {_shown(name)}", NAME.allowed))
        if (other := names.setdefault(str(name).lower(), name)) != name:
            problems.append(_problem(server, f"a name like {_shown(other)}", "names that differ in more than case"))
        if INSTANCE_ID.accepts(instance):
            valid[name] = instance
        else:
            problems.append(_problem(server, _shown(instance), INSTANCE_ID.allowed))
    return valid


def _object(path: str, given: object, kind: type, problems: list[str]) -> dict[str, object]:
    """The valid keys of `given` and the defaults of those left out, for the keys that have a `Key`."""
    hints = get_type_hints(kind, include_extras=True)
    if not isinstance(given, Mapping):
        problems.append(_problem(path, _shown(given), f"an object with the keys {', '.join(hints)}"))
        return {}
    for name in given:
        if name not in hints:
            problems.append(_problem(_path(path, name), "an unknown key", f"{', '.join(hints)}{_meant(name, hints)}"))
    valid: dict[str, object] = {}
    for name, hint in hints.items():
        for key in getattr(hint, "__metadata__", ()):
            found = given.get(name, key.default)
            found = found(valid) if callable(found) else found
            if key.accepts(found):
                valid[name] = found
            else:
                problems.append(_problem(_path(path, name), _shown(found), key.allowed))
    return valid


def _ids(pairs: Mapping[str, Pair]) -> Iterator[tuple[str, str]]:
    for name, pair in pairs.items():
        path = _path("pairs", name)
        yield from ((_path(path, key), str(found)) for key, found in pair.items() if key in ("production", "staging"))
        yield from ((_path(f"{path}.servers", key), found) for key, found in pair.get("servers", {}).items())


def _problem(path: str, found: str, allowed: str) -> str:
    return f"{path}: found {found}; allowed: {allowed}"


def _path(parent: str, name: object) -> str:
    return f"{parent}.{name}" if NAME.accepts(name) else f"{parent}[{_shown(name)}]"


def _shown(value: object) -> str:
    """The value as JSON on one line, shortened, with every invisible character made visible."""
    if value is NOTHING:
        return "nothing"
    shown = json.dumps(value, default=repr)
    if len(shown) <= LONGEST_SHOWN_CHARACTERS:
        return shown
    return f"{shown[:LONGEST_SHOWN_CHARACTERS]}… ({len(shown)} characters)"


def _meant(name: object, known: Mapping[str, object]) -> str:
    """A guess at what was meant, also for the names of ELB's API such as HealthCheckPort."""
    by_lower_case = {key.lower(): key for key in known}
    lower_case = str(name).lower()
    close = difflib.get_close_matches(lower_case.removeprefix("healthcheck") or lower_case, by_lower_case, n=1)
    return f'; did you mean "{by_lower_case[close[0]]}"?' if close else ""
