"""Reads an execution's input. Everything that is wrong is named, and shown in a form that is safe to print."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidRequest
from domain.pair import Pair, Server
from domain.release_commands import RELEASE_PATTERN
from domain.text import printable

STRING, BOOLEAN, INTEGER = (str, "a string", None), (bool, "a boolean", False), (int, "an integer", 0)
# Each key, in the order of `Request`: its type, the type in words, and the default.
REQUEST_KEYS: dict[str, tuple[type, str, Any]] = {
    "pair": STRING, "serverName": STRING, "dryRun": BOOLEAN, "expectedRelease": STRING, "rollback": BOOLEAN,
    "emergency": BOOLEAN, "waitSeconds": INTEGER, "release": STRING,
}  # fmt: skip
LONGEST_RELEASE = 256
LONGEST_WAIT_SECONDS = 3600
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Request:
    """An execution's input. None means the idle server, any expected release, and that no release is deployed."""

    pair: Pair
    server: Server | None = None
    dry_run: bool = False
    expected_release: str | None = None
    rollback: bool = False
    emergency: bool = False
    wait_seconds: int = 0
    release: str | None = None

    @property
    def is_urgent(self) -> bool:
        """Whether the checks are skipped that only what users have now may fail: the alarms and the live server."""
        return self.rollback or self.emergency


def read_request(value: object, pairs: Mapping[str, Pair]) -> Request:
    """Reads the optional `REQUEST_KEYS`. Raises InvalidRequest with the key, the value found and what is allowed."""
    if not isinstance(value, dict):
        raise InvalidRequest(
            f"The input of the execution is {shown(value)}; it must be a JSON object such as {{}} or "
            f'{{"pair": "{next(iter(pairs))}", "serverName": "{next(iter(pairs.values())).servers[0].name}"}}. '
            f"Nothing was read or changed."
        )
    for key in value:
        if key not in REQUEST_KEYS:
            raise _invalid(f"the key {shown(key)}", f"only the keys {', '.join(REQUEST_KEYS)} are allowed")
    for key, (kind, in_words, _) in REQUEST_KEYS.items():
        if key in value and (not isinstance(value[key], kind) or (kind is int and isinstance(value[key], bool))):
            raise _invalid(f"{key} = {shown(value[key])}", f"{key} must be {in_words}")
    given = {key: value.get(key, default) for key, (_, _, default) in REQUEST_KEYS.items()}
    pair = _pair_named(given["pair"], pairs)
    given |= {"pair": pair, "serverName": _server_named(given["serverName"], pair)}
    for found, allowed in _problems(given, pair):
        raise _invalid(found, allowed)
    return Request(*given.values())


def _pair_named(name: str | None, pairs: Mapping[str, Pair]) -> Pair:
    if name is None and len(pairs) == 1:
        return next(iter(pairs.values()))
    if name is not None and name in pairs:
        return pairs[name]
    few = f"the configured pairs are {', '.join(sorted(pairs))}"
    allowed = few if len(pairs) <= 20 else f"it must be one of the {len(pairs)} pairs in cdk.json"
    if name is None:
        raise _invalid("no pair", f"it is required if more than one pair is configured; {allowed}")
    raise _invalid(f"pair = {shown(name)}", allowed)


def _server_named(name: str | None, pair: Pair) -> Server | None:
    if name is None:
        return None
    for server in pair.servers:  # the lower case of a letter that is not ASCII may be an ASCII letter
        if name.isascii() and server.name.lower() == name.lower():
            return server
    raise _invalid(f"serverName = {shown(name)}", f"the servers of pair {pair.name} are {pair.server_names}")


def _problems(given: Mapping[str, Any], pair: Pair) -> Iterator[tuple[str, str]]:
    """What is wrong with values of the right type, and what is allowed."""
    release, expected, wait = given["release"], given["expectedRelease"], given["waitSeconds"]
    for key in ("serverName", "expectedRelease", "release"):
        if given["rollback"] and given[key] is not None:
            why = "because a rollback goes back to the server that was live before"
            yield f"rollback and {key}", f"leave one out, {why}"
    if not 0 <= wait <= LONGEST_WAIT_SECONDS:
        yield f"waitSeconds = {shown(wait)}", f"waitSeconds must be 0 to {LONGEST_WAIT_SECONDS}"
    if None not in (release, expected):
        yield "release and expectedRelease", "leave expectedRelease out, because the release must be what answers"
    if expected is not None:
        found = f"expectedRelease = {shown(expected)}"
        if not (expected.strip() == expected and expected.isascii() and expected.isprintable()):
            yield found, "it must be printable ASCII, without a space at either end"
        if not 1 <= len(expected) <= LONGEST_RELEASE:
            yield found, f"it must have 1 to {LONGEST_RELEASE} characters"
        if not any("releaseHeader" in check for check in pair.health_check):
            no_header = f"no check of pair {pair.name} has a releaseHeader in cdk.json"
            yield found, f"{no_header}, so the release cannot be checked"
    if release is not None:
        found = f"release = {shown(release)}"
        if not re.fullmatch(RELEASE_PATTERN, release):
            yield found, "it must have 1 to 128 letters, digits and characters of . _ + / = -"
        if not pair.deploy:
            yield found, f"pair {pair.name} has no deploy in cdk.json, so no release can be deployed"


def _invalid(found: str, allowed: str) -> InvalidRequest:
    return InvalidRequest(f"The input has {found}: {allowed}. Nothing was read except the configuration.")


def shown(value: object) -> str:
    """A value of an input, safe to put into a message: printable, on one line, at most about 80 characters."""
    try:
        text = ascii(value) if isinstance(value, str) else f"{value!a} ({type(value).__name__})"
    except (RecursionError, ValueError):  # nested too deeply, or a number with too many digits
        return f"something too large to show ({type(value).__name__})"
    if len(text) > SHOWN_CHARACTERS:
        length = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
        text = f"{text[:SHOWN_CHARACTERS]}... ({length})"
    return printable(text)
