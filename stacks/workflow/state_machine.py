"""The Standard state machines of this project: with JSONata, traces and a log."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, Stack, aws_logs as logs, aws_stepfunctions as sfn
from aws_cdk.aws_events import EventPattern
from aws_cdk.aws_iam import IRole
from constructs import Construct, IConstruct


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
