"""Is the holder of a lock dead? If so, its lock is taken over once its last call is over, and its last command."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.functions.functions import LAST_CALL
from stacks.workflow.expressions import condition, jsonata
from stacks.workflow.resources import Resources
from stacks.workflow.retries import SERVICE_TIMEOUT, retry_rollback, retry_service, retry_unknown
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
    scope: Construct,
    resources: Resources,
    *,
    lock: str,
    take_over: sfn.IChainable,
    held: str = RUNNING,
    running: Sequence[tuple[str, sfn.IChainable, str, Variables | None]],
    failed: tuple[sfn.IChainable, Variables],
    status: str,
) -> tasks.CallAwsService:
    """The states that find out whether the holder of a lock is dead, and wait for the end of its last call and command.

    `lock` is a variable with the keys `pair`, `execution` and `commandRuns`. If the holder runs, or `held` otherwise,
    the first state of `running` follows whose condition holds. If it has ended, `take_over` follows at `lastCallOver`
    of `status`, with `$holderEnded`. If Step Functions does not know it, even after `LAST_CALL`, `take_over` follows,
    too: DescribeExecution is eventually consistent (API reference), and may not know an execution that has just begun.
    After an error, `failed` follows: a state and the variables to assign. Returns the first state."""
    describe_holder = tasks.CallAwsService.jsonata(
        scope,
        "DescribeLockHolder",
        comment="Is the execution that holds the lock still running?",
        service="sfn",
        action="describeExecution",
        parameters={"ExecutionArn": jsonata(f"{lock}.execution")},
        iam_action="states:DescribeExecution",
        iam_resources=[executions_of(scope, workflow) for workflow in resources.names.workflows],
        task_timeout=SERVICE_TIMEOUT,
        assign={"holderEnded": "{% $states.result.Status %}"},
        outputs=jsonata(f"{{{status}}}"),
    )
    holder_running = sfn.Choice.jsonata(scope, "HolderRunning?")
    wait_for_last_call = sfn.Wait.jsonata(
        scope,
        "WaitForLastCall",
        comment="Waits until no function that the dead holder called can still be running.",
        time=sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}"),
    )
    if resources.functions.run_commands:
        take_over = _once_no_command_runs(scope, resources, lock=lock, take_over=take_over, failed=failed)

    retry_unknown(describe_holder, NO_EXECUTION)
    retry_service(describe_holder)
    describe_holder.next(holder_running)
    describe_holder.add_catch(take_over, errors=[NO_EXECUTION], assign={"holderEnded": "UNKNOWN"})
    describe_holder.add_catch(failed[0], assign=failed[1])
    for also, following, comment, variables in running:
        holder_running.when(condition(f"{held} and {also}"), following, comment=comment, assign=variables)
    holder_running.otherwise(wait_for_last_call)
    wait_for_last_call.next(take_over)
    return describe_holder


def _once_no_command_runs(
    scope: Construct,
    resources: Resources,
    *,
    lock: str,
    take_over: sfn.IChainable,
    failed: tuple[sfn.IChainable, Variables],
) -> sfn.IChainable:
    """Leads to `take_over`, but first to the end of a command that the dead holder may have left running."""
    command_runs = sfn.Choice.jsonata(scope, "CommandRuns?", comment="May a command of the dead holder still run?")
    name, comment = "EndCommandOfHolder", "Cancels the command that the dead holder has left, and waits for its end."
    end_command = Tasks(scope, resources.functions).end_command(
        name, comment, pair=f"{lock}.pair", execution=f"{lock}.execution", retry=retry_rollback
    )
    command_runs.when(condition(f"{lock}.commandRuns"), end_command, comment="yes")
    end_command.next(take_over)
    end_command.add_catch(take_over, errors=["LockLost"])
    end_command.add_catch(failed[0], assign=failed[1])
    return command_runs.otherwise(take_over)
