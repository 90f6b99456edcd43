"""What a pair has configured around its cutover: its deployment, its hooks, what undoes them, and its bake."""

from aws_cdk import aws_stepfunctions as sfn

from stacks.workflow import failures, retries
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import EXECUTION, INPUT, NONE, jsonata, sentence
from stacks.workflow.tasks import Tasks, when

# The execution holds its lock no longer, or was asked to roll back: the cutover must not happen then.
ENDS = ["LockLost", "RollbackRequested"]
NOT_DEPLOYED = f"""
    ($states.errorOutput.Error = "DeployFailed" ? {failures.MESSAGE}
        : "Production was not touched. The release is not on " & $plan.idle.name & ": " & {sentence(failures.CAUGHT)})
"""
UNTOUCHED = "Production was not touched. "
HOOK_FAILURE = sentence(f'$states.errorOutput.Error = "HookFailed" ? {failures.MESSAGE} : {failures.OF_STATE}')
IN_VAIN = {"hooksBegan": True, "outcome": "PreflightFailed", "cause": jsonata(f'"{UNTOUCHED}" & {HOOK_FAILURE}')}
# The failure is only a warning, and the execution goes on.
WARNED = {"warnings": jsonata(f'$append($warnings, $replace($cause, "{UNTOUCHED}", ""))'), "cause": NONE}
BAKE_OVER = "$plan.bakeSeconds = 0 or ($exists($bakesUntil) and $millis() >= $toMillis($bakesUntil))"
BAKES_UNTIL = jsonata("$fromMillis($toMillis($states.context.State.EnteredTime) + 1000 * $plan.bakeSeconds)")


def before_cutover(tasks: Tasks, ending: Ending, *, done: sfn.IChainable) -> sfn.IChainable:
    """In an emergency and a rollback, hooks that fail do not prevent the cutover."""
    hooks = tasks.call("BeforeCutover", tasks.functions.run_commands, retries.BEFORE_CHANGES, {"hooksBegan": True})
    hooks.add_catch(ending.notify, errors=["Redriven"], assign=failures.PREFLIGHT)
    hooks.add_catch(ending.release, errors=ENDS, assign=IN_VAIN).next(done)
    urgent = when("$plan.tolerant", done, "no: it is urgent", WARNED)
    comment = "Does the cutover wait for its hooks?"
    hooks.add_catch(tasks.choice("BeforeCutoverFailed?", comment, urgent, otherwise=ending.release), assign=IN_VAIN)
    return hooks


def after_cutover(tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    """After a rollback, hooks that fail do not lead back."""
    if "afterCutover" not in tasks.functions.moments:
        return done
    hooks = tasks.call("AfterCutover", tasks.functions.run_commands, retries.CHANGE)
    rollback = when("$plan.rollback", done, "no: it is a rollback", WARNED)
    comment = "Is the cutover rolled back for its hooks?"
    hooks.add_catch(tasks.choice("AfterCutoverFailed?", comment, rollback, otherwise=failed), assign=failures.FIRST)
    hooks.next(done)
    has_hooks = when('"afterCutover" in $plan.hooks', hooks, "yes")
    return tasks.choice("AfterCutover?", "Are there hooks after the cutover?", has_hooks, otherwise=done)


def deploy_release(tasks: Tasks, ending: Ending, *, deployed: sfn.IChainable) -> sfn.IChainable:
    deploy = tasks.call("DeployRelease", tasks.functions.run_commands, retries.BEFORE_CHANGES)
    deploy.add_catch(ending.notify, errors=["LockLost", "Redriven"], assign=failures.PREFLIGHT)
    deploy.add_catch(ending.release, assign={"outcome": "DeployFailed", "cause": jsonata(NOT_DEPLOYED)}).next(deployed)
    return deploy


def bake(tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    """For `bakeSeconds` after a cutover, the new live server is watched, in calls of some minutes each. Returns the
    first state. `done` follows when the bake is over, and at once if the pair has none."""
    if not tasks.functions.bakes:
        return done
    values, assign = {":until": BAKES_UNTIL, ":me": EXECUTION}, {"bakesUntil": BAKES_UNTIL}
    record_bake = tasks.update_item("RecordBake", "SET bakesUntil = :until", values, assign=assign, outputs=INPUT)
    watch = tasks.call("Bake", tasks.functions.health_check, retries.CHANGE)
    bake_left = tasks.choice(
        "Bake?",
        "Is the bake over?",
        when(BAKE_OVER, done, "no bake, or it is over"),
        when("$not($exists($bakesUntil))", record_bake, "it begins"),
        otherwise=watch,
    )
    record_bake.add_catch(watch, assign=assign, outputs=INPUT).next(watch)
    watch.add_catch(failed, assign=failures.FIRST).next(bake_left)
    return bake_left
