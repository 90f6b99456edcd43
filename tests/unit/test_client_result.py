"""What an execution came to, and the exit code that says so."""

import json
from typing import Any

import pytest

from client.progress import Progress
from client.result import Result, result_of
from stacks.workflow.cutover import FAILURES, SUCCESSES
from tests.unit.client_doubles import cut_over, execution, planned


def of(described: dict[str, Any], *events: dict[str, Any]) -> Result:
    progress = Progress()
    for event in events:
        list(progress.read(event))
    return result_of(described, progress)


def test_every_success_of_the_workflow_is_0_and_with_details_its_own_code_but_a_cutover() -> None:
    results = {name: of(cut_over("x", "bittybot", "tao", outcome=name)) for name in SUCCESSES}
    assert {result.exit_code() for result in results.values()} == {0}
    assert {name: result.exit_code(detailed=True) for name, result in results.items()} == {
        "CUT_OVER": 0, "ALREADY_LIVE": 3, "REPAIRED": 4, "DRY_RUN": 5,
    }  # fmt: skip


def test_every_failure_of_the_workflow_has_a_code_of_its_own_and_advice() -> None:
    results = {name: of(execution("x", "FAILED", error=name, cause="...")) for name in FAILURES}
    assert [result.exit_code() for result in results.values()] == list(range(10, 17))
    assert [result.exit_code(detailed=True) for result in results.values()] == list(range(10, 17))
    assert all(result.advice for result in results.values())


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [("ABORTED", None, 17), ("TIMED_OUT", None, 18), ("TIMED_OUT", "States.Timeout", 18), ("ABORTED", "RolledBack", 17),
     ("FAILED", "States.Runtime", 19), ("FAILED", None, 19), ("FAILED", "CUT_OVER", 19)],
)  # fmt: skip
def test_an_end_that_is_no_outcome_of_the_workflow_has_a_code_too(status: str, error: str | None, code: int) -> None:
    result = of(execution("x", status, error=error))
    assert result.exit_code(detailed=True) == code
    assert result.advice


def test_a_cutover_says_who_was_live_who_is_and_how_long_it_took() -> None:
    result = of(cut_over("release-1", "bittybot", "tao"))
    assert (result.was_live, result.is_live, result.pair, result.seconds) == ("bittybot", "tao", "web", 8.25)
    summary = dict(result.summary())
    assert (summary["outcome"], summary["was live"], summary["is live"], summary["took"]) == (
        "CUT_OVER", "bittybot", "tao", "8.2 s",
    )  # fmt: skip
    assert "cause" not in summary


@pytest.mark.parametrize("error", ["StagingUnhealthy", "PreflightFailed", "RolledBack"])
def test_where_nothing_was_left_changed_the_same_server_is_live(error: str) -> None:
    result = of(execution("x", "FAILED", error=error, cause="..."), *planned("tao"))
    assert (result.was_live, result.is_live, result.pair) == ("tao", "tao", "web")


@pytest.mark.parametrize("error", ["RollbackFailed", "AddressMoved", "CutoverInProgress", "States.Runtime"])
def test_where_it_is_not_known_who_is_live_that_is_said(error: str) -> None:
    result = of(execution("x", "FAILED", error=error, cause="..."), *planned("tao"))
    assert (result.was_live, result.is_live) == ("tao", None)
    assert "status" in dict(result.summary())["is live"]


def test_an_execution_that_was_redriven_does_not_know_who_is_live() -> None:
    result = of(execution("x", "FAILED", error="PreflightFailed", cause="...", redriveCount=1), *planned("tao"))
    assert result.is_live is None


def test_the_other_execution_is_named_with_the_command_that_follows_it() -> None:
    holder = "arn:aws:states:eu-west-1:111122223333:execution:eip-cutover:release-1"
    cause = f"Another execution is cutting over pair web to tao: {holder}, since 2026-02-01T09:30:00Z. Nothing ..."
    result = of(execution("x", "FAILED", error="CutoverInProgress", cause=cause))
    assert result.advice == (
        f"Follow it with `cutover.py watch {holder}`, and start again when it has ended. "
        "More: docs/runbook.md#cutoverinprogress"
    )


def test_the_output_of_an_execution_that_failed_is_not_its_outcome() -> None:
    output = cut_over("x", "bittybot", "tao")["output"]
    result = of(execution("x", "FAILED", error="RollbackFailed", output=output))
    assert (result.outcome, result.exit_code(), result.is_live) == ("RollbackFailed", 16, None)


@pytest.mark.parametrize("output", [None, "", "[]", "7", "{", "{}", '{"production": 7, "previous": []}'])
def test_an_output_that_says_nothing_is_a_success_all_the_same(output: str | None) -> None:
    result = of(execution("x", output=output))
    assert (result.outcome, result.exit_code(detailed=True)) == ("SUCCEEDED", 0)
    json.dumps(result.to_json())


def test_the_summary_is_one_line_each_whatever_is_in_the_cause() -> None:
    result = of(execution("x", "FAILED", error="RolledBack", cause="a\nb\x1b[2J\r[red]c"))
    assert dict(result.summary())["cause"] == "a b [2J [red]c"
