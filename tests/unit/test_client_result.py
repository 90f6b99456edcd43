"""The result of an execution, and its exit code."""

import io
import json
from typing import Any

import pytest

from client.progress import Progress
from client.result import Result
from client.screen import Screen
from stacks.workflow.cutover import FAILURES, SUCCESSES
from tests.unit.client_doubles import cut_over, execution, planned

BEFORE_RELEASES = [error for error in FAILURES if error not in ("DeployFailed", "NotApproved")]


def of(described: dict[str, Any], *events: dict[str, Any]) -> Result:
    progress = Progress()
    for event in events:
        progress.read(event)
    return Result(described, progress)


def printed(result: Result) -> str:
    out = io.StringIO()
    Screen(out).table(result.summary())
    return out.getvalue()


def test_every_success_is_0_and_except_a_cutover_has_its_own_detailed_exit_code() -> None:
    results = {name: of(cut_over("x", "bittybot", "tao", outcome=name)) for name in SUCCESSES}
    assert {result.exit_code() for result in results.values()} == {0}
    assert {name: result.exit_code(detailed=True) for name, result in results.items()} == {
        "CUT_OVER": 0, "ALREADY_LIVE": 3, "REPAIRED": 4, "DRY_RUN": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        *(("FAILED", error, code) for code, error in enumerate(BEFORE_RELEASES, start=10)),
        ("FAILED", "DeployFailed", 21), ("FAILED", "NotApproved", 22),
        ("ABORTED", None, 17), ("TIMED_OUT", None, 18), ("TIMED_OUT", "States.Timeout", 18),
        ("ABORTED", "RolledBack", 17), ("FAILED", "States.Runtime", 19), ("FAILED", None, 19),
        ("FAILED", "CUT_OVER", 19),
    ],
)  # fmt: skip
def test_every_failure_has_a_code_and_advice(status: str, error: str | None, code: int) -> None:
    result = of(execution("x", status, error=error, cause="..."))
    assert (result.exit_code(), result.exit_code(detailed=True)) == (code, code)
    assert result.advice


def test_a_cutover_reports_who_was_live_who_is_live_and_how_long_it_took() -> None:
    result = of(cut_over("release-1", "bittybot", "tao"))
    assert (result.was_live, result.is_live, result.pair, result.seconds) == ("bittybot", "tao", "web", 8.25)
    summary = dict(result.summary())
    assert summary == {
        "outcome": "CUT_OVER", "pair": "web", "was live": "bittybot", "is live": "tao",
        "production": "203.0.113.10 on tao (i-b)", "staging": "203.0.113.10 on bittybot (i-a)",
        "took": "8.2 s", "execution": "release-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "known"),
    [
        ("StagingUnhealthy", "tao, when last described"),
        ("PreflightFailed", "tao, when last described"),
        ("DeployFailed", "tao, when last described"),
        ("NotApproved", "tao, when last described"),
        ("RolledBack", "tao"),
    ],
)
@pytest.mark.parametrize(("redrives", "live"), [(0, "tao"), (1, None)])
def test_a_failure_that_did_not_move_production_leaves_the_same_server_live_unless_it_was_redriven(
    error: str, known: str, redrives: int, live: str | None
) -> None:
    result = of(execution("x", "FAILED", error=error, cause="...", redriveCount=redrives), *planned("tao"))
    assert (result.was_live, result.is_live, result.pair) == ("tao", live, "web")
    assert dict(result.summary())["is live"] == (known if live else "unknown; check with `status`")


@pytest.mark.parametrize("error", ["RollbackFailed", "AddressMoved", "CutoverInProgress", "States.Runtime"])
def test_after_any_other_failure_it_is_unknown_which_server_is_live(error: str) -> None:
    result = of(execution("x", "FAILED", error=error, cause="..."), *planned("tao"))
    assert (result.was_live, result.is_live) == ("tao", None)


def test_a_plan_without_a_live_server_is_a_plan() -> None:
    (*before, planned_) = planned("tao")
    output = json.loads(planned_["taskSucceededEventDetails"]["output"])
    output["Payload"]["live"] = None
    planned_["taskSucceededEventDetails"]["output"] = json.dumps(output)
    result = of(execution("x", "FAILED", error="PreflightFailed", cause="..."), *before, planned_)
    assert (result.pair, result.was_live, result.is_live) == ("web", None, None)


def test_a_gap_and_a_plan_are_in_the_summary() -> None:
    output = {"gap": {"requests": 35, "failed": 1, "longestMs": 52}, "plan": {"steps": ["move production"]}}
    summary = dict(of(execution("x", output=json.dumps(output))).summary())
    assert summary["gap"] == "1 of 35 requests failed; longest time without a good answer 52 ms"
    assert summary["plan"] == "move production"


def test_every_check_that_was_skipped_is_a_warning_in_the_summary() -> None:
    output = {"outcome": "CUT_OVER", "warnings": ["The alarm web-5xx rings\n.", "The live server was not checked."]}
    result = of(execution("x", output=json.dumps(output)))
    assert [value for label, value in result.summary() if label == "warning"] == [
        "The alarm web-5xx rings .", "The live server was not checked.",
    ]  # fmt: skip
    assert of(execution("x", output='{"warnings": 7}')).reported["warnings"] == []


def test_the_json_has_exactly_the_documented_keys() -> None:
    assert of(cut_over("x", "bittybot", "tao")).to_json().keys() == {
        "execution", "name", "status", "outcome", "pair", "wasLive", "isLive", "production", "staging", "previous",
        "plan", "gap", "warnings", "cause", "holder", "advice", "seconds", "healthChecks", "states",
    }  # fmt: skip


def test_the_other_execution_is_named_with_the_command_that_follows_it() -> None:
    holder = "arn:aws:states:eu-west-1:111122223333:execution:eip-cutover:release-1"
    cause = f"Another execution is cutting over pair web to tao: {holder}, since 2026-02-01T09:30:00Z. Nothing ..."
    result = of(execution("x", "FAILED", error="CutoverInProgress", cause=cause))
    assert str(result.advice).endswith(f"docs/runbook.md#cutoverinprogress\ncutover.py watch {holder}")
    assert result.summary()[-1] == ("what to do", result.advice)


def test_the_commands_of_a_cause_have_lines_of_their_own_and_the_json_has_the_whole_cause() -> None:
    cause = "EC2 refused. Run:\naws ec2 associate-address --allocation-id a &&\naws ec2 associate-address"
    result = of(execution("x", "FAILED", error="RollbackFailed", cause=cause))
    command = "  aws ec2 associate-address"
    assert f"cause       EC2 refused. Run:\n{command} --allocation-id a &&\n{command}\nwhat to do" in printed(result)
    assert result.to_json()["cause"] == cause


def test_the_output_of_a_deployment_has_lines_of_their_own_and_no_line_is_a_command() -> None:
    cause = "deploy on tao ended Failed. Its output:\naws ec2 x\ncutover.py start\n::error::\x1b[2J\x0baws ec2 y\n"
    result = of(execution("x", "FAILED", error="DeployFailed", cause=cause))
    (said, *output), indent = printed(result).partition("cause       ")[2].splitlines()[:-1], " " * 12
    assert said == "deploy on tao ended Failed. Its output:"
    assert output == [f"{indent}| {line}" for line in ("aws ec2 x", "cutover.py start", ": :error:: [2J", "aws ec2 y")]
    assert result.to_json()["cause"] == cause
    assert "cause" not in dict(of(execution("x", "FAILED", error="DeployFailed")).summary())


def test_the_output_of_a_failed_execution_is_not_its_outcome() -> None:
    output = cut_over("x", "bittybot", "tao")["output"]
    result = of(execution("x", "FAILED", error="RollbackFailed", output=output))
    assert (result.outcome, result.exit_code(), result.is_live) == ("RollbackFailed", 16, None)


@pytest.mark.parametrize("output", [None, "", "[]", "7", "{", "{}", '{"production": 7, "previous": []}'])
def test_a_success_with_an_unusable_output_is_still_a_success(output: str | None) -> None:
    result = of(execution("x", output=output))
    assert (result.outcome, result.exit_code(detailed=True)) == ("SUCCEEDED", 0)
    json.dumps(result.to_json())


def test_each_value_of_the_summary_is_one_line_for_any_cause() -> None:
    result = of(execution("x", "FAILED", error="RolledBack", cause="a\nb\x1b[2J\r[red]c"))
    assert "\ncause       a b [2J [red]c\n" in printed(result)
