"""The context values `pairs` and `vpc` of cdk.json: also what is deployed, what runs around a cutover, and whether a
person must approve. A wrong id that is accepted here would fail a cutover halfway."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from domain.pair import Pair as ReadPair
from domain.release_commands import document
from stacks.configuration import allowed
from stacks.configuration.allowed import FOLLOWS, Allowed, Broken, Place, Section, list_of, section, text, whole_number
from stacks.configuration.health_check import LONGEST_CHECK_SECONDS, HealthCheck, HttpCheck, HttpsCheck
from stacks.configuration.problems import path_of, problem, shown
from stacks.configuration.readiness import Evaluated

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
# One call of a function, at most 900 seconds, runs all commands of a moment. A command's delivery may take 60 of them.
LONGEST_MOMENT_SECONDS = 840
MINUTES_OF_A_WEEK = 10_080
COMMAND_WORDS = 'one line of shell, 1 to 1000 printable ASCII characters, no "{{", which Systems Manager would replace'
COMMAND = text(COMMAND_WORDS, r"(?:\{?[ -z|}~])*(?:\{|\{?[!-z|}~]) *", Field(min_length=1, max_length=1000))
# Source: Lambda API reference, Invoke.
VERSION = r"(?::(?:\$LATEST|[A-Za-z0-9_-]{1,128}))?"
FUNCTION = f"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{{12}}:function:[A-Za-z0-9_-]{{1,64}}{VERSION}"
FUNCTION_ARN = text("the ARN of a Lambda function, with or without a version or an alias", FUNCTION)
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


class Deploy(Section):
    """How a release gets onto the idle server."""

    command: Annotated[str, COMMAND]
    """It runs as root on the idle server, with `$PAIR`, `$SERVER`, `$RELEASE` and `$EXECUTION`."""
    timeoutSeconds: Annotated[int, whole_number(30, LONGEST_MOMENT_SECONDS)] = 600


class Hook(Section):
    """A command on one of the servers, or a function."""

    server: Annotated[Literal["idle", "live"], allowed.one_of("idle", "live")] = "idle"
    """The server's role at that moment. A function gets the server's name."""
    command: Annotated[str | None, COMMAND] = None
    """It runs like the command of `deploy`. `$RELEASE` is empty in an execution without a release."""
    function: Annotated[str | None, FUNCTION_ARN] = None
    """Instead of a command."""
    timeoutSeconds: Annotated[int, whole_number(5, LONGEST_MOMENT_SECONDS)] = 60
    onFailure: Annotated[Literal["FAIL", "CONTINUE"], allowed.one_of("FAIL", "CONTINUE")] = "FAIL"
    """With "CONTINUE", a failure is only a warning."""


def _fit_into_one_call(hooks: Sequence[Hook]) -> Sequence[Hook]:
    if (seconds := sum(hook.timeoutSeconds for hook in hooks)) > LONGEST_MOMENT_SECONDS:
        most = f"timeoutSeconds that are together at most {LONGEST_MOMENT_SECONDS}: one call of a function runs them"
        raise problem(most, f"hooks with {seconds} seconds together")
    return hooks


HOOK, HOOKS = section(Hook, rule=allowed.some_of("command", "function")), list_of(0, 10, "hooks")
HooksOfAMoment = Annotated[list[Annotated[Hook, HOOK]], AfterValidator(_fit_into_one_call)]


class Hooks(Section):
    """What runs around a cutover, by moment, in order."""

    beforeCutover: Annotated[HooksOfAMoment, HOOKS] = Field(default_factory=list)
    """Just before the first change. Default: none."""
    afterCutover: Annotated[HooksOfAMoment, HOOKS] = Field(default_factory=list)
    """After the bake. Default: none."""
    afterRollback: Annotated[HooksOfAMoment, HOOKS] = Field(default_factory=list)
    """After a rollback, and if `beforeCutover` began and no cutover followed. Default: none"""


class Approval(Section):
    """A release waits for a person after its checks."""

    timeoutMinutes: Annotated[int, whole_number(1, MINUTES_OF_A_WEEK)] = 60


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
