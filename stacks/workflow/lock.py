"""The lock: one cutover per pair at a time; and how a dead holder's is taken over, after its last call and command."""

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.aws_stepfunctions_tasks import CallAwsService, DynamoAttributeValue, DynamoReturnValues

from stacks.functions.functions import LAST_CALL
from stacks.workflow import failures
from stacks.workflow.calls import Keys
from stacks.workflow.ending import NOW, OF_A_HOLDER, Ending
from stacks.workflow.expressions import EXECUTION, ME, NONE, jsonata
from stacks.workflow.retries import CONDITION_FAILED, NO_EXECUTION, ROLLBACK, UNKNOWN_EXECUTION
from stacks.workflow.state_machine import executions_of, states_arn
from stacks.workflow.tasks import Branch, Tasks, when

# The lock, from its item as DynamoDB returns it in $states.result; null if the item is only a record.
HOLDER = """($of := $states.result.Item; $exists($of.execution) ? {
    "pair": $plan.pair, "execution": $of.execution.S, "since": $of.since.S, "server": $of.server.S, "live": $of.live.S,
    "rollsBack": $exists($of.rollsBack) and $of.rollsBack.S = "true", "commandRuns": $exists($of.commandRuns)
} : null)"""
RUNNING = '$states.input.status = "RUNNING"'
# A dry run changes nothing, so it leaves what a dead holder has begun, and its lock, to the repair.
HELD = f'({RUNNING} or ($plan.dryRun and $states.input.status != "SUCCEEDED"))'
IN_PROGRESS = """
    "Another execution " & ($holder.server = "-" ? "holds" : "is cutting over") & " pair " & $plan.pair
    & ($holder.server = "-" ? "" : " to " & $holder.server) & ": " & $holder.execution
    & ", since " & $holder.since & ". Nothing was changed. " & ($states.input.status = "RUNNING"
        ? "Wait until it ends, or stop it, then start again."
        : "It has ended, and its pair is being repaired. Start again in a minute.")
"""
# An execution waits for another one for `waitSeconds`, but for a repair, which is short, at least for a minute. A
# rollback waits for as long as it takes, because the other execution rolls back. A pause is a tenth of the time so far,
# so that the history has room for a day; for a repair, of the time that it has had the lock.
REPAIR_PATIENCE_SECONDS, LONGEST_PAUSE_SECONDS = 60, 120
# The cutover that was asked to roll back; null if it makes no other server live.
MOVES_NOTHING = f'$holder.server in ["{NONE}", $holder.live]'
AWAITED = f'{MOVES_NOTHING} ? null : {{"execution": $holder.execution, "live": $holder.live}}'
# The pair's record and the lock, in one write. If the pair's record has changed since it was planned from, it fails. A
# revision that is not a number, because a person wrote it, is replaced.
ACQUIRE = f"""
    SET execution = :me, since = :since, server = :server, privateIps = :privateIps, live = :live,
    liveInstanceId = :liveInstanceId, stagingAssociation = :stagingAssociation, rollsBack = :rollsBack,
    rollbackTo = :rollbackTo, lastCutover = :lastCutover, hooksBegan = :hooksBegan, revision = :revision
    REMOVE interrupted, {OF_A_HOLDER}
"""
FREE_AND_AS_PLANNED = """
    (attribute_not_exists(execution) OR execution = :me)
    AND (attribute_not_exists(revision) OR revision = :revision OR NOT attribute_type(revision, :number))
"""
LOCK_VALUES = {
    ":me": EXECUTION,
    ":since": jsonata(NOW),
    ":server": jsonata(f'$plan.dryRun ? "{NONE}" : $plan.target'),
    ":privateIps": "{% $string($plan.privateIps) %}",
    ":live": jsonata(f'$plan.production.server != null ? $plan.production.server : "{NONE}"'),
    ":liveInstanceId": jsonata(f'$plan.production.instanceId != null ? $plan.production.instanceId : "{NONE}"'),
    ":stagingAssociation": jsonata(f'$plan.staging.associationId != null ? $plan.staging.associationId : "{NONE}"'),
    ":rollsBack": "{% $string($plan.rollback) %}",
    ":rollbackTo": "{% $string($plan.record.rollbackTo) %}",
    ":lastCutover": "{% $string($plan.record.lastCutover) %}",
    ":hooksBegan": "{% $string($plan.undo) %}",
    ":number": "N",
    ":revision": DynamoAttributeValue.number_from_string("{% $plan.record.revision %}"),
}
# If the dead holder had finished, it has begun nothing that is left to do.
TAKE_OVER = f"""
    "SET interrupted = :holder REMOVE execution, {OF_A_HOLDER}"
    & ($holderEnded = "SUCCEEDED" ? ", server" : "") & " ADD revision :one"
"""


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


def _end_approval(tasks: Tasks, following: sfn.IChainable) -> sfn.IChainable:
    """Ends the approval that the holder waits for, by its task token, and leads to `following`."""
    if not tasks.functions.approves:
        return following
    token, by = "$states.input.Attributes.approvalToken.S", f'"The execution " & {ME} & " asked for a rollback."'
    failure = {"TaskToken": jsonata(token), "Error": "RollbackRequested", "Cause": jsonata(by)}
    machine = states_arn(tasks.scope, "stateMachine", tasks.resources.names.cutover)
    end = tasks.sdk("EndApproval", "states:SendTaskFailure", [machine], failure)
    end.add_catch(following).next(following)  # it has been answered meanwhile, or its time was up
    waits, comment = when(f"$exists({token})", end, "yes"), "Does the other execution wait for approval?"
    return tasks.choice("AwaitsApproval?", comment, waits, otherwise=following)


def acquire_lock(tasks: Tasks, *, ending: Ending, start_over: sfn.IChainable) -> sfn.TaskStateBase:
    """`AcquireLock`, which is returned, and the states for a lock that another execution holds. The lock is an item of
    the table, keyed by the pair, while it has the ARN of its holder; then the item stays, as the pair's record. A dead
    holder's lock is taken. Before another try, the execution starts over at `start_over`: its plan is from before."""
    scope, names, holder = tasks.scope, tasks.resources.names, "{% $holder.execution %}"
    acquire = tasks.update_item("AcquireLock", ACQUIRE, LOCK_VALUES, condition=FREE_AND_AS_PLANNED)
    describe_lock = tasks.get_item("DescribeLock", {"holder": jsonata(HOLDER), "waited": False})
    values, still = {":holder": holder, ":one": 1}, f"execution = :holder{tasks.functions.no_command_runs}"
    take_over = tasks.update_item("TakeOverLock", jsonata(TAKE_OVER), values, condition=still)
    ask, values = "SET rollbackRequestedBy = :me", {":me": EXECUTION, ":holder": holder}
    asked: Any = {"return_values": DynamoReturnValues.ALL_NEW, "assign": {"asked": holder, "awaited": jsonata(AWAITED)}}
    request_rollback = tasks.update_item("RequestRollback", ask, values, condition="execution = :holder", **asked)
    comment = "Waits for the execution that holds the lock."
    time = sfn.WaitTime.seconds("{% $exists($states.input.pause) ? $states.input.pause : 1 %}")
    wait_for_holder = sfn.Wait.jsonata(scope, "WaitForHolder", comment=comment, time=time)
    is_repair = f'$contains($holder.execution, ":execution:{names.repair}:")'
    waited = "($millis() - $toMillis($states.context.Execution.StartTime)) / 1000"
    left = f"($max([$plan.waitSeconds, {is_repair} ? {REPAIR_PATIENCE_SECONDS} : 0]) - {waited})"
    cutover = f"($not($holder.rollsBack) and $not({is_repair}))"
    rolls_back = "($plan.rollback and $not($plan.dryRun))"
    # If the one that was asked has left production on the other server, the next cutover is asked, too.
    awaited = "$exists($awaited) and $awaited != null and $awaited.live = $holder.live"
    has_asked = f"$asked = $holder.execution or ({awaited})"
    asks = f'{rolls_back} and {cutover} and $holder.live != "{NONE}" and $not({has_asked})'
    # A cutover that began after the one that was asked is not this execution's.
    waits = f"({rolls_back} and ($asked = $holder.execution or $not({cutover}) or {MOVES_NOTHING})) or {left} > 0"
    so_far = f"({is_repair} ? ($millis() - $toMillis($holder.since)) / 1000 : {waited})"
    most = f"({rolls_back} ? {LONGEST_PAUSE_SECONDS} : {left})"
    pause = f"$ceil($max([1, $min([{LONGEST_PAUSE_SECONDS}, {so_far} / 10, {most}])]))"
    describe_holder = describe_lock_holder(
        tasks,
        lock="$holder",
        take_over=take_over,
        held=HELD,
        running=(
            when(f"({asks})", request_rollback, "running, and it can roll back"),
            when(f"({waits})", wait_for_holder, "running, and there is time"),
            when("true", ending.notify, "running", {"outcome": "CutoverInProgress", "cause": jsonata(IN_PROGRESS)}),
        ),
        failed=(ending.release_lock, failures.AFTER_REPAIR),
        more=f', "pause": {pause}',
    )

    acquire.add_catch(describe_lock, errors=[CONDITION_FAILED])
    free = when("$holder = null", start_over, "free by now")
    describe_lock.next(tasks.choice("LockHeld?", "", free, otherwise=describe_holder))
    take_over.add_catch(start_over, errors=[CONDITION_FAILED]).next(start_over)
    request_rollback.add_catch(describe_lock, errors=[CONDITION_FAILED])
    request_rollback.next(_end_approval(tasks, wait_for_holder))
    wait_for_holder.next(describe_lock)
    for task in (acquire, describe_lock, take_over, request_rollback):
        task.add_catch(ending.release_lock, assign=failures.AFTER_REPAIR)
    return acquire
