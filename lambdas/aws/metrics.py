"""Metrics as lines of the log, without a call or a permission ("Embedded metric format", CloudWatch User Guide)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

VALUES_PER_LINE = 99  # of 100 in the format: at the 100th, Powertools prints what it has, and has nothing left


@dataclass(frozen=True)
class Metric:
    """Values, at a time (None: now), that CloudWatch keeps under each set of dimensions; only the first may be `{}`."""

    name: str
    unit: MetricUnit
    values: tuple[float, ...]
    dimensions: tuple[Mapping[str, str], ...] = ({},)
    at: datetime | None = None


def emit(metrics: Iterable[Metric]) -> None:
    """Prints each metric that has values. The environment variable POWERTOOLS_METRICS_NAMESPACE has the namespace."""
    for metric in metrics:
        first, *more = metric.dimensions
        for start in range(0, len(metric.values), VALUES_PER_LINE):
            # It shares nothing with other threads. With an empty service, the metric has no dimension for it.
            line = EphemeralMetrics(service="")
            for name, of_what in first.items():
                line.add_dimension(name, of_what)
            for dimensions in more:
                line.add_dimensions(**dimensions)
            if metric.at is not None:
                line.set_timestamp(metric.at)
            for value in metric.values[start : start + VALUES_PER_LINE]:
                line.add_metric(metric.name, metric.unit, value)
            line.flush_metrics()
