"""The Task states of the workflows, which call our functions and AWS services, with their retries and timeouts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import aws_cdk.aws_stepfunctions_tasks as sfn_tasks
from aws_cdk import Duration, aws_dynamodb as dynamodb, aws_sns as sns, aws_stepfunctions as sfn
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_stepfunctions_tasks import CallAwsService, LambdaInvoke
from constructs import Construct

from stacks.configuration.names import Names
from stacks.functions.functions import Functions
from stacks.workflow.calls import LOCK, Call, Keys, check, named
from stacks.workflow.expressions import EXECUTION_NAME, INPUT, condition, jsonata
from stacks.workflow.retries import BEFORE_CHANGES, IN_VPC, SERVICE, SERVICE_TIMEOUT, Retries, retry

COLD_START_SECONDS = 15  # Lambda allows 10 for a cold start, and the function's timeout begins after it
MEASURE_GAP_SECONDS = 5  # the longest time that a cutover waits for its measurement to begin
PAIR = "$plan.pair"
Branch = tuple[str, sfn.IChainable, str, Keys | None]
State = TypeVar("State", bound=sfn.TaskStateBase)


def longest(function: Function) -> float:
    """The seconds after which a state gives up a function's call; by then the call has ended."""
    if function.timeout is None:
        raise ValueError(f"{function.node.path} has no timeout")
    return function.timeout.to_seconds() + COLD_START_SECONDS


def attribute(value: str | int | sfn_tasks.DynamoAttributeValue) -> sfn_tasks.DynamoAttributeValue:
    """A text, a number, or what already is a value of DynamoDB."""
    if isinstance(value, str):
        return sfn_tasks.DynamoAttributeValue.from_string(value)
    return sfn_tasks.DynamoAttributeValue.from_number(value) if isinstance(value, int) else value


def when(expression: str, following: sfn.IChainable, comment: str, assign: Keys | None = None) -> Branch:
    return expression, following, comment, assign


@dataclass(frozen=True)
class Resources:
    """What the workflows use."""

    names: Names
    functions: Functions
    lock_table: dynamodb.ITable
    topic: sns.ITopic


class Tasks:
    """Makes the states of a workflow. `scope` is the construct that they belong to. By the states' names, `calls` has
    what they send to our functions, and `comments` what Task states are for."""

    def __init__(self, scope: Construct, resources: Resources, calls: Mapping[str, Call], comments: Keys) -> None:
        self.scope, self.resources, self.functions = scope, resources, resources.functions
        self._calls, self._comments = calls, comments

    def call(self, name: str, function: Function | None, retries: Retries, assign: Keys | None = None) -> LambdaInvoke:
        """The state of this name calls the function. `assign` has more variables than its `Call`."""
        if function is None:
            raise ValueError(f"no pair needs the state {name}")
        payload, variables = self._calls[name]
        result = {"outputs": "{% $states.result.Payload %}", "assign": {**variables, **(assign or {})} or None}
        return self._invoke(name, function, longest(function), payload, retries=retries, **result)

    def task(self, state: Callable[..., State], name: str, retries: Retries = SERVICE, **options: Any) -> State:
        """A Task state, made by a method of the CDK, with `options` of this method."""
        task = state(self.scope, name, comment=self._comments[name], **{"task_timeout": SERVICE_TIMEOUT} | options)
        retry(task, retries)
        return task

    def sdk(self, name: str, action: str, resources: Sequence[str], parameters: Keys, **options: Any) -> CallAwsService:
        """A state that calls an AWS service by its SDK. `action` is what IAM permits: `states:DescribeExecution`."""
        prefix, _, called = action.partition(":")
        options |= {"service": prefix.replace("states", "sfn"), "action": called[0].lower() + called[1:]}
        options |= {"iam_action": action, "iam_resources": resources, "parameters": parameters}
        return self.task(CallAwsService.jsonata, name, **options)

    def preflight(self) -> tuple[sfn.IChainable, ...]:
        """The branches of the checks before the first change. They change nothing."""
        functions, call = self.functions, partial(self.call, retries=BEFORE_CHANGES)
        staging: sfn.IChainable = call("HealthCheckStaging", functions.health_check)
        if functions.in_vpc is not None:
            in_vpc = self.call("HealthCheckStagingInVpc", functions.in_vpc, IN_VPC)
            private = when('$plan.healthCheck[0].via = "private"', in_vpc, "from its VPC")
            comment = "From where can the staging server be reached?"
            staging = self.choice("StagingVia?", comment, private, otherwise=staging)
        rehearse_staging = call("RehearseAssociateStaging", functions.associate_address)
        rehearse = call("RehearseAssociateProduction", functions.associate_address).next(rehearse_staging)
        freed = call("RehearseDisassociate", functions.disassociate_address)
        return staging, call("CheckServers", functions.check_servers), freed, rehearse

    def measure_gap(self) -> LambdaInvoke:
        """Asynchronous, tried once, and given up after 5 s: the workflow goes on in every case."""
        new_server = {"newServer": "{% $answered[0] %}", **check(named("production"), "idle")}
        once = {"retries": [], "invocation_type": sfn_tasks.LambdaInvocationType.EVENT, "outputs": INPUT}
        function, payload = self.functions.measure_gap, {**LOCK, **new_server}
        return self._invoke("MeasureGap", function, MEASURE_GAP_SECONDS, payload, **once)

    def _invoke(self, name: str, function: Function, seconds: float, payload: Keys, **options: Any) -> LambdaInvoke:
        options |= {"lambda_function": function, "task_timeout": sfn.Timeout.duration(Duration.seconds(seconds))}
        options |= {"payload": sfn.TaskInput.from_object({"execution": EXECUTION_NAME, **payload})}
        return self.task(LambdaInvoke.jsonata, name, retry_on_service_exceptions=False, **options)

    def get_item(self, name: str, assign: Keys, *, pair: str = PAIR) -> sfn_tasks.DynamoGetItem:
        """Reads a pair's item in the lock table. `pair` is JSONata."""
        item: Any = {"table": self.resources.lock_table, "key": {"pair": attribute(jsonata(pair))}}
        return self.task(sfn_tasks.DynamoGetItem.jsonata, name, consistent_read=True, assign=assign, **item)

    def update_item(
        self, name: str, update: str, values: Keys, *, condition: str = "execution = :me", pair: str = PAIR, **more: Any
    ) -> sfn_tasks.DynamoUpdateItem:
        """Updates a pair's item in the lock table. `pair` is JSONata."""
        more |= {"table": self.resources.lock_table, "key": {"pair": attribute(jsonata(pair))}}
        more |= {"update_expression": " ".join(update.split()), "condition_expression": " ".join(condition.split())}
        given = {key: attribute(value) for key, value in values.items()}
        return self.task(sfn_tasks.DynamoUpdateItem.jsonata, name, expression_attribute_values=given, **more)

    def choice(self, name: str, comment: str, *branches: Branch, otherwise: sfn.IChainable | None = None) -> sfn.Choice:
        """The first branch whose condition holds is taken. A condition is JSONata."""
        choice = sfn.Choice.jsonata(self.scope, name, comment=comment or None)
        for expression, following, of_branch, assign in branches:
            choice.when(condition(expression), following, comment=of_branch, assign=assign)
        return choice.otherwise(otherwise) if otherwise else choice
