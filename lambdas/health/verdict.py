"""The pure rules of the health check: what is wrong with one probe, and the verdict after several probes."""

import contextlib
import hashlib
import http
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from domain.text import printable, shortened
from health.check import Answered, Check
from health.result import BODY_BYTES, Certificates, Failure, Probe, quoted

Kind = Failure | Literal["status", "slow", "body", "release", "no identity", "identity", "identities", "no shared"]
SHOWN_FINDINGS, SHOWN_IDENTITIES = 10, 3
HEADER_VALUE_CHARACTERS, DIGEST_CHARACTERS = 256, 16
MATCHER_CHARACTERS, LOCATION_CHARACTERS, MEDIA_TYPE_CHARACTERS = 40, 90, 40
# The address of a redirect, as a browser reads it: what comes before the authority, the authority, and the rest.
ADDRESS = re.compile(r"(?is)((?:https?:|[a-z][\w+.-]*:(?=[/\\]{2}))[/\\]*|[/\\]{2,}|)([^/\\?#]*)(.*)")
HOST = re.compile(r"(?:[\w.~-]*|\[[\da-f:.]+\])(?::\d*)?", re.IGNORECASE)
BEFORE_A_VALUE = re.compile("[?#;&=]|%(?:25)*(?:3f|23|3b|26|3d)", re.IGNORECASE)  # also encoded, or encoded twice
LATE_SECONDS = 0.05  # a probe may end this much after its timeout, because threads do not wake up in time


@dataclass(frozen=True)
class Problem:
    """Why a probe is bad. `detail` is for an unexpected status: where a redirect leads, or what kind of body came."""

    kind: Kind
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """One probe, judged. `at_seconds` is when it began, counted from the start of the check."""

    at_seconds: float
    status: int | None
    milliseconds: int
    problem: Problem | None
    answered: Answered
    certificates: Certificates = ()

    @property
    def is_good(self) -> bool:
        return self.problem is None


@dataclass(frozen=True)
class Healthy:
    """Enough probes in a row were good."""


@dataclass(frozen=True)
class Unhealthy:
    """Enough probes in a row were bad, or the time is up. `kind` is the problem, unless it is the last bad probe's."""

    reason: str
    kind: Kind | None = None


def matches(matcher: str, status: int) -> bool:
    """Whether an ELB matcher accepts a status code: "200", "200-299", "200,301", "200,300-302".
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html"""
    ranges = (part.partition("-") for part in matcher.split(","))
    return any(int(first) <= status <= int(last or first) for first, _, last in ranges)


def judge(check: Check, probe: Probe, at_seconds: float) -> Finding:
    """If a probe has several problems, the finding has the first one, in the order in which a person would check."""
    headers = (check.identity_header, check.release_header, check.shared_header)
    answered = Answered(*(header_value(probe.headers, name) for name in headers))
    problem = next(_problems(check, probe, answered), None)
    return Finding(at_seconds, probe.status, probe.milliseconds, problem, answered, probe.certificates)


def _problems(check: Check, probe: Probe, answered: Answered) -> Iterator[Problem]:
    if probe.failure is not None:
        yield Problem(probe.failure, f"{'' if probe.status is None else f'{probe.status}: '}{probe.error}")
    if probe.status is not None and not matches(str(check.matcher), probe.status):
        yield Problem("status", str(probe.status), _detail(probe))
    if check.max_latency_ms is not None and probe.milliseconds > check.max_latency_ms:
        yield Problem("slow", f"took {probe.milliseconds} ms, expected at most {check.max_latency_ms:g} ms")
    if check.body_contains is not None and check.body_contains.encode() not in probe.body:
        yield Problem("body", _lacks(check.body_contains, probe))
    if check.release_header and check.expected_release not in (None, answered.release):
        yield Problem("release", _differs(check.release_header, answered.release, check.expected_release))
    if check.identity_header and check.requires_headers and answered.identity is None:
        yield Problem("no identity", f"{check.identity_header} is missing; it names the server that answers")
    if check.identity_header and check.expected_identity not in (None, answered.identity):
        differs = _differs(check.identity_header, answered.identity, check.expected_identity)
        cause = "as staging answered before the cutover: the answer is cached, proxied or misrouted"
        yield Problem("identity", f"{differs}, {cause}")
    if check.shared_header and check.requires_headers and answered.shared is None:
        yield Problem("no shared", f"{check.shared_header} is missing; it names what the servers share")


def decide(check: Check, findings: Sequence[Finding], next_seconds: float) -> Healthy | Unhealthy | None:
    """The verdict after findings (at least one); None while a probe from `next_seconds` can end by the deadline."""
    streak = _streak(findings)
    if streak[-1].is_good and len(streak) >= check.healthy_threshold_count:
        return _varies(check, streak) or Healthy()
    counted = [finding for finding in streak if _counts(check, finding, has_started=len(streak) < len(findings))]
    if unhealthy := _failed(check, counted, _after_start(check, findings)):
        return unhealthy
    has_time = next_seconds + check.timeout_seconds <= check.deadline_seconds + LATE_SECONDS
    return None if has_time else Unhealthy(_time_is_up(check, findings))


def _counts(check: Check, finding: Finding, *, has_started: bool) -> bool:
    """Whether a bad probe counts towards the unhealthy threshold: within the start period, only after a good probe. "If
    a health check succeeds during the start period, the container is considered started and all consecutive failures
    will be counted" (https://docs.docker.com/reference/dockerfile/#healthcheck). While the address moves, a probe does
    not count if it reached the former server or no server; an answer of the new server counts at once."""
    if finding.problem is None or not (has_started or finding.at_seconds >= check.start_period_seconds):
        return False
    identity = finding.answered.identity
    is_former = identity is not None and check.expected_identity not in (None, identity)
    not_moved = is_former or finding.problem.kind in ("unreachable", "release")
    return finding.at_seconds >= check.moving_seconds or not not_moved


def _time_is_up(check: Check, findings: Sequence[Finding]) -> str:
    within, good, bad = f"{check.deadline_seconds:g} s", check.healthy_threshold_count, check.unhealthy_threshold_count
    if all(finding.is_good for finding in findings):
        probes = counted_probes(len(findings))
        return f"only {probes} fitted into {within}, all good, but {good} in a row are needed"
    words = findings_in_words(check, findings)
    if not any_good(findings):
        return f"no good probe within {within}{_after_start(check, findings)}: {words}"
    return f"it kept flapping: neither {good} good nor {bad} bad probes came in a row within {within}: {words}"


def _varies(check: Check, good: Sequence[Finding]) -> Unhealthy | None:
    """Staging must always answer with the same name, because production must answer with it after the cutover."""
    identities = list(dict.fromkeys(finding.answered.identity for finding in good))
    if not check.requires_headers or len(identities) == 1:
        return None
    shown = ", ".join(quoted(identity) for identity in identities[:SHOWN_IDENTITIES])
    return Unhealthy(f"{check.identity_header} varies from one good probe to the next: {shown}", "identities")


def decide_bake(check: Check, findings: Sequence[Finding]) -> Unhealthy | None:
    """The verdict during a bake: fewer failures in a row than the threshold are tolerated."""
    return _failed(check, [finding for finding in _streak(findings) if not finding.is_good])


def _failed(check: Check, counted: Sequence[Finding], after_start: str = "") -> Unhealthy | None:
    if len(counted) < check.unhealthy_threshold_count:
        return None
    failed = f"{counted_probes(len(counted))} in a row failed{after_start}"
    return Unhealthy(f"{failed}: {findings_in_words(check, counted)}")


def any_good(findings: Sequence[Finding]) -> bool:
    return any(finding.is_good for finding in findings)


def header_value(headers: Mapping[str, str], name: str | None) -> str | None:
    """A header as it is compared and shown: printable ASCII, at most 256 characters, or None. Values that differ stay
    different: unprintable characters are escaped, a long value ends in its digest. `headers` are by lower-case name."""
    value = headers.get(name.lower(), "") if name else ""
    with contextlib.suppress(UnicodeError):  # `http.client` reads every byte as one character; people configure UTF-8
        value = value.encode("latin-1").decode()
    escaped = "".join(each if " " <= each <= "~" else each.encode("unicode_escape").decode() for each in value.strip())
    if len(escaped) <= HEADER_VALUE_CHARACTERS:
        return escaped or None
    digest = hashlib.sha256(escaped.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{escaped[: HEADER_VALUE_CHARACTERS - DIGEST_CHARACTERS - 4]}...#{digest}"


def findings_in_words(check: Check, findings: Sequence[Finding]) -> str:
    """What the last probes found; if a status was wrong, also the expected status."""
    shown = findings[-SHOWN_FINDINGS:]
    texts = [finding.problem.text if finding.problem else str(finding.status or "connected") for finding in shown]
    if any(finding.problem and finding.problem.kind == "status" for finding in shown):
        return f"expected status {shortened(str(check.matcher), MATCHER_CHARACTERS)}, found {', '.join(texts)}"
    return "; ".join(dict.fromkeys(texts))


def counted_probes(probes: int) -> str:
    return "1 probe" if probes == 1 else f"{probes} probes"


def _streak(findings: Sequence[Finding]) -> Sequence[Finding]:
    """The last findings that are all good, or all bad."""
    first = next((n for n, finding in enumerate(reversed(findings)) if finding.is_good != findings[-1].is_good), 0)
    return findings[-first:]


def _after_start(check: Check, findings: Sequence[Finding]) -> str:
    over = check.start_period_seconds and not any_good(findings)
    return f" (its start period of {check.start_period_seconds:g} s is over)" if over else ""


def _differs(header: str, value: str | None, expected: str | None) -> str:
    return f"{header} {'is missing' if value is None else f'is {quoted(value)}'}, expected {quoted(expected)}"


def _detail(probe: Probe) -> str:
    if location := probe.headers.get("location", "").strip():
        return f"it leads to {_without_secrets(location)}"
    return f"The answer is {_size_and_kind(probe)}." if probe.status == http.HTTPStatus.BAD_REQUEST else ""


def _without_secrets(location: str) -> str:
    """The scheme, host and path of a redirect, up to where a value may follow. An unclear host is not shown."""
    [(start, authority, path)] = ADDRESS.findall(re.sub(r"[\t\r\n]", "", location))[:1]  # browsers remove these
    host = authority.rpartition("@")[2] if start else authority
    shown_host, shown_path = (BEFORE_A_VALUE.split(part)[0] for part in (host, path))
    is_clear = HOST.fullmatch(shown_host) and not (":" in host and "@" in shown_path) and (start or "@" not in host)
    address = f"{start}{shown_host}{shown_path if shown_host == host else ''}" if is_clear else f"{start}..."
    shown = printable(header_value({"location": address}, "location") or "itself", LOCATION_CHARACTERS)
    return shown if address == location else f"{shown} (shown in part)"


def _size_and_kind(probe: Probe) -> str:
    """The size and type of a body. The body is never shown: an error page may contain secrets."""
    at_least = "at least " if len(probe.body) == BODY_BYTES else ""
    media_type = re.match(r"\w+/[\w.+-]+", probe.headers.get("content-type", ""), re.ASCII)
    kind = f"of {shortened(media_type[0], MEDIA_TYPE_CHARACTERS)}" if media_type else "without a Content-Type"
    return f"{at_least}{len(probe.body)} bytes {kind}"


def _lacks(text: str, probe: Probe) -> str:
    found = _size_and_kind(probe) if probe.body else "empty"
    if coding := header_value(probe.headers, "Content-Encoding"):
        found = f"encoded ({quoted(coding)}), although the probe asked for no encoding"
    return f"the body lacks {quoted(text)}: it is {found}"
