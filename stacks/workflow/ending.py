"""How every execution ends: it releases the lock, announces the outcome, and ends in the state with its name."""

from collections.abc import Mapping

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.aws_stepfunctions_tasks import DynamoReturnValues

from stacks.workflow import failures, retries
from stacks.workflow.expressions import EXECUTION, INPUT, ME, condition, jsonata, sentence
from stacks.workflow.notifications import DETAIL_TYPE, TEXT, detail_of, publish, put_event
from stacks.workflow.retries import CONDITION_FAILED
from stacks.workflow.tasks import Tasks, when

Successes = Mapping[str, tuple[str, str, str]]
NOW = "$states.context.State.EnteredTime"
# What the pair's record says from now on; the plan has it (`lambdas/domain/record.py`), except this execution.
ROLLBACK_TO = f"""(
    $outcome = "CUT_OVER" ? $merge([$plan.afterCutover, {{"why": $plan.afterCutover.why & " " & {ME}}}])
      : $outcome in ["RolledBack", "RollbackFailed"]
          ? $merge([$plan.afterFailure, {{"why": $plan.afterFailure.why & " " & $outcome & ": " & {ME}}}])
          : $plan.record.rollbackTo
)"""
# A deployment has written it itself.
KEEPS_ROLLBACK_TO = '$plan.deploys and $not($outcome in ["CUT_OVER", "RolledBack", "RollbackFailed"])'
LAST_CUTOVER = f"""($outcome = "CUT_OVER" ? {{
    "from": $plan.production.server, "to": $plan.idle.name, "at": {NOW}, "execution": {ME}, "rollback": $plan.rollback
}} : $plan.record.lastCutover)"""
# What the item has only while `execution` holds the lock, beside what the next execution must know if it is dead.
OF_A_STEP = "approvalToken, approvesUntil, command, commandsOver, commandRuns"
OF_A_HOLDER = f"gap, bakesUntil, rollbackRequestedBy, {OF_A_STEP}"
STAND = "$string([$production.associationId, $staging.associationId])"
LAST_OUTCOME = f'{{"outcome": $outcome, "execution": {ME}, "at": {NOW}, "associations": {STAND}}}'
# The next execution needs to know what a repair that failed could not finish.
RELEASE = f"""
    "SET rollbackTo = " & ({KEEPS_ROLLBACK_TO} ? "if_not_exists(rollbackTo, :rollbackTo)" : ":rollbackTo")
    & ", lastCutover = :lastCutover, lastOutcome = :lastOutcome REMOVE execution, {OF_A_HOLDER}"
    & ($outcome = "RepairFailed" ? "" :
        ", since, server, privateIps, live, liveInstanceId, stagingAssociation, rollsBack, interrupted"
        & ($plan.dryRun and $plan.undo ? "" : ", hooksBegan"))
    & " ADD revision :one"
"""
# If a cutover does not happen, what the hooks before it did is undone. A dry run leaves it to the next execution.
UNDOES = """
    "afterRollback" in $plan.hooks and ($outcome in ["RolledBack", "RollbackFailed"]
        or ($outcome != "CUT_OVER" and $not($plan.dryRun) and (($exists($hooksBegan) and $hooksBegan) or $plan.undo)))
"""
NOT_UNDONE = {"warnings": jsonata(f"$append($warnings, {sentence(failures.OF_STATE)})")}
# From the item as it was before the lock was released.
GAP = "$exists($states.result.Attributes.gap) ? $parse($states.result.Attributes.gap.S) : null"


class Ending:
    """`ReleaseLock`, for executions that may hold the lock, which writes the pair's record; then `Notify` and
    `PutEvent`; then the outcome. Before it, from `release`: the hooks that undo what the hooks before the cutover did.
    The lock is not released while a command may still run: `EndCommand` then ends it. An execution that is not
    announced goes directly to `outcome`.

    `successes` are the Succeed states by the value of `$outcome`, with their comment and what they return; `failures`
    the Fail states by their error, with their comment. `about` is JSONata for an object of more keys for programs."""

    def __init__(self, tasks: Tasks, *, successes: Successes, failures: Mapping[str, str], about: str = "{}") -> None:
        functions, scope = tasks.functions, tasks.scope
        record = {":rollbackTo": ROLLBACK_TO, ":lastCutover": LAST_CUTOVER, ":lastOutcome": LAST_OUTCOME}
        texts = {key: jsonata(f"$string({value})") for key, value in record.items()}
        self.release_lock = tasks.update_item(
            "ReleaseLock",
            jsonata(RELEASE),
            {":me": EXECUTION, **texts, ":one": 1},
            condition=f"execution = :me{functions.no_command_runs}",
            return_values=DynamoReturnValues.ALL_OLD,
            assign={"gap": jsonata(GAP)},
            outputs=INPUT,
        )
        self.notify = publish(tasks, "Notify", text=TEXT, detail=detail_of(about))
        event = put_event(tasks, "PutEvent", DETAIL_TYPE, detail_of(about))
        self.outcome = tasks.choice("Outcome?", "The next state has the outcome's name.")
        for name, (state, comment, result) in successes.items():
            succeed = sfn.Succeed.jsonata(scope, state, comment=comment, outputs=jsonata(result))
            self.outcome.when(condition(f'$outcome = "{name}"'), succeed, comment=name)
        for name, comment in failures.items():
            fail = sfn.Fail.jsonata(scope, name, comment=comment, error=name, cause=jsonata("$cause"))
            self.outcome.when(condition(f'$outcome = "{name}"'), fail, comment=name)

        self.release_lock.next(self.notify)
        self.notify.add_catch(event, outputs=INPUT).next(event)
        event.add_catch(self.outcome, outputs=INPUT).next(self.outcome)
        if functions.run_commands:
            end = tasks.call("EndCommand", functions.run_commands, retries.ROLLBACK)
            end.add_catch(self.notify, outputs=INPUT).next(self.release_lock)
            self.release_lock.add_catch(end, errors=[CONDITION_FAILED], outputs=INPUT)
        self.release_lock.add_catch(self.notify, outputs=INPUT)
        self.release: sfn.IChainable = self.release_lock
        if "afterRollback" in functions.moments:
            after = tasks.call("AfterRollback", functions.run_commands, retries.ROLLBACK)
            after.add_catch(self.release_lock, assign=NOT_UNDONE).next(self.release_lock)
            comment, undoes = "Did hooks before the cutover run in vain?", when(UNDOES, after, "yes")
            self.release = tasks.choice("Undo?", comment, undoes, otherwise=self.release_lock)
