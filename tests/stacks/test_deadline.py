"""The execution has a deadline, which is longer than all its states may take together."""

import re
from pathlib import Path
from typing import Any

import pytest

from stacks.configuration.pairs import (
    BAKE_SHARE_SECONDS,
    LONGEST_BAKE_SECONDS,
    LONGEST_MOMENT_SECONDS,
    MINUTES_OF_A_WEEK,
)
from stacks.configuration.settings import configured
from stacks.functions.functions import LAST_CALL, longest_bake
from stacks.workflow.readiness import MOST_TRIES, MOST_WAITS as LONGEST_DRIFT_WAITS
from stacks.workflow.repair import MOST_WAITS
from stacks.workflow.retries import INACTIVE, THROTTLED
from tests.stacks.contexts import DEPLOY, HOOKS, VPC, pair
from tests.stacks.policies import listed
from tests.stacks.synthesis import WORKFLOWS, many_pairs, resources, template_of, workflow_of
from tests.stacks.test_contract import is_waited_for, states_of, waits_for_a_person

# Who throttles, or has no such function yet, answers at once; botocore asks three times, within some seconds.
ANSWERED_AT_ONCE, SUCH_A_TRY_SECONDS = (THROTTLED, INACTIVE), 10
HOLDER = ("DescribeLockHolder", "WaitForHolder")
UNTIL_LOCKED = (
    "DescribeAddresses", "AcquireLock", "DescribeLock", *HOLDER, "WaitForLastCall", "EndCommandOfHolder",
    "TakeOverLock",
)  # fmt: skip
# How often some states are entered again: for every lock that is taken over, for every answer that the holder runs,
# after an approval, after the end of a command, and if the record has changed meanwhile.
AGAIN: dict[str, list[tuple[int, tuple[str, ...]]]] = {
    "eip-cutover": [(2, UNTIL_LOCKED), (1, ("Preflight", "ReleaseLock"))],
    "eip-cutover-readiness": [
        (MOST_TRIES - 1, ("DescribeRecord", "DescribeAddresses", "Checks", "RecordReadiness")),
        (LONGEST_DRIFT_WAITS, ("WaitForHolder", "DescribeRecord")),
    ],
    "eip-cutover-repair": [(MOST_WAITS - 1, HOLDER), (1, ("ReleaseLock",))],
}


def longest(state: dict[str, Any]) -> float:
    """The seconds that a state may take: every try of every retrier, each counts its own, with its longest delays."""
    if state["Type"] == "Wait":
        return float(state["Seconds"]) if isinstance(state.get("Seconds"), int) else LAST_CALL.to_seconds()
    if waits_for_a_person(state):
        assert "$approvesUntil" in state["TimeoutSeconds"]
        return 60 * MINUTES_OF_A_WEEK
    seconds: float = state.get("TimeoutSeconds", 0)
    for retry in state.get("Retry", []):
        a_try = SUCH_A_TRY_SECONDS if retry["ErrorEquals"] in ANSWERED_AT_ONCE else state["TimeoutSeconds"]
        seconds += retry["MaxAttempts"] * (a_try + retry.get("MaxDelaySeconds", 0))
    return seconds


def synthesized(folder: Path, pairs: dict[str, Any]) -> dict[str, Any]:
    return template_of(folder, {"pairs": pairs})


def slowest(folder: Path, **check: object) -> dict[str, Any]:
    """With every state, also those that check from inside the VPC; with a day's bake, a week's approval, and commands
    that take as long as a function may run."""
    hooks = {moment: [{"command": "x", "timeoutSeconds": LONGEST_MOMENT_SECONDS}] for moment in HOOKS}
    web = pair(
        healthCheck={"via": "private", **check},
        bakeSeconds=LONGEST_BAKE_SECONDS,
        deploy=DEPLOY | {"timeoutSeconds": LONGEST_MOMENT_SECONDS},
        hooks=hooks,
        approval={"timeoutMinutes": MINUTES_OF_A_WEEK},
    )
    return template_of(folder, {"pairs": {"web": web}, "vpc": VPC})


@pytest.mark.parametrize("name", WORKFLOWS)
@pytest.mark.parametrize("deadline_seconds", [6, 840])
def test_an_execution_may_take_longer_than_all_its_states_together(
    tmp_path: Path, name: str, deadline_seconds: int
) -> None:
    template = slowest(tmp_path, deadlineSeconds=deadline_seconds)
    workflow = workflow_of(template, name)
    seconds = {state_name: longest(state) for state_name, state in states_of(workflow)}
    for state_name, state in workflow["States"].items():
        if state["Type"] == "Parallel":
            in_branches = [each for branch in state["Branches"] for each, _ in states_of(branch)]
            seconds[state_name] = sum(seconds[each] for each in in_branches)
    again = sum(times * seconds[state] for times, states in AGAIN[name] for state in states)
    assert workflow["TimeoutSeconds"] > sum(seconds.values()) + again + ("Bake" in seconds) * LONGEST_BAKE_SECONDS


def tries_of(workflow: dict[str, Any]) -> dict[str, int]:
    """How often each state is tried again while it is throttled, or its function inactive."""
    return {
        state_name: sum(
            retry["MaxAttempts"] for retry in state.get("Retry", []) if retry["ErrorEquals"] in ANSWERED_AT_ONCE
        )
        for state_name, state in states_of(workflow)
    }


# Seven events are a call of the bake and the choice before it.
EVENTS_OF_A_BAKE = 7 * LONGEST_BAKE_SECONDS // BAKE_SHARE_SECONDS


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_history_has_room_for_every_try_of_every_state(tmp_path: Path, name: str) -> None:
    """A history ends at 25,000 events, and its execution with it; a failed try is scheduled, started and failed."""
    web = pair(healthCheck={"via": "private"}, bakeSeconds=LONGEST_BAKE_SECONDS)
    tries = tries_of(workflow_of(template_of(tmp_path, {"pairs": {"web": web}, "vpc": VPC}), name))
    assert sum(tries.values())
    assert 3 * sum(tries.values()) < 25_000 - 1_000
    # After these two states, there is no bake.
    without_a_bake = sum(tries.get(state, 0) for state in ("HealthCheckLive", "DescribeUnchanged"))
    assert 3 * (sum(tries.values()) - without_a_bake) + EVENTS_OF_A_BAKE < 25_000 - 1_000


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_history_of_a_release_has_room_for_half_of_all_tries_of_every_state(tmp_path: Path, name: str) -> None:
    """Not for all: it has more states, and checks twice. Of 400 pairs at once, no state needed more than 167 tries
    (docs/decisions/0015). An execution that needs more than fit is repaired."""
    workflow = workflow_of(slowest(tmp_path), name)
    tries = tries_of(workflow)
    branches = [branch for state in workflow["States"].values() for branch in state.get("Branches", ())]
    again = sum(tries[state_name] for branch in branches for state_name, _ in states_of(branch))
    assert 3 * (sum(tries.values()) + again) / 2 + EVENTS_OF_A_BAKE < 25_000 - 1_000


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_workflow_waits_for_a_function_until_its_call_cannot_be_in_flight(
    template: dict[str, Any], name: str
) -> None:
    functions = {
        function["Properties"]["Handler"].removesuffix(".handler"): function["Properties"]["Timeout"]
        for function in resources(template, "AWS::Lambda::Function").values()
    }
    workflow = workflow_of(template, name)
    for state_name, state in states_of(workflow):
        if state["Type"] == "Task" and is_waited_for(state):
            function = state["Arguments"].get("FunctionName")
            # A cold start of up to 10 s comes before a function's own timeout.
            assert state["TimeoutSeconds"] == (functions[function] + 15 if function else 30), state_name


def test_a_lock_is_dead_when_no_function_that_changes_something_can_still_do_so(template: dict[str, Any]) -> None:
    cold_start, reserve = 10, 3
    found = template["Resources"].values()
    changing = {
        role["Ref"]
        for policy in found
        if policy["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if any(re.search(r":(Associate|Disassociate)|\*$", action) for action in listed(statement["Action"]))
        for role in policy["Properties"]["Roles"]
    }
    seconds = {
        function["Properties"]["Handler"]: function["Properties"]["Timeout"]
        for function in resources(template, "AWS::Lambda::Function").values()
        if function["Properties"]["Role"]["Fn::GetAtt"][0] in changing
    }
    assert set(seconds) == {"associate_address.handler", "disassociate_address.handler"}
    assert cold_start + max(seconds.values()) + reserve == LAST_CALL.to_seconds() == 25


def timeouts(template: dict[str, Any]) -> dict[str, int]:
    """Of the functions that a workflow calls, by their place in the stack."""
    return {
        name.removeprefix("Functions")[:-8]: function["Properties"]["Timeout"]
        for name, function in resources(template, "AWS::Lambda::Function").items()
        if name.startswith("Functions")
    }


def test_the_health_checks_of_all_pairs_fit_into_the_function_of_the_slowest(tmp_path: Path) -> None:
    pairs = many_pairs(3)
    for name, seconds in zip(pairs, (10, 700, 60), strict=True):
        pairs[name]["healthCheck"] = {"deadlineSeconds": seconds}
    assert timeouts(synthesized(tmp_path, pairs))["HealthCheck"] == 700 + 10 + 50


def test_a_bake_has_time_for_the_probes_after_it(tmp_path: Path) -> None:
    checks = [{"timeoutSeconds": 3}, {"intervalSeconds": 20, "unhealthyThresholdCount": 2, "deadlineSeconds": 100}]
    template = synthesized(tmp_path, {"web": pair(bakeSeconds=200, healthCheck=checks)})
    assert timeouts(template)["HealthCheck"] == 200 + (20 + 2) + 50


@pytest.mark.parametrize("bake", [540, 86_400])
def test_a_call_of_a_long_bake_takes_at_most_300_s_and_the_probes_after_it(tmp_path: Path, bake: int) -> None:
    slowest = {"timeoutSeconds": 108, "unhealthyThresholdCount": 5, "healthyThresholdCount": 1}
    template = synthesized(tmp_path, {"web": pair(bakeSeconds=bake, healthCheck=slowest)})
    assert timeouts(template)["HealthCheck"] == 300 + 5 * 108 + 50 <= 900


def test_a_health_check_function_has_the_longest_configurable_time_a_change_12_s_and_any_other_function_30_s(
    tmp_path: Path,
) -> None:
    check = {"deadlineSeconds": 100, "timeoutSeconds": 7, "via": "private"}
    context = {"pairs": {"web": pair(healthCheck=check, bakeSeconds=300)}, "vpc": VPC}
    seconds = timeouts(template_of(tmp_path, context))
    bake = longest_bake(configured(context.get).pairs["web"])
    assert bake >= 300 + 7
    checking = {"HealthCheck": bake + 50, "HealthCheckInVpc": 100 + 30, "CheckServers": 100 + 100}
    changing = {"AssociateAddress": 12, "DisassociateAddress": 12}
    assert seconds == dict.fromkeys(seconds, 30) | changing | checking
