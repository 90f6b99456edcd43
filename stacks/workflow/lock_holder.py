"""Is the holder of a lock dead? If so, its lock is taken over once its last call is over, and its last command."""

from collections.abc import Sequence

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.aws_stepfunctions_tasks import CallAwsService

from stacks.functions.functions import LAST_CALL
from stacks.workflow.calls import Keys
from stacks.workflow.expressions import jsonata
from stacks.workflow.retries import NO_EXECUTION, ROLLBACK, UNKNOWN_EXECUTION
from stacks.workflow.state_machine import executions_of
from stacks.workflow.tasks import Branch, Tasks, when

RUNNING = '$states.input.status = "RUNNING"'


def describe_lock_holder(
    tasks: Tasks,
    *,
    lock: str,
    take_over: sfn.IChainable,
    held: str = RUNNING,
    running: Sequence[Branch],
    failed: tuple[sfn.IChainable, Keys],
    later_seconds: int = 0,
    more: str = "",
) -> CallAwsService:
    """The states that find out whether the holder of a lock is dead, and wait for the end of its last call and command.

    `lock` is a variable with the keys `pair`, `execution` and `commandRuns`. If the holder runs, or `held` otherwise,
    the first state of `running` follows whose condition holds. If it has ended, `take_over` follows when its last call
    is over, or later, with `$holderEnded`. If Step Functions does not know it, even after `LAST_CALL`, `take_over`
    follows, too: DescribeExecution is eventually consistent (API reference), and may not know an execution that has
    just begun. After an error, `failed` follows: a state and the variables to assign. `more` is JSONata for members of
    the input of `running`. Returns the first state."""
    # Computed before the Wait state, which has no Catch for a failure.
    ended = f"""
        "status": $states.result.Status,
        "lastCallOver": $fromMillis({LAST_CALL.to_milliseconds() + 1000 * later_seconds} + $toMillis(
            $exists($states.result.StopDate) ? $states.result.StopDate : $now()
        ))
    """
    describe_holder = tasks.sdk(
        "DescribeLockHolder",
        "states:DescribeExecution",
        [executions_of(tasks.scope, workflow) for workflow in tasks.resources.names.workflows],
        {"ExecutionArn": jsonata(f"{lock}.execution")},
        retries=UNKNOWN_EXECUTION,
        assign={"holderEnded": "{% $states.result.Status %}"},
        outputs=jsonata(f"{{{ended}{more}}}"),
    )
    comment = "Waits until no function that the dead holder called can still be running."
    time = sfn.WaitTime.timestamp("{% $states.input.lastCallOver %}")
    wait_for_last_call = sfn.Wait.jsonata(tasks.scope, "WaitForLastCall", comment=comment, time=time)
    runs = [when(f"{held} and {also}", following, of_branch, assign) for also, following, of_branch, assign in running]
    holder_running = tasks.choice("HolderRunning?", "", *runs, otherwise=wait_for_last_call)
    if tasks.functions.run_commands:
        end_command = tasks.call("EndCommandOfHolder", tasks.functions.run_commands, ROLLBACK)
        end_command.add_catch(take_over, errors=["LockLost"]).add_catch(failed[0], assign=failed[1]).next(take_over)
        may_run, yes = "May a command of the dead holder still run?", when(f"{lock}.commandRuns", end_command, "yes")
        take_over = tasks.choice("CommandRuns?", may_run, yes, otherwise=take_over)

    describe_holder.add_catch(take_over, errors=[NO_EXECUTION], assign={"holderEnded": "UNKNOWN"})
    describe_holder.add_catch(failed[0], assign=failed[1]).next(holder_running)
    wait_for_last_call.next(take_over)
    return describe_holder
