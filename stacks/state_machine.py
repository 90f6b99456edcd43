"""A Standard state machine as this project has them: JSONata, traced, logged."""

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from stacks.expressions import AT_THE_BEGINNING


def executions_of(scope: IConstruct, name: str) -> str:
    """The ARN of all executions of the state machine of this name, in the scope's account and Region."""
    return Stack.of(scope).format_arn(
        service="states",
        resource="execution",
        resource_name=f"{name}:*",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def standard_state_machine(
    scope: Construct, *, name: str, comment: str, start: sfn.IChainable, timeout: Duration
) -> sfn.StateMachine:
    """`start` comes after `Begin`, the state that gives every variable a value which a later one may ask for."""
    begin = sfn.Pass.jsonata(
        scope, "Begin", comment="Nothing is known yet.", assign=AT_THE_BEGINNING, outputs="{% $states.input %}"
    )
    return sfn.StateMachine(
        scope,
        "StateMachine",
        state_machine_name=name,
        state_machine_type=sfn.StateMachineType.STANDARD,
        query_language=sfn.QueryLanguage.JSONATA,
        comment=comment,
        definition_body=sfn.DefinitionBody.from_chainable(begin.next(start)),
        timeout=timeout,
        tracing_enabled=True,
        logs=sfn.LogOptions(
            destination=logs.LogGroup(
                scope,
                "Logs",
                # With this prefix, the policy that lets Step Functions write does not grow with every log group.
                log_group_name=f"/aws/vendedlogs/states/{name}",
                retention=logs.RetentionDays.SIX_MONTHS,
                removal_policy=RemovalPolicy.DESTROY,
            ),
            level=sfn.LogLevel.ALL,
            include_execution_data=True,
        ),
    )
