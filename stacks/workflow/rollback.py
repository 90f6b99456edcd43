"""The rollback: first production, then staging. Then both addresses are described, and the live server is checked.

Its target is the sound pair: production on the server it was on, staging on the other. Only an execution that has begun
to move production moves it back: if someone else moved production, this is reported and not undone."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.functions.functions import MOVING_SECONDS
from stacks.workflow.expressions import CAUGHT, FAILED_STATE, MESSAGE, PREFLIGHT_FAILURE, condition, jsonata, sentence
from stacks.workflow.resources import Resources
from stacks.workflow.retries import retry_rollback
from stacks.workflow.tasks import Tasks

FAILED = {"outcome": "RollbackFailed"}
RESTORED = """
    $cause & " Rolled back: production " & $states.result.Payload.production.publicIp & " is on " & $plan.live.name
    & ", staging " & $states.result.Payload.staging.publicIp & " is on " & $plan.idle.name & "."
"""
ACT = '" A person must act. To put both addresses where they belong, run:" & $plan.restore'
NOT_DESCRIBED = f"""
    $cause & " The rollback was tried, but the addresses could not be described after it: " & {sentence(CAUGHT)} & {ACT}
"""
UNFINISHED = f'$cause & " The rollback did not finish. " & {MESSAGE}'
MOVED = f'$cause & " " & {MESSAGE} & {ACT}'
HEALTHY = '$cause & " " & $plan.live.name & " answers its health check as production."'
UNHEALTHY = f'$cause & " But " & $plan.live.name & " fails its health check as production: " & {CAUGHT}'


def roll_back(scope: Construct, resources: Resources, *, release: sfn.IChainable) -> sfn.Choice:
    """Returns the first state. The rollback ends `RolledBack` only if both addresses were described in their places."""
    tasks = Tasks(scope, resources.functions)
    comment = "Can production go back, and has this execution begun to move it?"
    production_moved = sfn.Choice.jsonata(scope, "ProductionMoved?", comment=comment)
    comment = "Moves the production address back to the server that was live, in one atomic call."
    restore_production = tasks.restore("RestoreProduction", comment, address="production", to="live")
    comment = "Moves staging to the other server, where it belongs."
    restore_staging = tasks.restore("RestoreStaging", comment, address="staging", to="idle")
    describe_restored = tasks.describe_restored(
        "DescribeRestored",
        "Is production on the server it was on, and staging on the other?",
        retry=retry_rollback,
        restoring=True,
        assign={"cause": jsonata(RESTORED)},
    )
    health_check_restored = tasks.health_check_production(
        "HealthCheckRestored",
        "Does the restored server answer through the production address?",
        server="live",
        retry=retry_rollback,
        more={"movingSeconds": jsonata(f"$moved ? {MOVING_SECONDS} : 0")},
        assign={"outcome": "RolledBack", "cause": jsonata(HEALTHY)},
    )

    # The order of the states. If production could not be restored, staging stays, because its server may still hold
    # production; unless someone else moved production. After every error, both addresses are described in the end.

    also_failed = {"cause": jsonata(f'$cause & " " & {sentence(FAILED_STATE)}')}
    nowhere = condition("$not($plan.canRollBack)")
    production_moved.when(nowhere, describe_restored, comment="there is no server to roll back to")
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
    describe_restored.add_catch(release, errors=["RollbackFailed"], assign=FAILED | {"cause": jsonata(UNFINISHED)})
    describe_restored.add_catch(release, assign=FAILED | {"cause": jsonata(NOT_DESCRIBED)})
    health_check_restored.next(release)
    health_check_restored.add_catch(release, errors=["MovedMeanwhile"], assign=FAILED | {"cause": jsonata(MOVED)})
    health_check_restored.add_catch(release, assign={"outcome": "RolledBack", "cause": jsonata(UNHEALTHY)})
    return production_moved
