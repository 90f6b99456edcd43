"""Which server `rollback` goes back to, by what the executions of the pair did."""

import pytest

from client.account import Pair
from client.errors import Problem
from client.rollback_target import way_back
from tests.unit.client_doubles import PAIR, AccountInMemory, cut_over, event, execution, planned

OTHER = Pair("shop", "eipalloc-c", "eipalloc-d", {"one": "i-c", "two": "i-d"})


def test_the_server_that_was_live_before_the_last_cutover() -> None:
    account = AccountInMemory(executions=[cut_over("release-1", "bittybot", "tao")], live="tao")
    assert way_back(account, PAIR).server == "bittybot"


def test_of_several_cutovers_the_last_one_counts() -> None:
    releases = [cut_over("release-2", "bittybot", "tao"), cut_over("release-1", "tao", "bittybot")]
    assert way_back(AccountInMemory(executions=releases, live="tao"), PAIR).server == "bittybot"


@pytest.mark.parametrize("outcome", ["ALREADY_LIVE", "REPAIRED", "DRY_RUN"])
def test_what_did_not_move_production_does_not_count(outcome: str) -> None:
    found = [cut_over("again", "tao", "tao", outcome=outcome), cut_over("release-1", "bittybot", "tao")]
    assert way_back(AccountInMemory(executions=found, live="tao"), PAIR).server == "bittybot"


@pytest.mark.parametrize(
    "error", ["RolledBack", "StagingUnhealthy", "PreflightFailed", "CutoverInProgress", "AddressMoved"]
)
@pytest.mark.parametrize("live", ["bittybot", "tao"])
def test_an_execution_that_failed_and_moved_nothing_does_not_count(error: str, live: str) -> None:
    found = [execution("sick", "FAILED", error=error), cut_over("release-1", "bittybot", "tao")]
    account = AccountInMemory(executions=found, histories={"sick": planned("tao")}, live=live)
    assert way_back(account, PAIR).server == ("bittybot" if live == "tao" else None)


def test_a_redriven_execution_that_was_cut_short_before_is_gone_back_from() -> None:
    redriven = execution("cut-short", "FAILED", error="PreflightFailed", redriveCount=1)
    account = AccountInMemory(executions=[redriven], histories={"cut-short": planned("bittybot")}, live="tao")
    assert way_back(account, PAIR).server == "bittybot"


@pytest.mark.parametrize("output", ["{}", '{"outcome": "CUT_OVER", "pair": "web"}'])
def test_a_cutover_that_does_not_say_from_where_does_not_count(output: str) -> None:
    found = [execution("x", output=output), cut_over("release-1", "bittybot", "tao")]
    assert way_back(AccountInMemory(executions=found, live="tao"), PAIR).server == "bittybot"


def test_a_rollback_that_is_asked_for_again_does_not_make_the_bad_release_live_again() -> None:
    found = [cut_over("rollback-1", "tao", "bittybot"), cut_over("release-1", "bittybot", "tao")]
    back = way_back(AccountInMemory(executions=found, live="bittybot"), PAIR)
    assert back.server is None
    assert "start --pair web --server tao" in back.reason


def test_after_a_rollback_and_another_release_there_is_a_way_back_again() -> None:
    found = [
        cut_over("release-2", "bittybot", "tao"),
        cut_over("rollback-1", "tao", "bittybot"),
        cut_over("release-1", "bittybot", "tao"),
    ]
    assert way_back(AccountInMemory(executions=found, live="tao"), PAIR).server == "bittybot"


def test_where_the_server_is_live_again_already_nothing_is_to_be_done() -> None:
    account = AccountInMemory(executions=[cut_over("release-1", "bittybot", "tao")], live="bittybot")
    assert way_back(account, PAIR).server is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("ABORTED", None),
        ("TIMED_OUT", None),
        ("FAILED", "RollbackFailed"),
        ("FAILED", "States.Runtime"),
        ("RUNNING", None),
    ],
    ids=str,
)
def test_an_execution_that_was_cut_short_behind_the_move_is_gone_back_from(status: str, error: str | None) -> None:
    found = [execution("cut-short", status, error=error), cut_over("release-1", "tao", "bittybot")]
    account = AccountInMemory(executions=found, histories={"cut-short": planned("bittybot")}, live="tao")
    assert way_back(account, PAIR).server == "bittybot"


def test_an_execution_that_was_cut_short_before_the_move_does_not_count() -> None:
    found = [execution("cut-short", "ABORTED"), cut_over("release-1", "tao", "bittybot")]
    account = AccountInMemory(executions=found, histories={"cut-short": planned("bittybot")}, live="bittybot")
    assert way_back(account, PAIR).server == "tao"
    account = AccountInMemory(
        executions=found, histories={"cut-short": [event(1, "ExecutionStarted")]}, live="bittybot"
    )
    assert way_back(account, PAIR).server == "tao"


def test_the_cutovers_of_another_pair_do_not_count() -> None:
    found = [cut_over("shop-1", "bittybot", "tao", pair="shop")]
    account = AccountInMemory(executions=found, live="tao", pairs=[PAIR, OTHER])
    with pytest.raises(Problem, match="No cutover of web is on record"):
        way_back(account, PAIR)


def test_where_nothing_is_on_record_a_server_must_be_named() -> None:
    with pytest.raises(Problem, match="start --server NAME"):
        way_back(AccountInMemory(live="tao"), PAIR)


def test_where_nobody_is_live_it_is_not_clear_what_to_go_back_from() -> None:
    account = AccountInMemory(executions=[cut_over("release-1", "bittybot", "tao")], live=None)
    with pytest.raises(Problem, match="on none of its servers"):
        way_back(account, PAIR)
