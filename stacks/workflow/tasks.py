"""The Task states that call our functions: each is built from a function and the words of the plan."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.functions.functions import Functions
from stacks.workflow.expressions import EXECUTION, EXECUTION_NAME, jsonata
from stacks.workflow.retries import retry_before_changes, retry_change, retry_rollback

AddressName = Literal["production", "staging"]
Role = Literal["live", "idle"]
Retry = Callable[[sfn.TaskStateBase], None]
# The context object has the count only in an execution that was redriven.
REDRIVEN = jsonata("$exists($states.context.Execution.RedriveCount) and $states.context.Execution.RedriveCount > 0")
FIRST_TRY = "{% $states.context.State.RetryCount = 0 %}"
PAIR = "{% $plan.pair %}"
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


class Tasks:
    """Makes the states of a workflow out of the functions. `scope` is the construct that they belong to."""

    def __init__(self, scope: Construct, functions: Functions) -> None:
        self._scope = scope
        self._functions = functions

    def describe_addresses(
        self,
        name: str,
        *,
        comment: str,
        request: Any,
        interrupted: str,
        retry: Retry,
        keep_live: bool = False,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """`interrupted` is JSONata. `keep_live`: plan to put right what is not, without moving production."""
        return self._invoke(
            name,
            self._functions.describe_addresses,
            comment=comment,
            retry=retry,
            payload={"request": request, "interrupted": jsonata(interrupted), "keepLive": keep_live},
            assign={
                "plan": "{% $states.result.Payload %}",
                "production": "{% $states.result.Payload.production %}",
                "staging": "{% $states.result.Payload.staging %}",
                **(assign or {}),
            },
        )

    def describe_restored(self, name: str, *, comment: str, assign: Mapping[str, Any]) -> tasks.LambdaInvoke:
        return self._invoke(
            name,
            self._functions.describe_restored,
            comment=comment,
            retry=retry_rollback,
            payload={"pair": PAIR, "live": "{% $plan.live %}", "idle": "{% $plan.idle %}"},
            assign=assign,
        )

    def check_servers(self, name: str, *, comment: str) -> tasks.LambdaInvoke:
        return self._invoke(
            name,
            self._functions.check_servers,
            comment=comment,
            retry=retry_before_changes,
            payload={"pair": PAIR, "server": "{% $plan.idle.name %}"},
        )

    def health_check_staging(self, name: str, *, comment: str) -> sfn.IChainable:
        """The checks of the idle server; if the stack has a VPC, from inside of it for the pairs that say so."""

        def check(name: str, function: lambda_.Function) -> tasks.LambdaInvoke:
            return self._invoke(
                name,
                function,
                comment=comment,
                retry=retry_before_changes,
                payload={
                    **_check("staging", "idle"),
                    "live": jsonata(f"$merge([$plan.live, {_reached('production')}])"),
                    "expectedRelease": "{% $plan.expectedRelease %}",
                },
            )

        public = check(name, self._functions.health_check)
        if self._functions.in_vpc is None:
            return public
        return (
            sfn.Choice.jsonata(self._scope, "StagingVia?", comment="From where can the staging server be reached?")
            .when(
                sfn.Condition.jsonata('{% $plan.healthCheck[0].via = "private" %}'),
                check(f"{name}InVpc", self._functions.in_vpc),
                comment="its VPC",
            )
            .otherwise(public)
        )

    def health_check_production(
        self,
        name: str,
        *,
        comment: str,
        server: Role,
        retry: Retry,
        more: Mapping[str, Any] | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """The checks of a server through the production address. `more` are further keys of the function's event."""
        return self._invoke(
            name,
            self._functions.health_check,
            comment=comment,
            retry=retry,
            payload={**_check("production", server), **(more or {})},
            assign=assign,
        )

    def rehearse_associate(self, name: str, *, comment: str, address: AddressName, to: Role) -> tasks.LambdaInvoke:
        return self._associate(name, "rehearse", to, comment=comment, retry=retry_before_changes, address=address)

    def move_production(self, name: str, *, comment: str, assign: Mapping[str, Any]) -> tasks.LambdaInvoke:
        """From the live to the idle place."""
        return self._associate(
            name,
            "move production",
            "idle",
            comment=comment,
            retry=retry_change,
            assign={"production": CHANGED_ADDRESS, **assign},
            comingFrom="{% $plan.live.name %}",
            firstTry=FIRST_TRY,
            redriven=REDRIVEN,
        )

    def move_staging(
        self,
        name: str,
        *,
        comment: str,
        to: Role,
        production_on: Role,
        retry: Retry,
        coming_from: str | None = None,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """`coming_from` is JSONata for the name of the server that staging is on, or null; None: it is on no server."""
        return self._associate(
            name,
            "move staging",
            to,
            comment=comment,
            retry=retry,
            assign={"staging": CHANGED_ADDRESS, **(assign or {})},
            productionOn=f"{{% $plan.{production_on}.name %}}",
            firstTry=FIRST_TRY,
            redriven=REDRIVEN,
            **({"comingFrom": jsonata(coming_from)} if coming_from else {}),
        )

    def restore(self, name: str, *, comment: str, address: AddressName, to: Role) -> tasks.LambdaInvoke:
        return self._associate(
            name,
            "restore",
            to,
            comment=comment,
            retry=retry_rollback,
            assign={address: CHANGED_ADDRESS},
            address=address,
            redriven=REDRIVEN,
        )

    def _associate(
        self,
        name: str,
        action: str,
        to: Role,
        *,
        comment: str,
        retry: Retry,
        assign: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> tasks.LambdaInvoke:
        place = {"server": f"{{% $plan.{to}.name %}}", "privateIp": f"{{% $plan.{to}.privateIp %}}"}
        return self._invoke(
            name,
            self._functions.associate_address,
            comment=comment,
            retry=retry,
            payload={"action": action, "pair": PAIR, **place, **keys},
            assign=assign,
        )

    def disassociate_staging(self, name: str, *, comment: str) -> tasks.LambdaInvoke:
        """Both addresses must still stand as planned before staging is taken off its server."""
        return self._invoke(
            name,
            self._functions.disassociate_address,
            comment=comment,
            retry=retry_change,
            payload={
                "pair": PAIR,
                "live": "{% $plan.live %}",
                "idle": "{% $plan.idle %}",
                "firstTry": FIRST_TRY,
                "redriven": REDRIVEN,
            },
            assign={"staging": CHANGED_ADDRESS},
        )

    def rehearse_disassociate(self, name: str, *, comment: str) -> tasks.LambdaInvoke:
        return self._invoke(
            name,
            self._functions.disassociate_address,
            comment=comment,
            retry=retry_before_changes,
            payload={"pair": PAIR, "rehearse": True, "associationId": "{% $staging.associationId %}"},
        )

    def measure_gap(self, name: str, *, comment: str) -> tasks.LambdaInvoke:
        """Asynchronous, tried once, and given up after 5 s: whatever becomes of it, the workflow goes on."""
        return tasks.LambdaInvoke.jsonata(
            self._scope,
            name,
            comment=comment,
            lambda_function=self._functions.measure_gap,
            invocation_type=tasks.LambdaInvocationType.EVENT,
            payload=sfn.TaskInput.from_object(
                {
                    "execution": EXECUTION_NAME,
                    "lock": {"pair": PAIR, "execution": EXECUTION},
                    "newServer": "{% $answered[0] %}",
                    **_check("production", "idle"),
                }
            ),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(MEASURE_GAP_SECONDS)),
            outputs="{% $states.input %}",
        )

    def _invoke(
        self,
        name: str,
        function: lambda_.Function,
        *,
        comment: str,
        payload: dict[str, Any],
        retry: Retry,
        assign: Mapping[str, Any] | None = None,
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
