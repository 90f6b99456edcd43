"""Whole executions: the synthesized definitions and the real handlers, in a process of their own."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@cache
def simulated(*arguments: str) -> str:
    """What `python -m tests.simulation` prints."""
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=300)
    return run.stdout


def forced(key: str, kind: str, *, seed: int = 1) -> str:
    """What a cutover does if nothing but this deviates."""
    return simulated("--seed", str(seed), "--verbose", "--only", "--force", key, kind)


def test_a_cutover_without_deviations_ends_cut_over() -> None:
    story = simulated("--seed", "1", "--verbose", "--only")

    assert "ReassociateProduction.1, ec2 AssociateAddress.1: answered" in story
    assert "seed 1: cutover-1 CUT_OVER" in story


def test_a_throttled_function_is_called_again() -> None:
    story = forced("cutover-1/ReassociateProduction.1/lambda Invoke.1", "throttled")

    assert "ReassociateProduction.2, ec2 AssociateAddress.1: answered" in story
    assert "seed 1: cutover-1 CUT_OVER" in story


def test_a_refused_change_is_rolled_back_and_its_repair_finds_nothing_to_do() -> None:
    story = forced("cutover-1/ReassociateProduction.1/ec2 AssociateAddress.1", "refused")

    assert "seed 1: cutover-1 RolledBack, cutover-1-repair-1 NOTHING_TO_REPAIR" in story


def test_an_event_that_eventbridge_does_not_take_is_put_again() -> None:
    story = forced("cutover-1/PutEvent.1/events PutEvents.1", "entry failed")

    assert "PutEvent.2, events PutEvents.1: answered" in story
    assert "seed 1: cutover-1 CUT_OVER" in story


def test_a_stopped_execution_is_repaired_as_often_as_eventbridge_delivers() -> None:
    """In seed 7, the moment of the stop is after production has moved."""
    stop, event = ("--only", "--force", "actor stop", "stops"), "cutover-1/events ABORTED.1"
    late, twice, never = (
        simulated("--seed", "7", *stop, "--force", event, kind).splitlines()[-2]
        for kind in ("event late", "event twice", "event never")
    )

    assert "cutover-1 ABORTED, cutover-1-repair-1 REPAIRED" in late
    assert "cutover-1 ABORTED, cutover-1-repair-1 REPAIRED, cutover-1-repair-2" in twice
    assert "cutover-1-repair" not in never


@pytest.mark.parametrize(
    ("lost", "refused"),
    [("DisassociateStaging", "ReassociateProduction"), ("ReassociateProduction", "ReassociateStaging")],
)
def test_a_change_that_was_lost_and_starts_when_its_execution_has_rolled_back_changes_nothing(
    lost: str, refused: str
) -> None:
    """In seed 8, it starts after that. The simulation found that staging was then on no server; and production, after
    the move of staging was refused, on the server from which the execution had rolled back."""
    rolls_back = ("--force", f"cutover-1/{refused}.1/ec2 AssociateAddress.1", "refused")
    late = ("--force", f"cutover-1/{lost}.1/lambda Invoke.1", "invocation lost")
    story = simulated("--seed", "8", "--verbose", "--only", *rolls_back, *late)

    assert f"{lost}.1, " in story.partition("ended FAILED RolledBack")[2]
    assert "Places(production='i-0aaaaaaaaaaaaaaaa', staging='i-0bbbbbbbbbbbbbbbb')" in story


def test_an_execution_that_is_redriven_before_its_repair_has_its_lock_leaves_it_what_it_needs() -> None:
    """In seed 98, it is stopped between its changes. The simulation found that it released its lock, and that nothing
    then said what was to be repaired."""
    redriven = ("--force", "actor stop", "stops", "--force", "actor redrive", "redrives")
    story = simulated("--seed", "98", "--only", *redriven)

    assert "cutover-1 PreflightFailed, cutover-1-repair-1 REPAIRED" in story


def test_the_commands_of_a_rollback_that_failed_do_not_displace_the_address_of_someone_else() -> None:
    """In seed 1677, a stranger's address is where staging would go, and production is on no server. The simulation
    compares the commands with the plan, and would fail."""
    actors = ("actor cutover-2", "actor stranger", "pair record")
    inactive = ("--force", "cutover-2/ReassociateProduction.1/lambda Invoke.1", "inactive")
    story = simulated("--seed", "1677", "--only", *actors, *inactive)

    assert "cutover-2 RollbackFailed" in story


def test_a_rollback_just_after_a_cutover_does_not_believe_what_ec2_showed_before_both() -> None:
    """In seed 40, the description is from before the cutover: staging seems to be where the rollback puts it."""
    stale = ("--force", "cutover-2/ReassociateStaging.1/ec2 DescribeAddresses.1", "stale")
    story = simulated("--seed", "40", "--verbose", "--only", "actor cutover-2", *stale)

    assert "ReassociateStaging.1, ec2 DescribeAddresses.1: stale" in story
    assert "cutover-1 CUT_OVER, cutover-2 CUT_OVER" in story


def test_hooks_that_were_lost_and_start_during_the_hooks_of_the_rollback_do_nothing() -> None:
    """In seed 11, they start so late. They cancelled the command of the rollback, and ran again."""
    hooks = [each for moment in ("beforeCutover", "afterRollback") for each in ("--force", f"pair {moment}", "runs")]
    hangs = ("--force", "pair command-afterRollback0", "hangs")
    late = ("--force", "cutover-1/BeforeCutover.1/lambda Invoke.1", "started late")
    rolls_back = ("--force", "cutover-1/ReassociateProduction.1/ec2 AssociateAddress.1", "refused")
    story = simulated("--seed", "11", "--verbose", "--only", *hooks, *hangs, *late, *rolls_back)

    assert "BeforeCutover.1, dynamodb GetItem.1" in story.partition("entered AfterRollback")[2]
    assert "cutover-1 RolledBack" in story


def test_an_execution_that_is_redriven_at_the_end_of_its_rollback_asks_nobody_to_undo_what_others_did_since() -> None:
    """In seed 274, it ended RollbackFailed after the cutover of another, with commands that lead back."""
    acts = [each for actor in ("stop", "redrive", "cutover-2") for each in ("--force", f"actor {actor}", "acts")]
    rolls_back = ("--force", "cutover-1/ReassociateProduction.1/ec2 AssociateAddress.1", "refused")
    story = simulated("--seed", "274", "--only", *acts, *rolls_back)

    assert "cutover-2 CUT_OVER" in story
    assert "Redriven" in story.partition("someone redrives cutover-1")[2]
    assert "cutover-1 PreflightFailed" in story
