"""Whatever a person writes into the item of a pair, it is evaluated, and nothing else in the item is changed."""

from typing import Any

import pytest

from tests.workflow.account import Aws
from tests.workflow.test_readiness import readiness

VALUES: list[dict[str, Any]] = [
    {"S": ""}, {"S": "x" * 2000}, {"S": "{% $x %}"}, {"S": '"\\'}, {"N": "7"}, {"N": "-1"}, {"BOOL": True},
    {"NULL": True}, {"M": {}}, {"M": {"S": {"S": "x"}}}, {"L": []}, {"L": [{"S": "x"}]}, {"SS": ["a", "b"]},
    {"NS": ["1", "2"]},
]  # fmt: skip
ATTRIBUTES = [
    "revision", "readiness", "rollbackTo", "lastCutover", "lastOutcome", "releases", "interrupted", "server",
    "privateIps", "live", "liveInstanceId", "stagingAssociation", "rollsBack", "hooksBegan", "since", "unknown",
]  # fmt: skip


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_of_any_type_fails_no_evaluation_and_is_not_changed_by_it(aws: Aws, attribute: str) -> None:
    for value in VALUES:
        item: Any = {"pair": {"S": "web"}, attribute: value}
        aws.dynamodb.put_item(TableName=aws.table, Item=item)
        assert aws.evaluate().outcome == "READY", value
        assert aws.item == item | {"readiness": aws.item["readiness"]}
        assert readiness(aws)["ready"]
        assert aws.execute({"dryRun": True}).outcome == "DRY_RUN", value
