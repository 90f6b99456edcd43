"""What the keys of the configuration allow, and how an object of such keys is read.

A key is described where its type is: `Annotated[int, whole_number(1, 10, default=3)]` in a TypedDict. `read_object`
reads an object by that TypedDict; what a key allows beside another one is a rule (`stacks/configuration/rules.py`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from stacks.configuration.problems import NAME, NOTHING, meant, path_of, problem, shown

UNKNOWN = object()  # a default that follows from a key that is wrong
REFUSED_HEADERS = {
    "host": "hostHeader sets it",
    **dict.fromkeys(
        ("connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer", "accept-encoding"),
        "it would change how the answer is sent, which the probe decides",
    ),
}


@dataclass(frozen=True)
class Computed:
    """A default that follows from the keys before it of the same object; NOTHING where there is none."""

    words: str
    of: Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Only:
    """The key exists only with these protocols."""

    protocols: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """What one key allows, in words and as a test, and what is wrong inside a value that is an object or a list.

    Without a default it is required, unless the TypedDict says NotRequired: then it is left out.
    """

    allowed: str
    accepts: Callable[[object], bool]
    default: object = NOTHING
    inside: Callable[[str, Any], Iterator[str]] = field(default=lambda _path, _value: iter(()))

    def problems(self, path: str, value: object) -> list[str]:
        own = [] if self.accepts(value) else [problem(path, shown(value), self.allowed)]
        return [*own, *self.inside(path, value)]


def text(allowed: str, pattern: str, default: object = NOTHING) -> Key:
    return Key(allowed, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)), default)


def printable(allowed: str, longest: int) -> Key:
    def accepts(value: object) -> bool:
        return isinstance(value, str) and 1 <= len(value) <= longest and value.isprintable()

    return Key(f"{allowed} of 1 to {longest} printable characters", accepts)


def resource_id(called: str, prefix: str) -> Key:
    """EC2's ids have 8 hex digits, or 17 since 2016."""
    return text(f'{called}: "{prefix}-" and 8 or 17 lower-case hex digits', f"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})")


def boolean(default: object = NOTHING) -> Key:
    return Key("true or false", lambda value: isinstance(value, bool), default)


def whole_number(lowest: int, highest: int, default: object = NOTHING) -> Key:
    def accepts(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest

    words = f"; left out, it is {default.words}" if isinstance(default, Computed) else ""
    return Key(f"a whole number from {lowest} to {highest}{words}", accepts, default)


def list_of(each: Key, lowest: int, highest: int, called: str, default: object = NOTHING) -> Key:
    """A list of different values."""

    def accepts(value: object) -> bool:
        return isinstance(value, list) and lowest <= len(value) <= highest

    def inside(path: str, value: Any) -> Iterator[str]:
        for index, item in enumerate(value if accepts(value) else ()):
            wrong = each.problems(path_of(path, index), item)
            yield from wrong
            if not wrong and (first := value.index(item)) < index:
                found = f"{shown(item)}, which is {path_of(path, first)} too"
                yield problem(path_of(path, index), found, "each once")

    return Key(f"a list of {lowest} to {highest} {called}", accepts, default, inside)


def status_codes(default: object = NOTHING) -> Key:
    """The `HttpCode` of an Application Load Balancer's `Matcher`: codes and ranges of codes from 200 to 499.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
    """

    def accepts(value: object) -> bool:
        parts = [re.fullmatch("([2-4][0-9]{2})(?:-([2-4][0-9]{2}))?", part) for part in str(value).split(",")]
        return isinstance(value, str) and all(part and (part[2] or part[1]) >= part[1] for part in parts)

    return Key('status codes from 200 to 499 as in "200", "200,301", "200-299" or "200-299,301"', accepts, default)


def host_header() -> Key:
    """A DNS name of RFC 1123 (section 2.1), whose last label is not a number as in an IP address, and a port."""
    label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

    def accepts(value: object) -> bool:
        parts = re.fullmatch(rf"((?:{label}\.)*(?![0-9]+(?:$|:)){label})(?::([1-9][0-9]{{0,4}}))?", str(value))
        return isinstance(value, str) and parts is not None and len(parts[1]) <= 253 and int(parts[2] or 1) <= 65535

    allowed = 'a DNS name of at most 253 characters, no IP address; then ":" and a port from 1 to 65535, if you like'
    return Key(allowed, accepts)


def header_fields() -> Key:
    """Custom headers of a request: a token (RFC 9110, section 5.6.2) and a value that can break out of no line."""

    def accepts(value: object) -> bool:
        return isinstance(value, Mapping) and 1 <= len(value) <= 20

    def inside(path: str, value: Any) -> Iterator[str]:
        names: dict[str, str] = {}
        for name, sent in value.items() if accepts(value) else ():
            header = path_of(path, name)
            if not HEADER_NAME.accepts(name):
                yield problem(header, f"the name {shown(name)}", HEADER_NAME.allowed)
            if why := REFUSED_HEADERS.get(str(name).lower()):
                yield problem(header, f"the name {shown(name)}", f"any other header: {why}")
            if (other := names.setdefault(str(name).lower(), name)) != name:
                yield problem(header, f"a name like {shown(other)}", "names that differ in more than case")
            yield from HEADER_VALUE.problems(header, sent)

    return Key("an object of 1 to 20 headers, value by name", accepts, inside=inside)


def servers() -> Key:
    def accepts(value: object) -> bool:
        return isinstance(value, Mapping) and len(value) == 2

    def inside(path: str, value: Any) -> Iterator[str]:
        names: dict[str, str] = {}
        for name, instance in value.items() if isinstance(value, Mapping) else ():
            server = path_of(path, name)
            if not SERVER_NAME.accepts(name):
                yield problem(server, f"the name {shown(name)}", SERVER_NAME.allowed)
            if (other := names.setdefault(str(name).lower(), name)) != name:
                yield problem(server, f"a name like {shown(other)}", "names that differ in more than case")
            yield from INSTANCE_ID.problems(server, instance)

    return Key("an object of exactly two servers, instance id by name", accepts, inside=inside)


def network_interfaces() -> Key:
    def accepts(value: object) -> bool:
        return isinstance(value, Mapping) and len(value) == 2

    def inside(path: str, value: Any) -> Iterator[str]:
        for name, interface in value.items() if isinstance(value, Mapping) else ():
            yield from INTERFACE_ID.problems(path_of(path, name), interface)

    return Key("an object of the two servers' network interfaces, id by server name", accepts, inside=inside)


SERVER_NAME = text('a name of 1 to 64 letters, digits, "-", "_" and ".", the first a letter or a digit', NAME)
ALLOCATION_ID = resource_id("an allocation id", "eipalloc")
INSTANCE_ID = resource_id("an instance id", "i")
INTERFACE_ID = resource_id("the id of a network interface", "eni")
HEADER_NAME = text(
    "a header's name: 1 to 64 letters, digits and characters of !#$%&'*+-.^_`|~", "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}"
)
HEADER_VALUE = text(
    "a header's value: at most 1024 printable ASCII characters, no space at either end",
    "(?:[!-~](?:[ -~]{0,1022}[!-~])?)?",
)
URL_PATH = text(
    'one "/" and then at most 1023 printable ASCII characters, no spaces', "/(?!/)[!-~]{0,1023}", default="/"
)


def keys_of(kind: type) -> dict[str, tuple[Key | None, Only | None]]:
    """The keys of a TypedDict by name; None for one that is no Key, and read by other means."""
    return {
        name: (
            next((note for note in _notes(hint) if isinstance(note, Key)), None),
            next((note for note in _notes(hint) if isinstance(note, Only)), None),
        )
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }


def read_object(
    path: str, given: object, kind: type, problems: list[str], elsewhere: Mapping[str, str]
) -> dict[str, Any]:
    """The valid keys of `given`, and the defaults of those left out, for the keys of `kind` that are a `Key`.

    `elsewhere` says of keys that are easily written into the wrong object where they belong, by name.
    """
    keys = keys_of(kind)
    names = ", ".join(keys)
    if not isinstance(given, Mapping):
        problems.append(problem(path, shown(given), f"an object with the keys {names}"))
        return {}
    for name in given:
        if name not in keys:
            hint = f"; it belongs to {elsewhere[name]}" if name in elsewhere else meant(name, keys)
            problems.append(problem(path_of(path, name), "an unknown key", f"{names}{hint}"))
    optional: frozenset[str] = getattr(kind, "__optional_keys__", frozenset())
    valid: dict[str, Any] = {}
    for name, (key, only) in keys.items():
        if key is None:
            continue
        protocol = valid.get("protocol")  # None where it is wrong, and reported
        if only and protocol and protocol not in only.protocols:
            wrong = _without_protocol(path_of(path, name), given[name], protocol, only) if name in given else []
        elif name in given:
            wrong = key.problems(path_of(path, name), given[name])
            valid |= {} if wrong else {name: given[name]}
        else:
            default = _default(key, valid)
            wrong = key.problems(path_of(path, name), NOTHING) if default is NOTHING and name not in optional else []
            valid |= {} if default in (NOTHING, UNKNOWN) else {name: default}
        problems.extend(wrong)
    return valid


def _without_protocol(path: str, value: object, protocol: str, only: Only) -> list[str]:
    allowed = f"only with protocol {' or '.join(map(shown, only.protocols))}"
    return [problem(path, f"{shown(value)} with protocol {shown(protocol)}", allowed)]


def _default(key: Key, valid: Mapping[str, Any]) -> object:
    if not isinstance(key.default, Computed):
        return key.default
    try:
        return key.default.of(valid)
    except KeyError:
        return UNKNOWN


def _notes(hint: Any) -> tuple[Any, ...]:
    """What is annotated to a type, `NotRequired[...]` looked through."""
    if metadata := getattr(hint, "__metadata__", ()):
        return tuple(metadata)
    arguments = get_args(hint)
    return tuple(getattr(arguments[0], "__metadata__", ())) if arguments else ()
