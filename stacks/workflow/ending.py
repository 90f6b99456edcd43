"""How every execution ends: the lock is released, the end is announced, the outcome has a state of its name."""

from collections.abc import Mapping

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.workflow.expressions import EXECUTION, GAP, condition, jsonata
from stacks.workflow.notifications import notify, put_event
from stacks.workflow.retries import SERVICE_TIMEOUT, retry_service


class Ending(Construct):
    """`ReleaseLock`, for executions that may hold the lock, then `Notify` and `PutEvent`, for all, then the outcome.

    `successes` are the Succeed states by the value of `$outcome`, with their comment and what they return; `failures`
    the Fail states by their error, with their comment. `about` is JSONata for an object with more keys of what programs
    are sent.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        lock_table: dynamodb.ITable,
        topic: sns.ITopic,
        successes: Mapping[str, tuple[str, str, str]],
        failures: Mapping[str, str],
        about: str = "{}",
    ) -> None:
        super().__init__(scope, construct_id)
        self.release_lock = tasks.DynamoDeleteItem.jsonata(
            self,
            "ReleaseLock",
            comment="Deletes the lock if this execution holds it, and reads what was measured meanwhile from it.",
            table=lock_table,
            key={"pair": tasks.DynamoAttributeValue.from_string("{% $plan.pair %}")},
            condition_expression="execution = :me",
            expression_attribute_values={":me": tasks.DynamoAttributeValue.from_string(EXECUTION)},
            return_values=tasks.DynamoReturnValues.ALL_OLD,
            task_timeout=SERVICE_TIMEOUT,
            assign={"gap": jsonata(GAP)},
            outputs="{% $states.input %}",
        )
        self.notify = notify(self, topic=topic, about=about)
        event = put_event(self, about=about)
        outcome = sfn.Choice.jsonata(self, "Outcome?", comment="The state that follows has the outcome's name.")

        for task, following in ((self.release_lock, self.notify), (self.notify, event), (event, outcome)):
            retry_service(task)
            task.next(following)
            task.add_catch(following, outputs="{% $states.input %}")
        for name, (state, comment, result) in successes.items():
            succeed = sfn.Succeed.jsonata(self, state, comment=comment, outputs=jsonata(result))
            outcome.when(condition(f'$outcome = "{name}"'), succeed, comment=name)
        for name, comment in failures.items():
            fail = sfn.Fail.jsonata(self, name, comment=comment, error=name, cause=jsonata("$cause"))
            outcome.when(condition(f'$outcome = "{name}"'), fail, comment=name)
