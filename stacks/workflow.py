"""The workflow `eip-cutover`: the order of a cutover, what is checked before, and where each failure leads.

The picture in the README is drawn from what this file defines, and the names of the states tell the story.
"""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.ending import Ending
from stacks.expressions import failed, jsonata, refused
from stacks.functions import ADDRESS_TIMEOUT, Functions
from stacks.lock import Lock
from stacks.retries import retry_forward
from stacks.rollback import Rollback
from stacks.steps import Steps

NAME = "eip-cutover"


class Workflow(Construct):
    """The Standard state machine that cuts one pair over per execution."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: Functions,
        lock_table: dynamodb.ITable,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._steps = Steps(functions)
        self._ending = Ending(self, "Ending", lock_table=lock_table, topic=topic)
        self._rollback = Rollback(self, "Rollback", steps=self._steps, ending=self._ending)

        describe = self._steps.describe_addresses(
            self, "DescribeAddresses", comment="Reads the request and both addresses, and plans."
        )
        retry_forward(describe)
        describe.add_catch(self._ending.notify, assign=refused())
        lock = Lock(
            self,
            "Lock",
            state_machine_name=NAME,
            table=lock_table,
            last_call=Duration.seconds(ADDRESS_TIMEOUT.to_seconds() + 5),
            ending=self._ending,
            taken_over=describe,
        )
        describe.next(
            sfn.Choice.jsonata(self, "AlreadyLive?")
            .when(
                sfn.Condition.jsonata('{% $plan.decision = "ALREADY_LIVE" %}'),
                self._ending.notify,
                comment="both addresses stand as asked for",
                assign={"outcome": "ALREADY_LIVE"},
            )
            .otherwise(lock.acquire)
        )
        lock.acquire.next(self._prepared(self._cutover()))

        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=NAME,
            state_machine_type=sfn.StateMachineType.STANDARD,
            query_language=sfn.QueryLanguage.JSONATA,
            comment=(
                'Makes the idle server of a pair live. Input: {} or {"pair": "web", "serverName": "tao", '
                '"dryRun": true}, each key optional.'
            ),
            definition_body=sfn.DefinitionBody.from_chainable(describe),
            timeout=Duration.hours(8),
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=logs.LogGroup(
                    self,
                    "Logs",
                    log_group_name=f"/aws/vendedlogs/states/{Stack.of(self).stack_name}",
                    retention=logs.RetentionDays.SIX_MONTHS,
                    removal_policy=RemovalPolicy.DESTROY,
                ),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )

    def _prepared(self, cutover: sfn.IChainable) -> sfn.Choice:
        """With the lock held: staging on the idle server, all checks passed, and then the cutover."""
        changed = sfn.Choice.jsonata(self, "AnythingChanged?", comment="Was the staging address repaired before?")
        changed.when(
            sfn.Condition.jsonata("{% $changed %}"),
            self._rollback.start,
            comment="staging was repaired",
            assign={"cause": jsonata('$outcome & ": " & $cause')},
        ).when(
            sfn.Condition.jsonata("{% $not($changed) %}"),
            self._ending.release_lock,
            comment="nothing",
            assign={"cause": jsonata('$cause & " Nothing was changed."')},
        )

        preflight = sfn.Parallel.jsonata(
            self, "Preflight", comment="Is the idle server healthy, and is every move permitted?"
        )
        for branch in (
            self._steps.health_check(
                self,
                "HealthCheckStaging",
                comment="Does the idle server answer through the staging address?",
                address="staging",
                server="$plan.idle",
            ),
            self._steps.rehearse_disassociate(
                self, "RehearseDisassociate", comment="Dry run: proves the permission, and warms the function."
            ),
            self._steps.rehearse_associate(
                self, "RehearseAssociate", comment="Dry run: permissions and instance states, and warms the function."
            ),
        ):
            retry_forward(branch)
            preflight.branch(branch)
        preflight.add_catch(changed, assign=refused())
        self._disassociate_staging.add_catch(changed, errors=["AddressMoved"], assign=refused())
        self._disassociate_staging.add_catch(self._rollback.start, assign=failed())
        preflight.next(
            sfn.Choice.jsonata(self, "DryRun?")
            .when(
                sfn.Condition.jsonata("{% $plan.dryRun %}"),
                self._ending.release_lock,
                comment="dry run",
                assign={"outcome": "DRY_RUN"},
            )
            .otherwise(cutover)
        )

        repair = self._steps.associate(
            self,
            "RepairStaging",
            comment="The staging address was not on the idle server, where it belongs: puts it there.",
            address="staging",
            server="$plan.idle",
            expected="$plan.staging.instanceId",
        )
        retry_forward(repair)
        repair.add_catch(self._rollback.start, assign=failed())
        repair.next(
            sfn.Choice.jsonata(self, "RepairOnly?")
            .when(
                sfn.Condition.jsonata('{% $plan.decision = "REPAIR" %}'),
                self._ending.release_lock,
                comment="production stands as asked for",
                assign={"outcome": "REPAIRED"},
            )
            .otherwise(preflight)
        )
        return (
            sfn.Choice.jsonata(self, "StagingInPlace?")
            .when(sfn.Condition.jsonata("{% $plan.stagingInPlace %}"), preflight, comment="on the idle server")
            .when(
                sfn.Condition.jsonata("{% $plan.dryRun %}"),
                self._ending.release_lock,
                comment="dry run",
                assign={"outcome": "DRY_RUN"},
            )
            .otherwise(repair)
        )

    def _cutover(self) -> sfn.IChainable:
        """The changes, in order. Whatever fails from here on leads to the rollback."""
        self._disassociate_staging = self._steps.disassociate(
            self,
            "DisassociateStaging",
            comment="Looks again whether both addresses stand as planned, then frees the idle server.",
            as_planned=True,
        )
        reassociate_production = self._steps.associate(
            self,
            "ReassociateProduction",
            comment="The one call that users feel: the production address moves to the idle server.",
            address="production",
            server="$plan.idle",
            expected="$plan.live.instanceId",
        )
        reassociate_staging = self._steps.associate(
            self,
            "ReassociateStaging",
            comment="The former live server gets the staging address and stays ready for the way back.",
            address="staging",
            server="$plan.live",
            allow_reassociation=False,
        )
        check_production = self._steps.health_check(
            self,
            "HealthCheckProduction",
            comment="Does the new live server answer through the production address?",
            address="production",
            server="$plan.idle",
            assign={"outcome": "CUT_OVER"},
        )
        for task in (self._disassociate_staging, reassociate_production, reassociate_staging, check_production):
            retry_forward(task)
        for task in (reassociate_production, reassociate_staging, check_production):
            task.add_catch(self._rollback.start, assign=failed())
        return (
            sfn.Chain.start(self._disassociate_staging)
            .next(reassociate_production)
            .next(reassociate_staging)
            .next(check_production)
            .next(self._ending.release_lock)
        )
