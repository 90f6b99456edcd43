"""The bake: for `bakeSeconds` after a cutover, the new live server is watched, in calls of some minutes each."""

from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.workflow.ending import texts
from stacks.workflow.expressions import EXECUTION, FIRST_FAILURE, condition, jsonata
from stacks.workflow.resources import Resources
from stacks.workflow.retries import SERVICE_TIMEOUT, retry_service
from stacks.workflow.tasks import Tasks

OVER = "$plan.bakeSeconds = 0 or ($exists($bakesUntil) and $millis() >= $toMillis($bakesUntil))"
UNTIL = jsonata("$fromMillis($toMillis($states.context.State.EnteredTime) + 1000 * $plan.bakeSeconds)")


def bake(scope: Construct, resources: Resources, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.Choice:
    """Returns the first state. `done` follows when the bake is over, and at once if the pair has none."""
    bake_left = sfn.Choice.jsonata(scope, "Bake?", comment="Is the bake over?")
    record_bake = tasks.DynamoUpdateItem.jsonata(
        scope,
        "RecordBake",
        comment="Writes into the lock until when the bake lasts, for people to see.",
        table=resources.lock_table,
        key=texts({"pair": "{% $plan.pair %}"}),
        update_expression="SET bakesUntil = :until",
        condition_expression="execution = :me",
        expression_attribute_values=texts({":until": UNTIL, ":me": EXECUTION}),
        task_timeout=SERVICE_TIMEOUT,
        assign={"bakesUntil": UNTIL},
        outputs="{% $states.input %}",
    )
    watch = Tasks(scope, resources.functions).bake()

    bake_left.when(condition(OVER), done, comment="no bake, or it is over")
    bake_left.when(condition("$not($exists($bakesUntil))"), record_bake, comment="it begins")
    bake_left.otherwise(watch)
    retry_service(record_bake)
    record_bake.next(watch)
    record_bake.add_catch(watch, assign={"bakesUntil": UNTIL}, outputs="{% $states.input %}")
    watch.next(bake_left)
    watch.add_catch(failed, assign=FIRST_FAILURE)
    return bake_left
