"""The metrics that the functions emit, and the dashboard: who is live, how cutovers ended and how long they took, and
whether anything is wrong. `tests/stacks/test_monitoring.py` compares the metrics with what the functions emit."""

from functools import partial

from aws_cdk import Duration, aws_cloudwatch as cloudwatch
from aws_cdk.aws_cloudwatch import Alarm, GraphWidget, IMetric
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_stepfunctions import StateMachine
from constructs import Construct

from stacks.configuration.names import Names

HALF, THIRD, WHOLE = 12, 8, 24
EVERY_5_MINUTES = Duration.minutes(5)
HOUR, DAY, TWO_WEEKS = Duration.hours(1), Duration.days(1), Duration.days(14)
READ_ME = (
    "**Elastic IP cutover.** A pair is shown from its first cutover until two weeks after its last. The metrics are in "
    "the namespace `{namespace}`. If something is wrong, read the project's `docs/runbook.md`."
)


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
    ) -> IMetric:
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


def dashboard(
    scope: Construct, metrics: Metrics, alarms: list[Alarm], machines: dict[str, StateMachine], called: list[Function]
) -> None:
    """It shows two weeks by default, since cutovers are rare. It has the same size for one pair and for 200.
    `machines` are the state machines, by their names on the dashboard."""
    executions: list[IMetric] = []
    for workflow, machine in machines.items():
        executions.append(machine.metric_failed(label=f"{workflow} failed", period=HOUR))
        executions.append(machine.metric_timed_out(label=f"{workflow} timed out", period=HOUR))
        executions.append(machine.metric_aborted(label=f"{workflow} stopped", period=HOUR))
    errors = [function.metric_errors(label=function.node.id, period=HOUR) for function in called]
    who = "Who is live, per pair and server: 1 is live, 0 is idle, between: it changed in five minutes"
    live = metrics.each("Live", "pair", "server", statistic="Average")
    outcomes = metrics.each("Outcomes", "outcome", statistic="Sum", period=HOUR)
    durations = metrics.each("Duration", "pair", "outcome", statistic="Maximum", outcome="CUT_OVER")
    rollbacks = metrics.each("Rollbacks", "pair", statistic="Sum", period=DAY)
    repairs = metrics.repairs.with_(label="repairs", period=DAY)
    # The dashboard begins a new row when a row is full.
    widgets: list[cloudwatch.IWidget] = [
        cloudwatch.TextWidget(markdown=READ_ME.format(namespace=metrics.names.stack), width=WHOLE, height=2),
        cloudwatch.AlarmStatusWidget(title="Alarms", alarms=alarms, width=THIRD, height=6),
        cloudwatch.SingleValueWidget(title=who, metrics=[live], width=2 * THIRD, height=6),
        _graph("Cutovers by outcome, per hour", outcomes),
        _graph("Duration of cutovers, per pair", durations, unit="ms"),
        _graph("Rollbacks per day, per pair, and repairs", rollbacks, repairs),
        _graph("Age of the oldest lock", metrics.oldest_lock.with_(label="oldest lock"), unit="s"),
    ]
    if metrics.ready:
        ready = metrics.each("Ready", "pair", statistic="Minimum", period=DAY)
        widgets.append(_graph("Would a cutover work? Per day and pair: 1 is ready, 0 is not ready", ready))
    for address in ("staging", "production"):
        title = f"Health check of {address}: latency of good probes, 90th percentile, per server"
        latency = metrics.each("HealthCheckLatency", "address", "server", statistic="p90", address=address)
        widgets.append(_graph(title, latency, unit="ms"))
    widgets.append(_graph("Executions that did not succeed, per hour", *executions))
    widgets.append(_graph("Function calls that ended in an error, per hour (failed health checks included)", *errors))
    name = metrics.names.cutover
    cloudwatch.Dashboard(scope, "Dashboard", dashboard_name=name, default_interval=TWO_WEEKS, widgets=[widgets])


def _graph(title: str, *metrics: IMetric, unit: str | None = None) -> GraphWidget:
    axis = cloudwatch.YAxisProps(min=0, label=unit, show_units=False)
    return GraphWidget(title=title, left=list(metrics), left_y_axis=axis, width=HALF, height=6, period=EVERY_5_MINUTES)
