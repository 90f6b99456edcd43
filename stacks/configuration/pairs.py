"""The context values `pairs` and `vpc` of cdk.json. A wrong id that is accepted here would fail a cutover halfway."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from domain.pair import Pair as ReadPair
from domain.release_commands import document
from stacks.configuration import allowed
from stacks.configuration.allowed import FOLLOWS, Allowed, Broken, Place, Section, list_of, section, text, whole_number
from stacks.configuration.health_check import LONGEST_CHECK_SECONDS, HealthCheck, HttpCheck, HttpsCheck
from stacks.configuration.problems import path_of, problem, shown
from stacks.configuration.readiness import Evaluated
from stacks.configuration.release import Approval, Deploy, Hooks

# A plan carries its pair from state to state, sometimes twice; Step Functions takes 262,144 bytes.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
LONGEST_PAIR_BYTES = 65_536
# Systems Manager takes 64 KB with the parameters of a command, which have fewer than 1,536 bytes.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-creating-content.html
LONGEST_DOCUMENT_BYTES = 64_000
MOST_CHECKS = 10
LONGEST_BAKE_SECONDS = 86_400
# A bake is a loop of calls of the health check, each of at most so many seconds.
BAKE_SHARE_SECONDS = 300
ID_PATTERN = "-(?:[0-9a-f]{8}|[0-9a-f]{17})"
ID_PREFIXES = {"production": "eipalloc", "staging": "eipalloc", "servers": "i", "networkInterfaces": "eni"}


def resource_id(called: str, prefix: str) -> Allowed:
    """EC2's ids have 8 hex digits, or 17 since 2016."""
    return text(f'{called}: "{prefix}-" and 8 or 17 lower-case hex digits', prefix + ID_PATTERN)


def _one_way(checks: Sequence[Any]) -> Iterator[Broken]:
    ways = [check.get("via", "public") if isinstance(check, Mapping) else None for check in checks]
    first = next((way for way in ways if way in ("public", "private")), None)
    for index, way in enumerate(ways):
        if way in ("public", "private") and way != first:
            both = f"{shown(way)}, and healthCheck[{ways.index(first)}].via is {shown(first)}"
            yield (index, "via"), problem("the same for every check of a pair, because one function runs them", both)


def _as_list(checks: Any) -> Any:
    return [checks] if isinstance(checks, Mapping) else checks


ALLOCATION_ID, INSTANCE_ID = resource_id("an allocation id", "eipalloc"), resource_id("an instance id", "i")
INTERFACE_ID = resource_id("the id of a network interface", "eni")
ALARM_NAME = allowed.printable("an alarm's name", 255)
SUBNET_ID, GROUP_ID = resource_id("a subnet's id", "subnet"), resource_id("a security group's id", "sg")
SERVERS = allowed.object_by_name("an object of exactly two servers, instance id by name", 2, 2)
INTERFACES = allowed.object_by_name("an object of the two servers' network interfaces, id by server name", 2, 2)
CHECKS_WORDS = f"an object, or a list of 1 to {MOST_CHECKS} objects, with the keys {', '.join(HttpsCheck.model_fields)}"
CHECKS = Allowed(CHECKS_WORDS, Field(min_length=1, max_length=MOST_CHECKS), rule=_one_way)


def _are_those_of_the_servers(interfaces: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    servers = info.data.get("servers", interfaces)
    if interfaces.keys() != servers.keys():
        raise problem(f"{' and '.join(map(shown, servers))}, as in servers", f"the names {shown(list(interfaces))}")
    return interfaces


def _can_fail_and_fits_its_calls(bake: int, info: ValidationInfo) -> int:
    """One call runs a share of the bake, and the probes that decide at its end. The checks set the limits."""
    checks = info.data.get("healthCheck")
    if not bake or not checks:
        return bake
    after = max(check.probes_after_a_bake for check in checks)
    shortest, fits = max(check.shortest_bake for check in checks), BAKE_SHARE_SECONDS + after <= LONGEST_CHECK_SECONDS
    if bake < shortest or not fits:
        seconds = f"0, or {shortest} to {LONGEST_BAKE_SECONDS}" if fits else "0"
        raise problem(
            f"{seconds}: a bake that can fail takes {shortest} (unhealthyThresholdCount * max(intervalSeconds, "
            f"timeoutSeconds)); {BAKE_SHARE_SECONDS} seconds of it and the {after} of the probes that decide after "
            f"them take at most {LONGEST_CHECK_SECONDS}"
        )
    return bake


def _is_of_a_release(approval: Approval, info: ValidationInfo) -> Approval:
    if info.data.get("deploy", approval) is None:
        raise problem("only with `deploy`: only an execution with a release waits", "an approval, but no deploy")
    return approval


class Pair(Section):
    """Two addresses, by allocation id, and the two servers, by name, between which they change places."""

    production: Annotated[str, ALLOCATION_ID]
    staging: Annotated[str, ALLOCATION_ID]
    servers: Annotated[dict[Annotated[str, allowed.NAME], Annotated[str, INSTANCE_ID]], SERVERS]
    networkInterfaces: Annotated[
        dict[str, Annotated[str, INTERFACE_ID]] | None, INTERFACES, AfterValidator(_are_those_of_the_servers)
    ] = None
    """With it, the permissions name these interfaces only."""
    healthCheck: Annotated[
        list[HealthCheck], CHECKS, BeforeValidator(_as_list, json_schema_input_type=HealthCheck | list[HealthCheck])
    ] = Field(default_factory=lambda: list[HealthCheck]([HttpCheck()]))
    """Default: `{}`"""
    bakeSeconds: Annotated[int, whole_number(0, LONGEST_BAKE_SECONDS), AfterValidator(_can_fail_and_fits_its_calls)] = 0
    """0, or long enough for the slowest check to fail. 0 if timeoutSeconds + (unhealthyThresholdCount - 1) *
    max(intervalSeconds, timeoutSeconds) of a check is more than 540."""
    alarms: Annotated[list[Annotated[str, ALARM_NAME]], list_of(0, 100, "alarm names")] = Field(default_factory=list)
    """Alarms of CloudWatch. Default: none."""
    deploy: Annotated[Deploy | None, section(Deploy)] = None
    hooks: Annotated[Hooks | None, section(Hooks)] = None
    approval: Annotated[Approval | None, section(Approval), AfterValidator(_is_of_a_release)] = None
    readiness: Evaluated = FOLLOWS
    """Default: as beside `pairs`"""

    def as_json(self) -> dict[str, Any]:
        """What the functions read: every default filled in, and no key without a value."""
        return self.model_dump(exclude_none=True)

    def as_read(self, name: str) -> ReadPair:
        """The pair of this name, as the functions read it."""
        return ReadPair.from_json(name, self.as_json())

    @model_validator(mode="after")
    def _fits_into_a_plan_and_a_document(self) -> Self:
        if (length := len(json.dumps(self.as_json()))) > LONGEST_PAIR_BYTES:
            allowed = f"at most {LONGEST_PAIR_BYTES}; use fewer checks, alarms or hooks, or shorter headers"
            raise problem(allowed, f"{length} bytes of JSON, its defaults included")
        made = document(self.as_read(""))
        if made and (length := len(made.content)) > LONGEST_DOCUMENT_BYTES:
            allowed = f"at most {LONGEST_DOCUMENT_BYTES}; put long commands into a script on the servers"
            raise problem(allowed, f"commands that make a document of {length} bytes")
        return self


class Vpc(Section):
    """The VPC in which checks with `via: "private"` run. The limits are the same as in Lambda's VpcConfig.
    https://docs.aws.amazon.com/lambda/latest/dg/API_VpcConfig.html"""

    subnetIds: Annotated[list[Annotated[str, SUBNET_ID]], list_of(1, 16, "subnet ids")]
    securityGroupIds: Annotated[list[Annotated[str, GROUP_ID]], list_of(1, 5, "security group ids")]


def placeholder_ids(pairs: Mapping[str, Pair]) -> list[str]:
    """The paths of the ids that are still placeholders of the shipped cdk.json: a 0, then one letter 16 times."""
    ids = _ids({name: pair.as_json() for name, pair in pairs.items()})
    return [reduce(path_of, place, "pairs") for place, value in ids if re.search(r"-0([a-f])\1{15}$", value)]


def _ids(pairs: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """The ids in the pairs, which may be invalid otherwise, if they are of the kind that their key requires."""
    for name, pair in pairs.items():
        for key, prefix in ID_PREFIXES.items() if isinstance(pair, Mapping) else ():
            value = pair.get(key)
            for *server, each in value.items() if isinstance(value, Mapping) else [(value,)]:
                if isinstance(each, str) and re.fullmatch(prefix + ID_PATTERN, each):
                    yield (name, key, *server), each


def _each_id_once(pairs: Mapping[str, Any]) -> Iterator[Broken]:
    first: dict[str, Place] = {}
    for place, value in _ids(pairs):
        if (other := first.setdefault(value, place)) != place:
            yield place, problem("each id once", f"{shown(value)}, which is also {reduce(path_of, other, 'pairs')}")


PAIRS = Allowed("an object with at least one pair, under its name", Field(min_length=1), rule=_each_id_once)
Pairs = Annotated[dict[Annotated[str, allowed.NAME], Annotated[Pair, section(Pair)]], PAIRS]
