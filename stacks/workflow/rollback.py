"""The way back: production first, then staging, then a look and a health check before anything is claimed.

Production is only moved back by an execution that has begun to move it: what somebody else did with it is not undone.
"""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.functions.functions import MOVING_SECONDS
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import CAUGHT, MESSAGE, jsonata, refused, sentence
from stacks.workflow.retries import retry_rollback
from stacks.workflow.tasks import Steps

PLACES = (
    '"production " & $states.result.Payload.production.publicIp & " on " & $plan.live.name'
    ' & ", staging " & $states.result.Payload.staging.publicIp & " on "'
    ' & ($states.result.Payload.staging.server != null ? $states.result.Payload.staging.server : "no server")'
)
FAILED = f'$states.context.State.Name & " failed with " & {CAUGHT}'
UNSEEN = (
    '$cause & " The rollback was tried, but the addresses could not be described after it: "'
    f' & {sentence(CAUGHT)} & " A person must act. To put both addresses back where they were, run: "'
    " & $plan.restore"
)


class Rollback(Construct):
    """`start` is its first state. It ends `RolledBack` only when both addresses were seen where they were before."""

    def __init__(self, scope: Construct, construct_id: str, *, steps: Steps, ending: Ending) -> None:
        super().__init__(scope, construct_id)
        self.start = sfn.Choice.jsonata(
            self, "ProductionMoved?", comment="Has this execution begun to move production?"
        )
        restore_production = steps.associate(
            self,
            "RestoreProduction",
            comment="The production address back to the server that was live, in one atomic move.",
            address="production",
            server="$plan.live",
            private_ip="$plan.production.privateIp",
            force=True,
        )
        had_server = sfn.Choice.jsonata(self, "StagingHadServer?")
        restore_staging = steps.associate(
            self,
            "RestoreStaging",
            comment="The staging address back to the server it was on.",
            address="staging",
            server="$plan.staging.server = $plan.live.name ? $plan.live : $plan.idle",
            private_ip="$plan.staging.privateIp",
            force=True,
        )
        take_staging_off = steps.disassociate(
            self,
            "RestoreStagingDisassociated",
            comment="The staging address was on no server before, and is again.",
            as_planned=False,
        )
        describe_restored = steps.describe_restored(
            self,
            "DescribeRestored",
            comment="Looks: do both addresses stand where they stood before?",
            assign={
                "production": "{% $states.result.Payload.production %}",
                "staging": "{% $states.result.Payload.staging %}",
                "cause": jsonata(f'$cause & " Both addresses are back where they were: " & {PLACES} & "."'),
            },
        )
        check_restored = steps.health_check_production(
            self,
            "HealthCheckRestored",
            comment="Does the restored server answer through the production address?",
            server="$plan.live",
            more={"movingSeconds": jsonata(f"$moved ? {MOVING_SECONDS} : 0")},
            assign={
                "outcome": "RolledBack",
                "cause": jsonata('$cause & " " & $plan.live.name & " answers its health check as production."'),
            },
        )

        for task in (restore_production, restore_staging, take_staging_off, describe_restored, check_restored):
            retry_rollback(task)
        for task in (restore_production, restore_staging, take_staging_off):
            task.add_catch(ending.release_lock, errors=["Redriven"], assign=refused())
        # Unless EC2 took production back, staging must stay: its server may still hold production. Whatever went
        # wrong, what counts is where the addresses are found in the end.
        failed = {"cause": jsonata(f'$cause & " " & {sentence(FAILED)}')}
        restore_production.add_catch(describe_restored, assign=failed)
        for task in (restore_staging, take_staging_off):
            task.add_catch(describe_restored, assign=failed)
            task.next(describe_restored)
        describe_restored.add_catch(
            ending.release_lock,
            errors=["RollbackFailed"],
            assign={
                "outcome": "RollbackFailed",
                "cause": jsonata(f'$cause & " The rollback did not finish. " & {MESSAGE}'),
            },
        )
        describe_restored.add_catch(ending.release_lock, assign={"outcome": "RollbackFailed", "cause": jsonata(UNSEEN)})
        check_restored.add_catch(
            ending.release_lock,
            assign={
                "outcome": "RolledBack",
                "cause": jsonata(
                    f'$cause & " But " & $plan.live.name & " fails its health check as production: " & {CAUGHT}'
                ),
            },
        )

        self.start.when(
            sfn.Condition.jsonata("{% $moved %}"), restore_production, comment="production was moved"
        ).otherwise(had_server)
        restore_production.next(had_server)
        had_server.when(
            sfn.Condition.jsonata("{% $plan.staging.server != null %}"), restore_staging, comment="staging had one"
        ).otherwise(take_staging_off)
        describe_restored.next(check_restored)
        check_restored.next(ending.release_lock)
