"""The metrics that the functions emit (`lambdas/aws/metrics.py`), as alarms and the dashboard ask for them.

`tests/stacks/test_monitoring.py` runs the functions and compares the names and dimensions.
"""

from collections.abc import Mapping
from functools import partial

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "EipCutover"
EVERY_5_MINUTES = Duration.minutes(5)
METRIC = partial(cloudwatch.Metric, namespace=NAMESPACE, period=EVERY_5_MINUTES)


def outcomes(outcome: str) -> cloudwatch.Metric:
    """How many executions, of any pair, came to an outcome."""
    return METRIC(metric_name="Outcomes", dimensions_map={"outcome": outcome}, statistic="Sum")


def repairs() -> cloudwatch.Metric:
    """How many executions, of any pair, the repair has put something right of."""
    return METRIC(metric_name="Repairs", statistic="Sum")


def oldest_lock() -> cloudwatch.Metric:
    """How long the lock that is held longest has been held, in seconds; 0 if none is held."""
    return METRIC(metric_name="LockAge", statistic="Maximum")


def each(
    name: str,
    *dimensions: str,
    statistic: str,
    where: Mapping[str, str] | None = None,
    period: Duration = EVERY_5_MINUTES,
    fill: bool = False,
) -> cloudwatch.IMetric:
    """All metrics of a name that have exactly these dimensions, found when the dashboard is looked at.

    So 200 pairs take no more of the dashboard than one. At most 500 are found, of those that had data within the two
    weeks before. `where` are values of dimensions. `fill`: a value stands until the next.
    Source: CloudWatch User Guide, "CloudWatch search expression syntax"; ListMetrics in the API Reference.
    """
    terms = [f'MetricName="{name}"', *(f'{key}="{value}"' for key, value in (where or {}).items())]
    found = f"{{{','.join((NAMESPACE, *dimensions))}}} {' '.join(terms)}"
    search = f"SEARCH('{found}', '{statistic}', {period.to_seconds():.0f})"
    label = " ".join(f"${{PROP('Dim.{dimension}')}}" for dimension in dimensions if dimension not in (where or {}))
    return cloudwatch.SearchExpression(
        expression=f"FILL({search}, REPEAT)" if fill else search, label=label, period=period
    )
