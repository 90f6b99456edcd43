"""The Task states of the workflows, which call our functions and AWS services, with their retries and timeouts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as sfn_tasks
from constructs import Construct

from stacks.workflow.calls import LOCK, Call, Keys, check, named
from stacks.workflow.expressions import EXECUTION_NAME, INPUT, jsonata
from stacks.workflow.resources import Resources
from stacks.workflow.retries import SERVICE_TIMEOUT, retry_service

COLD_START_SECONDS = 15  # Lambda allows 10 for a cold start, and the function's timeout begins after it
MEASURE_GAP_SECONDS = 5  # the longest time that a cutover waits for its measurement to begin


def longest(function: lambda_.Function) -> float:
    """The seconds after which a state gives up a function's call; by then the call has ended."""
    if function.timeout is None:
        raise ValueError(f"{function.node.path} has no timeout")
    return function.timeout.to_seconds() + COLD_START_SECONDS


def attribute(value: Any) -> sfn_tasks.DynamoAttributeValue:
    """A text, a number, or what already is a value of DynamoDB."""
    kinds = sfn_tasks.DynamoAttributeValue
    if isinstance(value, str):
        return kinds.from_string(value)
    return kinds.from_number(value) if isinstance(value, int) else value


class Tasks:
    """Makes the Task states of a workflow. `scope` is the construct that the states belong to."""

    def __init__(self, scope: Construct, resources: Resources, calls: Mapping[str, Call]) -> None:
        self.scope, self.resources, self.functions = scope, resources, resources.functions
        self._calls = calls

    def call(
        self,
        name: str,
        function: lambda_.Function | None,
        retry: Callable[[sfn.TaskStateBase], None],
        assign: Keys | None = None,
    ) -> sfn_tasks.LambdaInvoke:
        """The state of this name calls the function. `assign` has variables beside those of its `Call`."""
        if function is None:
            raise ValueError(f"no pair needs the state {name}")
        of_state = self._calls[name]
        task = sfn_tasks.LambdaInvoke.jsonata(
            self.scope,
            name,
            comment=of_state.comment,
            lambda_function=function,
            payload=sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **of_state.payload}),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(longest(function))),
            outputs="{% $states.result.Payload %}",
            assign={**(of_state.assign or {}), **(assign or {})} or None,
        )
        retry(task)
        return task

    def measure_gap(self) -> sfn_tasks.LambdaInvoke:
        """Asynchronous, tried once, and given up after 5 s: the workflow goes on in every case."""
        new_server = {"newServer": "{% $answered[0] %}", **check(named("production"), "idle")}
        return sfn_tasks.LambdaInvoke.jsonata(
            self.scope,
            "MeasureGap",
            comment="Starts to measure how the production address answers. The workflow does not wait for it.",
            lambda_function=self.functions.measure_gap,
            invocation_type=sfn_tasks.LambdaInvocationType.EVENT,
            payload=sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **LOCK, **new_server}),
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(MEASURE_GAP_SECONDS)),
            outputs=INPUT,
        )

    def update_item(
        self,
        name: str,
        comment: str,
        update: str,
        *,
        condition: str = "execution = :me",
        values: Keys,
        pair: str = "$plan.pair",
        **more: Any,
    ) -> sfn_tasks.DynamoUpdateItem:
        """Updates a pair's item in the lock table. `pair` is JSONata."""
        task = sfn_tasks.DynamoUpdateItem.jsonata(
            self.scope,
            name,
            comment=comment,
            table=self.resources.lock_table,
            key={"pair": attribute(jsonata(pair))},
            update_expression=" ".join(update.split()),
            condition_expression=" ".join(condition.split()),
            expression_attribute_values={name: attribute(value) for name, value in values.items()},
            task_timeout=SERVICE_TIMEOUT,
            **more,
        )
        retry_service(task)
        return task

    def call_service(
        self,
        name: str,
        comment: str,
        action: str,
        *,
        permission: str,
        arns: Sequence[str],
        parameters: Keys,
        **more: Any,
    ) -> sfn_tasks.CallAwsService:
        """Calls an action, for example `dynamodb:scan`."""
        service, _, action = action.partition(":")
        return sfn_tasks.CallAwsService.jsonata(
            self.scope,
            name,
            comment=comment,
            service=service,
            action=action,
            parameters=parameters,
            iam_action=permission,
            iam_resources=arns,
            task_timeout=SERVICE_TIMEOUT,
            **more,
        )
