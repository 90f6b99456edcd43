"""The repair: it repairs the pair of an execution that was interrupted, without moving production, and releases its
lock. EventBridge starts it, or a person with `{"pair": "web"}` (`cutover.py unlock`). The event of a failed execution
does not say whether Step Functions failed it, past every Catch. The lock does: every other execution has released it.
Source: Step Functions Developer Guide, "Handling errors in Step Functions workflows"."""

from collections.abc import Sequence

from aws_cdk import Duration, aws_events as events, aws_events_targets as targets, aws_stepfunctions as sfn
from aws_cdk.aws_stepfunctions_tasks import DynamoReturnValues
from constructs import Construct

from stacks.functions.functions import LAST_CALL
from stacks.workflow import calls as cutover, failures
from stacks.workflow.calls import PLANNED, end_command
from stacks.workflow.ending import NOW, OF_A_STEP, Ending
from stacks.workflow.expressions import EXECUTION, UNKNOWN_PAIR, bounded, jsonata, sentence
from stacks.workflow.lock import describe_lock_holder
from stacks.workflow.notifications import RESULT
from stacks.workflow.retries import CONDITION_FAILED, ROLLBACK
from stacks.workflow.state_machine import standard_state_machine, status_change
from stacks.workflow.tasks import Resources, Tasks, when

# Longer than all states take with all their retries: `tests/stacks/test_deadline.py` adds up the graph.
TIMEOUT = Duration.hours(18)
# Neither an ARN nor a status nor a pair's name is longer.
ASKED, STATUS, PAIR = (bounded(f"$states.context.Execution.Input.{it}", 2048) for it in ("execution", "status", "pair"))
BY_A_PERSON = "$exists($states.context.Execution.Input.pair)"
# The lock, and the execution that holds it; the one that ended, if it holds none.
LOCK = """($of := $states.result.Items[0]; $exists($of) ? {
    "pair": $of.pair.S, "execution": $of.execution.S, "commandRuns": $exists($of.commandRuns)
} : null)"""
OF_THE_ASKED = f'{BY_A_PERSON} ? "pair = :asked AND attribute_exists(execution)" : "execution = :asked"'
DEAD = f'($lock != null ? $lock.execution : $exists({ASKED}) ? {ASKED} : "that is asked for")'
# The holder has ended, said an event. DescribeExecution is eventually consistent, so it is asked again until it agrees.
MOST_WAITS, SECONDS_APART = 4, LAST_CALL
# The repair takes a dead lock so much later than an execution that waits for it: a rollback must not wait for a repair.
GIVES_WAY_SECONDS = 1
TAKE_OVER = f"SET execution = :me, since = :since, interrupted = if_not_exists(interrupted, :dead) REMOVE {OF_A_STEP}"
# The record as it is, if the addresses cannot be described; the plan has it with what the dead execution did.
RECORD = """($of := $states.result.Attributes; {"pair": $lock.pair, "record": {
  "rollbackTo": $exists($of.rollbackTo) ? $parse($of.rollbackTo.S) : {"server": null, "why": "no cutover is on record"},
  "lastCutover": $exists($of.lastCutover) ? $parse($of.lastCutover.S) : null
}})"""
ENDED = f'"The execution " & {DEAD} & " ended" & ({BY_A_PERSON} ? "" : " " & {STATUS})'
NOT_REPAIRED = f'({BY_A_PERSON} ? "The pair " & {PAIR} : {ENDED} & ", and its pair") & " could not be repaired: "'
CHECK = r'" The repair does not move production. Check where both addresses are:\naws ec2 describe-addresses"'
SUCCESSES = {
    "REPAIRED": ("Repaired", "Staging is on the idle server. Production stayed. The lock is released.", RESULT),
    "NOTHING_TO_REPAIR": (
        "NothingToRepair",
        "The execution held no lock when it ended: it had changed nothing, or it had finished.",
        '{"outcome": $outcome, "cause": $cause, "holder": $lock != null ? $lock.execution : null}',
    ),
}
NO_LOCK = f'{BY_A_PERSON} ? "No execution holds the lock of pair " & {PAIR} & "." : {ENDED} & " and held no lock."'
NOTHING_TO_REPAIR = {"outcome": "NOTHING_TO_REPAIR", "cause": jsonata(NO_LOCK)}
STILL_RUNS = jsonata(f'"The execution " & {DEAD} & " still runs and keeps its lock. Nothing was changed."')
REFUSED = {"outcome": "RepairFailed", "cause": jsonata(f"{NOT_REPAIRED} & $plan.reason & {CHECK}")}
FAILURE = {"outcome": "RepairFailed", "cause": jsonata(f"{NOT_REPAIRED} & {sentence(failures.OF_STATE)} & {CHECK}")}
REPAIRED = {"outcome": "REPAIRED", "warnings": "{% $plan.warnings %}"}
FAILURES = {"RepairFailed": "A person must act: the cause says what was found, and why nothing more was changed."}
COMMENTS = cutover.COMMENTS | {
    "FindLock": "Does the execution that ended hold a pair's lock? Or who holds the lock of the pair?",
    "TakeOverLock": "Takes the lock from the execution that ended, unless another execution has taken it.",
    "DescribeAddresses": "Describes both addresses and both servers, and plans without moving production.",
}
CALLS = cutover.CALLS | {
    "DescribeAddresses": ({"request": {"pair": "{% $lock.pair %}"}, "keepLive": True}, PLANNED),
    "EndCommandOfHolder": end_command("$lock.pair", "$lock.execution"),
}


class Repair(Construct):
    """The workflow, and the rules that start it for executions of the cutover and for its own executions."""

    def __init__(self, scope: Construct, construct_id: str, resources: Resources) -> None:
        super().__init__(scope, construct_id)
        names, functions = resources.names, resources.functions
        tasks = Tasks(self, resources, CALLS, COMMENTS)
        ending = Ending(tasks, successes=SUCCESSES, failures=FAILURES, about=f'{{"repairs": {DEAD}}}')
        release = ending.release

        found = {**UNKNOWN_PAIR, "lock": jsonata(LOCK), "waits": 0}
        scan = {
            "TableName": resources.lock_table.table_name,
            "ConsistentRead": True,
            "FilterExpression": jsonata(OF_THE_ASKED),
            "ExpressionAttributeValues": {":asked": {"S": jsonata(f"{BY_A_PERSON} ? {PAIR} : {ASKED}")}},
        }
        find_lock = tasks.sdk("FindLock", "dynamodb:Scan", [resources.lock_table.table_arn], scan, assign=found)
        take_over = tasks.update_item(
            "TakeOverLock",
            TAKE_OVER,
            {":me": EXECUTION, ":dead": "{% $lock.execution %}", ":since": jsonata(NOW)},
            pair="$lock.pair",
            condition=f"(execution = :dead{functions.no_command_runs}) OR execution = :me",
            return_values=DynamoReturnValues.ALL_NEW,
            assign={"plan": jsonata(RECORD)},
        )
        comment = "Waits until DescribeExecution shows that the execution has ended."
        wait = sfn.Wait.jsonata(self, "WaitForHolder", comment=comment, time=sfn.WaitTime.duration(SECONDS_APART))
        describe_holder = describe_lock_holder(
            tasks,
            lock="$lock",
            take_over=take_over,
            running=(
                when(BY_A_PERSON, ending.outcome, "running", {"outcome": "NOTHING_TO_REPAIR", "cause": STILL_RUNS}),
                when(f"$waits < {MOST_WAITS}", wait, "still shown as running", {"waits": "{% $waits + 1 %}"}),
                when("true", ending.notify, "running", {"outcome": "RepairFailed", "cause": STILL_RUNS}),
            ),
            failed=(ending.notify, FAILURE),
            later_seconds=GIVES_WAY_SECONDS,
        )
        describe_addresses = tasks.call("DescribeAddresses", functions.describe_addresses, ROLLBACK)
        repair_staging = tasks.call("RepairStaging", functions.associate_address, ROLLBACK, REPAIRED)

        unannounced = f'$lock = null and ({BY_A_PERSON} or {STATUS} = "FAILED")'
        lock_found = tasks.choice(
            "LockFound?",
            "",
            when(unannounced, ending.outcome, "no, it failed normally", NOTHING_TO_REPAIR),
            when("$lock = null", ending.notify, "no", NOTHING_TO_REPAIR),
            otherwise=describe_holder,
        )
        find_lock.add_catch(ending.notify, assign={**UNKNOWN_PAIR, "lock": "{% null %}", **FAILURE}).next(lock_found)
        wait.next(describe_holder)
        take_over.add_catch(find_lock, errors=[CONDITION_FAILED])  # another has it, or a late call has begun a command
        take_over.add_catch(ending.notify, assign=FAILURE).next(describe_addresses)
        describe_addresses.add_catch(release, assign=FAILURE)
        decision = tasks.choice(
            "Decision?",
            "Is staging on the idle server? If not, may it move there?",
            when('$plan.decision = "REFUSED"', release, "refused", REFUSED),
            when('$plan.decision = "ALREADY_LIVE"', release, "on the idle server", REPAIRED),
            otherwise=repair_staging,
        )
        describe_addresses.next(decision)
        repair_staging.add_catch(release, assign=FAILURE).next(release)

        about = f"Started by EventBridge when an execution of {names.cutover} was stopped, timed out or failed."
        self.state_machine = standard_state_machine(self, names.repair, about, start=find_lock, timeout=TIMEOUT)
        # Not for a repair that failed: the next repair might fail for the same reason, and so on without end.
        self._start_for("Ended", names.workflows, ["ABORTED", "TIMED_OUT"])
        self._start_for("Failed", [names.cutover], ["FAILED"])

    def _start_for(self, rule_id: str, machines: Sequence[str], statuses: Sequence[str]) -> None:
        """The rule that starts the repair for executions of these state machines that end with one of the statuses."""
        path = events.EventField.from_path
        ended = {"execution": path("$.detail.executionArn"), "status": path("$.detail.status")}
        about = "Repairs the pair of an execution that was interrupted."
        pattern = status_change(self, machines, statuses)
        start = targets.SfnStateMachine(self.state_machine, input=events.RuleTargetInput.from_object(ended))
        events.Rule(self, rule_id, description=about, event_pattern=pattern, targets=[start])
