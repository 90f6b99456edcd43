"""The Task states that call our functions: each builds one state from a function and the words of the plan."""

from collections.abc import Mapping
from typing import Any, Literal

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.expressions import EXECUTION_NAME, REQUEST, jsonata
from stacks.functions import Functions

AddressName = Literal["production", "staging"]
CHANGED_ADDRESS = "{% $states.result.Payload.address %}"


class Steps:
    """Makes the states of a workflow out of the four functions. `server` and `private_ip` are JSONata expressions."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def describe_addresses(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        return self._invoke(
            scope,
            name,
            self._functions.describe_addresses,
            comment=comment,
            payload={"request": REQUEST, "interrupted": jsonata("$exists($interrupted) ? $interrupted : null")},
            assign={
                "plan": "{% $states.result.Payload %}",
                "production": "{% $states.result.Payload.production %}",
                "staging": "{% $states.result.Payload.staging %}",
                "changed": False,
            },
        )

    def describe_restored(
        self, scope: Construct, name: str, *, comment: str, assign: Mapping[str, Any]
    ) -> tasks.LambdaInvoke:
        function = self._functions.describe_addresses
        return self._invoke(scope, name, function, comment=comment, payload={"plan": "{% $plan %}"}, assign=assign)

    def health_check(
        self,
        scope: Construct,
        name: str,
        *,
        comment: str,
        address: AddressName,
        server: str,
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        return self._invoke(
            scope,
            name,
            self._functions.health_check,
            comment=comment,
            payload={
                "address": {"name": address, "publicIp": jsonata(f"$plan.{address}.publicIp")},
                "server": jsonata(server),
                "healthCheck": "{% $plan.healthCheck %}",
            },
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
        assign: Mapping[str, Any] | None = None,
    ) -> tasks.LambdaInvoke:
        """`expected` is the instance that the address must come from, `None` for any."""
        optional = {"privateIp": private_ip, "expected": f"[{expected}]" if expected else None}
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
                **{key: jsonata(expression) for key, expression in optional.items() if expression},
            },
            assign={address: CHANGED_ADDRESS, "changed": True, **(assign or {})},
        )

    def rehearse_associate(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        function = self._functions.associate_address
        return self._invoke(scope, name, function, comment=comment, payload={"plan": "{% $plan %}", "dryRun": True})

    def disassociate(self, scope: Construct, name: str, *, comment: str, as_planned: bool) -> tasks.LambdaInvoke:
        """`as_planned`: both addresses must still stand as planned before staging is taken off its server."""
        return self._invoke(
            scope,
            name,
            self._functions.disassociate_address,
            comment=comment,
            payload={"plan": "{% $plan %}", "asPlanned": as_planned},
            assign={"staging": CHANGED_ADDRESS, "changed": True},
        )

    def rehearse_disassociate(self, scope: Construct, name: str, *, comment: str) -> tasks.LambdaInvoke:
        function = self._functions.disassociate_address
        return self._invoke(scope, name, function, comment=comment, payload={"plan": "{% $plan %}", "dryRun": True})

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
        timeout = function.timeout
        assert timeout is not None  # noqa: S101  # every function of ours has one
        return tasks.LambdaInvoke.jsonata(
            scope,
            name,
            comment=comment,
            lambda_function=function,
            payload=sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **payload}),
            retry_on_service_exceptions=False,
            # Longer than the function's own, so that a call that this state gave up is never still in flight.
            task_timeout=sfn.Timeout.duration(Duration.seconds(timeout.to_seconds() + 10)),
            outputs="{% $states.result.Payload %}",
            assign=assign,
        )
