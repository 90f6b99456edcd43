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


def texts(values: Mapping[str, str]) -> dict[str, tasks.DynamoAttributeValue]:
    return {name: tasks.DynamoAttributeValue.from_string(value) for name, value in values.items()}


class Ending:
    """`ReleaseLock`, for executions that may hold the lock, then `Notify` and `PutEvent`, then the outcome.

    An execution that is not announced goes directly to `outcome`.

    `successes` are the Succeed states by the value of `$outcome`, with their comment and what they return; `failures`
    the Fail states by their error, with their comment. `about` is JSONata for an object of more keys for programs.
    """

    def __init__(
        self, scope: Construct, resources: Resources, *, successes: Successes, failures: Mapping[str, str], about: str
    ) -> None:
        self.release_lock = tasks.DynamoDeleteItem.jsonata(
            scope,
            "ReleaseLock",
            comment="Deletes the lock if this execution holds it, and reads the measured gap from it.",
            table=resources.lock_table,
            key=texts({"pair": "{% $plan.pair %}"}),
            condition_expression="execution = :me",
            expression_attribute_values=texts({":me": EXECUTION}),
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
