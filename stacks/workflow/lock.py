"""One cutover per pair at a time: the lock, and how a dead holder's lock is taken over."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.functions.functions import LAST_CALL
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import EXECUTION, PREFLIGHT_FAILURE, condition, jsonata
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_service
from stacks.workflow.state_machine import executions_of

# The lock's item, as DynamoDB returns it in $states.result; an older one has no private addresses.
HOLDER = """
    $exists($states.result.Item) ? {
        "execution": $states.result.Item.execution.S,
        "since": $states.result.Item.since.S,
        "server": $states.result.Item.server.S,
        "privateIps": $exists($states.result.Item.privateIps) ? $parse($states.result.Item.privateIps.S) : {}
    } : null
"""
INTERRUPTED = '{"server": $holder.server, "privateIps": $holder.privateIps}'
# Computed here, where a failure is caught, and not in the Wait state, which has no Catch.
STATUS = f"""{{
    "status": $states.result.Status,
    "lastCallOver": $fromMillis({LAST_CALL.to_milliseconds()} + $toMillis(
        $exists($states.result.StopDate) ? $states.result.StopDate : $now()
    ))
}}"""
NO_EXECUTION = "Sfn.ExecutionDoesNotExistException"
IN_PROGRESS = """
    "Another execution is cutting over pair " & $plan.pair & " to " & $holder.server & ": " & $holder.execution
    & ", since " & $holder.since & ". Nothing was changed. Wait until it ends, or stop it, then start again."
"""


def lock_item(*, pair: str, server: str, private_ips: str) -> dict[str, tasks.DynamoAttributeValue]:
    """The item of a lock that this execution holds; `pair`, `server` and `private_ips` are JSONata."""
    text = tasks.DynamoAttributeValue.from_string
    return {
        "pair": text(jsonata(pair)),
        "execution": text(EXECUTION),
        "since": text("{% $states.context.State.EnteredTime %}"),
        "server": text(jsonata(server)),
        "privateIps": text(jsonata(f"$string({private_ips})")),
    }


class DeadHolder(Construct):
    """Is the execution that holds a lock dead, and can its last call no longer be at work? `start` is its first state.

    A holder that runs no longer is dead, but a function that it had called may still be at work, for `LAST_CALL`.
    `execution` is JSONata for its ARN; `holders` are the names of the state machines whose executions may hold the
    lock. It leads to `take_over`, or to `running` with the variables `while_running`; what else fails leads to `failed`
    with the variables `failure`. `DescribeLockHolder` sets the variables `assign`, or `assign_forgotten` if Step
    Functions no longer knows the execution.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        execution: str,
        holders: Sequence[str],
        take_over: tasks.DynamoPutItem | tasks.DynamoDeleteItem,
        running: sfn.IChainable,
        while_running: Mapping[str, Any],
        failed: sfn.IChainable,
        failure: Mapping[str, Any],
        assign: Mapping[str, Any] | None = None,
        assign_forgotten: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.start = describe_holder = tasks.CallAwsService.jsonata(
            self,
            "DescribeLockHolder",
            comment="Does the execution that holds the lock still run?",
            service="sfn",
            action="describeExecution",
            parameters={"ExecutionArn": jsonata(execution)},
            iam_action="states:DescribeExecution",
            iam_resources=[executions_of(self, machine) for machine in holders],
            task_timeout=SERVICE_TIMEOUT,
            assign=assign,
            outputs=jsonata(STATUS),
        )
        holder_running = sfn.Choice.jsonata(self, "HolderRunning?")
        wait_for_last_call = sfn.Wait.jsonata(
            self,
            "WaitForLastCall",
            comment="A function that the dead holder called may still be at work; by then it is not.",
            time=sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}"),
        )

        retry_service(describe_holder)
        describe_holder.next(holder_running)
        describe_holder.add_catch(take_over, errors=[NO_EXECUTION], assign=assign_forgotten)
        describe_holder.add_catch(failed, assign=failure)
        still_runs = condition('$states.input.status = "RUNNING"')
        holder_running.when(still_runs, running, comment="running", assign=while_running)
        holder_running.otherwise(wait_for_last_call)
        wait_for_last_call.next(take_over)


class Lock(Construct):
    """`AcquireLock`, and what happens when another execution holds it. `acquire` is its first state.

    The lock is an item of the table, keyed by the pair, with the ARN of the execution that holds it. A dead holder's
    lock is deleted, and everything begins anew, at `begin_anew`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        holders: Sequence[str],
        table: dynamodb.ITable,
        ending: Ending,
        begin_anew: sfn.IChainable,
    ) -> None:
        super().__init__(scope, construct_id)
        text = tasks.DynamoAttributeValue.from_string
        pair = {"pair": text("{% $plan.pair %}")}

        # The states.

        self.acquire = acquire = tasks.DynamoPutItem.jsonata(
            self,
            "AcquireLock",
            comment="Takes the pair's lock, unless another execution holds it.",
            table=table,
            item=lock_item(pair="$plan.pair", server="$plan.target", private_ips="$plan.privateIps"),
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
        holder = DeadHolder(
            self,
            "Holder",
            execution="$holder.execution",
            holders=holders,
            take_over=take_over,
            running=ending.notify,
            while_running={"outcome": "CutoverInProgress", "cause": jsonata(IN_PROGRESS)},
            failed=ending.release_lock,
            failure=PREFLIGHT_FAILURE,
            assign={"interrupted": jsonata(f'$states.result.Status = "SUCCEEDED" ? null : {INTERRUPTED}')},
            assign_forgotten={"interrupted": jsonata(INTERRUPTED)},
        )

        # The order in which they run.

        acquire.add_catch(describe_lock, errors=[CONDITION_FAILED])
        describe_lock.next(lock_held)
        lock_held.when(condition("$holder = null"), acquire, comment="released meanwhile")
        lock_held.otherwise(holder.start)
        take_over.next(begin_anew)
        take_over.add_catch(begin_anew, errors=[CONDITION_FAILED])
        for task in (acquire, describe_lock, take_over):
            retry_service(task)
            task.add_catch(ending.release_lock, assign=PREFLIGHT_FAILURE)
