"""The bake: for `bakeSeconds` after a cutover, the new live server is watched, in calls of some minutes each."""

from aws_cdk import aws_stepfunctions as sfn

from stacks.workflow.expressions import EXECUTION, FIRST_FAILURE, INPUT, condition, jsonata
from stacks.workflow.retries import retry_change
from stacks.workflow.tasks import Tasks

OVER = "$plan.bakeSeconds = 0 or ($exists($bakesUntil) and $millis() >= $toMillis($bakesUntil))"
UNTIL = jsonata("$fromMillis($toMillis($states.context.State.EnteredTime) + 1000 * $plan.bakeSeconds)")


def bake(tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.Choice:
    """Returns the first state. `done` follows when the bake is over, and at once if the pair has none."""
    bake_left = sfn.Choice.jsonata(tasks.scope, "Bake?", comment="Is the bake over?")
    record_bake = tasks.update_item(
        "RecordBake",
        "Writes into the lock until when the bake lasts, for people to see.",
        "SET bakesUntil = :until",
        values={":until": UNTIL, ":me": EXECUTION},
        assign={"bakesUntil": UNTIL},
        outputs=INPUT,
    )
    watch = tasks.call("Bake", tasks.functions.health_check, retry_change)

    bake_left.when(condition(OVER), done, comment="no bake, or it is over")
    bake_left.when(condition("$not($exists($bakesUntil))"), record_bake, comment="it begins")
    bake_left.otherwise(watch)
    record_bake.add_catch(watch, assign={"bakesUntil": UNTIL}, outputs=INPUT).next(watch)
    watch.add_catch(failed, assign=FIRST_FAILURE).next(bake_left)
    return bake_left
