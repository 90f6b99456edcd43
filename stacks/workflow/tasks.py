"""The Task states that call our functions, each built from a function and the values of the plan."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from domain.release_commands import Moment
from stacks.configuration.pairs import BAKE_SHARE_SECONDS
from stacks.functions.functions import Functions
from stacks.workflow.expressions import EXECUTION, EXECUTION_NAME, condition, jsonata
from stacks.workflow.retries import retry_before_changes, retry_change, retry_inactive, retry_rollback

AddressName = Literal["production", "staging"]
Role = Literal["live", "idle"]
To = Role | Literal["stagingTo"]
Retry = Callable[[sfn.TaskStateBase], None]
Keys = Mapping[str, Any]
Assign = Keys | None
# The context object has the count only in an execution that was redriven.
REDRIVEN = jsonata("$exists($states.context.Execution.RedriveCount) and $states.context.Execution.RedriveCount > 0")
TRY = {"firstTry": "{% $states.context.State.RetryCount = 0 %}", "redriven": REDRIVEN}
PAIR = "{% $plan.pair %}"
ROLES = {"live": "{% $plan.live %}", "idle": "{% $plan.idle %}"}
LOCK = {"pair": PAIR, "execution": EXECUTION}
EXPECTED_RELEASE = {"expectedRelease": "{% $plan.expectedRelease %}"}
COLD_START_SECONDS = 15  # Lambda allows 10 for a cold start, and the function's timeout begins after it
MEASURE_GAP_SECONDS = 5  # the longest time that a cutover waits for its measurement to begin
CHANGED_ADDRESS = "{% $states.result.Payload.address %}"
# If an address could not be described at the end of a health check, its variable stays the same.
SEEN_ADDRESSES = {
    name: f"{{% $exists($states.result.Payload.{name}) ? $states.result.Payload.{name} : ${name} %}}"
    for name in ("production", "staging")
}
STANDING_ON = {"production": "{% $production.server %}", "staging": "{% $staging.server %}"}
WARNED = "{% $append($warnings, $states.result.Payload.moved) %}"
DESCRIBED_ADDRESSES = {name: f"{{% $states.result.Payload.{name} %}}" for name in ("production", "staging")}


def longest(function: lambda_.Function) -> float:
    """The seconds after which a state gives up a function's call; by then the call has ended."""
    if function.timeout is None:
        raise ValueError(f"{function.node.path} has no timeout")
    return function.timeout.to_seconds() + COLD_START_SECONDS


class Tasks:
    """Makes the states of a workflow from the functions. `scope` is the construct that the states belong to."""

    def __init__(self, scope: Construct, functions: Functions) -> None:
        self._scope = scope
        self._functions = functions

    def describe_addresses(
        self, comment: str, *, request: Any, retry: Retry, keep_live: bool, assign: Assign = None
    ) -> tasks.LambdaInvoke:
        """With `keep_live`, the plan repairs the pair without moving production."""
        awaited = {} if keep_live else {"awaited": "{% $exists($awaited) ? $awaited : null %}"}
        payload = {"request": request, **awaited, "keepLive": keep_live}
        described = {"plan": "{% $states.result.Payload %}", **DESCRIBED_ADDRESSES, **(assign or {})}
        function = self._functions.describe_addresses
        return self._invoke("DescribeAddresses", comment, function, payload, retry, assign=described)

    def describe_restored(
        self, name: str, comment: str, *, retry: Retry, restoring: bool, assign: Keys
    ) -> tasks.LambdaInvoke:
        live, idle = "{% $plan.canRollBack ? $plan.live : null %}", "{% $plan.checksStaging ? $plan.idle : null %}"
        places = {**ROLES, "live": live} if restoring else {**ROLES, "idle": idle}
        payload = {"pair": PAIR, "restoring": restoring, **places}
        described = {**DESCRIBED_ADDRESSES, **assign}
        return self._invoke(name, comment, self._functions.describe_restored, payload, retry, assign=described)

    def check_servers(self) -> tasks.LambdaInvoke:
        """If a request is urgent, also: which alarms are in ALARM, and so do not count in the bake? Again, after an
        approval: is one in ALARM?"""
        server, alarms = "{% $plan.idle.name %}", {"alarms": "{% $plan.alarms %}", "urgent": "{% $plan.urgent %}"}
        payload = {"pair": PAIR, "server": server, **alarms, "again": "{% $exists($approvedBy) %}", "lock": LOCK}
        comment = "Have EC2's status checks of the idle server passed?"
        return self._invoke("CheckServers", comment, self._functions.check_servers, payload, retry_before_changes)

    def health_check_staging(self) -> sfn.IChainable:
        """The checks of the idle server; for pairs with `via: "private"`, from inside the VPC."""
        name, comment = "HealthCheckStaging", "Does the idle server answer through the staging address?"
        check, reached = _check("staging", "idle"), f"$merge([$plan.live, {_reached('production')}])"
        check["address"] = jsonata(f"$plan.checksStaging ? {check['address'][2:-2]} : null")
        live = jsonata(f"$plan.compared ? {reached} : null")
        days = {"certificateExpiryDays": "{% $plan.certificateExpiryDays %}"}
        payload = {**check, "live": live, **EXPECTED_RELEASE, **days, "lock": LOCK}
        public = self._invoke(name, comment, self._functions.health_check, payload, retry_before_changes)
        if self._functions.in_vpc is None:
            return public
        private = self._invoke(f"{name}InVpc", comment, self._functions.in_vpc, payload, retry_before_changes)
        retry_inactive(private)
        via = sfn.Choice.jsonata(self._scope, "StagingVia?", comment="From where can the staging server be reached?")
        via.when(condition('$plan.healthCheck[0].via = "private"'), private, comment="from its VPC")
        return via.otherwise(public)

    def health_check_production(
        self, name: str, comment: str, *, server: Role, retry: Retry, more: Keys, assign: Keys, strict: bool = True
    ) -> tasks.LambdaInvoke:
        """The checks of a server through the production address. At their end, maybe minutes later, both addresses are
        described; `strict` as in `Standing`. `more` has further keys of the function's event."""
        standing = {"pair": PAIR, **STANDING_ON, "strict": strict}
        payload = {**_check("production", server), "standing": standing, **more}
        assign = {**SEEN_ADDRESSES, "warnings": WARNED, **assign}
        return self._invoke(name, comment, self._functions.health_check, payload, retry, assign=assign)

    def bake(self) -> tasks.LambdaInvoke:
        """A part of the bake: `BAKE_SHARE_SECONDS`, or what is left."""
        left = "$ceil(($toMillis($bakesUntil) - $millis()) / 1000)"
        share = jsonata(f"$max([1, $min([{BAKE_SHARE_SECONDS}, {left}])])")
        more = {
            "baking": True, "bakeSeconds": share, "until": "{% $bakesUntil %}", "alarms": "{% $alarms %}",
            "urgent": "{% $plan.urgent %}", "answered": "{% $answered %}", **EXPECTED_RELEASE, "lock": LOCK,
        }  # fmt: skip
        comment = "Does the new live server stay healthy, without an alarm? Called again until the bake is over."
        return self.health_check_production(
            "Bake", comment, server="idle", retry=retry_change, more=more, assign={}, strict=False
        )

    def rehearse_associate(self, name: str, comment: str, *, address: AddressName, to: To) -> tasks.LambdaInvoke:
        return self._associate(name, comment, "rehearse", to, retry_before_changes, address=address)

    def move_production(self) -> tasks.LambdaInvoke:
        """From the live to the idle place."""
        comment = "The one call that users notice: the production address moves to the idle server."
        assign = {"production": CHANGED_ADDRESS, "moved": True}
        keys, name = {"comingFrom": "{% $plan.production.server %}", **TRY}, "ReassociateProduction"
        return self._associate(name, comment, "move production", "idle", retry_change, assign=assign, **keys)

    def move_staging(self) -> tasks.LambdaInvoke:
        """From no server to the place that production has left, if there is one that can hold it."""
        comment = "The other server gets the staging address and stays ready for a rollback."
        keys, name = {"productionOn": ROLES["idle"], **TRY}, "ReassociateStaging"
        assign = {"staging": CHANGED_ADDRESS}
        return self._associate(name, comment, "move staging", "stagingTo", retry_change, assign=assign, **keys)

    def repair_staging(self, *, retry: Retry, assign: Keys) -> tasks.LambdaInvoke:
        """To the idle place, from the server that staging was found on, or from no server."""
        comment = "Moves the staging address to the idle server, where it belongs."
        keys = {"productionOn": ROLES["live"], **TRY, "comingFrom": "{% $plan.staging.server %}"}
        assign = {"staging": CHANGED_ADDRESS, **assign}
        return self._associate("RepairStaging", comment, "move staging", "idle", retry, assign=assign, **keys)

    def restore(self, name: str, comment: str, *, address: AddressName, to: Role) -> tasks.LambdaInvoke:
        assign: dict[str, str] = {address: CHANGED_ADDRESS}
        keys = {"address": address, "productionOn": ROLES["live"], "redriven": REDRIVEN}
        return self._associate(name, comment, "restore", to, retry_rollback, assign=assign, **keys)

    def _associate(
        self, name: str, comment: str, action: str, to: To, retry: Retry, *, assign: Assign = None, **keys: str
    ) -> tasks.LambdaInvoke:
        """`to` is the place of the plan; null where staging can go nowhere."""
        of_plan = f"$plan.{to} != null ? $plan.{to}.%s : null" if to == "stagingTo" else f"$plan.{to}.%s"
        place = {"server": jsonata(of_plan % "name"), "privateIp": jsonata(of_plan % "privateIp")}
        payload = {"action": action, "pair": PAIR, **place, **keys}
        return self._invoke(name, comment, self._functions.associate_address, payload, retry, assign=assign)

    def disassociate_staging(self) -> tasks.LambdaInvoke:
        comment = "Checks that both addresses are still where planned, then frees the idle server."
        payload = {"pair": PAIR, "needed": "{% $plan.checksStaging %}", **ROLES, **TRY, "lock": LOCK}
        function, assign = self._functions.disassociate_address, {"staging": CHANGED_ADDRESS}
        return self._invoke("DisassociateStaging", comment, function, payload, retry_change, assign=assign)

    def rehearse_disassociate(self, comment: str) -> tasks.LambdaInvoke:
        association_id = "{% $plan.checksStaging ? $staging.associationId : null %}"
        payload = {"pair": PAIR, "rehearse": True, "associationId": association_id}
        function = self._functions.disassociate_address
        return self._invoke("RehearseDisassociate", comment, function, payload, retry_before_changes)

    def run_commands(
        self,
        name: str,
        comment: str,
        *,
        moment: Moment,
        retry: Retry,
        live: str = "$plan.live.name",
        tolerant: str = "false",
        assign: Assign = None,
    ) -> tasks.LambdaInvoke:
        """Runs what a pair has configured for this moment of a release. `live` is JSONata for the name of the server
        that is live then, if any. `tolerant` is JSONata: whether a hook that fails is only a warning."""
        payload = {
            "pair": PAIR,
            "lock": LOCK,
            "moment": moment,
            "idle": "{% $exists($plan.idle) ? $plan.idle.name : null %}",
            "live": jsonata(f"$exists({live}) ? {live} : null"),
            "release": "{% $plan.release %}",
            "hurried": jsonata(f"$plan.rollback and {json.dumps(moment != 'deploy')}"),
            "tolerant": jsonata(tolerant),
            "redriven": REDRIVEN,
        }
        warned = {"warnings": "{% $append($warnings, $states.result.Payload.warnings) %}", **(assign or {})}
        return self._invoke(name, comment, self._running(), payload, retry, assign=warned)

    def end_command(self, name: str, comment: str, *, pair: str, execution: str, retry: Retry) -> tasks.LambdaInvoke:
        """Of the execution that holds the lock: JSONata for the pair's name, and for the execution's ARN."""
        payload = {"pair": jsonata(pair), "lock": {"pair": jsonata(pair), "execution": jsonata(execution)}, "end": True}
        return self._invoke(name, comment, self._running(), payload, retry)

    def _running(self) -> lambda_.Function:
        if self._functions.run_commands is None:
            raise ValueError("no pair has a command")
        return self._functions.run_commands

    def measure_gap(self) -> tasks.LambdaInvoke:
        """Asynchronous, tried once, and given up after 5 s: the workflow goes on in every case."""
        new_server, check = {"newServer": "{% $answered[0] %}"}, _check("production", "idle")
        payload = {"execution": EXECUTION_NAME, "lock": LOCK, **new_server, **check}
        return tasks.LambdaInvoke.jsonata(
            self._scope,
            "MeasureGap",
            comment="Starts to measure how the production address answers. The workflow does not wait for it.",
            lambda_function=self._functions.measure_gap,
            invocation_type=tasks.LambdaInvocationType.EVENT,
            payload=sfn.TaskInput.from_object(payload),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(MEASURE_GAP_SECONDS)),
            outputs="{% $states.input %}",
        )

    def _invoke(
        self, name: str, comment: str, function: lambda_.Function, payload: Keys, retry: Retry, *, assign: Assign = None
    ) -> tasks.LambdaInvoke:
        task = tasks.LambdaInvoke.jsonata(
            self._scope,
            name,
            comment=comment,
            lambda_function=function,
            payload=sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **payload}),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(longest(function))),
            outputs="{% $states.result.Payload %}",
            assign=assign,
        )
        retry(task)
        return task


def _check(address: AddressName, server: Role) -> dict[str, Any]:
    return {
        "address": jsonata(f'$merge([{{"name": "{address}"}}, {_reached(address)}])'),
        "server": f"{{% $plan.{server} %}}",
        "healthCheck": "{% $plan.healthCheck %}",
    }


def _reached(address: AddressName) -> str:
    return f'{{"publicIp": ${address}.publicIp, "privateIp": ${address}.privateIp}}'
