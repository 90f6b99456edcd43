"""How every execution ends: it releases the lock, announces the outcome, and ends in the state with its name."""

from collections.abc import Mapping

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.workflow.expressions import EXECUTION, FAILED_STATE, GAP, condition, jsonata, sentence
from stacks.workflow.notifications import TEXT, detail_of, publish, put_event
from stacks.workflow.resources import Resources
from stacks.workflow.retries import CONDITION_FAILED, SERVICE_TIMEOUT, retry_rollback, retry_service
from stacks.workflow.tasks import Tasks

Successes = Mapping[str, tuple[str, str, str]]
ONE = tasks.DynamoAttributeValue.number_from_string("1")
NOW = "$states.context.State.EnteredTime"
ME = "$states.context.Execution.Id"
# What the pair's record says from now on; the plan has it (`lambdas/domain/record.py`), except this execution.
ROLLBACK_TO = f"""(
    $outcome = "CUT_OVER"
      ? $merge([$plan.afterCutover, {{"why": $plan.afterCutover.why & " " & {ME}}}])
      : $outcome in ["RolledBack", "RollbackFailed"]
          ? $merge([$plan.afterFailure, {{"why": $plan.afterFailure.why & " " & $outcome & ": " & {ME}}}])
          : $plan.record.rollbackTo
)"""
# A deployment has written it itself.
KEEPS_ROLLBACK_TO = '$plan.deploys and $not($outcome in ["CUT_OVER", "RolledBack", "RollbackFailed"])'
LAST_CUTOVER = f"""(
    $outcome = "CUT_OVER"
      ? {{"from": $plan.production.server, "to": $plan.idle.name, "at": {NOW}, "execution": {ME},
          "rollback": $plan.rollback}}
      : $plan.record.lastCutover
)"""
# What the item has only while `execution` holds the lock, beside what the next execution must know if it is dead.
OF_A_HOLDER = "gap, bakesUntil, rollbackRequestedBy, approvalToken, approvesUntil, command, commandsOver, commandRuns"
LAST_OUTCOME = f'{{"outcome": $outcome, "execution": {ME}, "at": {NOW}}}'
# The next execution needs to know what a repair that failed could not finish.
RELEASE = f"""
    "SET rollbackTo = " & ({KEEPS_ROLLBACK_TO} ? "if_not_exists(rollbackTo, :rollbackTo)" : ":rollbackTo")
    & ", lastCutover = :lastCutover, lastOutcome = :lastOutcome REMOVE execution, {OF_A_HOLDER}"
    & ($outcome = "RepairFailed" ? "" :
        ", since, server, privateIps, live, liveInstanceId, stagingAssociation, rollsBack, interrupted"
        & ($plan.dryRun and $plan.undo ? "" : ", hooksBegan"))
    & " ADD revision :one"
"""


def texts(values: Mapping[str, str]) -> dict[str, tasks.DynamoAttributeValue]:
    return {name: tasks.DynamoAttributeValue.from_string(value) for name, value in values.items()}


# If a cutover does not happen, what the hooks before it did is undone. A dry run leaves it to the next execution.
UNDOES = """
    "afterRollback" in $plan.hooks and ($outcome in ["RolledBack", "RollbackFailed"]
        or ($outcome != "CUT_OVER" and $not($plan.dryRun) and (($exists($hooksBegan) and $hooksBegan) or $plan.undo)))
"""
NOT_UNDONE = {"warnings": jsonata(f"$append($warnings, {sentence(FAILED_STATE)})")}


class Ending:
    """`ReleaseLock`, for executions that may hold the lock, which writes the pair's record; then `Notify` and
    `PutEvent`; then the outcome. Before it, from `release`: the hooks that undo what the hooks before the cutover did.
    The lock is not released while a command may still run: `EndCommand` then ends it. An execution that is not
    announced goes directly to `outcome`.

    `successes` are the Succeed states by the value of `$outcome`, with their comment and what they return; `failures`
    the Fail states by their error, with their comment. `about` is JSONata for an object of more keys for programs."""

    def __init__(
        self, scope: Construct, resources: Resources, *, successes: Successes, failures: Mapping[str, str], about: str
    ) -> None:
        record = {
            ":me": EXECUTION,
            ":rollbackTo": jsonata(f"$string({ROLLBACK_TO})"),
            ":lastCutover": jsonata(f"$string({LAST_CUTOVER})"),
            ":lastOutcome": jsonata(f"$string({LAST_OUTCOME})"),
        }
        self.release_lock = tasks.DynamoUpdateItem.jsonata(
            scope,
            "ReleaseLock",
            comment="If this execution holds the lock: releases it, writes the pair's record, reads the measured gap.",
            table=resources.lock_table,
            key=texts({"pair": "{% $plan.pair %}"}),
            update_expression=jsonata(RELEASE),
            condition_expression=f"execution = :me{resources.functions.no_command_runs}",
            expression_attribute_values={**texts(record), ":one": ONE},
            return_values=tasks.DynamoReturnValues.ALL_OLD,
            task_timeout=SERVICE_TIMEOUT,
            assign={"gap": jsonata(GAP)},
            outputs="{% $states.input %}",
        )
        name, detail = resources.names.cutover, detail_of(about)
        comment = "Publishes the outcome to the topic's subscribers."
        self.notify = publish(scope, "Notify", comment, name=name, topic=resources.topic, text=TEXT, detail=detail)
        event = put_event(scope, name, detail=detail)
        self.outcome = sfn.Choice.jsonata(scope, "Outcome?", comment="The next state has the outcome's name.")

        for task, following in ((self.release_lock, self.notify), (self.notify, event), (event, self.outcome)):
            retry_service(task)
            task.next(following)
        self.notify.add_catch(event, outputs="{% $states.input %}")
        event.add_catch(self.outcome, outputs="{% $states.input %}")
        for name, (state, comment, result) in successes.items():
            succeed = sfn.Succeed.jsonata(scope, state, comment=comment, outputs=jsonata(result))
            self.outcome.when(condition(f'$outcome = "{name}"'), succeed, comment=name)
        for name, comment in failures.items():
            fail = sfn.Fail.jsonata(scope, name, comment=comment, error=name, cause=jsonata("$cause"))
            self.outcome.when(condition(f'$outcome = "{name}"'), fail, comment=name)
        functions, of_release = resources.functions, Tasks(scope, resources.functions)
        if functions.run_commands:
            self._end_command(of_release)
        self.release_lock.add_catch(self.notify, outputs="{% $states.input %}")
        undoes = "afterRollback" in functions.moments
        self.release: sfn.IChainable = self._undo(scope, of_release) if undoes else self.release_lock

    def _end_command(self, of_release: Tasks) -> None:
        comment = "Cancels a command that may still run, and waits for its end."
        end = of_release.end_command("EndCommand", comment, pair="$plan.pair", execution=ME, retry=retry_rollback)
        end.next(self.release_lock)
        end.add_catch(self.notify, outputs="{% $states.input %}")
        self.release_lock.add_catch(end, errors=[CONDITION_FAILED], outputs="{% $states.input %}")

    def _undo(self, scope: Construct, of_release: Tasks) -> sfn.Choice:
        choice = sfn.Choice.jsonata(scope, "Undo?", comment="Did hooks before the cutover run in vain?")
        after = of_release.run_commands(
            "AfterRollback",
            "Runs the hooks that undo what the hooks before the cutover did.",
            moment="afterRollback",
            retry=retry_rollback,
            live="$production.server",
            tolerant="true",
        )
        after.next(self.release_lock)
        after.add_catch(self.release_lock, assign=NOT_UNDONE)
        choice.when(condition(UNDOES), after, comment="yes")
        return choice.otherwise(self.release_lock)
