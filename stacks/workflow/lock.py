"""One cutover per pair at a time: the lock, and how a dead holder's lock is taken over."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.workflow.ending import Ending
from stacks.workflow.expressions import EXECUTION, jsonata, refused
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_service
from stacks.workflow.state_machine import executions_of

HOLDER = (
    '$exists($states.result.Item) ? {"execution": $states.result.Item.execution.S,'
    ' "since": $states.result.Item.since.S, "server": $states.result.Item.server.S} : null'
)
# Computed here, where a failure is caught, and not in the Wait state, which has no Catch.
STATUS = (
    '{{"status": $states.result.Status, "lastCallOver": $fromMillis({milliseconds} + $toMillis('
    "$exists($states.result.StopDate) ? $states.result.StopDate : $now()))}}"
)
NO_EXECUTION = "Sfn.ExecutionDoesNotExistException"
IN_PROGRESS = (
    '"Another execution is cutting over pair " & $plan.pair & " to " & $holder.server & ": " & $holder.execution'
    ' & ", since " & $holder.since & ". Nothing was changed. Wait until it ends, or stop it, then start again."'
)


def describe_execution(
    scope: Construct,
    name: str,
    *,
    comment: str,
    execution: str,
    state_machines: Sequence[str],
    last_call: Duration,
    assign: Mapping[str, Any] | None = None,
) -> tasks.CallAwsService:
    """Asks for the `status` of an execution, and when the last call that it made is over (`lastCallOver`).

    `execution` is JSONata for its ARN, `state_machines` are the names of those whose executions may be asked for.
    """
    return tasks.CallAwsService.jsonata(
        scope,
        name,
        comment=comment,
        service="sfn",
        action="describeExecution",
        parameters={"ExecutionArn": jsonata(execution)},
        iam_action="states:DescribeExecution",
        iam_resources=[executions_of(scope, machine) for machine in state_machines],
        task_timeout=SERVICE_TIMEOUT,
        assign=assign,
        outputs=jsonata(STATUS.format(milliseconds=last_call.to_milliseconds())),
    )


class Lock(Construct):
    """`AcquireLock`, and what happens when another execution holds it. `acquire` is its first state.

    The lock is an item of the table, keyed by the pair, with the ARN of the execution that holds it. A holder that
    runs no longer is dead, but a function that it had called may still be at work: its lock is taken over only when
    the longest call of a function that changes an address (`last_call`) is over. `holders` are the names of the state
    machines whose executions may hold it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        holders: Sequence[str],
        table: dynamodb.ITable,
        last_call: Duration,
        ending: Ending,
        taken_over: sfn.IChainable,
    ) -> None:
        super().__init__(scope, construct_id)
        pair = {"pair": tasks.DynamoAttributeValue.from_string("{% $plan.pair %}")}
        text = tasks.DynamoAttributeValue.from_string

        self.acquire = tasks.DynamoPutItem.jsonata(
            self,
            "AcquireLock",
            comment="Takes the pair's lock, unless another execution holds it.",
            table=table,
            item={
                **pair,
                "execution": text(EXECUTION),
                "since": text("{% $states.context.State.EnteredTime %}"),
                "server": text('{% $plan.decision = "CUT_OVER" ? $plan.idle.name : $plan.live.name %}'),
            },
            condition_expression="attribute_not_exists(pair) OR execution = :me",
            expression_attribute_values={":me": text(EXECUTION)},
            task_timeout=SERVICE_TIMEOUT,
        )
        describe_lock = tasks.DynamoGetItem.jsonata(
            self,
            "DescribeLock",
            comment="Who holds the lock?",
            table=table,
            key=pair,
            consistent_read=True,
            task_timeout=SERVICE_TIMEOUT,
            assign={"holder": jsonata(HOLDER)},
        )
        lock_held = sfn.Choice.jsonata(self, "LockHeld?")
        describe_holder = describe_execution(
            self,
            "DescribeLockHolder",
            comment="Does the execution that holds the lock still run?",
            execution="$holder.execution",
            state_machines=holders,
            last_call=last_call,
            assign={"interrupted": jsonata('$states.result.Status = "SUCCEEDED" ? "-" : $holder.server')},
        )
        holder_running = sfn.Choice.jsonata(self, "HolderRunning?")
        wait = sfn.Wait.jsonata(
            self,
            "WaitForLastCall",
            comment="A function that the dead holder called may still be at work; by then it is not.",
            time=sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}"),
        )
        take_over = tasks.DynamoDeleteItem.jsonata(
            self,
            "TakeOverLock",
            comment="Deletes the dead holder's lock, and starts anew from what is found.",
            table=table,
            key=pair,
            condition_expression="execution = :holder",
            expression_attribute_values={":holder": text("{% $holder.execution %}")},
            task_timeout=SERVICE_TIMEOUT,
        )

        for task in (self.acquire, describe_lock, describe_holder, take_over):
            retry_service(task)
        self.acquire.add_catch(describe_lock, errors=[CONDITION_FAILED])
        describe_holder.add_catch(take_over, errors=[NO_EXECUTION])
        take_over.add_catch(taken_over, errors=[CONDITION_FAILED])
        for task in (self.acquire, describe_lock, describe_holder, take_over):
            task.add_catch(ending.release_lock, assign=refused())

        describe_lock.next(lock_held)
        lock_held.when(
            sfn.Condition.jsonata("{% $holder = null %}"), self.acquire, comment="released meanwhile"
        ).otherwise(describe_holder)
        describe_holder.next(holder_running)
        holder_running.when(
            sfn.Condition.jsonata('{% $states.input.status = "RUNNING" %}'),
            ending.notify,
            comment="running",
            assign={"outcome": "CutoverInProgress", "cause": jsonata(IN_PROGRESS)},
        ).otherwise(wait)
        wait.next(take_over)
        take_over.next(taken_over)
