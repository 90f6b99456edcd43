"""The workflow `eip-cutover`: its states, then their order. The picture in docs/architecture.md is drawn from it."""

from collections.abc import Iterator

from aws_cdk import Duration, aws_events as events, aws_events_targets as targets, aws_stepfunctions as sfn
from constructs import Construct

from stacks.functions.functions import MOVING_SECONDS
from stacks.workflow import failures
from stacks.workflow.approval import UNTIL, wait_for_approval
from stacks.workflow.calls import CALLS, COMMENTS
from stacks.workflow.ending import Ending
from stacks.workflow.expressions import INITIAL_VARIABLES, INPUT, NONE, UNKNOWN_PAIR, jsonata, sentence
from stacks.workflow.hooks import after_cutover, bake, before_cutover, deploy_release
from stacks.workflow.lock import acquire_lock
from stacks.workflow.notifications import DRY_RUN_RESULT, RESULT
from stacks.workflow.retries import BEFORE_CHANGES, CHANGE
from stacks.workflow.rollback import roll_back
from stacks.workflow.state_machine import standard_state_machine, status_change
from stacks.workflow.tasks import Branch, Resources, Tasks, when

# Longer than all states take with all their retries: `tests/stacks/test_deadline.py` adds up the graph.
TIMEOUT = Duration.hours(300)
ABOUT = (
    'Makes the idle server of a pair live. Input: {} or {"pair": "web", "serverName": "tao", "dryRun": true, '
    '"release": "42", "expectedRelease": "42", "emergency": true, "waitSeconds": 900}, each key optional. '
    'To go back: {"pair": "web", "rollback": true}.'
)
# The contract: how an execution ends (docs/input-and-outcome.md).
SUCCESSES = {
    "CUT_OVER": ("CutOver", "The idle server became live, and the former live server is now idle.", RESULT),
    "ALREADY_LIVE": ("AlreadyLive", "Both addresses were already where they should be. Nothing was changed.", RESULT),
    "REPAIRED": ("Repaired", "Production was already on the right server. Staging was repaired.", RESULT),
    "DRY_RUN": ("DryRun", "The output has the plan and the reason for it. Nothing was changed.", DRY_RUN_RESULT),
}
FAILURES = {
    "InvalidRequest": "The input is wrong; the cause names the key. Nothing was read except the configuration.",
    "CutoverInProgress": "Another execution holds this pair; the cause names it. Nothing was changed.",
    "StagingUnhealthy": "The idle server failed its health check; the cause says how. Production was not touched.",
    "PreflightFailed": "A check before the first change failed; the cause says which. Production was not touched.",
    "AddressMoved": "Someone else moved an address after it was described. Nothing was changed.",
    "DeployFailed": "The release is not on the idle server; the cause says why. Production was not touched.",
    "NotApproved": "The release was not approved in time, or rejected. Production was not touched.",
    "RolledBack": "The cutover failed; production is on its former server, staging on the other. The cause says why.",
    "RollbackFailed": "A person must act: the cause says what was found, and has the commands that finish it.",
}
MOVING = Duration.seconds(MOVING_SECONDS)
NOTHING_CHANGED = ["AddressMoved", "RollbackRequested"]  # errors of DisassociateStaging
INVALID_REQUEST = {**UNKNOWN_PAIR, **failures.PREFLIGHT}
REPAIRED, DRY_RUN = ({"outcome": name} for name in ("REPAIRED", "DRY_RUN"))
ALREADY_LIVE = {"outcome": jsonata('$repaired ? "REPAIRED" : "ALREADY_LIVE"')}
REPAIR_SENTENCE = f"$substring({failures.REPAIRED_OR_NOTHING}, 1)"
REASON = f'$repaired ? $replace($plan.reason, "Nothing was changed.", {REPAIR_SENTENCE}) : $plan.reason'
REFUSED = {"outcome": "{% $plan.error %}", "cause": jsonata(REASON)}
SO_FAR = failures.REPAIRED_OR_NOTHING
UNFIT_LIVE_SERVER = {**failures.PREFLIGHT, "cause": jsonata(f"{sentence(failures.CAUGHT)} & {SO_FAR}")}
MOVED = jsonata('$repaired ? "PreflightFailed" : "AddressMoved"')
MOVED_WHILE_CHECKED = {"outcome": MOVED, "cause": jsonata(f"{failures.MESSAGE} & {SO_FAR}")}
MOVED_MEANWHILE = f"""
    "An address is no longer where it was before the checks. "
    & $substringBefore({failures.MESSAGE}, " A person must act.")
    & " " & ($cause = "{NONE}" ? "Nothing was changed." : "A check failed, too: " & $cause)
"""
MOVED_LATER = {"outcome": MOVED, "cause": jsonata(MOVED_MEANWHILE)}
UNSEEN = f'"The addresses could not be described after the checks. " & {sentence(failures.CAUGHT)}'
NOT_DESCRIBED = {"warnings": jsonata(f"$append($warnings, {UNSEEN})")}
SOUND = "$staging.server = $plan.idle.name"
CHECKABLE = f"({SOUND} or $not($plan.checksStaging))"
TO_REPAIR = f"$exists($plan.idle) and $not($plan.dryRun) and $not({SOUND})"
# What an interrupted execution left of staging is repaired first: if the live server is refused, no repair comes later.
UNKNOWN_RELEASE = f"""
    $not($exists($liveChecked)) and ($plan.dryRun or $not($plan.interrupted) or {CHECKABLE}) and ($plan.asksLive
        or ($plan.decision in ["ALREADY_LIVE", "REPAIR"] and $plan.expectedRelease != null))
"""
LIVE_CHECKED = {"liveChecked": True, "hasRelease": "{% $plan.asksLive and $states.result.Payload.hasRelease %}"}
FIRST_VARIABLES = {**INITIAL_VARIABLES, "warnings": "{% $states.result.Payload.warnings %}"}
HAS_RELEASE = "($exists($hasRelease) and $hasRelease)"
IS_LIVE = f'$plan.decision = "ALREADY_LIVE" or ({HAS_RELEASE} and {SOUND})'
CUTS_OVER = f'$plan.decision = "CUT_OVER" and $not({HAS_RELEASE}) and {CHECKABLE}'
NOT_REPAIRED = f"""
    {sentence(failures.OF_STATE)} & " The move of production had not begun. Staging should be on " & $plan.idle.name
    & ". Check where it is before you start again:\\naws ec2 describe-addresses --allocation-ids "
    & $plan.staging.allocationId
"""
REPAIR_FAILED = {"outcome": "PreflightFailed", "cause": jsonata(NOT_REPAIRED)}
CHECKS = "Is the idle server healthy, have its status checks passed, and is every move permitted?"
CHECKED = {
    "answered": "{% $states.result[0].answered %}",
    "alarms": "{% $states.result[1].alarms %}",
    "warnings": "{% $append($append($plan.warnings, $states.result[0].warnings), $states.result[1].warnings) %}",
}


class Workflow(Construct):
    """The Standard state machine that cuts one pair over per execution."""

    def __init__(self, scope: Construct, construct_id: str, resources: Resources) -> None:
        super().__init__(scope, construct_id)
        self._tasks = tasks = Tasks(self, resources, CALLS, COMMENTS)
        functions, call = resources.functions, tasks.call
        ending = Ending(tasks, successes=SUCCESSES, failures=FAILURES)
        release, rollback = ending.release, roll_back(tasks, ending)

        describe_addresses = call("DescribeAddresses", functions.describe_addresses, BEFORE_CHANGES, FIRST_VARIABLES)
        acquire = acquire_lock(tasks, ending=ending, start_over=describe_addresses)
        health_check_live = call("HealthCheckLive", functions.health_check, BEFORE_CHANGES, LIVE_CHECKED)
        repair_staging = call("RepairStaging", functions.associate_address, BEFORE_CHANGES, {"repaired": True})
        preflight = sfn.Parallel.jsonata(self, "Preflight", comment=CHECKS, assign=CHECKED).branch(*tasks.preflight())
        describe_unchanged = call("DescribeUnchanged", functions.describe_restored, BEFORE_CHANGES)
        measure_gap = tasks.measure_gap()
        disassociate_staging = call("DisassociateStaging", functions.disassociate_address, CHANGE)
        reassociate_production = call("ReassociateProduction", functions.associate_address, CHANGE, {"moved": True})
        reassociate_staging = call("ReassociateStaging", functions.associate_address, CHANGE)
        health_check_production = call("HealthCheckProduction", functions.health_check, CHANGE, {"outcome": "CUT_OVER"})

        # The order of the states. First the complete picture, and the lock. Then what the plan needs. It is decided
        # again after the live server was checked, and after staging was repaired.
        comment, time = "Waits until the changes of the last execution show everywhere.", sfn.WaitTime.duration(MOVING)
        wait = sfn.Wait.jsonata(self, "WaitForAddresses", comment=comment, time=time, assign={"waited": True})
        describe_addresses.add_catch(wait.next(describe_addresses), errors=["AddressesMoving"])
        describe_addresses.add_catch(ending.notify, assign=INVALID_REQUEST).next(acquire)
        deploy = [deploy_release(tasks, ending, deployed=preflight)] if "deploy" in functions.moments else []
        decision = tasks.choice(
            "Decision?",
            "What does the plan need next?",
            when(f'$plan.decision = "REFUSED" and $not({TO_REPAIR})', release, "refused", REFUSED),
            when(UNKNOWN_RELEASE, health_check_live, "a release is expected of a server that is already live"),
            when(IS_LIVE, release, "both addresses are where they should be", ALREADY_LIVE),
            *(when(f"$plan.deploys and {CUTS_OVER}", state, "a release is to be deployed") for state in deploy),
            when(CUTS_OVER, preflight, "staging is on the idle server"),
            when(SOUND, release, "staging was repaired, and production stays", REPAIRED),
            when("$plan.dryRun", release, "dry run", DRY_RUN),
            otherwise=repair_staging,
        )
        acquire.next(decision)
        changes = disassociate_staging, reassociate_production, reassociate_staging
        for state in (health_check_live, repair_staging, describe_unchanged, *changes, health_check_production):
            state.add_catch(ending.notify, errors=["LockLost", "Redriven"], assign=failures.PREFLIGHT)
        health_check_live.add_catch(release, errors=["MovedMeanwhile"], assign=MOVED_WHILE_CHECKED)
        health_check_live.add_catch(release, assign=UNFIT_LIVE_SERVER).next(decision)
        repair_staging.add_catch(release, errors=["AddressMoved"], assign=failures.AFTER_REPAIR)
        repair_staging.add_catch(release, assign=REPAIR_FAILED).next(decision)

        # The checks change nothing. If the execution ends after them, minutes later, the addresses are described again.
        dry_run = when("$plan.dryRun", describe_unchanged, "dry run", DRY_RUN)
        begins = self._begins(ending, preflight=preflight, measure_gap=measure_gap)
        preflight.add_catch(describe_unchanged, assign=failures.AFTER_REPAIR)
        preflight.next(tasks.choice("DryRun?", "", dry_run, *begins, otherwise=measure_gap))
        describe_unchanged.add_catch(release, errors=["RollbackFailed"], assign=MOVED_LATER)
        describe_unchanged.add_catch(release, assign=NOT_DESCRIBED).next(release)

        # The changes. Every failure from here on is rolled back, except in a redriven execution, whose lock is no more.
        measure_gap.add_catch(disassociate_staging, outputs=INPUT).next(disassociate_staging)
        disassociate_staging.add_catch(release, errors=NOTHING_CHANGED, assign=failures.AFTER_REPAIR)
        disassociate_staging.add_catch(rollback, assign=failures.FIRST).next(reassociate_production)
        reassociate_production.add_catch(rollback, errors=["AddressMoved"], assign=failures.FIRST)
        reassociate_production.add_catch(rollback, assign={**failures.FIRST, "moved": True}).next(reassociate_staging)
        reassociate_staging.add_catch(rollback, assign=failures.FIRST).next(health_check_production)
        good = after_cutover(tasks, done=release, failed=rollback)
        health_check_production.add_catch(rollback, assign=failures.FIRST).next(bake(tasks, done=good, failed=rollback))

        name = resources.names.cutover
        self.state_machine = standard_state_machine(self, name, ABOUT, start=describe_addresses, timeout=TIMEOUT)
        # Starts the function of `MeasureGap` when an execution begins, so that it is warm when the addresses move.
        warm_up = events.RuleTargetInput.from_object({"execution": "warm-up", "dryRun": True})
        warms = targets.LambdaFunction(functions.measure_gap, event=warm_up, retry_attempts=0)
        begun = status_change(self, [name], ["RUNNING"])
        about = "Warms the function that measures the gap of a cutover that has just begun."
        events.Rule(self, "Begun", description=about, event_pattern=begun, targets=[warms])

    def _begins(self, ending: Ending, *, preflight: sfn.State, measure_gap: sfn.State) -> Iterator[Branch]:
        """What comes between the checks and the first change: the approval, then hooks."""
        if self._tasks.functions.approves:
            waits = wait_for_approval(self._tasks, approved=preflight, refused=ending.release)
            awaits = "$plan.approvalMinutes != null and $not($exists($approvedBy))"
            yield when(awaits, waits, "a person is to approve it", {"approvesUntil": jsonata(UNTIL)})
        if "beforeCutover" in self._tasks.functions.moments:
            hooks = before_cutover(self._tasks, ending, done=measure_gap)
            yield when('"beforeCutover" in $plan.hooks', hooks, "there are hooks before the cutover")
