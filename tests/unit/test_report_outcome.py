"""What CloudWatch is told of an execution that has ended, from the event that it puts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import report_outcome
from tests.unit.emf import Capture, points, values
from tests.unit.handler_calls import CONTEXT

ENDED = datetime.now(UTC).replace(microsecond=123_000) - timedelta(hours=1)
STARTED = ENDED - timedelta(seconds=3.5)
ARN = "arn:aws:states:eu-west-1:123456789012:execution:eip-cutover:release-7"
TAO = {"publicIp": "203.0.113.7", "allocationId": "eipalloc-1", "associationId": "eipassoc-1", "server": "tao"}
BITTYBOT = {**TAO, "server": "bittybot"}
NOBODY = {**TAO, "server": None, "associationId": None}


def text(moment: datetime) -> str:
    """As Step Functions writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def event(**detail: Any) -> dict[str, Any]:
    """The event in EventBridge's envelope; a key that is None is absent."""
    known = {
        **{"execution": ARN, "workflow": "eip-cutover", "outcome": "CUT_OVER", "pair": "web"},
        **{"startedAt": text(STARTED), "endedAt": text(ENDED)},
    }
    envelope = {"version": "0", "detail-type": "Elastic IP Cutover Ended", "source": "eip-cutover", "resources": [ARN]}
    return {**envelope, "detail": {key: value for key, value in {**known, **detail}.items() if value is not None}}


CUT_OVER = event(production=TAO, staging=BITTYBOT, previous={"production": BITTYBOT, "staging": TAO})


def reported(sent: Any, capsys: Capture) -> dict[tuple[str, tuple[str, ...]], tuple[float, ...]]:
    report_outcome.handler(sent, CONTEXT)
    return values(capsys.readouterr().out)


def test_a_cutover_is_counted_timed_and_tells_who_is_live(capsys: Capture) -> None:
    assert reported(CUT_OVER, capsys) == {
        ("Outcomes", ("CUT_OVER", "web")): (1,),
        ("Outcomes", ("CUT_OVER",)): (1,),
        ("Duration", ("CUT_OVER", "web")): (3500,),
        ("Rollbacks", ("web",)): (0,),
        ("Live", ("web", "tao")): (1,),
        ("Live", ("web", "bittybot")): (0,),
    }


@pytest.mark.parametrize(
    ("outcome", "rollbacks"),
    [("RolledBack", 1), ("RollbackFailed", 1), ("ALREADY_LIVE", 0), ("StagingUnhealthy", 0), ("SomethingNew", 0)],
)
def test_a_rollback_is_counted_whether_it_succeeds_or_not_and_any_outcome_without_production_says_not_who_is_live(
    outcome: str, rollbacks: int, capsys: Capture
) -> None:
    metrics = reported(event(outcome=outcome, cause="..."), capsys)
    assert (metrics["Rollbacks", ("web",)], metrics["Outcomes", (outcome,)]) == ((rollbacks,), (1,))
    assert not any(name == "Live" for name, _ in metrics)


def test_of_an_execution_whose_pair_is_unknown_only_the_outcome_is_reported(capsys: Capture) -> None:
    metrics = reported(event(outcome="InvalidRequest", pair=None, cause="..."), capsys)
    assert metrics == {("Outcomes", ("InvalidRequest",)): (1,)}


def test_the_server_that_lost_production_is_idle_though_it_has_no_staging_address(capsys: Capture) -> None:
    metrics = reported(event(production=TAO, staging=NOBODY, previous={"production": BITTYBOT}), capsys)
    assert (metrics["Live", ("web", "tao")], metrics["Live", ("web", "bittybot")]) == ((1,), (0,))


def test_where_production_is_on_no_server_of_the_pair_nobody_is_live(capsys: Capture) -> None:
    metrics = reported(event(production=NOBODY, staging=TAO), capsys)
    assert {key: value for key, value in metrics.items() if key[0] == "Live"} == {("Live", ("web", "tao")): (0,)}


def test_who_is_live_is_told_as_of_the_end_of_the_execution_and_all_else_as_of_now(capsys: Capture) -> None:
    report_outcome.handler(CUT_OVER, CONTEXT)
    for point in points(capsys.readouterr().out):
        if point.name == "Live":
            assert point.at == int(ENDED.timestamp() * 1000)
        else:
            late_ms = datetime.now(UTC).timestamp() * 1000 - point.at
            assert late_ms == pytest.approx(0, abs=60_000), point


# The names of these are the same in every process, as pytest-xdist needs: no moment of this run is in them.
@pytest.mark.parametrize(
    "malformed",
    [
        *({"outcome": outcome} for outcome in (7, "", "CUT OVER", "x" * 65, "é")),
        *({"pair": pair} for pair in ("", ["web"], "web\n", "w" * 65)),
        *({"startedAt": moment} for moment in (None, "yesterday", 1_700_000_000, "2026-01-02T03:04:05")),
        {"endedAt": "2026-01-02T03:04:05.000Z"},  # before it started
        *({"production": production} for production in ("tao", {"server": "t/o"})),
        {"production": TAO, "previous": {"production": 7}},
    ],
    ids=repr,
)
def test_an_event_with_a_malformed_key_is_logged_and_not_retried(malformed: dict[str, Any], capsys: Capture) -> None:
    assert reported(event(**malformed), capsys) == {}


@pytest.mark.parametrize("envelope", [{}, {"detail": None}, {"detail": "CUT_OVER"}, {"detail": []}, {"detail": {}}])
def test_an_event_without_an_outcome_is_logged_and_not_tried_again(envelope: dict[str, Any], capsys: Capture) -> None:
    assert report_outcome.handler(envelope, CONTEXT) == {"reported": 0}
    assert points(capsys.readouterr().out) == []


def test_the_handler_returns_json_and_says_how_much_it_told() -> None:
    assert json.dumps(report_outcome.handler(CUT_OVER, CONTEXT)) == '{"reported": 5}'
