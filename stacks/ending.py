"""How every execution ends: the lock is released, people are told, and the outcome has a state of its own name."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.expressions import DRY_RUN_RESULT, EXECUTION, RESULT, jsonata
from stacks.retries import retry_service

SUCCESSES = {
    "CUT_OVER": ("CutOver", "The idle server became live; the former live server is the idle one now.", RESULT),
    "ALREADY_LIVE": ("AlreadyLive", "Both addresses stood as asked for already; nothing was changed.", RESULT),
    "REPAIRED": ("Repaired", "Production stood as asked for; the staging address was put right.", RESULT),
    "DRY_RUN": ("DryRun", "All checks passed; the plan is in the output, and nothing was changed.", DRY_RUN_RESULT),
}
FAILURES = {
    "InvalidRequest": "The input is wrong; the cause names the key. Nothing was read but the configuration.",
    "CutoverInProgress": "Another execution holds this pair; the cause names it. Nothing was changed.",
    "StagingUnhealthy": "The idle server failed its health check; the cause says how. Nothing was changed.",
    "PreflightFailed": "A permission, an instance state or an address is not fit. Nothing was changed.",
    "AddressMoved": "Somebody else moved an address since it was described. Nothing was changed.",
    "RolledBack": "The cutover failed and both addresses are back where they were; the cause has the first error.",
    "RollbackFailed": "A person must act: the cause has what was found and the commands that finish it.",
}

NOTICE = (
    '$string($merge([{"execution": $states.context.Execution.Id}, $exists($cause)'
    f' ? {{"outcome": $outcome, "pair": $plan.pair, "cause": $cause}} : {RESULT}]))'
)
SUBJECT = '"eip-cutover: " & ($exists($plan) ? $plan.pair & " " : "") & $outcome'


class Ending(Construct):
    """`ReleaseLock`, for executions that may hold the lock, then `Notify`, for all, then the outcome."""

    def __init__(self, scope: Construct, construct_id: str, *, lock_table: dynamodb.ITable, topic: sns.ITopic) -> None:
        super().__init__(scope, construct_id)
        self.notify = tasks.SnsPublish.jsonata(
            self,
            "Notify",
            comment="Tells the topic's subscribers how it ended.",
            topic=topic,
            subject=jsonata(SUBJECT),
            message=sfn.TaskInput.from_text(jsonata(NOTICE)),
            outputs="{% $states.input %}",
        )
        self.release_lock = tasks.DynamoDeleteItem.jsonata(
            self,
            "ReleaseLock",
            comment="Deletes the lock if this execution holds it. If that fails, the next execution takes it over.",
            table=lock_table,
            key={"pair": tasks.DynamoAttributeValue.from_string("{% $plan.pair %}")},
            condition_expression="execution = :me",
            expression_attribute_values={":me": tasks.DynamoAttributeValue.from_string(EXECUTION)},
            outputs="{% $states.input %}",
        )
        outcome = self._outcome()
        for task, following in ((self.release_lock, self.notify), (self.notify, outcome)):
            retry_service(task)
            task.add_catch(following, outputs="{% $states.input %}")
            task.next(following)

    def _outcome(self) -> sfn.Choice:
        outcome = sfn.Choice.jsonata(self, "Outcome?", comment="The state that follows has the outcome's name.")
        for name, (state, comment, result) in SUCCESSES.items():
            succeed = sfn.Succeed.jsonata(self, state, comment=comment, outputs=jsonata(result))
            outcome.when(sfn.Condition.jsonata(jsonata(f'$outcome = "{name}"')), succeed, comment=name)
        for name, comment in FAILURES.items():
            fail = sfn.Fail.jsonata(self, name, comment=comment, error=name, cause=jsonata("$cause"))
            outcome.when(sfn.Condition.jsonata(jsonata(f'$outcome = "{name}"')), fail, comment=name)
        return outcome
