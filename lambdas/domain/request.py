"""Reads an execution's input. Everything that is wrong is named, and shown in a form that is safe to print."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import InvalidRequest
from domain.pair import Pair, Server
from domain.release_commands import RELEASE_PATTERN
from domain.text import printable

STRING, BOOLEAN, INTEGER = (str, "a string"), (bool, "a boolean"), (int, "an integer")
REQUEST_KEYS = {
    "pair": STRING, "serverName": STRING, "dryRun": BOOLEAN, "expectedRelease": STRING, "rollback": BOOLEAN,
    "emergency": BOOLEAN, "waitSeconds": INTEGER, "release": STRING,
}  # fmt: skip
LONGEST_RELEASE = 256
LONGEST_WAIT_SECONDS = 3600
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Request:
    """An execution's input. `server` is `None` for the idle server, `expected_release` is `None` for any release, and
    `release` is None if nothing is deployed."""

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
    """Reads an execution's input: the `REQUEST_KEYS`, each of them optional. Raises InvalidRequest naming the key, the
    value found and what is allowed."""
    if not isinstance(value, dict):
        raise InvalidRequest(
            f"The input of the execution is {shown(value)}; it must be a JSON object such as {{}} or "
            f'{{"pair": "{next(iter(pairs))}", "serverName": "{next(iter(pairs.values())).servers[0].name}"}}. '
            f"Nothing was read or changed."
        )
    for key in value:
        if key not in REQUEST_KEYS:
            raise _invalid(f"the key {shown(key)}", f"only the keys {', '.join(REQUEST_KEYS)} are allowed")
    for key, (kind, in_words) in REQUEST_KEYS.items():
        if key in value and (not isinstance(value[key], kind) or (kind is int and isinstance(value[key], bool))):
            raise _invalid(f"{key} = {shown(value[key])}", f"{key} must be {in_words}")
    pair = _pair_named(value.get("pair"), pairs)
    server = _server_named(value.get("serverName"), pair)
    rollback, wait = value.get("rollback", False), value.get("waitSeconds", 0)
    for key in ("serverName", "expectedRelease", "release") if rollback else ():
        if key in value:
            why = "because a rollback goes back to the server that was live before"
            raise _invalid(f"rollback and {key}", f"leave one out, {why}")
    if not 0 <= wait <= LONGEST_WAIT_SECONDS:
        raise _invalid(f"waitSeconds = {shown(wait)}", f"waitSeconds must be 0 to {LONGEST_WAIT_SECONDS}")
    if "release" in value and "expectedRelease" in value:
        advice = "leave expectedRelease out, because the release must be what answers"
        raise _invalid("release and expectedRelease", advice)
    return Request(
        pair,
        server,
        value.get("dryRun", False),
        _expected(value.get("expectedRelease"), pair),
        rollback,
        value.get("emergency", False),
        wait,
        _release(value.get("release"), pair),
    )


def _pair_named(name: str | None, pairs: Mapping[str, Pair]) -> Pair:
    if name is None and len(pairs) == 1:
        return next(iter(pairs.values()))
    if name is not None and name in pairs:
        return pairs[name]
    allowed = f"the configured pairs are {', '.join(sorted(pairs))}"
    if len(pairs) > 20:
        allowed = f"it must be one of the {len(pairs)} pairs in cdk.json"
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


def _release(release: str | None, pair: Pair) -> str | None:
    if release is None:
        return None
    if not re.fullmatch(RELEASE_PATTERN, release):
        wrong = "it must have 1 to 128 letters, digits and characters of . _ + / = -"
    elif not pair.deploy:
        wrong = f"pair {pair.name} has no deploy in cdk.json, so no release can be deployed"
    else:
        return release
    raise _invalid(f"release = {shown(release)}", wrong)


def _expected(expected: str | None, pair: Pair) -> str | None:
    if expected is None:
        return None
    if not (expected.strip() == expected and expected.isascii() and expected.isprintable()):
        wrong = "it must be printable ASCII, without a space at either end"
    elif not 1 <= len(expected) <= LONGEST_RELEASE:
        wrong = f"it must have 1 to {LONGEST_RELEASE} characters"
    elif not any("releaseHeader" in check for check in pair.health_check):
        wrong = f"no check of pair {pair.name} has a releaseHeader in cdk.json, so the release cannot be checked"
    else:
        return expected
    raise _invalid(f"expectedRelease = {shown(expected)}", wrong)


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
