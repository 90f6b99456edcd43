"""Scenarios: what they reach, that each part can be left out, and that the end of a run notices what does not settle.

The runs are in a process of their own (`scenario_runs.py`), because the simulation changes its process for good."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
SEEDS = 250
# What this many seeds reach in any case. Over 1,000 seeds, more is reached: the rarer ones are too rare here.
OUTCOMES = {
    "CUT_OVER", "ALREADY_LIVE", "DRY_RUN", "PreflightFailed", "CutoverInProgress", "InvalidRequest", "RolledBack",
    "StagingUnhealthy", "AddressMoved", "NotApproved", "DeployFailed", "ABORTED", "REPAIRED", "NOTHING_TO_REPAIR",
    "READY", "NOT_READY", "SKIPPED",
}  # fmt: skip
STATES = {
    "RequestRollback", "TakeOverLock", "WaitForLastCall", "DeployRelease", "WaitForApproval", "BeforeCutover",
    "AfterCutover", "AfterRollback", "Bake", "RestoreProduction", "RestoreStaging", "RepairStaging", "EndCommand",
}  # fmt: skip
ACTORS = {"Start", "Stop", "Redrive", "Answer", "Move", "Interrupt", "Outage", "Race", "Lost", "Next", "StopIn"}


@cache
def ran(*arguments: str) -> Any:
    """What `python -m tests.simulation.scenario_runs` answers."""
    command = [sys.executable, "-m", "tests.simulation.scenario_runs", *arguments]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(run.stdout)


def test_some_hundred_seeds_reach_every_kind_of_outcome_state_and_actor() -> None:
    reached = ran("reached", str(SEEDS))

    assert {*reached["outcomes"]} >= OUTCOMES
    assert {*reached["states"]} >= STATES
    assert {*reached["actors"]} == ACTORS


def test_without_deviations_a_scenario_is_one_cutover_of_a_sound_pair() -> None:
    assert ran("bare", "20") == [{"cutover-1": "CUT_OVER"}] * 20


def test_each_actor_of_a_scenario_can_be_left_out_and_the_others_stay() -> None:
    for texts in ran("parts", "100"):
        for key, left in texts["without"].items():
            assert key not in left
            assert left.items() <= texts["all"].items()  # without it, what only disturbs it is left out, too


def test_the_end_notices_a_pair_that_nobody_repairs() -> None:
    assert "nobody was asked to act" in ran("unsettled", "staging")["failure"]


def test_the_end_notices_a_lock_that_nobody_releases() -> None:
    assert "still holds the lock" in ran("unsettled", "lock")["failure"]


def test_the_end_notices_that_the_next_cutover_fails() -> None:
    assert "the next cutover ended" in ran("unsettled", "cutover")["failure"]


def test_a_run_without_any_of_these_settles() -> None:
    assert ran("unsettled", "nothing")["failure"] is None
