"""The server that `rollback` makes live again, found in the executions of the pair."""

from typing import Any

import pytest

from client.errors import Problem
from client.rollback_target import rollback_target
from tests.unit.client_doubles import PAIR, account, cut_over, event, execution, planned, published

SHOP = published("shop", "eipalloc-c", "eipalloc-d", {"one": "i-c", "two": "i-d"})
TO_TAO, TO_BITTYBOT = cut_over("release-1", "bittybot", "tao"), cut_over("release-1", "tao", "bittybot")
BACK = cut_over("rollback-1", "tao", "bittybot")


def target(live: str | None, *executions: dict[str, Any], history: list[Any] | None = None) -> str | None:
    """The server to switch back to, with these executions, newest first. `history` is the history of the newest."""
    histories = {executions[0]["name"]: history} if history else {}
    return rollback_target(account(*executions, histories=histories, live=live), PAIR)[0]


@pytest.mark.parametrize(
    ("live", "executions", "server"),
    [
        ("tao", [TO_TAO], "bittybot"),
        ("tao", [cut_over("release-2", "bittybot", "tao"), TO_BITTYBOT], "bittybot"),
        ("tao", [cut_over("release-2", "bittybot", "tao"), BACK, TO_TAO], "bittybot"),
        # It is live again already.
        ("bittybot", [TO_TAO], None),
        # These did not move production, or do not say from where.
        *(
            ("tao", [cut_over("x", "tao", "tao", outcome=name), TO_TAO], "bittybot")
            for name in ("ALREADY_LIVE", "REPAIRED", "DRY_RUN")
        ),
        ("tao", [execution("x", output="{}"), TO_TAO], "bittybot"),
        ("tao", [execution("x", output='{"outcome": "CUT_OVER", "pair": "web"}'), TO_TAO], "bittybot"),
    ],
)
def test_the_server_before_the_last_cutover(live: str, executions: list[dict[str, Any]], server: str | None) -> None:
    assert target(live, *executions) == server


def test_a_second_rollback_does_not_make_the_bad_release_live_again() -> None:
    server, reason = rollback_target(account(BACK, TO_TAO, live="bittybot"), PAIR)
    assert server is None
    assert "start --pair web --server tao" in reason


@pytest.mark.parametrize(
    "error", ["RolledBack", "StagingUnhealthy", "PreflightFailed", "CutoverInProgress", "AddressMoved"]
)
@pytest.mark.parametrize(("live", "server"), [("tao", "bittybot"), ("bittybot", None)])
def test_an_execution_that_failed_and_moved_nothing_does_not_count(error: str, live: str, server: str | None) -> None:
    failed = execution("failed", "FAILED", error=error)
    assert target(live, failed, TO_TAO, history=planned("tao")) == server


@pytest.mark.parametrize(
    "cut_short",
    [
        *(execution("x", status) for status in ("ABORTED", "TIMED_OUT", "RUNNING")),
        *(execution("x", "FAILED", error=error) for error in ("RollbackFailed", "States.Runtime")),
        execution("x", "FAILED", error="PreflightFailed", redriveCount=1),
    ],
    ids=lambda each: each.get("error") or each["status"],
)
def test_an_execution_that_was_cut_short_counts_if_it_had_moved_production(cut_short: dict[str, Any]) -> None:
    assert target("tao", cut_short, TO_BITTYBOT, history=planned("bittybot")) == "bittybot"
    for history in (planned("bittybot"), [event(1, "ExecutionStarted")]):
        assert target("bittybot", cut_short, TO_BITTYBOT, history=history) == "tao"


def test_the_cutovers_of_another_pair_do_not_count_and_then_a_server_must_be_named() -> None:
    shop = cut_over("shop-1", "bittybot", "tao", pair="shop")
    with pytest.raises(Problem, match=r"No cutover of web is on record.*start --server NAME"):
        rollback_target(account(shop, live="tao", pairs=[PAIR, SHOP]), PAIR)


def test_with_production_on_no_server_a_rollback_is_refused() -> None:
    with pytest.raises(Problem, match="on none of its servers"):
        target(None, TO_TAO)
