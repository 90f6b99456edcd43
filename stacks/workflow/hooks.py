"""What a pair runs at the moments of a release: its deployment, its hooks, and what undoes them."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

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
IN_VAIN = {
    "hooksBegan": True,
    "outcome": "PreflightFailed",
    "cause": jsonata(f'"{UNTOUCHED}" & {HOOK_FAILURE}'),
}
# The failure is only a warning, and the execution goes on.
WARNED = {"warnings": jsonata(f'$append($warnings, $replace($cause, "{UNTOUCHED}", ""))'), "cause": NONE}


def before_cutover(scope: Construct, tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    """In an emergency and a rollback, hooks that fail do not prevent the cutover."""
    hooks = tasks.run_commands(
        "BeforeCutover",
        "Runs the hooks before the cutover, for example to drain the live server.",
        moment="beforeCutover",
        retry=retry_before_changes,
        tolerant="$plan.tolerant",
        assign={"hooksBegan": True},
    )
    matters = sfn.Choice.jsonata(scope, "BeforeCutoverFailed?", comment="Does the cutover wait for its hooks?")
    hooks.next(done)
    hooks.add_catch(failed, errors=ENDS, assign=IN_VAIN)
    hooks.add_catch(matters, assign=IN_VAIN)
    matters.when(condition("$plan.tolerant"), done, comment="no: it is urgent", assign=WARNED)
    matters.otherwise(failed)
    return hooks


def after_cutover(scope: Construct, tasks: Tasks, *, done: sfn.IChainable, failed: sfn.IChainable) -> sfn.Choice:
    """After a rollback, hooks that fail do not lead back."""
    has_hooks = sfn.Choice.jsonata(scope, "AfterCutover?", comment="Are there hooks after the cutover?")
    hooks = tasks.run_commands(
        "AfterCutover",
        "Runs the hooks after the cutover, for example to move workers.",
        moment="afterCutover",
        retry=retry_change,
        live="$plan.idle.name",
    )
    matters = sfn.Choice.jsonata(scope, "AfterCutoverFailed?", comment="Is the cutover rolled back for its hooks?")
    has_hooks.when(condition('"afterCutover" in $plan.hooks'), hooks, comment="yes")
    has_hooks.otherwise(done)
    hooks.next(done)
    hooks.add_catch(matters, assign=FIRST_FAILURE)
    matters.when(condition("$plan.rollback"), done, comment="no: it is a rollback", assign=WARNED)
    matters.otherwise(failed)
    return has_hooks


def deploy_release(tasks: Tasks, *, deployed: sfn.IChainable, failed: sfn.IChainable) -> sfn.IChainable:
    deploy = tasks.run_commands(
        "DeployRelease",
        "Runs the pair's deploy command on the idle server.",
        moment="deploy",
        retry=retry_before_changes,
    )
    deploy.next(deployed)
    deploy.add_catch(failed, errors=["LockLost", "Redriven"], assign=PREFLIGHT_FAILURE)
    deploy.add_catch(failed, assign={"outcome": "DeployFailed", "cause": jsonata(NOT_DEPLOYED)})
    return deploy
