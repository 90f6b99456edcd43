"""The Standard state machines of this project: with JSONata, traces and a log."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack, aws_logs as logs, aws_stepfunctions as sfn
from aws_cdk.aws_events import EventPattern
from aws_cdk.aws_iam import IRole
from aws_cdk.aws_lambda import IFunction
from constructs import Construct, IConstruct

from stacks.cdk_nag import ANY_EXECUTION, acknowledge_wildcards
from stacks.configuration.names import Names

LOGS_AND_TRACES = (
    "Logging and tracing need logs:*LogDelivery and xray:Put*, which accept no other resource (Step Functions "
    "Developer Guide, logging to CloudWatch Logs and tracing with X-Ray)."
)


def states_arn(scope: IConstruct, resource: str, name: str) -> str:
    return Stack.of(scope).format_arn(service="states", resource=f"{resource}:{name}")


def executions_of(scope: IConstruct, name: str) -> str:
    """All executions of the state machine of this name, in the scope's account and Region."""
    return states_arn(scope, "execution", f"{name}:*")


def status_change(scope: IConstruct, names: Sequence[str], statuses: Sequence[str]) -> EventPattern:
    """The events of Step Functions for executions of these state machines that get one of these statuses. Source: Step
    Functions Developer Guide, "Automating Step Functions event delivery with EventBridge"."""
    machines = [states_arn(scope, "stateMachine", name) for name in names]
    return EventPattern(
        source=["aws.states"],
        detail_type=["Step Functions Execution Status Change"],
        detail={"stateMachineArn": machines, "status": list(statuses)},
    )


def standard_state_machine(
    scope: Construct, name: str, comment: str, *, start: sfn.IChainable, timeout: Duration, role: IRole | None = None
) -> sfn.StateMachine:
    # With this prefix, the policy that lets Step Functions write logs does not grow with every log group.
    log, kept, gone = f"/aws/vendedlogs/states/{name}", logs.RetentionDays.SIX_MONTHS, RemovalPolicy.DESTROY
    log_group = logs.LogGroup(scope, "Logs", log_group_name=log, retention=kept, removal_policy=gone)
    return sfn.StateMachine(
        scope,
        "StateMachine",
        state_machine_name=name,
        state_machine_type=sfn.StateMachineType.STANDARD,
        query_language=sfn.QueryLanguage.JSONATA,
        comment=comment,
        definition_body=sfn.DefinitionBody.from_chainable(start),
        timeout=timeout,
        role=role,
        tracing_enabled=True,
        logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
    )


def acknowledge_state_machine(machine: sfn.StateMachine, names: Names, *, invokes: Sequence[IFunction]) -> None:
    """Acknowledges the wildcards that the CDK and AWS need."""
    reasons = dict.fromkeys((executions_of(machine, name) for name in names.workflows), ANY_EXECUTION)
    reasons |= {f"{function.function_arn}:*": "Versions of this one function, which has none." for function in invokes}
    acknowledge_wildcards(machine.role, {"*": LOGS_AND_TRACES, **reasons})
