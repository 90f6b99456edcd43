"""The workflow `eip-cutover`: the order of a cutover, what is checked before, and where each failure leads.

The picture in the README is drawn from what this file defines, and the names of the states tell the story.
"""

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.functions.functions import LAST_CALL, MOVING_SECONDS, Functions
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import CAUGHT, DRY_RUN_RESULT, RESULT, failed, jsonata, refused, sentence
from stacks.workflow.lock import Lock
from stacks.workflow.repair import NAME as REPAIR
from stacks.workflow.retries import OFTEN_SECONDS, SELDOM_SECONDS, longest_throttled, retry_before, retry_change
from stacks.workflow.rollback import Rollback
from stacks.workflow.state_machine import standard_state_machine
from stacks.workflow.tasks import Steps, longest

NAME = "eip-cutover"
# The contract: what an execution comes to. README, "Outcome".
SUCCESSES = {
    "CUT_OVER": ("CutOver", "The idle server became live; the former live server is the idle one now.", RESULT),
    "ALREADY_LIVE": ("AlreadyLive", "Both addresses stood as asked for already; nothing was changed.", RESULT),
    "REPAIRED": ("Repaired", "Production stood as asked for; the staging address was put right.", RESULT),
    "DRY_RUN": ("DryRun", "What would be done, and why, is in the output. Nothing was changed.", DRY_RUN_RESULT),
}
FAILURES = {
    "InvalidRequest": "The input is wrong; the cause names the key. Nothing was read but the configuration.",
    "CutoverInProgress": "Another execution holds this pair; the cause names it. Nothing was changed.",
    "StagingUnhealthy": "The idle server failed its health check; the cause says how. Nothing was changed.",
    "PreflightFailed": "A permission, an instance state or an address is not fit. Nothing was changed.",
    "AddressMoved": "Somebody else moved an address since it was described. Nothing was changed.",
    "RolledBack": "The cutover failed and both addresses are back where they were; the cause has the first error.",
    "RollbackFailed": "A person must act: the cause has what was found and the commands that finish it.",
}


def deadline(functions: Functions) -> Duration:
    """Longer than all states with all their retries can take; `tests/stacks/test_deadline.py` adds them up."""
    # Tries of HealthCheckLive, HealthCheckStaging (in or out of a VPC), CheckServers, HealthCheckProduction and
    # HealthCheckRestored.
    checks = 5 + 5 + 5 + 5 + 5 + 11
    slowest = max(longest(functions.health_check), longest(functions.check_servers))
    # States that call a function before the changes, DescribeAddresses twice more after two dead locks, and the others.
    throttled = 10 * longest_throttled(SELDOM_SECONDS) + 9 * longest_throttled(OFTEN_SECONDS)
    return Duration.seconds(checks * (slowest + 30) + 3 * 3600 + throttled)


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
        self._ending = Ending(
            self, "Ending", lock_table=lock_table, topic=topic, successes=SUCCESSES, failures=FAILURES
        )
        self._rollback = Rollback(self, "Rollback", steps=self._steps, ending=self._ending)

        describe = self._steps.describe_addresses(
            self, "DescribeAddresses", comment="Reads the request and both addresses, and plans."
        )
        retry_before(describe)
        describe.add_catch(self._ending.notify, assign=refused())
        lock = Lock(
            self,
            "Lock",
            holders=[NAME, REPAIR],
            table=lock_table,
            last_call=LAST_CALL,
            ending=self._ending,
            taken_over=describe,
        )
        describe.next(lock.acquire)
        lock.acquire.next(self._prepared())

        self.state_machine = standard_state_machine(
            self,
            name=NAME,
            comment=(
                'Makes the idle server of a pair live. Input: {} or {"pair": "web", "serverName": "tao", '
                '"dryRun": true, "expectedRelease": "42"}, each key optional.'
            ),
            start=describe,
            timeout=deadline(functions),
        )

    def _prepared(self) -> sfn.Choice:
        """With the lock held: staging on the idle server, all checks passed, and then the cutover.

        Who asks for a server that is live, and for a release, is told whether it answers with that.
        """
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
            self,
            "Preflight",
            comment="Is the idle server healthy, is everything fit, and every move permitted?",
            assign={
                "answered": "{% $states.result[0].answered %}",
                "warnings": "{% $states.result[0].warnings %}",
            },
        )
        preflight.branch(
            self._steps.health_check_staging(
                self, "HealthCheckStaging", comment="Does the idle server answer through the staging address?"
            )
        )
        rehearse_production = self._steps.rehearse_associate(
            self,
            "RehearseAssociateProduction",
            comment="Dry run: proves the permission, and warms the function.",
            address="production",
            server="$plan.idle",
        )
        rehearse_staging = self._steps.rehearse_associate(
            self,
            "RehearseAssociateStaging",
            comment="Dry run: proves the permission.",
            address="staging",
            server="$plan.live",
        )
        rehearse_measure_gap = self._steps.rehearse_measure_gap(
            self, "RehearseMeasureGap", comment="Warms the function that will measure. Nobody waits for it."
        )
        for branch in (
            self._steps.check_servers(
                self, "CheckServers", comment="Are both servers and both addresses fit, and is no alarm raised?"
            ),
            self._steps.rehearse_disassociate(
                self, "RehearseDisassociate", comment="Dry run: proves the permission, and warms the function."
            ),
        ):
            retry_before(branch)
            preflight.branch(branch)
        retry_before(rehearse_production)
        retry_before(rehearse_staging)
        rehearse_measure_gap.add_catch(rehearse_production, outputs="{% $states.input %}")
        preflight.branch(rehearse_measure_gap.next(rehearse_production).next(rehearse_staging))
        preflight.add_catch(changed, assign=refused())
        measure_gap = self._cutover(moved=changed)
        preflight.next(
            sfn.Choice.jsonata(self, "DryRun?")
            .when(
                sfn.Condition.jsonata("{% $plan.dryRun %}"),
                self._ending.release_lock,
                comment="dry run",
                assign={"outcome": "DRY_RUN"},
            )
            .otherwise(measure_gap)
        )

        repair = self._steps.associate(
            self,
            "RepairStaging",
            comment="The staging address was not on the idle server, where it belongs: puts it there.",
            address="staging",
            server="$plan.idle",
            expected="$plan.staging.instanceId",
            production_on="$plan.live.instanceId",
        )
        retry_before(repair)
        repair.add_catch(changed, errors=["AddressMoved"], assign=refused())
        repair.add_catch(self._ending.release_lock, errors=["Redriven"], assign=refused())
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
        health_check_live = self._steps.health_check_production(
            self,
            "HealthCheckLive",
            comment="Does the server that is live already answer with the release that was asked for?",
            server="$plan.live",
            more={"expectedRelease": "{% $plan.expectedRelease %}"},
        )
        retry_before(health_check_live)
        health_check_live.add_catch(
            self._ending.release_lock,
            assign={**refused(), "cause": jsonata(f'{sentence(CAUGHT)} & " Nothing was changed."')},
        )
        already_live = sfn.Condition.jsonata('{% $plan.decision = "ALREADY_LIVE" %}')
        dry_run = sfn.Condition.jsonata("{% $plan.dryRun %}")
        stand, only_said = "both addresses stand as asked for", "dry run"
        health_check_live.next(
            sfn.Choice.jsonata(self, "StagingToRepair?")
            .when(already_live, self._ending.release_lock, comment=stand, assign={"outcome": "ALREADY_LIVE"})
            .when(dry_run, self._ending.release_lock, comment=only_said, assign={"outcome": "DRY_RUN"})
            .otherwise(repair)
        )
        return (
            sfn.Choice.jsonata(self, "StagingInPlace?")
            .when(
                sfn.Condition.jsonata('{% $plan.decision != "CUT_OVER" and $plan.expectedRelease != null %}'),
                health_check_live,
                comment="a release is expected of a server that is live already",
            )
            .when(already_live, self._ending.release_lock, comment=stand, assign={"outcome": "ALREADY_LIVE"})
            .when(sfn.Condition.jsonata("{% $plan.stagingInPlace %}"), preflight, comment="on the idle server")
            .when(dry_run, self._ending.release_lock, comment=only_said, assign={"outcome": "DRY_RUN"})
            .otherwise(repair)
        )

    def _cutover(self, *, moved: sfn.IChainable) -> sfn.IChainable:
        """The changes, in order. `moved` is where it leads that an address moved before the first of them.

        Whatever else fails leads to the rollback, but in an execution that was redriven: it has lost its lock.
        """
        disassociate_staging = self._steps.disassociate(
            self,
            "DisassociateStaging",
            comment="Looks again whether both addresses stand as planned, then frees the idle server.",
            as_planned=True,
        )
        disassociate_staging.add_catch(moved, errors=["AddressMoved"], assign=refused())
        reassociate_production = self._steps.associate(
            self,
            "ReassociateProduction",
            comment="The one call that users feel: the production address moves to the idle server.",
            address="production",
            server="$plan.idle",
            expected="$plan.live.instanceId",
            assign={"moved": True},
        )
        reassociate_staging = self._steps.associate(
            self,
            "ReassociateStaging",
            comment="The former live server gets the staging address and stays ready for the way back.",
            address="staging",
            server="$plan.live",
            production_on="$plan.idle.instanceId",
            allow_reassociation=False,
        )
        check_production = self._steps.health_check_production(
            self,
            "HealthCheckProduction",
            comment="Does the new live server answer through the production address, and go on to for bakeSeconds?",
            server="$plan.idle",
            more={
                "answered": "{% $answered %}",
                "movingSeconds": MOVING_SECONDS,
                "expectedRelease": "{% $plan.expectedRelease %}",
                "bakeSeconds": "{% $plan.bakeSeconds %}",
                "alarms": "{% $plan.alarms %}",
            },
            assign={"outcome": "CUT_OVER"},
        )
        changes = (disassociate_staging, reassociate_production, reassociate_staging)
        for task in changes:
            task.add_catch(self._ending.release_lock, errors=["Redriven"], assign=refused())
        for task in (*changes, check_production):
            retry_change(task)
        for task in (disassociate_staging, reassociate_staging, check_production):
            task.add_catch(self._rollback.start, assign=failed())
        reassociate_production.add_catch(self._rollback.start, errors=["AddressMoved"], assign=failed())
        reassociate_production.add_catch(self._rollback.start, assign={**failed(), "moved": True})
        measure_gap = self._steps.measure_gap(
            self,
            "MeasureGap",
            comment="From now on, what users meet at the production address is measured. Nobody waits for it.",
        )
        measure_gap.add_catch(disassociate_staging, outputs="{% $states.input %}")
        return (
            sfn.Chain.start(measure_gap)
            .next(disassociate_staging)
            .next(reassociate_production)
            .next(reassociate_staging)
            .next(check_production)
            .next(self._ending.release_lock)
        )
