"""How fast a server answered its health check, as CloudWatch is told."""

import pytest

from domain.errors import StagingUnhealthy
from tests.unit.emf import Point, points
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import OK, answering, in_turn, refusing, serving, status


def told(capsys: pytest.CaptureFixture[str]) -> list[Point]:
    return points(capsys.readouterr().out)


def test_every_good_probe_is_told_under_the_address_and_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answering(OK)) as server:
        result = called(check_of(server))
    [point] = told(capsys)
    assert (point.name, point.unit) == ("HealthCheckLatency", "Milliseconds")
    assert point.dimensions == {"address": "staging", "server": "tao"}
    assert list(point.values) == [probe["milliseconds"] for probe in result["checks"][0]["probes"]]


def test_probes_that_failed_are_not_told_and_those_before_them_are(capsys: pytest.CaptureFixture[str]) -> None:
    turns = in_turn(answering(OK), answering(OK), *[answering(status(500))] * 3)
    with serving(turns) as server, pytest.raises(StagingUnhealthy):
        called(check_of(server))
    [point] = told(capsys)
    assert len(point.values) == 2


def test_of_a_server_that_never_answers_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with refusing() as server, pytest.raises(StagingUnhealthy):
        called(check_of(server))
    assert told(capsys) == []


def test_the_bake_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answering(OK)) as server:
        called(check_of(server), address="production", bakeSeconds=0.1)
    check, bake = told(capsys)
    assert check.dimensions == bake.dimensions == {"address": "production", "server": "tao"}
    assert len(check.values) == 3


def test_at_most_the_last_20_probes_of_each_check_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answering(OK)) as server:
        called(*[check_of(server, healthyThresholdCount=25, intervalSeconds=0.01, deadlineSeconds=20)] * 6)
    assert [len(point.values) for point in told(capsys)] == [99, 21]
