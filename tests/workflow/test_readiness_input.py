"""What a person writes into the table, or gives an evaluation as its input: nothing of it makes a result untrue."""

import json
from typing import Any

import pytest

from tests.workflow.account import Aws
from tests.workflow.test_readiness import outcomes, readiness
from tests.workflow.web import Web, sick

GARBAGE: list[dict[str, Any]] = [
    {"S": "no JSON"}, {"S": "{"}, {"S": '"ready"'}, {"S": '{"ready":"yes","since":7}'}, {"N": "7"}, {"BOOL": False},
    {"M": {"ready": {"BOOL": True}}}, {"S": '{"ready":true,"since":"yesterday"}'}, {"S": "x" * 3000},
    {"S": ""}, {"NULL": True}, {"L": []}, {"SS": ["a", "b"]}, {"NS": ["1", "2"]},
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: json.dumps(garbage)[:40])
def test_a_result_that_cannot_be_read_counts_as_none(aws: Aws, garbage: dict[str, Any]) -> None:
    item: Any = {"pair": {"S": "web"}, "readiness": garbage}
    aws.dynamodb.put_item(TableName=aws.table, Item=item)
    assert aws.evaluate().outcome == "READY"
    assert readiness(aws)["since"] == readiness(aws)["checkedAt"]
    assert outcomes(aws) == []


VALUES: list[dict[str, Any]] = [
    {"S": ""}, {"S": "x" * 2000}, {"S": "{% $x %}"}, {"S": '"\\'}, {"N": "7"}, {"N": "-1"}, {"BOOL": True},
    {"NULL": True}, {"M": {}}, {"M": {"S": {"S": "x"}}}, {"L": []}, {"L": [{"S": "x"}]}, {"SS": ["a", "b"]},
    {"NS": ["1", "2"]},
]  # fmt: skip
ATTRIBUTES = [
    "revision", "rollbackTo", "lastCutover", "lastOutcome", "releases", "interrupted", "server",
    "privateIps", "live", "liveInstanceId", "stagingAssociation", "rollsBack", "hooksBegan", "since", "unknown",
]  # fmt: skip


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_of_any_type_fails_no_evaluation_and_is_not_changed_by_it(aws: Aws, attribute: str) -> None:
    for value in VALUES:
        item: Any = {"pair": {"S": "web"}, attribute: value}
        aws.dynamodb.put_item(TableName=aws.table, Item=item)
        assert aws.evaluate().outcome == "READY", value
        assert aws.item == item | {"readiness": aws.item["readiness"]}
        assert aws.execute({"dryRun": True}).outcome == "DRY_RUN", value


NOT_CONFIGURED = ["other", "WEB", "web ", "-", "", "x" * 3000, 'a"b\\{% $x %}', None, 7, ["web"], {"S": "web"}]


@pytest.mark.parametrize("pair", NOT_CONFIGURED)
def test_a_pair_that_is_not_configured_is_not_recorded(aws: Aws, pair: object) -> None:
    fails_without_a_record(aws, {"pair": pair})


@pytest.mark.parametrize("value", [[], "web", None, 7, {}])
def test_an_input_without_a_pair_is_not_recorded(aws: Aws, value: object) -> None:
    fails_without_a_record(aws, value)


def fails_without_a_record(aws: Aws, value: object) -> None:
    evaluation = aws.wait(aws.start_text(json.dumps(value), aws.readiness_machine))
    assert evaluation.outcome == "EvaluationFailed"
    assert str(evaluation.cause).startswith(("DescribeAddresses failed with InvalidRequest", "DescribeRecord failed"))
    assert len(str(evaluation.cause)) < 2000
    assert (aws.item, aws.locks, outcomes(aws)) == ({}, [], [])


def test_the_keys_of_a_cutovers_input_are_ignored(aws: Aws) -> None:
    more = {"dryRun": False, "serverName": "nobody", "release": "7", "rollback": True, "emergency": True}
    assert aws.evaluate(**more).outcome == "READY"


@pytest.mark.parametrize("drift", ["x" * 200_000, '"\\{% $x %} %}{%', "", " ", "\n\n", "é" * 1000, "\x00\x1b[2J"])
def test_any_text_as_drift_is_recorded_and_announced(aws: Aws, drift: str) -> None:
    evaluation = aws.evaluate(drift=drift)
    assert evaluation.outcome == "READY", evaluation.cause
    assert evaluation.output["warnings"] == [drift[:1000]]
    assert json.loads(aws.item["readiness"]["S"])["warnings"] == [drift[:1000]]
    assert outcomes(aws) == ["READY"]


def test_a_pair_with_the_longest_name_is_announced(aws: Aws, web: Web) -> None:
    name, pairs = "a.b-c_d." + "x" * 56, json.loads(aws.pairs_file.read_text())
    aws.pairs_file.write_text(json.dumps({name: pairs["web"]}))
    web.behaviour["tao"] = sick
    evaluation = aws.evaluate(pair=name)
    assert evaluation.outcome == "NOT_READY", evaluation.cause
    assert [notice["pair"] for notice in aws.notices] == [event["detail"]["pair"] for event in aws.events] == [name]
