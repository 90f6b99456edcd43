"""The rollback: production first, then staging, then a look and a health check before anything is claimed.

Its target is the sound pair: production on the server it was on, staging on the other. Production is only moved back by
an execution that has begun to move it: what someone else did with production is reported, not undone.
"""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.functions.functions import MOVING_SECONDS
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import CAUGHT, FAILED_STATE, MESSAGE, PREFLIGHT_FAILURE, condition, jsonata, sentence
from stacks.workflow.resources import Resources
from stacks.workflow.retries import retry_rollback
from stacks.workflow.tasks import Tasks

RESTORED = """
    $cause & " Rolled back: production " & $states.result.Payload.production.publicIp & " is on " & $plan.live.name
    & ", staging " & $states.result.Payload.staging.publicIp & " is on " & $plan.idle.name & "."
"""
UNSEEN = f"""
    $cause & " The rollback was tried, but the addresses could not be described after it: " & {sentence(CAUGHT)}
    & " A person must act. To put both addresses where they belong, run: " & $plan.restore
"""
UNFINISHED = f'$cause & " The rollback did not finish. " & {MESSAGE}'
MOVED = (
    f'$cause & " " & {MESSAGE} & " A person must act. To put both addresses where they belong, run: " & $plan.restore'
)
HEALTHY = '$cause & " " & $plan.live.name & " answers its health check as production."'
UNHEALTHY = f'$cause & " But " & $plan.live.name & " fails its health check as production: " & {CAUGHT}'


def roll_back(scope: Construct, resources: Resources, *, ending: Ending) -> sfn.Choice:
    """Returns the first state. It ends `RolledBack` only when both addresses were seen where they belong."""
    tasks = Tasks(scope, resources.functions)

    production_moved = sfn.Choice.jsonata(
        scope, "ProductionMoved?", comment="Has this execution begun to move production?"
    )
    restore_production = tasks.restore(
        "RestoreProduction",
        "The production address back to the server that was live, in one atomic move.",
        address="production",
        to="live",
    )
    restore_staging = tasks.restore(
        "RestoreStaging", "The staging address to the other server, where it belongs.", address="staging", to="idle"
    )
    describe_restored = tasks.describe_restored(
        "DescribeRestored",
        "Looks: is production on the server it was on, and staging on the other?",
        assign={"cause": jsonata(RESTORED)},
    )
    health_check_restored = tasks.health_check_production(
        "HealthCheckRestored",
        "Does the restored server answer through the production address?",
        server="live",
        retry=retry_rollback,
        more={"movingSeconds": jsonata(f"$moved ? {MOVING_SECONDS} : 0")},
        assign={"outcome": "RolledBack", "cause": jsonata(HEALTHY)},
        strict=True,
    )

    # The order in which they run. Unless EC2 took production back, or someone else has it, staging stays: its server
    # may still hold production. Whatever went wrong, what counts is where the addresses are found in the end.

    release = ending.release_lock
    also_failed = {"cause": jsonata(f'$cause & " " & {sentence(FAILED_STATE)}')}
    production_moved.when(condition("$moved"), restore_production, comment="production was moved")
    production_moved.otherwise(restore_staging)
    restore_production.next(restore_staging)
    restore_production.add_catch(release, errors=["Redriven"], assign=PREFLIGHT_FAILURE)
    restore_production.add_catch(restore_staging, errors=["MovedMeanwhile"], assign=also_failed)
    restore_production.add_catch(describe_restored, assign=also_failed)
    restore_staging.next(describe_restored)
    restore_staging.add_catch(release, errors=["Redriven"], assign=PREFLIGHT_FAILURE)
    restore_staging.add_catch(describe_restored, assign=also_failed)
    describe_restored.next(health_check_restored)
    describe_restored.add_catch(
        release, errors=["RollbackFailed"], assign={"outcome": "RollbackFailed", "cause": jsonata(UNFINISHED)}
    )
    describe_restored.add_catch(release, assign={"outcome": "RollbackFailed", "cause": jsonata(UNSEEN)})
    health_check_restored.next(release)
    health_check_restored.add_catch(
        release, errors=["MovedMeanwhile"], assign={"outcome": "RollbackFailed", "cause": jsonata(MOVED)}
    )
    health_check_restored.add_catch(release, assign={"outcome": "RolledBack", "cause": jsonata(UNHEALTHY)})
    return production_moved
