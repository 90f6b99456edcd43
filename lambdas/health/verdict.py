"""The pure rules of the health check: what a probe found, judged, and what the findings so far decide.

`judge` says what is wrong with one probe; `decide` is the verdict after some of them; `decide_bake` the same for a
server that was healthy and is watched.
"""

import http
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from domain.text import printable, shortened
from health.check import Check
from health.deadline import Failure
from health.header_value import header_value
from health.probe import Probe

Kind = Failure | Literal["status", "slow", "body", "release", "no identity", "identity", "identities", "no shared"]
SHOWN_FINDINGS = 10
SHOWN_IDENTITIES = 3
MATCHER_CHARACTERS = 40
VALUE_CHARACTERS = 60
TEXT_CHARACTERS = 40
BODY_CHARACTERS = 80
DETAIL_CHARACTERS = 90
# What waking up, and ending a probe at its timeout, take beyond their time.
LATE_SECONDS = 0.05


@dataclass(frozen=True)
class Problem:
    """Why a probe is bad: its kind, and a sentence that says what was found and what was expected.

    `detail` is more of a status that is not the expected one: where it leads, or how its body begins.
    """

    kind: Kind
    text: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One probe, judged; a good one has no problem. `at_seconds` is when it began, from the start of the check."""

    at_seconds: float = 0
    status: int | None
    milliseconds: int
    problem: Problem | None = None
    identity: str | None = None
    release: str | None = None
    shared: str | None = None


@dataclass(frozen=True)
class Healthy:
    """Enough probes in a row were good."""


@dataclass(frozen=True)
class Unhealthy:
    """Enough probes in a row were bad, or the time is up; `reason` says which, and what was found.

    `kind` is what is wrong where that is not what the last bad probe found.
    """

    reason: str
    kind: Kind | None = None


@dataclass(frozen=True)
class GoOn:
    """Nothing is decided yet."""


@dataclass(frozen=True)
class Stopped:
    """Nothing is decided, and need not be any more: another check was unhealthy."""


def matches(matcher: str, status: int) -> bool:
    """Whether a status code is one of an ELB matcher's: "200", "200-299", "200,301", "200,300-302".

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
    """
    ranges = (part.partition("-") for part in matcher.split(","))
    return any(int(first) <= status <= int(last or first) for first, _, last in ranges)


def judge(check: Check, found: Probe, at_seconds: float) -> Finding:
    """Its problem is the first that there is, in the order in which a person would look."""
    finding = Finding(
        at_seconds=at_seconds,
        status=found.status,
        milliseconds=found.milliseconds,
        release=header_value(found.headers, check.release_header),
        identity=header_value(found.headers, check.identity_header),
        shared=header_value(found.headers, check.shared_header),
    )
    problems = chain(_problems_of_answer(check, found), _problems_of_headers(check, finding))
    return replace(finding, problem=next(problems, None))


def _problems_of_answer(check: Check, found: Probe) -> Iterator[Problem]:
    if found.failure is not None:
        yield Problem(found.failure, f"{'' if found.status is None else f'{found.status}: '}{found.error}")
    if found.status is not None and not matches(check.matcher, found.status):
        yield Problem("status", str(found.status), _detail(found))
    if check.max_latency_ms is not None and found.milliseconds > check.max_latency_ms:
        yield Problem("slow", f"took {found.milliseconds} ms, expected at most {check.max_latency_ms:g} ms")
    if check.body_contains is not None and check.body_contains.encode() not in found.body:
        yield Problem("body", _lacks(check.body_contains, found))


def _problems_of_headers(check: Check, found: Finding) -> Iterator[Problem]:
    if check.release_header and check.expected_release is not None and found.release != check.expected_release:
        yield Problem("release", _differs(check.release_header, found.release, check.expected_release))
    if check.identity_header and check.requires_headers and found.identity is None:
        yield Problem("no identity", f"{check.identity_header} is missing, which names the server that answers")
    if check.identity_header and check.expected_identity is not None and found.identity != check.expected_identity:
        differs = _differs(check.identity_header, found.identity, check.expected_identity)
        cause = "which staging answered before the cutover: a cached, proxied or mis-routed answer"
        yield Problem("identity", f"{differs}, {cause}")
    if check.shared_header and check.requires_headers and found.shared is None:
        yield Problem("no shared", f"{check.shared_header} is missing, which names what the servers share")


def decide(check: Check, findings: Sequence[Finding], next_seconds: float) -> Healthy | Unhealthy | GoOn:
    """The verdict after these findings, of which there is at least one.

    `next_seconds` is when the next probe would start, counted from the start of the check. If that one could not be
    over by the deadline, a check that is still undecided is unhealthy.

    A bad probe that starts within the start period counts only after a good one: "If a health check succeeds during the
    start period, the container is considered started and all consecutive failures will be counted"
    (https://docs.docker.com/reference/dockerfile/#healthcheck). Nor does one count that was sent while the address was
    moving and did not get to the new server.
    """
    in_a_row = findings[-_in_a_row(findings) :]
    if in_a_row[-1].problem is None:
        if len(in_a_row) >= check.healthy_threshold_count:
            return _varies(check, in_a_row) or Healthy()
    else:
        started = len(in_a_row) < len(findings)
        counted = [
            one
            for one in in_a_row
            if (started or one.at_seconds >= check.start_period_seconds) and not _before_the_move(check, one)
        ]
        if len(counted) >= check.unhealthy_threshold_count:
            return Unhealthy(f"{_failed(counted)}{_after_start(check, findings)}: {found(check, counted)}")
    if next_seconds + check.request.timeout_seconds <= check.deadline_seconds + LATE_SECONDS:
        return GoOn()
    if len(in_a_row) == len(findings) and in_a_row[-1].problem is None:
        return Unhealthy(
            f"in {check.deadline_seconds:g} s only {counted_probes(len(findings))} fitted in, all of them good, and it "
            f"takes {check.healthy_threshold_count} in a row"
        )
    if not any_good(findings):
        used_up = _after_start(check, findings)
        return Unhealthy(f"no good probe within {check.deadline_seconds:g} s{used_up}: {found(check, findings)}")
    return Unhealthy(
        f"it kept flapping: in {check.deadline_seconds:g} s neither {check.healthy_threshold_count} good probes "
        f"in a row nor {check.unhealthy_threshold_count} bad ones: {found(check, findings)}"
    )


def _before_the_move(check: Check, bad: Finding) -> bool:
    """Whether the probe met what was there before an address moved, which is soon over: the former server, or nobody.

    What the new server itself answers is none of that, and counts at once.
    """
    if bad.at_seconds >= check.moving_seconds or bad.problem is None:
        return False
    former = bad.identity is not None and check.expected_identity not in (None, bad.identity)
    return former or bad.problem.kind in ("unreachable", "release")


def _varies(check: Check, good: Sequence[Finding]) -> Unhealthy | None:
    """Staging must name one server, with whose name production is compared after the cutover."""
    values = list(dict.fromkeys(one.identity for one in good))
    if not check.requires_headers or len(values) == 1:
        return None
    shown = ", ".join(f'"{shortened(str(one), VALUE_CHARACTERS)}"' for one in values[:SHOWN_IDENTITIES])
    return Unhealthy(f"{check.identity_header} varies from one good probe to the next: {shown}", "identities")


def decide_bake(check: Check, findings: Sequence[Finding]) -> Unhealthy | GoOn:
    """The verdict while a healthy server is watched: one hiccup is none, as many in a row as at any other time are."""
    bad = findings[-_in_a_row(findings) :]
    if bad[-1].problem is None or len(bad) < check.unhealthy_threshold_count:
        return GoOn()
    return Unhealthy(f"{_failed(bad)}: {found(check, bad)}")


def any_good(findings: Sequence[Finding]) -> bool:
    return any(one.problem is None for one in findings)


def last_good(findings: Sequence[Finding]) -> Finding | None:
    return next((one for one in reversed(findings) if one.problem is None), None)


def found(check: Check, findings: Sequence[Finding]) -> str:
    """What the last probes found, and what was expected where that is a status."""
    shown = findings[-SHOWN_FINDINGS:]
    texts = [one.problem.text if one.problem else str(one.status or "connected") for one in shown]
    if any(one.problem and one.problem.kind == "status" for one in shown):
        return f"expected status {shortened(check.matcher, MATCHER_CHARACTERS)}, found {', '.join(texts)}"
    return "; ".join(dict.fromkeys(texts))


def counted_probes(probes: int) -> str:
    return "1 probe" if probes == 1 else f"{probes} probes"


def _in_a_row(findings: Sequence[Finding]) -> int:
    """How many of the last findings are alike, good or bad."""
    bad = [one.problem is not None for one in findings]
    return next((count for count, other in enumerate(reversed(bad)) if other != bad[-1]), len(bad))


def _failed(findings: Sequence[Finding]) -> str:
    return f"{counted_probes(len(findings))} in a row failed"


def _after_start(check: Check, findings: Sequence[Finding]) -> str:
    period = f"{check.start_period_seconds:g} s"
    return (
        f", with its start period of {period} used up" if check.start_period_seconds and not any_good(findings) else ""
    )


def _differs(header: str, value: str | None, expected: str) -> str:
    is_value = "is missing" if value is None else f'is "{shortened(value, VALUE_CHARACTERS)}"'
    return f'{header} {is_value}, expected "{shortened(expected, VALUE_CHARACTERS)}"'


def _detail(answer: Probe) -> str:
    if location := header_value(answer.headers, "Location"):
        return f"it leads to {shortened(location, DETAIL_CHARACTERS)}"
    if answer.status == http.HTTPStatus.BAD_REQUEST and answer.body.strip():
        return f'The answer begins "{_beginning(answer.body)}".'
    return ""


def _beginning(body: bytes) -> str:
    return printable(" ".join(body[: 4 * BODY_CHARACTERS].decode(errors="replace").split()), BODY_CHARACTERS)


def _lacks(text: str, answer: Probe) -> str:
    lacks = f'the body lacks "{printable(text, TEXT_CHARACTERS)}"'
    if coding := header_value(answer.headers, "Content-Encoding"):
        return f"{lacks}: it came encoded ({shortened(coding, TEXT_CHARACTERS)}), though that was not asked for"
    if not answer.body:
        return f"{lacks}: it is empty"
    return f'{lacks}, it begins "{_beginning(answer.body)}"'
