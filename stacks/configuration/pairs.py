"""The context values `pairs` and `vpc` of cdk.json, validated before anything is synthesized from them.

A wrong id or bound that got past here would be found by an execution, halfway through a cutover. So every
problem is reported, and all at once: the key's path, the value found, what is allowed.

To add a key, add a line to `HealthCheck`, `Pair` or `Vpc`: its name, its type, what is allowed and its default; and a
row to the table in the README, for which a test asks. What depends on a second key is a rule in `rules.py`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NotRequired, TypedDict, cast, get_type_hints

from stacks.configuration.keys import (
    ALLOCATION_ID,
    HEADER_NAME,
    INSTANCE_ID,
    INTERFACE_ID,
    SERVER_NAME,
    URL_PATH,
    Computed,
    Key,
    Only,
    boolean,
    header_fields,
    host_header,
    list_of,
    network_interfaces,
    printable,
    read_object,
    resource_id,
    servers,
    status_codes,
    text,
    whole_number,
)
from stacks.configuration.problems import (
    NO_JSON,
    NOTHING,
    InvalidConfiguration,
    parsed,
    path_of,
    problem,
    refuse,
    shown,
)
from stacks.configuration.rules import (
    LONGEST_DEADLINE_SECONDS,
    RULES_OF_A_PAIR,
    a_private_check_has_a_vpc,
    all_checks_go_the_same_way,
    broken_rules,
    default_deadline,
    port_of_protocol,
)

__all__ = [
    "HealthCheck",
    "InvalidConfiguration",
    "Pair",
    "Vpc",
    "configured_pairs",
    "configured_vpc",
    "placeholder_ids",
]

MOST_CHECKS = 10
HTTP_OR_HTTPS, HTTPS = Only(("HTTP", "HTTPS")), Only(("HTTPS",))
PORT = Computed("80 with HTTP, 443 with HTTPS; with TCP it is required", port_of_protocol)
DEADLINE = Computed(
    "startPeriodSeconds + (healthyThresholdCount + unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)",
    default_deadline,
)
NO_ALARMS = Computed("none", lambda _: [])


class HealthCheck(TypedDict):
    """How a server is checked. Where a name is that of an ELB target group, it means the same.

    A key that is NotRequired is absent where it was not given and has no default, and where it is not of the protocol.
    """

    protocol: Annotated[str, text('"HTTP", "HTTPS" or "TCP"', "HTTPS?|TCP", default="HTTP")]
    port: Annotated[int, whole_number(1, 65535, default=PORT)]
    path: NotRequired[Annotated[str, URL_PATH, HTTP_OR_HTTPS]]
    matcher: NotRequired[Annotated[str, status_codes(default="200"), HTTP_OR_HTTPS]]
    bodyContains: NotRequired[Annotated[str, printable("a text", 255), HTTP_OR_HTTPS]]
    hostHeader: NotRequired[Annotated[str, host_header(), HTTP_OR_HTTPS]]
    verifyCertificate: NotRequired[Annotated[bool, boolean(default=True), HTTPS]]
    headers: NotRequired[Annotated[dict[str, str], header_fields(), HTTP_OR_HTTPS]]
    identityHeader: NotRequired[Annotated[str, HEADER_NAME, HTTP_OR_HTTPS]]
    releaseHeader: NotRequired[Annotated[str, HEADER_NAME, HTTP_OR_HTTPS]]
    sharedHeader: NotRequired[Annotated[str, HEADER_NAME, HTTP_OR_HTTPS]]
    via: Annotated[str, text('"public" or "private"', "public|private", default="public")]
    intervalSeconds: Annotated[int, whole_number(1, 300, default=1)]
    timeoutSeconds: Annotated[int, whole_number(1, 120, default=2)]
    maxLatencyMs: NotRequired[Annotated[int, whole_number(1, 120_000)]]
    healthyThresholdCount: Annotated[int, whole_number(1, 10, default=3)]
    unhealthyThresholdCount: Annotated[int, whole_number(1, 10, default=3)]
    startPeriodSeconds: Annotated[int, whole_number(0, LONGEST_DEADLINE_SECONDS, default=0)]
    deadlineSeconds: Annotated[int, whole_number(1, LONGEST_DEADLINE_SECONDS, default=DEADLINE)]


class Pair(TypedDict):
    """Two addresses, by allocation id, and the two servers, by name, between which they change places."""

    production: Annotated[str, ALLOCATION_ID]
    staging: Annotated[str, ALLOCATION_ID]
    servers: Annotated[dict[str, str], servers()]
    networkInterfaces: NotRequired[Annotated[dict[str, str], network_interfaces()]]
    healthCheck: list[HealthCheck]
    bakeSeconds: Annotated[int, whole_number(0, 840, default=0)]
    alarms: Annotated[list[str], list_of(printable("an alarm's name", 255), 0, 100, "alarm names", default=NO_ALARMS)]


class Vpc(TypedDict):
    """From where checks that say `via: "private"` are made. The bounds are those of Lambda's VpcConfig.

    https://docs.aws.amazon.com/lambda/latest/dg/API_VpcConfig.html
    """

    subnetIds: Annotated[list[str], list_of(resource_id("a subnet's id", "subnet"), 1, 16, "subnet ids")]
    securityGroupIds: Annotated[
        list[str], list_of(resource_id("a security group's id", "sg"), 1, 5, "security group ids")
    ]


def configured_pairs(context: object, vpc: object = None) -> dict[str, Pair]:
    """The pairs by name, with every default filled in, and `healthCheck` a list also where one object was given.

    `context` and `vpc` are what `node.try_get_context` returns for "pairs" and for "vpc": the object in cdk.json, or
    the JSON text of `cdk --context pairs='{...}'`; None where there is none. Raises InvalidConfiguration, with the
    problems of both.
    """
    problems: list[str] = []
    pairs = _pairs(parsed("pairs", context, problems), problems, has_vpc=vpc is not None)
    _vpc(vpc, problems)
    refuse(problems)
    return pairs


def configured_vpc(context: object) -> Vpc | None:
    """The VPC of the stack, from what `node.try_get_context("vpc")` returns. Raises InvalidConfiguration."""
    problems: list[str] = []
    vpc = _vpc(context, problems)
    refuse(problems)
    return vpc


def placeholder_ids(pairs: Mapping[str, Pair]) -> list[str]:
    """The paths of the ids that are still those of the shipped cdk.json: a 0, then one letter 16 times."""
    return [path for path, found in _ids(pairs) if re.search(r"-0([a-f])\1{15}$", found)]


def _vpc(context: object, problems: list[str]) -> Vpc | None:
    given = parsed("vpc", context, problems)
    if given is NOTHING or given is NO_JSON:
        return None
    return cast(Vpc, read_object("vpc", given, Vpc, problems, {}))


def _pairs(given: object, problems: list[str], *, has_vpc: bool) -> dict[str, Pair]:
    if given is NO_JSON:
        return {}
    if not isinstance(given, Mapping) or not given:
        problems.append(problem("pairs", shown(given), "an object with at least one pair, under its name"))
        return {}
    pairs = {}
    for name, pair in given.items():
        path = path_of("pairs", name)
        if not SERVER_NAME.accepts(name):
            problems.append(problem(path, f"the name {shown(name)}", SERVER_NAME.allowed))
        pairs[name] = _pair(path, pair, problems, has_vpc=has_vpc)
    seen: dict[str, str] = {}
    for path, found in _ids(given):
        if found in seen:
            problems.append(problem(path, f"{shown(found)}, which is {seen[found]} too", "each id once"))
        seen.setdefault(found, path)
    return pairs


def _pair(path: str, given: object, problems: list[str], *, has_vpc: bool) -> Pair:
    """The pair, or what is valid of it."""
    checks_path = path_of(path, "healthCheck")
    checks = given.get("healthCheck", {}) if isinstance(given, Mapping) else {}
    first = path_of(checks_path, 0) if isinstance(checks, list) else checks_path
    of_a_check = {key: f"healthCheck: {path_of(first, key)}" for key in get_type_hints(HealthCheck)}
    pair = read_object(path, given, Pair, problems, of_a_check | OF_THE_STACK)
    if isinstance(given, Mapping):
        pair["healthCheck"] = _checks(checks_path, checks, problems, has_vpc=has_vpc)
    for rule in RULES_OF_A_PAIR:
        problems.extend(rule(path, pair))
    return cast(Pair, pair)


def _checks(path: str, given: object, problems: list[str], *, has_vpc: bool) -> list[dict[str, Any]]:
    """The checks in the order given, or what is valid of them."""
    by_path = {path: given}
    if isinstance(given, list):
        by_path = {path_of(path, index): check for index, check in enumerate(given)}
    if not isinstance(given, Mapping | list) or not 1 <= len(by_path) <= MOST_CHECKS:
        keys = ", ".join(get_type_hints(HealthCheck))
        allowed = f"an object, or a list of 1 to {MOST_CHECKS} objects, with the keys {keys}"
        problems.append(problem(path, shown(given), allowed))
        return []
    pair = path.removesuffix(".healthCheck")
    of_the_pair = {key: f"the pair: {path_of(pair, key)}" for key in get_type_hints(Pair)}
    checks = {}
    for at, check in by_path.items():
        checks[at] = read_object(at, check, HealthCheck, problems, of_the_pair | OF_THE_STACK)
        if isinstance(check, Mapping):
            problems.extend(broken_rules(at, check, checks[at]))
    problems.extend(all_checks_go_the_same_way(checks))
    if not has_vpc:
        problems.extend(a_private_check_has_a_vpc(checks))
    return list(checks.values())


def _ids(pairs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every id that is one, valid pair or not, with its path."""
    for name, pair in pairs.items():
        path = path_of("pairs", name)
        for key, kind in IDS_OF_A_PAIR.items():
            found = pair.get(key) if isinstance(pair, Mapping) else None
            by_path = {path_of(path, key): found}
            if isinstance(found, Mapping):
                by_path = {path_of(path_of(path, key), server): instance for server, instance in found.items()}
            yield from ((at, str(value)) for at, value in by_path.items() if kind.accepts(value))


OF_THE_STACK = {"vpc": "the context, beside `pairs`"} | {key: f"the context: vpc.{key}" for key in get_type_hints(Vpc)}
IDS_OF_A_PAIR: dict[str, Key] = {
    "production": ALLOCATION_ID,
    "staging": ALLOCATION_ID,
    "servers": INSTANCE_ID,
    "networkInterfaces": INTERFACE_ID,
}
