"""The rollback: first production, then staging. Then both addresses are described, and the live server is checked.

Its target is the sound pair: production on the server it was on, staging on the other. Only an execution that has begun
to move production moves it back: if someone else moved production, this is reported and not undone."""

from aws_cdk import aws_stepfunctions as sfn

from stacks.workflow import failures, retries
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import EXECUTION, jsonata, sentence
from stacks.workflow.tasks import Tasks, when

FAILED = {"outcome": "RollbackFailed"}
RESTORED = """
    $cause & " Rolled back: production " & $states.result.Payload.production.publicIp & " is on " & $plan.live.name
    & ", staging " & $states.result.Payload.staging.publicIp & " is on " & $plan.idle.name & "."
"""
ACT = '" A person must act. To put both addresses where they belong, run:" & $plan.restore'
NOT_DESCRIBED = f"""
    $cause & " The rollback was tried, but the addresses could not be described after it: "
    & {sentence(failures.CAUGHT)} & {ACT}
"""
UNFINISHED = f'$cause & " The rollback did not finish. " & {failures.MESSAGE}'
MOVED = f'$cause & " " & {failures.MESSAGE} & {ACT}'
HEALTHY = '$cause & " " & $plan.live.name & " answers its health check as production."'
UNHEALTHY = f'$cause & " But " & $plan.live.name & " fails its health check as production: " & {failures.CAUGHT}'


def roll_back(tasks: Tasks, ending: Ending) -> sfn.Choice:
    """Returns the first state. The rollback ends `RolledBack` only if both addresses were described in their places."""
    release, functions, restored = ending.release, tasks.functions, {"cause": jsonata(RESTORED)}
    healthy = {"outcome": "RolledBack", "cause": jsonata(HEALTHY)}
    restore_production = tasks.call("RestoreProduction", functions.associate_address, retries.ROLLBACK)
    restore_staging = tasks.call("RestoreStaging", functions.associate_address, retries.ROLLBACK)
    record_rollback = tasks.update_item("RecordRollback", "SET rollbackRequestedBy = :me", {":me": EXECUTION})
    describe_restored = tasks.call("DescribeRestored", functions.describe_restored, retries.ROLLBACK, restored)
    health_check_restored = tasks.call("HealthCheckRestored", functions.health_check, retries.ROLLBACK, healthy)

    # The order of the states. If production could not be restored, staging stays, because its server may still hold
    # production; unless someone else moved production. After every error, both addresses are described in the end.
    also_failed = {"cause": jsonata(f'$cause & " " & {sentence(failures.OF_STATE)}')}
    production_moved = tasks.choice(
        "ProductionMoved?",
        "Can production go back, and has this execution begun to move it?",
        when("$not($plan.canRollBack)", describe_restored, "there is no server to roll back to"),
        when("$moved", restore_production, "production was moved"),
        otherwise=record_rollback,
    )
    for state in (restore_production, restore_staging, describe_restored, health_check_restored):
        state.add_catch(ending.notify, errors=["LockLost", "Redriven"], assign=failures.PREFLIGHT)
    record_rollback.add_catch(restore_staging).next(restore_staging)
    restore_production.add_catch(record_rollback, errors=["MovedMeanwhile"], assign=also_failed)
    restore_production.add_catch(describe_restored, assign=also_failed).next(record_rollback)
    restore_staging.add_catch(describe_restored, assign=also_failed).next(describe_restored)
    describe_restored.add_catch(release, errors=["RollbackFailed"], assign=FAILED | {"cause": jsonata(UNFINISHED)})
    describe_restored.add_catch(release, assign=FAILED | {"cause": jsonata(NOT_DESCRIBED)}).next(health_check_restored)
    health_check_restored.add_catch(release, errors=["MovedMeanwhile"], assign=FAILED | {"cause": jsonata(MOVED)})
    health_check_restored.add_catch(release, assign=healthy | {"cause": jsonata(UNHEALTHY)}).next(release)
    return production_moved
