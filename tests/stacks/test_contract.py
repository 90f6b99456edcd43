"""The error names are the interface between the handlers and the workflow, and between the workflow and its users."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest

from associate_address import MoveEvent, RehearseAssociateEvent, RestoreAddressEvent
from check_servers import CheckServersEvent
from describe_addresses import DescribeAddressesEvent
from describe_restored import DescribeRestoredEvent
from disassociate_address import DisassociateStagingEvent, RehearseDisassociateEvent
from domain import errors
from domain.events import keys
from health_check import HealthCheckEvent
from measure_gap import MeasureGapEvent
from run_commands import EndCommandEvent, RunCommandsEvent
from stacks.workflow.failures import REFUSALS
from stacks.workflow.retries import DYNAMODB_FAILURES, INACTIVE, LAMBDA_FAILURES
from tests.stacks.contexts import WITH_RELEASES
from tests.stacks.synthesis import WORKFLOWS, template_of, workflow_of

OURS = {
    name
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.CutoverError) and found is not errors.CutoverError
}
# The contract of a failed execution (docs/input-and-outcome.md).
FAILURES = {
    "InvalidRequest", "CutoverInProgress", "StagingUnhealthy", "PreflightFailed", "AddressMoved", "DeployFailed",
    "NotApproved", "RolledBack", "RollbackFailed",
}  # fmt: skip
# Like the rollback: after them, a command may still run on a server, or a server is still drained.
UNDOING = ("AfterRollback", "EndCommand", "EndCommandOfHolder")
CHANGING = ("associate_address", "disassociate_address")
# What each state sends to its handler.
EVENTS: dict[str, Any] = {
    "DescribeAddresses": DescribeAddressesEvent,
    "DescribeRestored": DescribeRestoredEvent,
    "DescribeUnchanged": DescribeRestoredEvent,
    "CheckServers": CheckServersEvent,
    "RehearseDisassociate": RehearseDisassociateEvent,
    "DisassociateStaging": DisassociateStagingEvent,
    "RehearseAssociateProduction": RehearseAssociateEvent,
    "RehearseAssociateStaging": RehearseAssociateEvent,
    "RepairStaging": MoveEvent,
    "ReassociateProduction": MoveEvent,
    "ReassociateStaging": MoveEvent,
    "RestoreProduction": RestoreAddressEvent,
    "RestoreStaging": RestoreAddressEvent,
    "HealthCheckLive": HealthCheckEvent,
    "HealthCheckStaging": HealthCheckEvent,
    "HealthCheckProduction": HealthCheckEvent,
    "Bake": HealthCheckEvent,
    "HealthCheckRestored": HealthCheckEvent,
    "MeasureGap": MeasureGapEvent,
    "DeployRelease": RunCommandsEvent,
    "BeforeCutover": RunCommandsEvent,
    "AfterCutover": RunCommandsEvent,
    "AfterRollback": RunCommandsEvent,
    "EndCommand": EndCommandEvent,
    "EndCommandOfHolder": EndCommandEvent,
}
SUCCESSES = {"CUT_OVER": "CutOver", "ALREADY_LIVE": "AlreadyLive", "REPAIRED": "Repaired", "DRY_RUN": "DryRun"}
# From the first change on, but for the rollback.
CHANGES = {
    "DisassociateStaging", "ReassociateProduction", "ReassociateStaging", "HealthCheckProduction", "Bake",
    "AfterCutover",
}  # fmt: skip
# Documented by AWS: Step Functions' own names, its Lambda, DynamoDB and SDK integrations, Lambda's runtime.
OF_AWS = {
    *DYNAMODB_FAILURES, *LAMBDA_FAILURES, *INACTIVE, "States.ALL",
    "DynamoDB.ConditionalCheckFailedException", "Sfn.ExecutionDoesNotExistException",
}  # fmt: skip


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The template with a bake, a deployment, hooks and an approval."""
    return template_of(tmp_path_factory.mktemp("complete"), WITH_RELEASES)


@pytest.fixture(scope="session")
def workflow(template: dict[str, Any]) -> dict[str, Any]:
    return workflow_of(template)


@pytest.fixture(params=[(name, kind) for kind in ("template", "complete") for name in WORKFLOWS], ids="-".join)
def each_workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each workflow, as shipped and with all that a pair can configure."""
    name, kind = request.param
    return workflow_of(request.getfixturevalue(kind), name)


def states_of(workflow: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in workflow["States"].items():
        yield name, state
        for branch in state.get("Branches", ()):
            yield from states_of(branch)


def named_in(workflow: dict[str, Any]) -> set[str]:
    return {
        error
        for _, state in states_of(workflow)
        for rule in (*state.get("Retry", ()), *state.get("Catch", ()))
        for error in rule["ErrorEquals"]
    }


def test_every_error_name_in_the_workflow_is_one_of_our_classes_or_an_error_of_aws(
    each_workflow: dict[str, Any],
) -> None:
    # An SDK integration puts the service's name, in its own capitals, before the names of its errors.
    named = {error for error in named_in(each_workflow) if not error.startswith("DynamoDb.")}
    assert named <= OURS | OF_AWS


def test_every_error_class_is_retried_caught_by_name_kept_or_part_of_a_cause(complete: dict[str, Any]) -> None:
    # The first two only occur where every failure leads to the rollback, the others have a state of their own.
    told_in_a_cause = {"EC2Refused", "ProductionUnhealthy", "DeployFailed", "HookFailed"}
    assert named_in(workflow_of(complete)) | set(REFUSALS) | told_in_a_cause >= OURS


def test_every_task_and_parallel_state_catches_every_error(each_workflow: dict[str, Any]) -> None:
    for name, state in each_workflow["States"].items():  # of a state in a branch, the Parallel state catches
        if state["Type"] in ("Task", "Parallel"):
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name


def test_each_change_of_an_address_that_reads_the_lock_says_whether_it_is_the_first_try(
    each_workflow: dict[str, Any],
) -> None:
    """Only a first try must be able to read it: what was lost and starts late is mostly the first."""
    for name, state in states_of(each_workflow):
        payload = state.get("Arguments", {}).get("Payload", {})
        if "lock" in payload and EVENTS.get(name) in (DisassociateStagingEvent, MoveEvent, RestoreAddressEvent):
            assert payload["firstTry"] == "{% $states.context.State.RetryCount = 0 %}", name


def waits_for_a_person(state: dict[str, Any]) -> bool:
    """Only its call to DynamoDB is tried again, by DynamoDB's own errors: an answer may be an error, too."""
    return bool(state.get("Resource", "").endswith(".waitForTaskToken"))


def is_waited_for(state: dict[str, Any]) -> bool:
    """Not so a function that is called asynchronously: it measures, and is nothing to wait for or to try again."""
    return bool(state["Arguments"].get("InvocationType") != "Event")


def test_the_measurement_can_neither_fail_nor_delay_a_cutover(workflow: dict[str, Any]) -> None:
    measuring = {
        name: state for name, state in states_of(workflow) if state["Type"] == "Task" and not is_waited_for(state)
    }
    assert set(measuring) == {"MeasureGap"}
    for state in measuring.values():
        assert (state["TimeoutSeconds"], state.get("Retry")) == (5, None)
        (catch,) = state["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"]
        assert catch["Next"] == state["Next"]
        assert catch["Output"] == state["Output"] == "{% $states.input %}"


def test_only_the_wait_for_approval_waits_for_a_task_token(complete: dict[str, Any]) -> None:
    waiting = {
        name: state
        for workflow in WORKFLOWS
        for name, state in states_of(workflow_of(complete, workflow))
        if waits_for_a_person(state)
    }
    assert set(waiting) == {"WaitForApproval"}


def test_every_task_retries_transient_errors(each_workflow: dict[str, Any]) -> None:
    for name, state in states_of(each_workflow):
        if state["Type"] == "Task" and is_waited_for(state):
            assert state["Retry"], name
            assert state["Retry"][-1]["JitterStrategy"] == "FULL", name
            if state["Resource"].endswith("lambda:invoke"):
                retried = {error for retry in state["Retry"] for error in retry["ErrorEquals"]}
                assert {"EC2Unavailable", "EC2Throttled", *LAMBDA_FAILURES} <= retried, name


def patience(state: dict[str, Any]) -> tuple[int, float]:
    """How often the last retrier of a state tries again, and the longest that all its delays take together."""
    retry = state["Retry"][-1]
    delays = (retry["IntervalSeconds"] * retry["BackoffRate"] ** count for count in range(retry["MaxAttempts"]))
    return retry["MaxAttempts"], sum(min(delay, retry["MaxDelaySeconds"]) for delay in delays)


def test_a_function_that_is_inactive_has_three_minutes_before_the_changes_and_in_the_rollback(
    each_workflow: dict[str, Any],
) -> None:
    """Nothing calls a function for weeks that only a rollback calls. Between them, functions were called before."""
    repairs = "FindLock" in each_workflow["States"]
    for name, state in states_of(each_workflow):
        if state.get("Resource", "").endswith("lambda:invoke") and is_waited_for(state):
            waits = [retry for retry in state["Retry"] if INACTIVE[0] in retry["ErrorEquals"]]
            if name in CHANGES and not repairs:
                assert waits == [], name
            else:
                (retry,) = waits
                assert set(retry["ErrorEquals"]) == set(INACTIVE), name
                assert (patience({"Retry": waits}), retry["JitterStrategy"]) == ((10, 181), "NONE"), name


def test_rollback_and_repair_are_retried_for_three_minutes_and_other_states_for_seconds(
    each_workflow: dict[str, Any],
) -> None:
    repairs = "FindLock" in each_workflow["States"]
    for name, state in states_of(each_workflow):
        if state["Type"] == "Task" and is_waited_for(state):
            calls_a_function = state["Resource"].endswith("lambda:invoke")
            insists = calls_a_function and (repairs or "Restore" in name or name in UNDOING)
            assert patience(state) == ((10, 181) if insists else (4, 12)), name
            assert ("EC2Refused" in state["Retry"][-1]["ErrorEquals"]) == insists, name


def test_throttled_calls_are_retried_for_minutes_and_soonest_while_staging_is_on_no_server(
    each_workflow: dict[str, Any],
) -> None:
    repairs = "FindLock" in each_workflow["States"]
    for name, state in states_of(each_workflow):
        if state.get("Resource", "").endswith("lambda:invoke") and is_waited_for(state):
            throttled = state["Retry"][0]
            assert throttled["ErrorEquals"] == ["EC2Throttled", "Lambda.TooManyRequestsException"], name
            assert throttled["MaxAttempts"] == 400, name
            urgent = repairs or name in {*CHANGES, *UNDOING} or "Restore" in name
            assert throttled["MaxDelaySeconds"] == (2 if urgent else 5), name


def test_a_failed_condition_of_the_lock_table_is_not_retried(each_workflow: dict[str, Any]) -> None:
    for name, state in states_of(each_workflow):
        if "ConditionExpression" in state.get("Arguments", {}) and not waits_for_a_person(state):
            expected = {"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "MaxAttempts": 0}
            assert state["Retry"][0] == expected, name


def test_every_read_of_the_lock_table_is_consistent(each_workflow: dict[str, Any]) -> None:
    # DynamoDB reads what was before the last changes unless asked otherwise; the emulators never do.
    looks = {
        name: state["Arguments"].get("ConsistentRead")
        for name, state in states_of(each_workflow)
        if state.get("Resource", "").endswith((":dynamodb:getItem", ":dynamodb:scan"))
    }
    assert list(looks.values()) == [True], looks


def test_the_workflow_ends_in_a_state_of_its_own_for_every_outcome_of_the_contract(workflow: dict[str, Any]) -> None:
    ends = {name: state for name, state in workflow["States"].items() if state["Type"] in ("Succeed", "Fail")}
    errors_of = {name: state["Error"] for name, state in ends.items() if state["Type"] == "Fail"}
    assert errors_of == {name: name for name in FAILURES}
    assert set(ends) - set(errors_of) == set(SUCCESSES.values())


def test_the_last_choice_leads_each_outcome_to_the_state_of_its_name(workflow: dict[str, Any]) -> None:
    leads = {rule["Condition"]: rule["Next"] for rule in workflow["States"]["Outcome?"]["Choices"]}
    expected = SUCCESSES | {name: name for name in FAILURES}
    assert leads == {f'{{% $outcome = "{outcome}" %}}': state for outcome, state in expected.items()}


def test_every_state_has_a_comment_for_readers_of_the_console(each_workflow: dict[str, Any]) -> None:
    for name, state in states_of(each_workflow):
        if state["Type"] != "Choice":
            assert state.get("Comment"), name
        for rule in state.get("Choices", ()):
            assert rule.get("Comment"), name


def payloads_of(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each state sends to a function."""
    return {
        name: state["Arguments"]["Payload"]
        for name, state in states_of(workflow)
        if "Payload" in state.get("Arguments", {})
    }


def test_a_state_sends_the_keys_that_its_handler_reads(each_workflow: dict[str, Any]) -> None:
    for name, payload in payloads_of(each_workflow).items():
        required, optional = keys(EVENTS[name])
        assert required <= set(payload) <= required | optional, name


def test_every_key_that_a_handler_reads_is_sent_by_a_state(complete: dict[str, Any]) -> None:
    sent: dict[Any, set[str]] = {event: set() for event in EVENTS.values()}
    for name in WORKFLOWS:
        for state, payload in payloads_of(workflow_of(complete, name)).items():
            sent[EVENTS[state]] |= set(payload)
    for event, of_states in sent.items():
        assert frozenset.union(*keys(event)) == of_states, event.__name__


def test_no_step_of_a_redriven_execution_changes_anything(each_workflow: dict[str, Any]) -> None:
    for name, state in states_of(each_workflow):
        payload = state.get("Arguments", {}).get("Payload", {})
        if state.get("Arguments", {}).get("FunctionName") in CHANGING and not name.startswith("Rehearse"):
            assert "RedriveCount" in payload["redriven"], name


def test_a_redriven_step_of_a_cutover_ends_it_without_a_rollback_and_leaves_the_lock_to_the_repair(
    workflow: dict[str, Any],
) -> None:
    for name, state in states_of(workflow):
        if "redriven" in state.get("Arguments", {}).get("Payload", {}):
            (catch,) = (catch for catch in state["Catch"] if "Redriven" in catch["ErrorEquals"])
            assert catch["Next"] == "Notify", name


def test_no_state_that_says_where_the_addresses_are_goes_on_in_a_redriven_execution(complete: dict[str, Any]) -> None:
    payloads = payloads_of(workflow_of(complete, "eip-cutover"))
    for state in (
        "HealthCheckLive",
        "DescribeUnchanged",
        "HealthCheckProduction",
        "Bake",
        "AfterCutover",
        "DescribeRestored",
        "HealthCheckRestored",
    ):
        assert "RedriveCount" in payloads[state]["redriven"], state


@pytest.mark.parametrize("address", ["Production", "Staging"])
def test_a_rehearsal_has_the_parameters_of_the_later_move(workflow: dict[str, Any], address: str) -> None:
    payloads = payloads_of(workflow)
    rehearsal, move = payloads[f"RehearseAssociate{address}"], payloads[f"Reassociate{address}"]
    assert rehearsal["action"] == "rehearse"
    assert rehearsal["address"] == address.lower() == move["action"].removeprefix("move ")
    for key in ("pair", "server", "privateIp"):
        assert rehearsal[key] == move[key]


def test_no_id_reaches_a_function_that_changes_something(each_workflow: dict[str, Any]) -> None:
    """Ids come from the deployed configuration; what is changed is named by pair, server and private address."""
    for name, state in states_of(each_workflow):
        if state.get("Arguments", {}).get("FunctionName") in CHANGING:
            sent = json.dumps(state["Arguments"])
            assert "$states.input" not in sent, name
            assert "Execution.Input" not in sent, name
            assert "allocationId" not in sent, name
            assert "instanceId" not in sent, name


def test_a_good_cutover_takes_at_most_20_transitions(workflow: dict[str, Any]) -> None:
    states, taken = workflow["States"], []
    name = workflow["StartAt"]
    choices = {"Decision?": "Preflight", "DryRun?": "MeasureGap", "Outcome?": "CutOver"}
    while name:
        taken.append(name)
        taken += [inner for branch in states[name].get("Branches", ()) for inner in branch["States"]]
        name = choices.get(name) or states[name].get("Next")
    assert taken[-1] == "CutOver"
    assert len(taken) <= 20
