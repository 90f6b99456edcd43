"""One cutover per pair at a time: the lock, and how a dead holder's lock is taken over."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.configuration.names import Names
from stacks.functions.functions import LAST_CALL
from stacks.workflow.ending import Ending, texts
from stacks.workflow.expressions import EXECUTION, PREFLIGHT_FAILURE, condition, jsonata
from stacks.workflow.resources import Resources
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_service, retry_unknown
from stacks.workflow.state_machine import executions_of

Variables = Mapping[str, Any]
# The lock's item, as DynamoDB returns it in $states.result; an item of an older version has no private addresses.
HOLDER = """
    $exists($states.result.Item) ? {
        "execution": $states.result.Item.execution.S, "since": $states.result.Item.since.S,
        "server": $states.result.Item.server.S,
        "privateIps": $exists($states.result.Item.privateIps) ? $parse($states.result.Item.privateIps.S) : {}
    } : null
"""
INTERRUPTED = '{"server": $holder.server, "privateIps": $holder.privateIps}'
# Computed here, because a Wait state has no Catch for a failure.
STATUS = f"""{{
    "status": $states.result.Status,
    "lastCallOver": $fromMillis({LAST_CALL.to_milliseconds()} + $toMillis(
        $exists($states.result.StopDate) ? $states.result.StopDate : $now()
    ))
}}"""
# If an event said that the holder has ended, DescribeExecution is called so often, `LAST_CALL` apart, until it agrees.
MOST_WAITS = 4
NO_EXECUTION = "Sfn.ExecutionDoesNotExistException"
IN_PROGRESS = """
    "Another execution is cutting over pair " & $plan.pair & " to " & $holder.server & ": " & $holder.execution
    & ", since " & $holder.since & ". Nothing was changed. Wait until it ends, or stop it, then start again."
"""


def put_lock(
    scope: Construct, name: str, *, pair: str, server: str, private_ips: str, **options: Any
) -> tasks.DynamoPutItem:
    """A state that writes a lock's item for this execution. `pair`, `server` and `private_ips` are JSONata."""
    item = {
        "pair": jsonata(pair),
        "execution": EXECUTION,
        "since": "{% $states.context.State.EnteredTime %}",
        "server": jsonata(server),
        "privateIps": jsonata(f"$string({private_ips})"),
    }
    return tasks.DynamoPutItem.jsonata(scope, name, item=texts(item), task_timeout=SERVICE_TIMEOUT, **options)


def describe_lock_holder(
    scope: Construct,
    names: Names,
    *,
    execution: str,
    take_over: tasks.DynamoPutItem | tasks.DynamoDeleteItem,
    running: tuple[sfn.IChainable, Variables],
    failed: tuple[sfn.IChainable, Variables],
    assign: Variables | None = None,
    assign_forgotten: Variables | None = None,
    ended: bool = False,
) -> sfn.IChainable:
    """The states that find out whether the holder of a lock is dead, and wait for the end of its last call.

    `execution` is JSONata for the holder's ARN. If the holder runs, `running` follows. If it has ended, `take_over`
    follows after `LAST_CALL`. If Step Functions does not know it, even after 45 s, `take_over` follows, with the
    variables `assign_forgotten` instead of `assign`. After an error, `failed` follows. `running` and `failed` are a
    state and the variables to assign. If an event said that the execution has `ended`, the wait comes first. It is
    repeated while DescribeExecution returns RUNNING, `MOST_WAITS` in all: DescribeExecution is eventually consistent
    (API reference), and may also not know an execution that has just begun. Returns the first state.
    """
    describe_holder = tasks.CallAwsService.jsonata(
        scope,
        "DescribeLockHolder",
        comment="Is the execution that holds the lock still running?",
        service="sfn",
        action="describeExecution",
        parameters={"ExecutionArn": jsonata(execution)},
        iam_action="states:DescribeExecution",
        iam_resources=[executions_of(scope, workflow) for workflow in names.workflows],
        task_timeout=SERVICE_TIMEOUT,
        assign=assign,
        outputs=jsonata(STATUS),
    )
    holder_running = sfn.Choice.jsonata(scope, "HolderRunning?")
    wait_for_last_call = sfn.Wait.jsonata(
        scope,
        "WaitForLastCall",
        comment="Waits until no function that the dead holder called can still be running.",
        time=sfn.WaitTime.duration(LAST_CALL) if ended else sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}"),
        assign={"waits": "{% $exists($waits) ? $waits + 1 : 1 %}"} if ended else None,
    )

    retry_unknown(describe_holder, NO_EXECUTION)
    retry_service(describe_holder)
    describe_holder.next(holder_running)
    describe_holder.add_catch(take_over, errors=[NO_EXECUTION], assign=assign_forgotten)
    describe_holder.add_catch(failed[0], assign=failed[1])
    still_runs = '$states.input.status = "RUNNING"'
    if ended:
        holder_running.when(
            condition(f"{still_runs} and $waits < {MOST_WAITS}"), wait_for_last_call, comment="still shown as running"
        )
    holder_running.when(condition(still_runs), running[0], comment="running", assign=running[1])
    holder_running.otherwise(take_over if ended else wait_for_last_call)
    wait_for_last_call.next(describe_holder if ended else take_over)
    return wait_for_last_call if ended else describe_holder


def acquire_lock(
    scope: Construct, resources: Resources, *, ending: Ending, start_over: sfn.IChainable
) -> tasks.DynamoPutItem:
    """`AcquireLock`, which is returned, and the states for the case that another execution holds the lock.

    The lock is an item of the table, keyed by the pair, with the ARN of the execution that holds it. If the holder is
    dead, its lock is deleted, and the execution starts over at `start_over`.
    """
    of_the_pair: dict[str, Any] = {
        "table": resources.lock_table,
        "key": texts({"pair": "{% $plan.pair %}"}),
        "task_timeout": SERVICE_TIMEOUT,
    }

    acquire = put_lock(
        scope,
        "AcquireLock",
        comment="Takes the pair's lock, unless another execution holds it.",
        table=resources.lock_table,
        pair="$plan.pair",
        server="$plan.target",
        private_ips="$plan.privateIps",
        condition_expression="attribute_not_exists(pair) OR execution = :me",
        expression_attribute_values=texts({":me": EXECUTION}),
    )
    describe_lock = tasks.DynamoGetItem.jsonata(
        scope,
        "DescribeLock",
        comment="Who holds the lock?",
        consistent_read=True,
        assign={"holder": jsonata(HOLDER)},
        **of_the_pair,
    )
    lock_held = sfn.Choice.jsonata(scope, "LockHeld?")
    take_over = tasks.DynamoDeleteItem.jsonata(
        scope,
        "TakeOverLock",
        comment="Deletes the dead holder's lock. The execution then plans again.",
        condition_expression="execution = :holder",
        expression_attribute_values=texts({":holder": "{% $holder.execution %}"}),
        **of_the_pair,
    )
    describe_holder = describe_lock_holder(
        scope,
        resources.names,
        execution="$holder.execution",
        take_over=take_over,
        running=(ending.notify, {"outcome": "CutoverInProgress", "cause": jsonata(IN_PROGRESS)}),
        failed=(ending.release_lock, PREFLIGHT_FAILURE),
        assign={"interrupted": jsonata(f'$states.result.Status = "SUCCEEDED" ? null : {INTERRUPTED}')},
        assign_forgotten={"interrupted": jsonata(INTERRUPTED)},
    )

    # The order of the states.

    acquire.add_catch(describe_lock, errors=[CONDITION_FAILED])
    describe_lock.next(lock_held)
    lock_held.when(condition("$holder = null"), acquire, comment="released meanwhile")
    lock_held.otherwise(describe_holder)
    take_over.next(start_over)
    take_over.add_catch(start_over, errors=[CONDITION_FAILED])
    for task in (acquire, describe_lock, take_over):
        retry_service(task)
        task.add_catch(ending.release_lock, assign=PREFLIGHT_FAILURE)
    return acquire
