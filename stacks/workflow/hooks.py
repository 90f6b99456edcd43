"""What a pair runs at the moments of a release: its deployment, its hooks, and what undoes them."""

from aws_cdk import aws_stepfunctions as sfn

from stacks.workflow.expressions import (
    CAUGHT,
    FAILED_STATE,
    FIRST_FAILURE,
    MESSAGE,
    NONE,
    PREFLIGHT_FAILURE,
    condition,
    jsonata,
    sentence,
)
from stacks.workflow.retries import retry_before_changes, retry_change
from stacks.workflow.tasks import Tasks

# The execution holds its lock no longer, or was asked to roll back: the cutover must not happen then.
ENDS = ["LockLost", "Redriven", "RollbackRequested"]
NOT_DEPLOYED = f"""
    ($states.errorOutput.Error = "DeployFailed" ? {MESSAGE}
        : "Production was not touched. The release is not on " & $plan.idle.name & ": " & {sentence(CAUGHT)})
"""
UNTOUCHED = "Production was not touched. "
HOOK_FAILURE = sentence(f'$states.errorOutput.Error = "HookFailed" ? {MESSAGE} : {FAILED_STATE}')
IN_VAIN = {"hooksBegan": True, "outcome": "PreflightFailed", "cause": jsonata(f'"{UNTOUCHED}" & {HOOK_FAILURE}')}
# The failure is only a warning, and the execution goes on.
WARNED = {"warnings": jsonata(f'$append($warnings, $replace($cause, "{UNTOUCHED}", ""))'), "cause": NONE}


def before_cutover(tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    """In an emergency and a rollback, hooks that fail do not prevent the cutover."""
    hooks = tasks.call("BeforeCutover", tasks.functions.run_commands, retry_before_changes)
    matters = sfn.Choice.jsonata(tasks.scope, "BeforeCutoverFailed?", comment="Does the cutover wait for its hooks?")
    hooks.add_catch(failed, errors=ENDS, assign=IN_VAIN).add_catch(matters, assign=IN_VAIN).next(done)
    matters.when(condition("$plan.tolerant"), done, comment="no: it is urgent", assign=WARNED)
    matters.otherwise(failed)
    return hooks


def after_cutover(tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.Choice:
    """After a rollback, hooks that fail do not lead back."""
    has_hooks = sfn.Choice.jsonata(tasks.scope, "AfterCutover?", comment="Are there hooks after the cutover?")
    hooks = tasks.call("AfterCutover", tasks.functions.run_commands, retry_change)
    matters = sfn.Choice.jsonata(
        tasks.scope, "AfterCutoverFailed?", comment="Is the cutover rolled back for its hooks?"
    )
    has_hooks.when(condition('"afterCutover" in $plan.hooks'), hooks, comment="yes")
    has_hooks.otherwise(done)
    hooks.add_catch(matters, assign=FIRST_FAILURE).next(done)
    matters.when(condition("$plan.rollback"), done, comment="no: it is a rollback", assign=WARNED)
    matters.otherwise(failed)
    return has_hooks


def deploy_release(tasks: Tasks, *, deployed: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    deploy = tasks.call("DeployRelease", tasks.functions.run_commands, retry_before_changes)
    deploy.add_catch(failed, errors=["LockLost", "Redriven"], assign=PREFLIGHT_FAILURE)
    deploy.add_catch(failed, assign={"outcome": "DeployFailed", "cause": jsonata(NOT_DEPLOYED)}).next(deployed)
    return deploy
