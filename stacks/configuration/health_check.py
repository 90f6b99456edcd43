"""The keys of a health check. A key with the name of an ELB target group's key has the same meaning. If one key limits
another, the later key has the validator, so that it is checked even if a third key is wrong."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Predicate
from pydantic import AfterValidator, Field, Tag, ValidationInfo, WrapValidator

from stacks.configuration import allowed
from stacks.configuration.allowed import BOOLEAN, FOLLOWS, LEFT_OUT, Section, one_of, text, whole_number
from stacks.configuration.problems import problem, shown

LONGEST_CHECK_SECONDS = 840  # a Lambda function runs at most 900 seconds
TIMES = ("startPeriodSeconds", "intervalSeconds", "timeoutSeconds", "healthyThresholdCount", "unhealthyThresholdCount")
LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DNS_NAME = rf"(?:{LABEL}\.)*{LABEL}"
# A host of RFC 3986, section 3.2.2, as HTTP allows it (RFC 9110, section 7.2), without what is a mistake in a name.
HTTP_LABEL = "[A-Za-z0-9_~-]{1,63}"
HTTP_HOST = rf"(?:(?:{HTTP_LABEL}\.)*{HTTP_LABEL}\.?|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{{0,4}})?"
CODES = "[2-4][0-9]{2}(?:-[2-4][0-9]{2})?"
SENT_BY_THE_PROBE = "connection|content-length|transfer-encoding|expect|upgrade|te|trailer|accept-encoding"


def _is_host(host: str) -> bool:
    """Raises ValueError, which refuses the host as well, for "[]" that do not hold an IPv6 address."""
    name = re.sub(r":\d+$", "", host)
    if name.startswith("["):
        ipaddress.IPv6Address(name[1:-1])
    return len(name.removesuffix(".")) <= 253 and int(host[len(name) + 1 :] or 1) <= 65535


def _is_dns_name(host: str) -> bool:
    """The last label of a DNS name is not a number, as in an IP address (RFC 1123, section 2.1)."""
    name = host.partition(":")[0].removesuffix(".")
    return re.fullmatch(DNS_NAME, name) is not None and not name.rpartition(".")[2].isdigit()


def _is_ascending(matcher: str) -> bool:
    return all(first <= (last or first) for first, _, last in (codes.partition("-") for codes in matcher.split(",")))


def _is_not_sent_anyway(name: str) -> str:
    if name.lower() == "host":
        raise problem("any other header; hostHeader sets this header")
    if re.fullmatch(SENT_BY_THE_PROBE, name.lower()):
        raise problem("any other header; the probe sets this header, because it changes how the response is sent")
    return name


Via = Literal["public", "private"]
PROTOCOL, PORT = one_of("HTTP", "HTTPS", "TCP"), whole_number(1, 65535)
PATH = text('one "/" and then at most 1023 printable ASCII characters, no spaces', "/(?:[!-.0-~][!-~]{0,1022})?")
# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
CODES_WORDS = 'status codes from 200 to 499 as in "200", "200,301" or "200-299"'
MATCHER = text(CODES_WORDS, f"{CODES}(?:,{CODES})*", Predicate(_is_ascending))
HOST_WORDS = (
    'a name of at most 253 characters, in labels of letters, digits, "-", "_" and "~", or an IP address, IPv6 in "[]"; '
    'optionally with ":" and a port from 1 to 65535'
)
HOST = text(HOST_WORDS, HTTP_HOST, Predicate(_is_host))
# A token (RFC 9110, section 5.6.2), and a value that cannot end its line.
NAME_WORDS = "a header's name: 1 to 64 letters, digits and characters of !#$%&'*+-.^_`|~"
VALUE_WORDS = "a header's value: at most 1024 printable ASCII characters, no space at either end"
HEADER_NAME = text(NAME_WORDS, "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
HEADER_VALUE = text(VALUE_WORDS, "(?:[!-~](?:[ -~]{0,1022}[!-~])?)?")
HEADERS = allowed.object_by_name("an object of 1 to 20 headers, value by name", 1, 20)
Headers = dict[Annotated[str, HEADER_NAME, AfterValidator(_is_not_sent_anyway)], Annotated[str, HEADER_VALUE]]


def _private_has_a_vpc(via: str, info: ValidationInfo) -> str:
    if via == "private" and not (info.context or {}).get("vpc"):
        instead = '"private" only with a `vpc` that has subnetIds and securityGroupIds; otherwise "public"'
        raise problem(instead, '"private" without the context value `vpc`')
    return via


def _ends_before_the_timeout(latency: int, info: ValidationInfo) -> int:
    timeout = info.data.get("timeoutSeconds", LONGEST_CHECK_SECONDS)
    if latency > (most := timeout * 1000):
        raise problem(f"at most {most}: timeoutSeconds is {timeout}, and a probe that takes longer has failed")
    return latency


def _allows_a_verdict(given: Any, validate: Any, info: ValidationInfo) -> int:
    deadline: int = 0 if given is LEFT_OUT else validate(given)
    if not all(key in info.data for key in TIMES):
        return deadline  # only the wrong key is reported
    start, interval, timeout, healthy, unhealthy = (info.data[key] for key in TIMES)
    probe = max(interval, timeout)
    shortest, default = start + max(healthy, unhealthy) * probe, start + (healthy + unhealthy) * probe
    if not shortest <= (deadline or default) <= LONGEST_CHECK_SECONDS:
        raise problem(
            f"at least {shortest} and at most {LONGEST_CHECK_SECONDS}: a verdict may take startPeriodSeconds "
            f"({start}) + max(healthyThresholdCount ({healthy}), unhealthyThresholdCount ({unhealthy})) * "
            f"max(intervalSeconds ({interval}), timeoutSeconds ({timeout})); lower these, or set another deadline",
            "" if deadline else f"{default}, its default here",
        )
    return deadline or default


class Check(Section):
    """The keys of every protocol."""

    protocol: Annotated[str, PROTOCOL]
    port: Annotated[int, PORT]
    via: Annotated[Via, one_of("public", "private"), AfterValidator(_private_has_a_vpc)] = "public"
    """Every check of a pair must have the same value. "private" needs a `vpc`."""
    intervalSeconds: Annotated[int, whole_number(1, 300)] = 1
    """From the start of one probe to the start of the next."""
    timeoutSeconds: Annotated[int, whole_number(1, 120)] = 2
    """The time limit of a whole probe."""
    maxLatencyMs: Annotated[int | None, whole_number(1, 120_000), AfterValidator(_ends_before_the_timeout)] = None
    """A slower probe is bad. The limit is at most the timeout."""
    healthyThresholdCount: Annotated[int, whole_number(1, 10)] = 3
    """This many good probes in a row make a server healthy."""
    unhealthyThresholdCount: Annotated[int, whole_number(1, 10)] = 3
    """This many bad probes in a row make a server unhealthy."""
    startPeriodSeconds: Annotated[int, whole_number(0, LONGEST_CHECK_SECONDS)] = 0
    deadlineSeconds: Annotated[int, whole_number(1, LONGEST_CHECK_SECONDS), WrapValidator(_allows_a_verdict)] = FOLLOWS
    """The time limit for a verdict. A server that flaps for so long is unhealthy. The minimum is like the default, with
    the higher of the two counts in place of their sum. Default: `startPeriodSeconds + (healthyThresholdCount +
    unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)`"""

    @property
    def shortest_bake(self) -> int:
        """The seconds after which a server that is unhealthy from the start of the bake fails."""
        return self.unhealthyThresholdCount * max(self.intervalSeconds, self.timeoutSeconds)

    @property
    def probes_after_a_bake(self) -> int:
        """The seconds that probes may take after the end of a bake: a bad probe, and the probes that then decide."""
        return self.timeoutSeconds + (self.unhealthyThresholdCount - 1) * max(self.intervalSeconds, self.timeoutSeconds)


class TcpCheck(Check):
    kind: ClassVar[str] = 'protocol "TCP"'
    protocol: Annotated[Literal["TCP"], PROTOCOL]
    """TCP only connects."""


class WebCheck(Check):
    """The keys of HTTP and HTTPS."""

    path: Annotated[str, PATH] = "/"
    matcher: Annotated[str, MATCHER] = "200"
    bodyContains: Annotated[str | None, allowed.printable("a text", 255)] = None
    """The first 5,120 bytes of the body must contain it, in the same case."""
    hostHeader: Annotated[str | None, HOST] = None
    headers: Annotated[Headers | None, HEADERS] = None
    identityHeader: Annotated[str | None, HEADER_NAME] = None
    releaseHeader: Annotated[str | None, HEADER_NAME] = None
    sharedHeader: Annotated[str | None, HEADER_NAME] = None


class HttpCheck(WebCheck):
    kind: ClassVar[str] = 'protocol "HTTP"'
    protocol: Annotated[Literal["HTTP"], PROTOCOL] = "HTTP"
    port: Annotated[int, PORT] = 80


def _has_a_host_name(verify: bool, info: ValidationInfo) -> bool:
    host = info.data.get("hostHeader", "wrong")
    if verify and "protocol" in info.data and (host is None or not _is_dns_name(host)):
        instead = "true with a hostHeader, the DNS name for which the server's certificate is verified; or false"
        given = "no hostHeader" if host is None else f"the hostHeader {shown(host)}, which is not a DNS name"
        raise problem(instead, f"true, which is the default, and {given}")
    return verify


class HttpsCheck(WebCheck):
    kind: ClassVar[str] = 'protocol "HTTPS"'
    protocol: Annotated[Literal["HTTPS"], PROTOCOL]
    port: Annotated[int, PORT] = 443
    verifyCertificate: Annotated[bool, BOOLEAN, AfterValidator(_has_a_host_name)] = Field(True, validate_default=True)
    """If true, `hostHeader` must be a DNS name."""


def _kind(check: Mapping[str, Any]) -> str:
    """A check with a wrong protocol is read like an HTTPS check, which has every key."""
    kind = f'protocol "{check.get("protocol", "HTTP")}"'
    return kind if kind in (HttpCheck.kind, TcpCheck.kind) else HttpsCheck.kind


HealthCheck = Annotated[
    Annotated[TcpCheck, Tag(TcpCheck.kind)]
    | Annotated[HttpCheck, Tag(HttpCheck.kind)]
    | Annotated[HttpsCheck, Tag(HttpsCheck.kind)],
    allowed.by_kind(_kind),
    allowed.section(HttpsCheck),
]
