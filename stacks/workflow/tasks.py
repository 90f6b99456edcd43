"""The Task states that call our functions: each builds one state from a function and the words of the plan."""

from collections.abc import Mapping
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.functions.functions import Functions
from stacks.workflow.expressions import EXECUTION, EXECUTION_NAME, REQUEST, jsonata
from stacks.workflow.retries import retry_before

AddressName = Literal["production", "staging"]
# The context object has the count only in an execution that was redriven.
REDRIVEN = jsonata("$exists($states.context.Execution.RedriveCount) and $states.context.Execution.RedriveCount > 0")
FIRST_TRY = "{% $states.context.State.RetryCount = 0 %}"
COLD_START_SECONDS = 15  # Lambda allows 10 for it, and the function's timeout begins after it
MEASURE_GAP_SECONDS = 5  # that a cutover waits at most for its measuring to begin
CHANGED_ADDRESS = "{% $states.result.Payload.address %}"


def longest(function: lambda_.Function) -> float:
    """The seconds after which a state gives a call of a function up.

    More than the function's own timeout and the start of a cold one, so that a call that was given up is never still in
    flight.
    """
    if function.timeout is None:
        raise ValueError(f"{function.node.path} has no timeout")
    return function.timeout.to_seconds() + COLD_START_SECONDS


class Steps:
    """Makes the states of a workflow out of the functions. `server` and `private_ip` are JSONata expressions."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def describe_addresses(
        self, scope: Construct, name: str, *, comment: str, request: Any = REQUEST, keep_live: bool = False
    ) -> tasks.LambdaInvoke:
        """`keep_live`: plan to put right what is not, without moving production."""
        return self._invoke(
            scope,
            name,
            self._functions.describe_addresses,
            comment=comment,
            payload={
                "request": request,
                "interrupted": "{% $interrupted %}",
                "keepLive": keep_live,
            },
            assign={
                "plan": "{% $states.result.Payload %}",
                "production": "{% $states.result.Payload.production %}",
                "staging": "{% $states.result.Payload.staging %}",
            },
        )

    def describe_restored(
        self, scope: Construct, name: str, *, comment: str, assign: Mapping[str, Any]
    ) -> tasks.LambdaInvoke:
        function = self._functions.describe_addresses
        return self._invoke(scope, name, function, comment=comment, payload={"plan": "{% $plan %}"}, assign=assign)

    def check_servers(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        return self._invoke(
            scope, name, self._functions.check_servers, comment=comment, payload={"plan": "{% $plan %}"}
        )

    def health_check_staging(self, scope: Construct, name: str, *, comment: str) -> sfn.IChainable:
        """The checks of the idle server; where the stack has a VPC, from inside of it for the pairs that say so."""

        def check(name: str, function: lambda_.Function) -> tasks.LambdaInvoke:
            task = self._invoke(
                scope,
                name,
                function,
                comment=comment,
                payload={
                    **_check("staging", "$staging", "$plan.idle"),
                    "live": jsonata(f"$merge([$plan.live, {_reached('$production')}])"),
                    "expectedRelease": "{% $plan.expectedRelease %}",
                },
            )
            retry_before(task)
            return task

        public = check(name, self._functions.health_check)
        if self._functions.in_vpc is None:
            return public
        return (
            sfn.Choice.jsonata(scope, "StagingVia?", comment="From where can the staging server be reached?")
            .when(
                sfn.Condition.jsonata('{% $plan.healthCheck[0].via = "private" %}'),
                check(f"{name}InVpc", self._functions.in_vpc),
                comment="its VPC",
            )
            .otherwise(public)
        )

    def health_check_production(
        self,
        scope: Construct,
        name: str,
        *,
        comment: str,
        server: str,
        more: Mapping[str, Any] | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """The checks of a server through the production address. `more` are further keys of the function's event."""
        return self._invoke(
            scope,
            name,
            self._functions.health_check,
            comment=comment,
            payload={**_check("production", "$production", server), **(more or {})},
            assign=assign,
        )

    def associate(
        self,
        scope: Construct,
        name: str,
        *,
        comment: str,
        address: AddressName,
        server: str,
        allow_reassociation: bool = True,
        private_ip: str | None = None,
        expected: str | None = None,
        production_on: str | None = None,
        force: bool = False,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """`expected` is the instance that the address must come from, `production_on` the one that production must be
        on; `None` for any.

        `force`: EC2 is called even if a look, which may be stale, shows the address there already.
        """
        optional = {
            "privateIp": private_ip,
            "expected": f"[{expected}]" if expected else None,
            "productionOn": production_on,
        }
        return self._invoke(
            scope,
            name,
            self._functions.associate_address,
            comment=comment,
            payload={
                "plan": "{% $plan %}",
                "address": address,
                "server": jsonata(server),
                "allowReassociation": allow_reassociation,
                "force": force,
                "firstTry": FIRST_TRY,
                "redriven": REDRIVEN,
                **{key: jsonata(expression) for key, expression in optional.items() if expression},
            },
            assign={address: CHANGED_ADDRESS, "changed": True, **(assign or {})},
        )

    def rehearse_associate(
        self, scope: Construct, name: str, *, comment: str, address: AddressName, server: str
    ) -> tasks.LambdaInvoke:
        return self._invoke(
            scope,
            name,
            self._functions.associate_address,
            comment=comment,
            payload={"plan": "{% $plan %}", "address": address, "server": jsonata(server), "dryRun": True},
        )

    def disassociate(self, scope: Construct, name: str, *, comment: str, as_planned: bool) -> tasks.LambdaInvoke:
        """`as_planned`: both addresses must still stand as planned before staging is taken off its server.

        Otherwise the association that staging is known to have is ended, whatever a look shows.
        """
        return self._invoke(
            scope,
            name,
            self._functions.disassociate_address,
            comment=comment,
            payload={
                "plan": "{% $plan %}",
                "asPlanned": as_planned,
                "firstTry": FIRST_TRY,
                "redriven": REDRIVEN,
                **({} if as_planned else {"associationId": "{% $staging.associationId %}"}),
            },
            assign={"staging": CHANGED_ADDRESS},
        )

    def rehearse_disassociate(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        function = self._functions.disassociate_address
        association = {"associationId": "{% $staging.associationId %}"}
        return self._invoke(
            scope, name, function, comment=comment, payload={"plan": "{% $plan %}", "dryRun": True, **association}
        )

    def measure_gap(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        return self._begin_measuring(
            scope,
            name,
            comment=comment,
            payload={
                "lock": {"pair": "{% $plan.pair %}", "execution": EXECUTION},
                "newServer": "{% $answered[0] %}",
                **_check("production", "$production", "$plan.idle"),
            },
        )

    def rehearse_measure_gap(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        return self._begin_measuring(scope, name, comment=comment, payload={"dryRun": True})

    def _begin_measuring(
        self, scope: Construct, name: str, *, comment: str, payload: dict[str, Any]
    ) -> tasks.LambdaInvoke:
        """Asynchronous, tried once, and given up after 5 s: whatever becomes of it, the workflow goes on."""
        return tasks.LambdaInvoke.jsonata(
            scope,
            name,
            comment=comment,
            lambda_function=self._functions.measure_gap,
            invocation_type=tasks.LambdaInvocationType.EVENT,
            payload=sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **payload}),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(MEASURE_GAP_SECONDS)),
            outputs="{% $states.input %}",
        )

    def _invoke(
        self,
        scope: Construct,
        name: str,
        function: lambda_.Function,
        *,
        comment: str,
        payload: dict[str, Any],
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        return tasks.LambdaInvoke.jsonata(
            scope,
            name,
            comment=comment,
            lambda_function=function,
            payload=sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **payload}),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(longest(function))),
            outputs="{% $states.result.Payload %}",
            assign=assign,
        )


def _check(address: AddressName, found: str, server: str) -> dict[str, Any]:
    return {
        "address": jsonata(f'$merge([{{"name": "{address}"}}, {_reached(found)}])'),
        "server": jsonata(server),
        "healthCheck": "{% $plan.healthCheck %}",
    }


def _reached(address: str) -> str:
    return f'{{"publicIp": {address}.publicIp, "privateIp": {address}.privateIp}}'
