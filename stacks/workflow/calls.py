"""The Task states of a cutover: what each is for, what it sends to our function, and which variables it assigns."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from domain.release_commands import Moment
from stacks.configuration.pairs import BAKE_SHARE_SECONDS
from stacks.functions.functions import MOVING_SECONDS
from stacks.workflow.expressions import EXECUTION, ME, bounded, jsonata, of_plan

Keys = Mapping[str, Any]
# The keys of a function's event beside `execution`, and the variables to assign from its answer.
Call = tuple[Keys, Keys]
Role = Literal["live", "idle"]
To = Role | Literal["stagingTo"]
# The context object has the count only in an execution that was redriven.
REDRIVES = "$exists($states.context.Execution.RedriveCount) and $states.context.Execution.RedriveCount > 0"
REDRIVEN: dict[str, Any] = {"redriven": jsonata(REDRIVES)}
PAIR, ROLES, EXPECTED_RELEASE = of_plan("pair"), of_plan("live", "idle"), of_plan("expectedRelease")
LIVE, IDLE = ROLES.values()
LOCK = {"lock": {**PAIR, "execution": EXECUTION}}
TRY = {"firstTry": "{% $states.context.State.RetryCount = 0 %}", **REDRIVEN, **LOCK}
ANSWERED = {"answered": "{% $answered %}"}
DESCRIBED = {name: f"{{% $states.result.Payload.{name} %}}" for name in ("production", "staging")}
PLANNED = {"plan": "{% $states.result.Payload %}", **DESCRIBED}
# If an address could not be described at the end of a health check, its variable stays the same.
SEEN = {
    name: f"{{% $exists($states.result.Payload.{name}) ? $states.result.Payload.{name} : ${name} %}}"
    for name in ("production", "staging")
} | {"warnings": "{% $append($warnings, $states.result.Payload.moved) %}"}
# `urgent`: which alarms are in ALARM, and so do not count in the bake? `again`, after an approval: is one in ALARM?
ALARMS = {**of_plan("alarms", "urgent"), "again": "{% $exists($approvedBy) %}"}
REQUEST = jsonata(bounded("$states.context.Execution.Input", 32768))
AWAITED_OR_NULL = "{% $exists($awaited) ? $awaited : null %}"
RESTORED = {"live": "{% $plan.canRollBack ? $plan.live : null %}", **of_plan("idle", "stagingTo")}
CHECKED_IDLE = "{% $plan.checksStaging ? $plan.idle : null %}"
STAGING_ASSOCIATION = {"associationId": "{% $plan.checksStaging ? $staging.associationId : null %}"}
FROM = {"comingFrom": "{% $production.server %}", "associationId": "{% $production.associationId %}"}
CHANGED_ADDRESS = "{% $states.result.Payload.address %}"
WITH_WARNINGS = {"warnings": "{% $append($warnings, $states.result.Payload.warnings) %}"}
# A part of the bake: `BAKE_SHARE_SECONDS`, or what is left.
BAKE_LEFT = "$ceil(($toMillis($bakesUntil) - $millis()) / 1000)"
BAKE_SHARE = jsonata(f"$max([1, $min([{BAKE_SHARE_SECONDS}, {BAKE_LEFT}])])")
MOVING = {"movingSeconds": jsonata(f"$exists($waited) and $waited ? 0 : {MOVING_SECONDS}")}
MOVING_BACK = jsonata(f"$moved ? {MOVING_SECONDS} : 0")
BAKE = {
    "baking": True, "bakeSeconds": BAKE_SHARE, "until": "{% $bakesUntil %}", "alarms": "{% $alarms %}",
    **of_plan("urgent"), **ANSWERED,
}  # fmt: skip
EXPECTED_OF_LIVE = jsonata("$plan.asksLive ? $plan.release : $plan.expectedRelease")


def move(address: str, to: To, **keys: Any) -> Call:
    return associate(f"move {address}", to, **keys), {address: CHANGED_ADDRESS}


def restore(address: str, to: Role, **tries: Any) -> Call:
    keys = {"address": address, "productionOn": LIVE, **REDRIVEN, **tries}
    return associate("restore", to, **keys), {address: CHANGED_ADDRESS}


def associate(action: str, to: To, **keys: Any) -> Keys:
    """`to` is the place of the plan; null where staging can go nowhere."""
    of_place = f"$plan.{to} != null ? $plan.{to}.%s : null" if to == "stagingTo" else f"$plan.{to}.%s"
    place = {"server": jsonata(of_place % "name"), "privateIp": jsonata(of_place % "privateIp")}
    return {"action": action, **PAIR, **place, **keys}


def check_production(server: Role, *, strict: bool = True, **keys: Any) -> Call:
    """Checks a server through the production address and then describes both addresses; `strict` as in `Standing`."""
    standing = {**PAIR, "production": "{% $production.server %}", "staging": "{% $staging.server %}", "strict": strict}
    return {**check(named("production"), server), "standing": standing, **keys}, SEEN


def check(address: str, server: Role) -> Keys:
    return {"address": jsonata(address), "server": ROLES[server], **of_plan("healthCheck")}


def named(address: str) -> str:
    return f'$merge([{{"name": "{address}"}}, {reached(address)}])'


def reached(address: str) -> str:
    return f'{{"publicIp": ${address}.publicIp, "privateIp": ${address}.privateIp}}'


def run_commands(moment: Moment, *, live: str = "$plan.live.name", tolerant: str = "false") -> Call:
    """Runs what a pair has configured for this moment of a release. `live` is JSONata for the name of the server that
    is live then, if any. `tolerant` is JSONata: whether a hook that fails is only a warning."""
    payload = {
        **PAIR, **LOCK, "moment": moment, "idle": "{% $exists($plan.idle) ? $plan.idle.name : null %}",
        "live": jsonata(f"$exists({live}) ? {live} : null"), **of_plan("release"),
        "hurried": jsonata(f"$plan.rollback and {json.dumps(moment != 'deploy')}"), "tolerant": jsonata(tolerant),
    }  # fmt: skip
    return payload | REDRIVEN, WITH_WARNINGS


def end_command(pair: str, execution: str) -> Call:
    """Of the execution that holds the lock: JSONata for the pair's name, and for the execution's ARN."""
    lock = {"pair": jsonata(pair), "execution": jsonata(execution)}
    return {"pair": jsonata(pair), "lock": lock, "end": True}, {}


CHECKS_OF_STAGING = ("HealthCheckStaging", "HealthCheckStagingInVpc")
COMMENTS = {
    "DescribeAddresses": "Reads the request, describes both addresses and both servers, and plans.",
    "HealthCheckLive": "Does the live server already answer with the expected release?",
    "RepairStaging": "Moves the staging address to the idle server, where it belongs.",
    **dict.fromkeys(CHECKS_OF_STAGING, "Does the idle server answer through the staging address?"),
    "CheckServers": "Have EC2's status checks of the idle server passed?",
    "RehearseDisassociate": "Dry run: proves the permission, and warms the function.",
    "RehearseAssociateProduction": "Dry run: proves the permission, and warms the function.",
    "RehearseAssociateStaging": "Dry run: proves the permission.",
    "DescribeUnchanged": "Are both addresses still where they were before the checks?",
    "DeployRelease": "Runs the pair's deploy command on the idle server.",
    "BeforeCutover": "Runs the hooks before the cutover, for example to drain the live server.",
    "MeasureGap": "Starts to measure how the production address answers. The workflow does not wait for it.",
    "DisassociateStaging": "Checks that both addresses are still where planned, then frees the idle server.",
    "ReassociateProduction": "The one call that users notice: the production address moves to the idle server.",
    "ReassociateStaging": "The other server gets the staging address and stays ready for a rollback.",
    "HealthCheckProduction": "Does the new live server answer through the production address?",
    "Bake": "Does the new live server stay healthy, without an alarm? Called again until the bake is over.",
    "AfterCutover": "Runs the hooks after the cutover, for example to move workers.",
    "RestoreProduction": "Moves the production address back to the server that was live, in one atomic call.",
    "RecordRollback": "Writes into the lock that a rollback has begun: a lost call that starts late changes nothing.",
    "RestoreStaging": "Moves staging to the other server, where it belongs.",
    "DescribeRestored": "Is production on the server it was on, and staging on the other?",
    "HealthCheckRestored": "Does the restored server answer through the production address?",
    "AfterRollback": "Runs the hooks that undo what the hooks before the cutover did.",
    "EndCommand": "Cancels a command that may still run, and waits for its end.",
    "EndCommandOfHolder": "Cancels the command that the dead holder has left, and waits for its end.",
    "AcquireLock": "Takes the pair's lock, unless another execution holds it or the record is newer than the plan.",
    "DescribeLock": "Who holds the lock?",
    "DescribeLockHolder": "Is the execution that holds the lock still running?",
    "TakeOverLock": "Takes the lock from the dead holder. The execution then plans again.",
    "RequestRollback": "Asks the execution that holds the lock to roll back.",
    "EndApproval": "Ends that wait.",
    "NotifyApproval": "Publishes that a release waits for approval, until when, and how to answer.",
    "RecordApproval": "Removes the task token from the lock's item: it waits no longer.",
    "RecordBake": "Writes into the lock until when the bake lasts, for people to see.",
    "ReleaseLock": "If this execution holds the lock: releases it, writes the pair's record, reads the measured gap.",
    "Notify": "Publishes the outcome to the topic's subscribers.",
    **dict.fromkeys(("PutEvent", "PutApprovalEvent"), "Puts an event on the default bus, for rules and programs."),
}
COMPARED = jsonata(f"$plan.compared ? $merge([$plan.live, {reached('production')}]) : null")
CHECK_STAGING: Keys = {
    **check(f"$plan.checksStaging ? {named('staging')} : null", "idle"), "live": COMPARED, **EXPECTED_RELEASE,
    **of_plan("certificateExpiryDays"), **LOCK,
}  # fmt: skip
CALLS: dict[str, Call] = {
    "DescribeAddresses": ({"request": REQUEST, "awaited": AWAITED_OR_NULL, "keepLive": False, **MOVING}, PLANNED),
    "HealthCheckLive": check_production(
        "live", expectedRelease=EXPECTED_OF_LIVE, asks="{% $plan.asksLive %}", **REDRIVEN
    ),
    "RepairStaging": move("staging", "idle", productionOn=LIVE, **TRY, comingFrom="{% $plan.staging.server %}"),
    **dict.fromkeys(CHECKS_OF_STAGING, (CHECK_STAGING, {})),
    "CheckServers": ({**PAIR, "server": "{% $plan.idle.name %}", **ALARMS, **LOCK}, {}),
    "RehearseDisassociate": ({**PAIR, "rehearse": True, **STAGING_ASSOCIATION}, {}),
    "RehearseAssociateProduction": (associate("rehearse", "idle", address="production"), {}),
    "RehearseAssociateStaging": (associate("rehearse", "stagingTo", address="staging"), {}),
    "DescribeUnchanged": ({**PAIR, "restoring": False, **ROLES, "idle": CHECKED_IDLE, **REDRIVEN}, DESCRIBED),
    "DeployRelease": run_commands("deploy"),
    "BeforeCutover": run_commands("beforeCutover", tolerant="$plan.tolerant"),
    "DisassociateStaging": ({**PAIR, **STAGING_ASSOCIATION, **ROLES, **TRY}, {"staging": CHANGED_ADDRESS}),
    "ReassociateProduction": move("production", "idle", **FROM, **TRY),
    # From no server to the place that production has left, if there is one that can hold it.
    "ReassociateStaging": move("staging", "stagingTo", productionOn=IDLE, **TRY),
    "HealthCheckProduction": check_production(
        "idle", strict=False, **ANSWERED, movingSeconds=MOVING_SECONDS, **EXPECTED_RELEASE, **LOCK, **REDRIVEN
    ),
    "Bake": check_production("idle", strict=False, **BAKE, **EXPECTED_RELEASE, **LOCK, **REDRIVEN),
    "AfterCutover": run_commands("afterCutover", live="$plan.idle.name"),
    "RestoreProduction": restore("production", "live"),  # users wait for it: it does not read the lock
    "RestoreStaging": restore("staging", "idle", **TRY),
    "DescribeRestored": ({**PAIR, "restoring": True, **RESTORED, **REDRIVEN}, DESCRIBED),
    "HealthCheckRestored": check_production("live", movingSeconds=MOVING_BACK, **REDRIVEN),
    "AfterRollback": run_commands("afterRollback", live="$production.server", tolerant="true"),
    "EndCommand": end_command("$plan.pair", ME),
    "EndCommandOfHolder": end_command("$holder.pair", "$holder.execution"),
}
