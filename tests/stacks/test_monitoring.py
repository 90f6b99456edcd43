"""Alarms and dashboard read the metrics that the functions really emit.

CloudWatch reports no error for a metric that does not exist: its alarm stays silent, and its graph is empty.
"""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.sns.utils import FilterPolicyMatcher

import report_locks
import report_outcome
from aws import calls
from stacks.workflow import cutover, repair
from stacks.workflow.notifications import DETAIL_TYPE
from tests.stacks.contexts import DEPLOY, RELEASES, pair
from tests.stacks.policies import in_account
from tests.stacks.synthesis import many_pairs, resources, template_of, workflow_of
from tests.stacks.test_configuration import DEFAULT_READINESS
from tests.stacks.test_contract import FAILURES, SUCCESSES, states_of, waits_for_a_person
from tests.stacks.test_deadline import synthesized
from tests.unit.emf import Identity, Point, points
from tests.unit.executions_double import ARN, WORKFLOWS, Executions, failed, succeeded
from tests.unit.handler_calls import CONTEXT, called, check_of
from tests.unit.misbehaving_servers import OK, answering, serving
from tests.unit.test_report_outcome import CONFIGURED, CUT_OVER, event

FAILURE_NAMES = {*FAILURES, "RepairFailed"}
OUTCOMES = {*SUCCESSES, "NOTHING_TO_REPAIR", *FAILURE_NAMES}
SEARCH = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} (?P<terms>[^']+)', '(?P<statistic>\w+)', (?P<period>\d+)\)")
STATISTICS = {"Sum", "Average", "Minimum", "Maximum", "p90"}

REPAIR_ARN = ARN.replace(":eip-cutover:", ":eip-cutover-repair:")
TABLE = "locks-of-these-metrics"  # the account of other tests in this process may have one called `locks`


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> list[Point]:
    """The output of the real handlers: for every outcome, for a check of each address, with and without a lock."""
    with pytest.MonkeyPatch.context() as environment, contextlib.redirect_stdout(io.StringIO()) as printed:
        environment.setenv("WORKFLOWS", WORKFLOWS)
        pairs = tmp_path_factory.mktemp("pairs") / "pairs.json"
        evaluated = {name: pair | {"readiness": DEFAULT_READINESS} for name, pair in CONFIGURED.items()}
        pairs.write_text(json.dumps(evaluated))
        environment.setenv("PAIRS_FILE", str(pairs))
        for outcome in OUTCOMES:
            is_failure, web = outcome in FAILURE_NAMES, {"pair": "web"}
            execution = failed(outcome, web) if is_failure else succeeded(outcome=outcome, **web)
            report_outcome.handler(event(outcome), CONTEXT, states=Executions({ARN: execution}).client)
        of_a_repair = Executions({REPAIR_ARN: succeeded(outcome="REPAIRED", **web)}).client
        report_outcome.handler(event("REPAIRED", execution=REPAIR_ARN), CONTEXT, states=of_a_repair)
        invalid = Executions({ARN: failed("InvalidRequest")}).client
        report_outcome.handler(event("InvalidRequest", None), CONTEXT, states=invalid)
        report_outcome.handler(event(), CONTEXT, states=Executions({ARN: CUT_OVER}).client)
        with serving(answering(OK)) as server:
            for address in ("staging", "production"):
                called(check_of(server), address=address)
        environment.setenv("LOCK_TABLE", TABLE)
        calls.aws_client.cache_clear()
        with mock_aws():
            dynamodb: Any = boto3.client("dynamodb")
            dynamodb.create_table(
                TableName=TABLE,
                KeySchema=[{"AttributeName": "pair", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pair", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            report_locks.handler({}, CONTEXT)
            readiness = json.dumps({"ready": True, "checkedAt": datetime.now(UTC).isoformat()})
            since = "2026-01-02T03:04:05.678Z"
            lock = {"pair": "web", "execution": "arn:1", "since": since, "readiness": readiness}
            dynamodb.put_item(TableName=TABLE, Item={key: {"S": value} for key, value in lock.items()})
            report_locks.handler({}, CONTEXT)
            dynamodb.delete_table(TableName=TABLE)
        calls.aws_client.cache_clear()
    return points(printed.getvalue())


@pytest.fixture(scope="module")
def identities(emitted: list[Point]) -> set[Identity]:
    return {point.identity for point in emitted}


@pytest.fixture(scope="module")
def schemas(emitted: list[Point]) -> set[tuple[str, str, frozenset[str]]]:
    """Namespace, name and the names of the dimensions, of all that is emitted."""
    return {(point.namespace, point.name, frozenset(point.dimensions)) for point in emitted}


@pytest.fixture(scope="module")
def alarms(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = [alarm["Properties"] for alarm in resources(template, "AWS::CloudWatch::Alarm").values()]
    return {alarm["AlarmName"]: alarm for alarm in found}


@pytest.fixture(scope="module")
def widgets(template: dict[str, Any]) -> list[dict[str, Any]]:
    return widgets_of(template)


def widgets_of(template: dict[str, Any]) -> list[dict[str, Any]]:
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard").values()
    parts = dashboard["Properties"]["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(part if isinstance(part, str) else name_in(part) for part in parts))
    found: list[dict[str, Any]] = body["widgets"]
    return found


def name_in(part: dict[str, Any]) -> str:
    """The logical id that a reference names."""
    return str(part["Ref"] if "Ref" in part else part["Fn::GetAtt"][0])


def graphed(widgets: list[dict[str, Any]]) -> Iterator[list[Any]]:
    for widget in widgets:
        yield from widget["properties"].get("metrics", ())


def searches(widgets: list[dict[str, Any]]) -> Iterator[re.Match[str]]:
    for *_, last in graphed(widgets):
        if "expression" in last:
            found = SEARCH.search(last["expression"])
            assert found, last["expression"]
            yield found


def test_the_document_lists_every_metric(schemas: set[tuple[str, str, frozenset[str]]]) -> None:
    section = (
        (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    listed = {
        ("EipCutover", name.strip("`"), frozenset(re.findall(r"`(\w+)`", dimensions)))
        for name, _, sets in rows[2:]
        for dimensions in sets.split("; ")
    }
    assert listed == schemas


def test_every_alarm_is_on_a_metric_that_is_emitted_with_exactly_its_dimensions(
    alarms: dict[str, dict[str, Any]], identities: set[Identity]
) -> None:
    ours = {name: alarm for name, alarm in alarms.items() if alarm["Namespace"] == "EipCutover"}
    names = ("rollback-failed", "repair-ran", "lock-held-too-long", "not-ready")
    assert set(ours) == {f"eip-cutover-{name}" for name in names}
    for name, alarm in ours.items():
        dimensions = frozenset((found["Name"], found["Value"]) for found in alarm.get("Dimensions", ()))
        assert (alarm["Namespace"], alarm["MetricName"], dimensions) in identities, name


def test_the_alarm_on_failed_repairs_also_counts_repairs_that_step_functions_failed(
    alarms: dict[str, dict[str, Any]], template: dict[str, Any]
) -> None:
    alarm = alarms["eip-cutover-repair-failed"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/States", "ExecutionsFailed", "Sum")
    (dimension,) = alarm["Dimensions"]
    assert dimension["Name"] == "StateMachineArn"
    machine = template["Resources"][name_in(dimension["Value"])]
    assert machine["Properties"]["StateMachineName"] == "eip-cutover-repair"


def test_one_bad_outcome_raises_an_alarm_and_missing_data_does_not(alarms: dict[str, dict[str, Any]]) -> None:
    for name, alarm in alarms.items():
        assert (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (1, "notBreaching"), name
        if name == "eip-cutover-not-ready":
            assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
            assert alarm["Statistic"] == "Minimum"
            continue
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        if name != "eip-cutover-lock-held-too-long":
            assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0), name


def test_without_a_pair_that_is_evaluated_there_is_no_alarm_and_no_graph_of_it(
    tmp_path: Path, template: dict[str, Any], widgets: list[dict[str, Any]]
) -> None:
    off = synthesized(tmp_path, {"web": pair(readiness=False)})
    before, after = (resources(each, "AWS::CloudWatch::Alarm").values() for each in (template, off))
    names, left = ({alarm["Properties"]["AlarmName"] for alarm in each} for each in (before, after))
    assert names - left == {"eip-cutover-not-ready"}
    titles, kept = ([widget["properties"].get("title") for widget in each] for each in (widgets, widgets_of(off)))
    assert [title for title in titles if title not in kept] == [
        "Would a cutover work? Per day and pair: 1 is ready, 0 is not ready"
    ]


def test_every_alarm_notifies_the_topic_with_its_meaning_and_a_link(
    alarms: dict[str, dict[str, Any]], template: dict[str, Any]
) -> None:
    (topic,) = resources(template, "AWS::SNS::Topic")
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": topic}]
        assert re.search(r" Read docs/runbook\.md#[\w-]+$", alarm["AlarmDescription"])
        assert 100 < len(alarm["AlarmDescription"]) <= 1024


def test_alarms_and_outcomes_are_mailed_except_outcomes_that_concern_only_the_starter(tmp_path: Path) -> None:
    emails = ["ops@example.com", "sms@example.com"]
    template = template_of(tmp_path, {"pairs": {"web": pair()}, "notifications": {"emails": emails}})
    policies: dict[str, dict[str, Any]] = {}  # by topic and address
    for subscription in (found["Properties"] for found in resources(template, "AWS::SNS::Subscription").values()):
        assert subscription["Protocol"] == "email"
        of_topic = policies.setdefault(name_in(subscription["TopicArn"]), {})
        of_topic[subscription["Endpoint"]] = subscription.get("FilterPolicy")
    of_outcomes = name_in(template["Outputs"]["TopicArn"]["Value"])
    (of_alarms,) = policies.keys() - {of_outcomes}
    # CloudWatch's messages have no attributes, which no filter policy lets pass (SNS Developer Guide, "Key matching").
    assert policies[of_alarms] == dict.fromkeys(emails)
    assert list(policies[of_outcomes]) == emails
    for policy in policies[of_outcomes].values():
        matcher = FilterPolicyMatcher(policy, None)
        attributes = {outcome: {"outcome": {"Type": "String", "Value": outcome}} for outcome in OUTCOMES}
        unsent = {outcome for outcome in OUTCOMES if not matcher.matches(attributes[outcome], "")}
        assert unsent == {"InvalidRequest", "CutoverInProgress"}
    for alarm in resources(template, "AWS::CloudWatch::Alarm").values():
        assert {name_in(action) for action in alarm["Properties"]["AlarmActions"]} == {of_outcomes, of_alarms}
    for policy in (found["Properties"] for found in resources(template, "AWS::SNS::TopicPolicy").values()):
        _, allowed = policy["PolicyDocument"]["Statement"]
        assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert [allowed["Resource"]] == policy["Topics"]
    topics = resources(template, "AWS::SNS::Topic").values()
    assert len({json.dumps(topic["Properties"]["KmsMasterKeyId"]) for topic in topics}) == 1


def seconds_of_slowest_way(states: dict[str, Any], name: str, passed: frozenset[str]) -> float:
    """From a state to the end, by the graph: each Task once, no failure, a Parallel as long as its slowest branch."""
    state = states[name]
    own: float = max(
        [0 if waits_for_a_person(state) else state.get("TimeoutSeconds", 0)]
        + [
            sum(inner.get("TimeoutSeconds", 0) for _, inner in states_of(branch))
            for branch in state.get("Branches", ())
        ]
    )
    passed |= {name} if state["Type"] == "Task" else set()
    following = {state.get("Next"), state.get("Default"), *(choice["Next"] for choice in state.get("Choices", ()))}
    ways = (seconds_of_slowest_way(states, each, passed) for each in following - passed - {None})
    return own + max(ways, default=0)


RELEASED = {"deploy": DEPLOY, "hooks": {"beforeCutover": [{"command": "x"}]}}


@pytest.mark.parametrize(
    ("deadline", "bake", "release", "approval"),
    [
        (6, 0, {}, 0),
        (300, 200, {}, 0),
        (6, 86_400, {}, 0),
        (6, 0, RELEASED, 0),
        (300, 200, RELEASES, 1_800),
        (6, 0, {"approval": {}, "deploy": DEPLOY}, 3_600),
    ],
)
def test_a_lock_is_held_too_long_if_it_is_older_than_every_state_of_a_cutover_once_and_its_waits(
    tmp_path: Path, deadline: int, bake: int, release: dict[str, Any], approval: int
) -> None:
    web = pair(healthCheck={"deadlineSeconds": deadline}, bakeSeconds=bake) | release
    template = synthesized(tmp_path, {"web": web})
    slowest = seconds_of_slowest_way(workflow_of(template)["States"], "AcquireLock", frozenset())
    found = {one["Properties"]["AlarmName"]: one for one in resources(template, "AWS::CloudWatch::Alarm").values()}
    assert found["eip-cutover-lock-held-too-long"]["Properties"]["Threshold"] == slowest + bake + approval


def test_the_topic_and_its_key_admit_these_alarms_and_no_others(
    alarms: dict[str, dict[str, Any]], template: dict[str, Any]
) -> None:
    (key,) = resources(template, "AWS::KMS::Key").values()
    (policy,) = resources(template, "AWS::SNS::TopicPolicy").values()
    documents = key["Properties"]["KeyPolicy"], policy["Properties"]["PolicyDocument"]
    for document in documents:
        (statement,) = (
            found for found in document["Statement"] if found["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        )
        admitted = {
            arn["Fn::Join"][1][-1].removeprefix(":alarm:")
            for arn in statement["Condition"]["ArnEquals"]["aws:SourceArn"]
        }
        assert admitted == set(alarms)
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        assert statement["Effect"] == "Allow"


def test_every_graph_shows_emitted_metrics_or_metrics_of_aws(
    widgets: list[dict[str, Any]], schemas: set[tuple[str, str, frozenset[str]]], emitted: list[Point]
) -> None:
    for search in searches(widgets):
        namespace, *dimensions = search["schema"].split(",")
        terms = dict(re.findall(r'(\w+)="([^"]+)"', search["terms"]))
        name = terms.pop("MetricName")
        assert (namespace, name, frozenset(dimensions)) in schemas
        assert search["statistic"] in STATISTICS
        assert any(point.name == name and terms.items() <= point.dimensions.items() for point in emitted), search[0]
    ours = [metric for metric in graphed(widgets) if metric[0] == "EipCutover"]
    fixed = {(metric[0], metric[1], frozenset(metric[2:-1])) for metric in ours}
    assert fixed == {("EipCutover", name, frozenset()) for name in ("LockAge", "Repairs")} <= schemas
    assert {metric[0] for metric in graphed(widgets) if len(metric) > 1} == {"EipCutover", "AWS/States", "AWS/Lambda"}


def test_every_emitted_metric_has_a_graph(
    widgets: list[dict[str, Any]], schemas: set[tuple[str, str, frozenset[str]]]
) -> None:
    searched = {re.findall(r'MetricName="(\w+)"', search["terms"])[0] for search in searches(widgets)}
    graphs = searched | {metric[1] for metric in graphed(widgets) if len(metric) > 1}
    assert {name for _, name, _ in schemas} <= graphs


def test_every_label_names_a_dimension_of_its_search(widgets: list[dict[str, Any]]) -> None:
    for *_, last in graphed(widgets):
        if "expression" in last:
            search = SEARCH.search(last["expression"])
            assert search
            labelled = re.findall(r"PROP\('Dim\.(\w+)'\)", last["label"])
            assert labelled
            assert set(labelled) <= set(search["schema"].split(",")[1:])


def test_the_dashboard_shows_the_state_of_every_alarm(widgets: list[dict[str, Any]], template: dict[str, Any]) -> None:
    (states,) = (widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm")
    assert set(states) == set(resources(template, "AWS::CloudWatch::Alarm"))


def test_every_widget_except_the_text_has_its_own_title(widgets: list[dict[str, Any]]) -> None:
    titles = [widget["properties"]["title"] for widget in widgets if widget["type"] != "text"]
    assert len(set(titles)) == len(titles) == 11


def test_the_dashboard_is_the_same_for_200_pairs_and_for_one(tmp_path: Path, template: dict[str, Any]) -> None:
    assert widgets_of(synthesized(tmp_path, many_pairs(200))) == widgets_of(template)


def test_every_outcome_of_the_workflows_is_reported(emitted: list[Point]) -> None:
    reported = {value for point in emitted if point.name == "Outcomes" for value in point.dimensions.values()}
    assert {*cutover.SUCCESSES, *cutover.FAILURES, *repair.SUCCESSES, *repair.FAILURES} == OUTCOMES <= reported


def test_the_function_that_reports_outcomes_knows_both_workflows_and_has_the_time_to_ask_again(
    template: dict[str, Any],
) -> None:
    (function,) = (
        each["Properties"]
        for each in resources(template, "AWS::Lambda::Function").values()
        if each["Properties"]["Handler"] == "report_outcome.handler"
    )
    workflows = in_account(function["Environment"]["Variables"]["WORKFLOWS"], template)
    assert [arn.rpartition(":stateMachine:")[2] for arn in workflows.split()] == ["eip-cutover", "eip-cutover-repair"]
    assert function["Timeout"] >= 2 * sum(report_outcome.SECONDS_BETWEEN_CHECKS)


def test_outcomes_are_reported_by_an_event_and_locks_every_five_minutes(template: dict[str, Any]) -> None:
    rules = [found["Properties"] for found in resources(template, "AWS::Events::Rule").values()]
    called_by = {
        template["Resources"][name_in(rule["Targets"][0]["Arn"])]["Properties"].get("Handler"): rule for rule in rules
    }
    outcome, locks = called_by["report_outcome.handler"], called_by["report_locks.handler"]
    assert outcome["EventPattern"] == {"source": ["eip-cutover"], "detail-type": [DETAIL_TYPE]}
    assert "EventBusName" not in outcome
    assert locks["ScheduleExpression"] == "rate(5 minutes)"
    sent = event()
    assert (sent["source"], sent["detail-type"]) == ("eip-cutover", DETAIL_TYPE)
