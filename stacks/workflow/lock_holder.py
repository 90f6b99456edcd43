"""Is the holder of a lock dead? If so, its lock is taken over once its last call is over, and its last command."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.aws_stepfunctions_tasks import CallAwsService

from stacks.functions.functions import LAST_CALL
from stacks.workflow.expressions import condition, jsonata
from stacks.workflow.retries import retry_rollback, retry_service, retry_unknown
from stacks.workflow.state_machine import executions_of
from stacks.workflow.tasks import Tasks

Variables = Mapping[str, Any]
RUNNING = '$states.input.status = "RUNNING"'
NO_EXECUTION = "Sfn.ExecutionDoesNotExistException"


def status(*, later_seconds: int = 0) -> str:
    """JSONata for the members `status` and `lastCallOver`: when the last call of an execution is over, or later.
    Computed before the Wait state, which has no Catch for a failure."""
    return f"""
        "status": $states.result.Status,
        "lastCallOver": $fromMillis({LAST_CALL.to_milliseconds() + 1000 * later_seconds} + $toMillis(
            $exists($states.result.StopDate) ? $states.result.StopDate : $now()
        ))
    """


def describe_lock_holder(
    tasks: Tasks,
    *,
    lock: str,
    take_over: sfn.IChainable,
    held: str = RUNNING,
    running: Sequence[tuple[str, sfn.IChainable, str, Variables | None]],
    failed: tuple[sfn.IChainable, Variables],
    status: str,
) -> CallAwsService:
    """The states that find out whether the holder of a lock is dead, and wait for the end of its last call and command.

    `lock` is a variable with the keys `pair`, `execution` and `commandRuns`. If the holder runs, or `held` otherwise,
    the first state of `running` follows whose condition holds. If it has ended, `take_over` follows at `lastCallOver`
    of `status`, with `$holderEnded`. If Step Functions does not know it, even after `LAST_CALL`, `take_over` follows,
    too: DescribeExecution is eventually consistent (API reference), and may not know an execution that has just begun.
    After an error, `failed` follows: a state and the variables to assign. Returns the first state."""
    describe_holder = tasks.call_service(
        "DescribeLockHolder",
        "Is the execution that holds the lock still running?",
        "sfn:describeExecution",
        permission="states:DescribeExecution",
        arns=[executions_of(tasks.scope, workflow) for workflow in tasks.resources.names.workflows],
        parameters={"ExecutionArn": jsonata(f"{lock}.execution")},
        assign={"holderEnded": "{% $states.result.Status %}"},
        outputs=jsonata(f"{{{status}}}"),
    )
    holder_running = sfn.Choice.jsonata(tasks.scope, "HolderRunning?")
    comment = "Waits until no function that the dead holder called can still be running."
    time = sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}")
    wait_for_last_call = sfn.Wait.jsonata(tasks.scope, "WaitForLastCall", comment=comment, time=time)
    if tasks.functions.run_commands:
        take_over = _once_no_command_runs(tasks, lock=lock, take_over=take_over, failed=failed)

    retry_unknown(describe_holder, NO_EXECUTION)
    retry_service(describe_holder)
    describe_holder.add_catch(take_over, errors=[NO_EXECUTION], assign={"holderEnded": "UNKNOWN"})
    describe_holder.add_catch(failed[0], assign=failed[1]).next(holder_running)
    for also, following, comment, variables in running:
        holder_running.when(condition(f"{held} and {also}"), following, comment=comment, assign=variables)
    holder_running.otherwise(wait_for_last_call)
    wait_for_last_call.next(take_over)
    return describe_holder


def _once_no_command_runs(
    tasks: Tasks, *, lock: str, take_over: sfn.IChainable, failed: tuple[sfn.IChainable, Variables]
) -> sfn.IChainable:
    """Leads to `take_over`, but first to the end of a command that the dead holder may have left running."""
    comment = "May a command of the dead holder still run?"
    command_runs = sfn.Choice.jsonata(tasks.scope, "CommandRuns?", comment=comment)
    end_command = tasks.call("EndCommandOfHolder", tasks.functions.run_commands, retry_rollback)
    end_command.add_catch(take_over, errors=["LockLost"]).add_catch(failed[0], assign=failed[1]).next(take_over)
    return command_runs.when(condition(f"{lock}.commandRuns"), end_command, comment="yes").otherwise(take_over)
