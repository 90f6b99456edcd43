"""What CloudWatch is told of an execution that has ended, from the event that it puts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import report_outcome
from tests.unit.emf import points, values
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
        "execution": ARN,
        "workflow": "eip-cutover",
        "startedAt": text(STARTED),
        "endedAt": text(ENDED),
        "outcome": "CUT_OVER",
        "pair": "web",
    }
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "Elastic IP Cutover Ended",
        "source": "eip-cutover",
        "account": "123456789012",
        "time": "2026-01-02T03:04:05Z",
        "region": "eu-west-1",
        "resources": [ARN],
        "detail": {key: value for key, value in {**known, **detail}.items() if value is not None},
    }


CUT_OVER = event(production=TAO, staging=BITTYBOT, previous={"production": BITTYBOT, "staging": TAO})
ROLLED_BACK = event(outcome="RolledBack", cause="ProductionUnhealthy: ...")


def reported(sent: Any, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, tuple[str, ...]], tuple[float, ...]]:
    report_outcome.handler(sent, CONTEXT)
    return values(capsys.readouterr().out)


def test_a_cutover_is_counted_timed_and_tells_who_is_live(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(CUT_OVER, capsys) == {
        ("Outcomes", ("CUT_OVER", "web")): (1,),
        ("Outcomes", ("CUT_OVER",)): (1,),
        ("Duration", ("CUT_OVER", "web")): (3500,),
        ("Rollbacks", ("web",)): (0,),
        ("Live", ("web", "tao")): (1,),
        ("Live", ("web", "bittybot")): (0,),
    }


@pytest.mark.parametrize("outcome", ["RolledBack", "RollbackFailed"])
def test_a_rollback_is_one_whether_it_succeeds_or_not(outcome: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = reported(event(outcome=outcome, cause="..."), capsys)
    assert found["Rollbacks", ("web",)] == (1,)
    assert found["Outcomes", (outcome,)] == (1,)


@pytest.mark.parametrize("outcome", ["ALREADY_LIVE", "StagingUnhealthy", "RepairFailed", "NOTHING_TO_REPAIR"])
def test_what_is_no_rollback_counts_as_none(outcome: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(event(outcome=outcome), capsys)["Rollbacks", ("web",)] == (0,)


def test_of_an_execution_whose_pair_is_unknown_only_the_outcome_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = reported(event(outcome="InvalidRequest", pair=None, cause="..."), capsys)
    assert found == {("Outcomes", ("InvalidRequest",)): (1,)}


def test_a_failed_execution_says_nothing_of_who_is_live(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(name == "Live" for name, _ in reported(ROLLED_BACK, capsys))


def test_the_server_that_lost_production_is_idle_though_it_has_no_staging_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = reported(event(production=TAO, staging=NOBODY, previous={"production": BITTYBOT}), capsys)
    assert found["Live", ("web", "tao")] == (1,)
    assert found["Live", ("web", "bittybot")] == (0,)


def test_where_production_is_on_no_server_of_the_pair_nobody_is_live(capsys: pytest.CaptureFixture[str]) -> None:
    found = reported(event(production=NOBODY, staging=TAO), capsys)
    assert {key: value for key, value in found.items() if key[0] == "Live"} == {("Live", ("web", "tao")): (0,)}


def test_who_is_live_is_told_as_of_the_end_of_the_execution_and_all_else_as_of_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_outcome.handler(CUT_OVER, CONTEXT)
    for point in points(capsys.readouterr().out):
        if point.name == "Live":
            assert point.at == int(ENDED.timestamp() * 1000)
        else:
            late_ms = datetime.now(UTC).timestamp() * 1000 - point.at
            assert late_ms == pytest.approx(0, abs=60_000), point


def test_an_event_that_comes_twice_is_told_twice_under_the_same_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(CUT_OVER, capsys) == reported(CUT_OVER, capsys)


@pytest.mark.parametrize(
    "envelope", [{}, {"detail": None}, {"detail": "CUT_OVER"}, {"detail": []}, {"detail": {}}], ids=repr
)
def test_an_event_without_an_outcome_is_logged_and_not_tried_again(
    envelope: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_outcome.handler(envelope, CONTEXT) == {"reported": 0}
    assert points(capsys.readouterr().out) == []


# The names of these are the same in every process, as pytest-xdist needs: no moment of this run is in them.
@pytest.mark.parametrize(
    "malformed",
    [
        {"outcome": 7},
        {"outcome": ""},
        {"outcome": "CUT OVER"},
        {"outcome": "x" * 65},
        {"outcome": "é"},
        {"pair": ""},
        {"pair": ["web"]},
        {"pair": "web\n"},
        {"pair": "w" * 65},
        {"startedAt": None},
        {"startedAt": "yesterday"},
        {"startedAt": 1_700_000_000},
        {"startedAt": "2026-01-02T03:04:05"},
        {"endedAt": "2026-01-02T03:04:05.000Z"},  # before it started
        {"production": "tao"},
        {"production": {"server": "t/o"}},
        {"production": TAO, "previous": {"production": 7}},
    ],
    ids=repr,
)
def test_an_event_that_no_execution_puts_is_logged_and_not_tried_again(
    malformed: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_outcome.handler(event(**malformed), CONTEXT) == {"reported": 0}
    assert points(capsys.readouterr().out) == []


def test_an_outcome_that_is_not_known_yet_is_counted_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(event(outcome="SomethingNew"), capsys)["Outcomes", ("SomethingNew",)] == (1,)


def test_the_handler_returns_json_and_says_how_much_it_told() -> None:
    assert json.dumps(report_outcome.handler(CUT_OVER, CONTEXT)) == '{"reported": 5}'
