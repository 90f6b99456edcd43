"""The lines for CloudWatch: one line per metric, within the limits of the format."""

from datetime import UTC, datetime, timedelta

import pytest
from aws_lambda_powertools.metrics import MetricUnit

from aws.metrics import Metric, emit
from tests.unit.emf import Capture, points


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 198, 200])
def test_every_value_is_reported_exactly_once(count: int, capsys: Capture) -> None:
    emit([Metric("Latency", MetricUnit.Milliseconds, tuple(range(count)), ({"pair": "web"},))])
    printed = points(capsys.readouterr().out)
    assert [value for point in printed for value in point.values] == list(range(count))


def test_a_metric_is_reported_under_each_of_its_sets_of_dimensions_and_no_other(capsys: Capture) -> None:
    sets = ({"pair": "web", "outcome": "CUT_OVER"}, {"outcome": "CUT_OVER"})
    emit([Metric("Outcomes", MetricUnit.Count, (1,), sets), Metric("LockAge", MetricUnit.Seconds, (0,))])
    assert [point.dimensions for point in points(capsys.readouterr().out)] == [*sets, {}]


def test_the_environment_names_the_namespace(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for namespace in ("EipCutover", "TeamB"):
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", namespace)
        emit([Metric("LockAge", MetricUnit.Seconds, (0,))])
        assert [point.namespace for point in points(capsys.readouterr().out)] == [namespace]


def test_a_metric_has_the_current_time_unless_it_names_another(capsys: Capture) -> None:
    earlier = datetime.now(UTC) - timedelta(hours=3)
    emit([Metric("Live", MetricUnit.Count, (1,), at=earlier), Metric("Live", MetricUnit.Count, (1,))])
    then, now = (point.at for point in points(capsys.readouterr().out))
    assert then == round(earlier.timestamp() * 1000)
    assert abs(now - datetime.now(UTC).timestamp() * 1000) < 5000
