"""The metrics that the functions emit (`lambdas/aws/metrics.py`), for the alarms and the dashboard.
`tests/stacks/test_monitoring.py` runs the functions and compares the names and dimensions."""

from functools import partial

from aws_cdk import Duration, aws_cloudwatch as cloudwatch

from stacks.configuration.names import Names

EVERY_5_MINUTES = Duration.minutes(5)


class Metrics:
    """The metrics of the stack with these names. `repairs` counts the executions, of any pair, that the repair has
    repaired something for. `oldest_lock` is how long the oldest lock has been held, in seconds, or 0 without a lock.
    `ready` is 1 if all pairs are ready, else 0; None if no pair is evaluated."""

    def __init__(self, names: Names, *, evaluates: bool = False) -> None:
        self.names = names
        metric = partial(cloudwatch.Metric, namespace=names.stack, period=EVERY_5_MINUTES)
        failed = {"outcome": "RollbackFailed"}
        self.failed_rollbacks = metric(metric_name="Outcomes", dimensions_map=failed, statistic="Sum")
        self.repairs = metric(metric_name="Repairs", statistic="Sum")
        self.oldest_lock = metric(metric_name="LockAge", statistic="Maximum")
        self.ready = metric(metric_name="Ready", statistic="Minimum") if evaluates else None

    def each(
        self, name: str, *dimensions: str, statistic: str, period: Duration = EVERY_5_MINUTES, **where: str
    ) -> cloudwatch.IMetric:
        """All metrics of a name that have exactly these dimensions, found when someone opens the dashboard, so that 200
        pairs take no more of it than one. At most 500 metrics are found, and only if they had data within the last two
        weeks. `where` has values of dimensions. A value of Live lasts until the next.
        Source: CloudWatch User Guide, "CloudWatch search expression syntax"; ListMetrics in the API Reference."""
        terms = [f'MetricName="{name}"', *(f'{key}="{value}"' for key, value in where.items())]
        namespace = self.names.stack if self.names.stack.isalnum() else f'"{self.names.stack}"'
        terms.insert(0, f"{{{','.join((namespace, *dimensions))}}}")
        search = f"SEARCH('{' '.join(terms)}', '{statistic}', {period.to_seconds():.0f})"
        expression = f"FILL({search}, REPEAT)" if name == "Live" else search
        label = " ".join(f"${{PROP('Dim.{dimension}')}}" for dimension in dimensions if dimension not in where)
        return cloudwatch.SearchExpression(expression=expression, label=label, period=period)
