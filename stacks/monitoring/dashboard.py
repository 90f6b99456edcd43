"""The dashboard: who is live, how cutovers ended and how long they took, and whether anything is wrong."""

from aws_cdk import Duration, aws_cloudwatch as cloudwatch
from aws_cdk.aws_cloudwatch import Alarm, GraphWidget, IMetric
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_stepfunctions import StateMachine
from constructs import Construct

from stacks.monitoring.metrics import EVERY_5_MINUTES, Metrics

HALF, THIRD, WHOLE = 12, 8, 24
HOUR, DAY, TWO_WEEKS = Duration.hours(1), Duration.days(1), Duration.days(14)
READ_ME = (
    "**Elastic IP cutover.** A pair is shown from its first cutover until two weeks after its last. The metrics are in "
    "the namespace `{namespace}`. If something is wrong, read the project's `docs/runbook.md`."
)


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
