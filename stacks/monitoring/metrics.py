"""The metrics that the functions emit (`lambdas/aws/metrics.py`), for the alarms and the dashboard.
`tests/stacks/test_monitoring.py` runs the functions and compares the names and dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

EVERY_5_MINUTES = Duration.minutes(5)


@dataclass(frozen=True)
class Metrics:
    """The metrics of the stack with this namespace."""

    namespace: str

    def outcomes(self, outcome: str) -> cloudwatch.Metric:
        """How many executions, of any pair, had this outcome."""
        return self._metric(metric_name="Outcomes", dimensions_map={"outcome": outcome}, statistic="Sum")

    def repairs(self) -> cloudwatch.Metric:
        """How many executions, of any pair, the repair has repaired something for."""
        return self._metric(metric_name="Repairs", statistic="Sum")

    def oldest_lock(self) -> cloudwatch.Metric:
        """How long the oldest lock has been held, in seconds; 0 if no lock is held."""
        return self._metric(metric_name="LockAge", statistic="Maximum")

    def each(
        self,
        name: str,
        *dimensions: str,
        statistic: str,
        where: Mapping[str, str] | None = None,
        period: Duration = EVERY_5_MINUTES,
        fill: bool = False,
    ) -> cloudwatch.IMetric:
        """All metrics of a name that have exactly these dimensions, found when someone opens the dashboard.

        So 200 pairs take no more of the dashboard than one pair. At most 500 metrics are found, and only if they had
        data within the last two weeks. `where` has values of dimensions. With `fill`, a value lasts until the next.
        Source: CloudWatch User Guide, "CloudWatch search expression syntax"; ListMetrics in the API Reference."""
        terms = [f'MetricName="{name}"', *(f'{key}="{value}"' for key, value in (where or {}).items())]
        namespace = self.namespace if self.namespace.isalnum() else f'"{self.namespace}"'
        found = f"{{{','.join((namespace, *dimensions))}}} {' '.join(terms)}"
        search = f"SEARCH('{found}', '{statistic}', {period.to_seconds():.0f})"
        expression = f"FILL({search}, REPEAT)" if fill else search
        label = " ".join(f"${{PROP('Dim.{dimension}')}}" for dimension in dimensions if dimension not in (where or {}))
        return cloudwatch.SearchExpression(expression=expression, label=label, period=period)

    def _metric(self, **options: Any) -> cloudwatch.Metric:
        return cloudwatch.Metric(namespace=self.namespace, period=EVERY_5_MINUTES, **options)
