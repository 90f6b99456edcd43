"""How every execution ends: it releases the lock, announces the outcome, and ends in the state with its name."""

from collections.abc import Mapping

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.workflow.expressions import EXECUTION, GAP, condition, jsonata
from stacks.workflow.notifications import notify, put_event
from stacks.workflow.resources import Resources
from stacks.workflow.retries import SERVICE_TIMEOUT, retry_service

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
LAST_CUTOVER = f"""(
    $outcome = "CUT_OVER"
      ? {{"from": $plan.production.server, "to": $plan.idle.name, "at": {NOW}, "execution": {ME},
          "rollback": $plan.rollback}}
      : $plan.record.lastCutover
)"""
LAST_OUTCOME = f'{{"outcome": $outcome, "execution": {ME}, "at": {NOW}}}'
# The next execution needs to know what a repair that failed could not finish.
RELEASE = """
    "SET rollbackTo = :rollbackTo, lastCutover = :lastCutover, lastOutcome = :lastOutcome"
    & " REMOVE execution, gap, bakesUntil, rollbackRequestedBy"
    & ($outcome = "RepairFailed" ? "" :
        ", since, server, privateIps, live, liveInstanceId, stagingAssociation, rollsBack, interrupted")
    & " ADD revision :one"
"""


def texts(values: Mapping[str, str]) -> dict[str, tasks.DynamoAttributeValue]:
    return {name: tasks.DynamoAttributeValue.from_string(value) for name, value in values.items()}


class Ending:
    """`ReleaseLock`, for executions that may hold the lock, which writes the pair's record; then `Notify` and
    `PutEvent`; then the outcome.

    An execution that is not announced goes directly to `outcome`.

    `successes` are the Succeed states by the value of `$outcome`, with their comment and what they return; `failures`
    the Fail states by their error, with their comment. `about` is JSONata for an object of more keys for programs.
    """

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
            condition_expression="execution = :me",
            expression_attribute_values={**texts(record), ":one": ONE},
            return_values=tasks.DynamoReturnValues.ALL_OLD,
            task_timeout=SERVICE_TIMEOUT,
            assign={"gap": jsonata(GAP)},
            outputs="{% $states.input %}",
        )
        name = resources.names.cutover
        self.notify = notify(scope, name, topic=resources.topic, about=about)
        event = put_event(scope, name, about=about)
        self.outcome = sfn.Choice.jsonata(scope, "Outcome?", comment="The next state has the outcome's name.")

        for task, following in ((self.release_lock, self.notify), (self.notify, event), (event, self.outcome)):
            retry_service(task)
            task.next(following)
            task.add_catch(following, outputs="{% $states.input %}")
        for name, (state, comment, result) in successes.items():
            succeed = sfn.Succeed.jsonata(scope, state, comment=comment, outputs=jsonata(result))
            self.outcome.when(condition(f'$outcome = "{name}"'), succeed, comment=name)
        for name, comment in failures.items():
            fail = sfn.Fail.jsonata(scope, name, comment=comment, error=name, cause=jsonata("$cause"))
            self.outcome.when(condition(f'$outcome = "{name}"'), fail, comment=name)
