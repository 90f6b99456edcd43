"""The bake: for `bakeSeconds` after a cutover, the new live server is watched, in calls of some minutes each."""

from aws_cdk import aws_stepfunctions as sfn

from stacks.workflow import failures, retries
from stacks.workflow.expressions import EXECUTION, INPUT, jsonata
from stacks.workflow.tasks import Tasks, when

OVER = "$plan.bakeSeconds = 0 or ($exists($bakesUntil) and $millis() >= $toMillis($bakesUntil))"
UNTIL = jsonata("$fromMillis($toMillis($states.context.State.EnteredTime) + 1000 * $plan.bakeSeconds)")


def bake(tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    """Returns the first state. `done` follows when the bake is over, and at once if the pair has none."""
    if not tasks.functions.bakes:
        return done
    values, assign = {":until": UNTIL, ":me": EXECUTION}, {"bakesUntil": UNTIL}
    update = "SET bakesUntil = :until"
    record_bake = tasks.update_item("RecordBake", update, values, assign=assign, outputs=INPUT)
    watch = tasks.call("Bake", tasks.functions.health_check, retries.CHANGE)
    bake_left = tasks.choice(
        "Bake?",
        "Is the bake over?",
        when(OVER, done, "no bake, or it is over"),
        when("$not($exists($bakesUntil))", record_bake, "it begins"),
        otherwise=watch,
    )
    record_bake.add_catch(watch, assign=assign, outputs=INPUT).next(watch)
    watch.add_catch(failed, assign=failures.FIRST).next(bake_left)
    return bake_left
