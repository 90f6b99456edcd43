"""What the keys of a configuration allow beside one another, a rule each.

A rule of a check gets what is valid of it, and yields the key that is wrong, what was found and what is allowed. Where
a key that it needs is wrong itself, it raises KeyError: that key is reported already.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stacks.configuration.problems import NOTHING, path_of, problem, shown

LONGEST_DEADLINE_SECONDS = 840  # a Lambda function runs at most 900 seconds
# A plan carries its pair from state to state, at times twice; Step Functions takes 262,144 bytes.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
LONGEST_PAIR_BYTES = 65_536
KEYS_OF_A_BAKE = {"deadlineSeconds", "intervalSeconds", "timeoutSeconds", "unhealthyThresholdCount"}

Check = Mapping[str, Any]
Wrong = Iterator[tuple[str, str, str]]
Rule = Callable[[Check], Wrong]


def port_of_protocol(check: Check) -> object:
    return {"HTTP": 80, "HTTPS": 443, "TCP": NOTHING}[check["protocol"]]


def default_deadline(check: Check) -> int:
    """Enough for as many of the slowest probes as a server needs that is healthy after all."""
    return int(check["startPeriodSeconds"]) + sum(_thresholds(check)) * _slowest_probe(check)


def shortest_deadline(check: Check) -> int:
    """Enough for the probes of one verdict, whichever needs more of them."""
    return int(check["startPeriodSeconds"]) + max(_thresholds(check)) * _slowest_probe(check)


def a_verified_certificate_has_a_name(check: Check) -> Wrong:
    if check["protocol"] == "HTTPS" and check["verifyCertificate"] and "hostHeader" not in check:
        yield (
            "hostHeader",
            "nothing",
            "the DNS name for which the server's certificate is verified; give it, or say verifyCertificate: false",
        )


def a_latency_ends_before_the_timeout(check: Check) -> Wrong:
    if check.get("maxLatencyMs", 0) > (longest := check["timeoutSeconds"] * 1000):
        yield (
            "maxLatencyMs",
            str(check["maxLatencyMs"]),
            f"at most {longest}: timeoutSeconds is {check['timeoutSeconds']}, and a probe that takes longer has failed",
        )


def a_deadline_leaves_time_for_a_verdict(check: Check) -> Wrong:
    deadline, shortest = check["deadlineSeconds"], shortest_deadline(check)
    if deadline > LONGEST_DEADLINE_SECONDS:  # only the default can be
        instead = f"; or give deadlineSeconds, {shortest} to {LONGEST_DEADLINE_SECONDS}"
        yield (
            "deadlineSeconds",
            f"{deadline}, its default here",
            f"at most {LONGEST_DEADLINE_SECONDS}: lower {_what_takes_time(check)}"
            f"{instead if shortest <= LONGEST_DEADLINE_SECONDS else ''}",
        )
    elif deadline < shortest:
        yield (
            "deadlineSeconds",
            str(deadline),
            f"at least {shortest}, or no verdict could be reached (startPeriodSeconds + max(healthyThresholdCount, "
            f"unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)); or lower {_what_takes_time(check)}",
        )


RULES_OF_A_CHECK: tuple[Rule, ...] = (
    a_verified_certificate_has_a_name,
    a_latency_ends_before_the_timeout,
    a_deadline_leaves_time_for_a_verdict,
)


def broken_rules(path: str, given: Mapping[str, object], check: Check) -> Iterator[str]:
    """The problems of what is valid of a check; a key that is wrong by itself is not reported again."""
    for rule in RULES_OF_A_CHECK:
        try:
            wrong = list(rule(check))
        except KeyError:
            continue
        for key, found, allowed in wrong:
            if key in check or key not in given:
                yield problem(path_of(path, key), found, allowed)


def all_checks_go_the_same_way(checks: Mapping[str, Check]) -> Iterator[str]:
    """`checks` has the checks of one pair by path; those whose `via` is wrong by itself are none of this rule's."""
    ways = [(f"{path}.via", check["via"]) for path, check in checks.items() if "via" in check]
    for path, via in ways:
        if via != ways[0][1]:
            found = f"{shown(via)}, and {ways[0][0]} is {shown(ways[0][1])}"
            yield problem(path, found, "the same for every check of a pair, because one function runs them")


def a_private_check_has_a_vpc(checks: Mapping[str, Check]) -> Iterator[str]:
    for path, check in checks.items():
        if check.get("via") == "private":
            yield problem(
                f"{path}.via",
                '"private", and no context value `vpc`',
                '"private" only beside a `vpc` with subnetIds and securityGroupIds; otherwise "public"',
            )


def shortest_bake(check: Check) -> int:
    """The seconds in which a server that is sick from the start of the bake fails it."""
    return int(check["unhealthyThresholdCount"]) * _slowest_probe(check)


def probes_after_a_bake(check: Check) -> int:
    """The seconds that probes may take after the end of a bake: one that is bad there, and those that then decide."""
    return (int(check["unhealthyThresholdCount"]) - 1) * _slowest_probe(check) + int(check["timeoutSeconds"])


def a_bake_can_fail_and_fits_behind_the_checks(path: str, pair: Mapping[str, Any]) -> Iterator[str]:
    """One function checks production, bakes, and goes on until it is decided whether the server is sick at the end."""
    bake = pair.get("bakeSeconds", 0)
    checks = [check for check in pair.get("healthCheck", ()) if check.keys() >= KEYS_OF_A_BAKE]
    if not bake or not checks:
        return
    deadline, after, shortest = (
        max(seconds(check) for check in checks)
        for seconds in (lambda check: int(check["deadlineSeconds"]), probes_after_a_bake, shortest_bake)
    )
    longest = LONGEST_DEADLINE_SECONDS - deadline - after
    if deadline <= LONGEST_DEADLINE_SECONDS and longest < max(bake, shortest):
        yield problem(
            f"{path}.bakeSeconds",
            str(bake),
            f"{f'at most {longest}' if longest >= shortest else '0'}: of {LONGEST_DEADLINE_SECONDS} seconds, the "
            f"checks before it may take {deadline} (the longest deadlineSeconds), and probes after it {after} (the "
            f"longest (unhealthyThresholdCount - 1) * max(intervalSeconds, timeoutSeconds) + timeoutSeconds)",
        )
    elif bake < shortest:
        yield problem(
            f"{path}.bakeSeconds",
            str(bake),
            f"0, or at least {shortest}, or the bake could not fail (the longest unhealthyThresholdCount * "
            f"max(intervalSeconds, timeoutSeconds))",
        )


def interfaces_are_those_of_the_servers(path: str, pair: Mapping[str, Any]) -> Iterator[str]:
    if "networkInterfaces" in pair and "servers" in pair:
        interfaces, servers = pair["networkInterfaces"], pair["servers"]
        if interfaces.keys() != servers.keys():
            names = " and ".join(map(shown, servers))
            yield problem(f"{path}.networkInterfaces", f"the names {shown(list(interfaces))}", f"{names}, the servers'")


def a_pair_fits_into_a_plan(path: str, pair: Mapping[str, Any]) -> Iterator[str]:
    length = len(json.dumps(pair))
    if length > LONGEST_PAIR_BYTES:
        yield problem(
            path,
            f"{length} bytes of JSON, its defaults included",
            f"at most {LONGEST_PAIR_BYTES}: fewer checks or alarms, or shorter headers",
        )


RULES_OF_A_PAIR: tuple[Callable[[str, Mapping[str, Any]], Iterator[str]], ...] = (
    a_bake_can_fail_and_fits_behind_the_checks,
    interfaces_are_those_of_the_servers,
    a_pair_fits_into_a_plan,
)


def _thresholds(check: Check) -> tuple[int, int]:
    return check["healthyThresholdCount"], check["unhealthyThresholdCount"]


def _slowest_probe(check: Check) -> int:
    return int(max(check["intervalSeconds"], check["timeoutSeconds"]))


def _what_takes_time(check: Check) -> str:
    """The keys whose lower value makes a check shorter, with their values: of interval and timeout the longer."""
    lowest = {"startPeriodSeconds": 0}
    lowest |= {key: 1 for key in ("intervalSeconds", "timeoutSeconds") if check[key] == _slowest_probe(check)}
    lowest |= {"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}
    return ", ".join(f"{key} ({check[key]})" for key in lowest if check[key] > lowest[key])
