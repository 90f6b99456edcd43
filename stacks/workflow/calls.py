"""The calls of our functions in a cutover: what each state sends, and which variables it assigns from the answer."""

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from domain.release_commands import Moment
from stacks.configuration.pairs import BAKE_SHARE_SECONDS
from stacks.functions.functions import MOVING_SECONDS
from stacks.workflow.expressions import EXECUTION, INITIAL_VARIABLES, ME, REQUEST, jsonata

Keys = Mapping[str, Any]


class Call(NamedTuple):
    """A state's comment, the keys of the function's event beside `execution`, and the variables to assign."""

    comment: str
    payload: Keys
    assign: Keys | None = None


def of_plan(*keys: str) -> dict[str, str]:
    return {key: f"{{% $plan.{key} %}}" for key in keys}


# The context object has the count only in an execution that was redriven.
REDRIVES = "$exists($states.context.Execution.RedriveCount) and $states.context.Execution.RedriveCount > 0"
REDRIVEN = {"redriven": jsonata(REDRIVES)}
TRY = {"firstTry": "{% $states.context.State.RetryCount = 0 %}", **REDRIVEN}
PAIR, ROLES, EXPECTED_RELEASE = of_plan("pair"), of_plan("live", "idle"), of_plan("expectedRelease")
LOCK = {"lock": {**PAIR, "execution": EXECUTION}}
ANSWERED = {"answered": "{% $answered %}"}
DESCRIBED = {name: f"{{% $states.result.Payload.{name} %}}" for name in ("production", "staging")}
PLANNED = {"plan": "{% $states.result.Payload %}", **DESCRIBED}
# If an address could not be described at the end of a health check, its variable stays the same.
SEEN = {
    name: f"{{% $exists($states.result.Payload.{name}) ? $states.result.Payload.{name} : ${name} %}}"
    for name in ("production", "staging")
} | {"warnings": "{% $append($warnings, $states.result.Payload.moved) %}"}
WARNED = {"warnings": "{% $append($warnings, $states.result.Payload.warnings) %}"}
PRODUCTION_CHANGED, STAGING_CHANGED = ({name: "{% $states.result.Payload.address %}"} for name in DESCRIBED)
BAKE_LEFT = "$ceil(($toMillis($bakesUntil) - $millis()) / 1000)"
REHEARSED = "Dry run: proves the permission"
APPROVED = "{% $exists($approvedBy) %}"
EXPECTED_OF_LIVE = {"expectedRelease": jsonata("$plan.asksLive ? $plan.release : $plan.expectedRelease")}
HAS_RELEASE = "{% $plan.asksLive and $states.result.Payload.hasRelease %}"


def associate(action: str, to: Literal["live", "idle", "stagingTo"], **keys: str) -> Keys:
    """`to` is the place of the plan; null where staging can go nowhere."""
    of_plan = f"$plan.{to} != null ? $plan.{to}.%s : null" if to == "stagingTo" else f"$plan.{to}.%s"
    place = {"server": jsonata(of_plan % "name"), "privateIp": jsonata(of_plan % "privateIp")}
    return {"action": action, **PAIR, **place, **keys}


def reached(address: str) -> str:
    return f'{{"publicIp": ${address}.publicIp, "privateIp": ${address}.privateIp}}'


def named(address: str) -> str:
    return f'$merge([{{"name": "{address}"}}, {reached(address)}])'


def check(address: str, server: Literal["live", "idle"]) -> Keys:
    return {"address": jsonata(address), "server": of_plan(server)[server], **of_plan("healthCheck")}


def check_production(server: Literal["live", "idle"], *, strict: bool = True, **keys: Any) -> Keys:
    """The checks of a server through the production address. At their end, maybe minutes later, both addresses are
    described; `strict` as in `Standing`."""
    on = {"production": "{% $production.server %}", "staging": "{% $staging.server %}"}
    return {**check(named("production"), server), "standing": {**PAIR, **on, "strict": strict}, **keys}


def run_commands(moment: Moment, *, live: str = "$plan.live.name", tolerant: str = "false") -> Keys:
    """Runs what a pair has configured for this moment of a release. `live` is JSONata for the name of the server that
    is live then, if any. `tolerant` is JSONata: whether a hook that fails is only a warning."""
    servers = {
        "idle": jsonata("$exists($plan.idle) ? $plan.idle.name : null"),
        "live": jsonata(f"$exists({live}) ? {live} : null"),
    }
    hurried = jsonata(f"$plan.rollback and {json.dumps(moment != 'deploy')}")
    of_release = {**of_plan("release"), "hurried": hurried, "tolerant": jsonata(tolerant)}
    return {**PAIR, **LOCK, "moment": moment, **servers, **of_release, **REDRIVEN}


def end_command(pair: str, execution: str) -> Keys:
    """Of the execution that holds the lock: JSONata for the pair's name, and for the execution's ARN."""
    return {"pair": jsonata(pair), "lock": {"pair": jsonata(pair), "execution": jsonata(execution)}, "end": True}


STAGING_CHECKED = Call(
    "Does the idle server answer through the staging address?",
    {
        **check(f"$plan.checksStaging ? {named('staging')} : null", "idle"),
        "live": jsonata(f"$plan.compared ? $merge([$plan.live, {reached('production')}]) : null"),
        **EXPECTED_RELEASE,
        **LOCK,
    },
)
CALLS = {
    "DescribeAddresses": Call(
        "Reads the request, describes both addresses and both servers, and plans.",
        {"request": jsonata(REQUEST), "awaited": "{% $exists($awaited) ? $awaited : null %}", "keepLive": False},
        {**PLANNED, **INITIAL_VARIABLES, "warnings": "{% $states.result.Payload.warnings %}"},
    ),
    "HealthCheckLive": Call(
        "Does the live server already answer with the expected release?",
        check_production("live", **EXPECTED_OF_LIVE, asks="{% $plan.asksLive %}"),
        {**SEEN, "liveChecked": True, "hasRelease": HAS_RELEASE},
    ),
    "RepairStaging": Call(
        "Moves the staging address to the idle server, where it belongs.",
        associate("move staging", "idle", productionOn=ROLES["live"], **TRY, comingFrom="{% $plan.staging.server %}"),
        {**STAGING_CHANGED, "repaired": True},
    ),
    # Before the changes. `CheckServers` asks, if a request is urgent, also: which alarms are in ALARM, and so do not
    # count in the bake? Again, after an approval: is one in ALARM?
    "HealthCheckStaging": STAGING_CHECKED,
    "HealthCheckStagingInVpc": STAGING_CHECKED,
    "CheckServers": Call(
        "Have EC2's status checks of the idle server passed?",
        {**PAIR, "server": "{% $plan.idle.name %}", **of_plan("alarms", "urgent"), "again": APPROVED, **LOCK},
    ),
    "RehearseDisassociate": Call(
        f"{REHEARSED}, and warms the function.",
        {**PAIR, "rehearse": True, "associationId": "{% $plan.checksStaging ? $staging.associationId : null %}"},
    ),
    "RehearseAssociateProduction": Call(
        f"{REHEARSED}, and warms the function.", associate("rehearse", "idle", address="production")
    ),
    "RehearseAssociateStaging": Call(f"{REHEARSED}.", associate("rehearse", "stagingTo", address="staging"), {}),
    "DescribeUnchanged": Call(
        "Are both addresses still where they were before the checks?",
        {**PAIR, "restoring": False, **ROLES, "idle": "{% $plan.checksStaging ? $plan.idle : null %}"},
        DESCRIBED,
    ),
    "DeployRelease": Call("Runs the pair's deploy command on the idle server.", run_commands("deploy"), WARNED),
    "BeforeCutover": Call(
        "Runs the hooks before the cutover, for example to drain the live server.",
        run_commands("beforeCutover", tolerant="$plan.tolerant"),
        {**WARNED, "hooksBegan": True},
    ),
    # The changes.
    "DisassociateStaging": Call(
        "Checks that both addresses are still where planned, then frees the idle server.",
        {**PAIR, "needed": "{% $plan.checksStaging %}", **ROLES, **TRY, **LOCK},
        STAGING_CHANGED,
    ),
    "ReassociateProduction": Call(
        "The one call that users notice: the production address moves to the idle server.",
        associate("move production", "idle", comingFrom="{% $plan.production.server %}", **TRY),
        {**PRODUCTION_CHANGED, "moved": True},
    ),
    # From no server to the place that production has left, if there is one that can hold it.
    "ReassociateStaging": Call(
        "The other server gets the staging address and stays ready for a rollback.",
        associate("move staging", "stagingTo", productionOn=ROLES["idle"], **TRY),
        STAGING_CHANGED,
    ),
    "HealthCheckProduction": Call(
        "Does the new live server answer through the production address?",
        check_production("idle", strict=False, **ANSWERED, movingSeconds=MOVING_SECONDS, **EXPECTED_RELEASE, **LOCK),
        {**SEEN, "outcome": "CUT_OVER"},
    ),
    # A part of the bake: `BAKE_SHARE_SECONDS`, or what is left.
    "Bake": Call(
        "Does the new live server stay healthy, without an alarm? Called again until the bake is over.",
        check_production(
            "idle",
            strict=False,
            baking=True,
            bakeSeconds=jsonata(f"$max([1, $min([{BAKE_SHARE_SECONDS}, {BAKE_LEFT}])])"),
            until="{% $bakesUntil %}",
            alarms="{% $alarms %}",
            **of_plan("urgent"),
            **ANSWERED,
            **EXPECTED_RELEASE,
            **LOCK,
        ),
        SEEN,
    ),
    "AfterCutover": Call(
        "Runs the hooks after the cutover, for example to move workers.",
        run_commands("afterCutover", live="$plan.idle.name"),
        WARNED,
    ),
    # The rollback. RestoreProduction and RestoreStaging leave an address that already is where it belongs.
    "RestoreProduction": Call(
        "Moves the production address back to the server that was live, in one atomic call.",
        associate("restore", "live", address="production", productionOn=ROLES["live"], **REDRIVEN),
        PRODUCTION_CHANGED,
    ),
    "RestoreStaging": Call(
        "Moves staging to the other server, where it belongs.",
        associate("restore", "idle", address="staging", productionOn=ROLES["live"], **REDRIVEN),
        STAGING_CHANGED,
    ),
    "DescribeRestored": Call(
        "Is production on the server it was on, and staging on the other?",
        {**PAIR, "restoring": True, **ROLES, "live": "{% $plan.canRollBack ? $plan.live : null %}"},
        DESCRIBED,
    ),
    "HealthCheckRestored": Call(
        "Does the restored server answer through the production address?",
        check_production("live", movingSeconds=jsonata(f"$moved ? {MOVING_SECONDS} : 0")),
        SEEN,
    ),
    "AfterRollback": Call(
        "Runs the hooks that undo what the hooks before the cutover did.",
        run_commands("afterRollback", live="$production.server", tolerant="true"),
        WARNED,
    ),
    "EndCommand": Call("Cancels a command that may still run, and waits for its end.", end_command("$plan.pair", ME)),
    "EndCommandOfHolder": Call(
        "Cancels the command that the dead holder has left, and waits for its end.",
        end_command("$holder.pair", "$holder.execution"),
    ),
}
