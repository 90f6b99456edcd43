"""The model's DynamoDB answers as moto does, on every expression of the workflows and the functions."""

import json
import random
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from jsonata import Jsonata
from moto import mock_aws

import measure_gap
from aws.calls import ONCE, aws_client
from aws.records import LockItem
from domain.release_commands import Command
from tests.simulation.world.dynamodb import DynamoDb
from tests.simulation.world.dynamodb_expressions import condition
from tests.simulation.world.errors import AwsError, NotModelled
from tests.stacks.synthesis import CONTEXT, WORKFLOWS, template_of, workflow_of
from tests.unit.checks import PRODUCTION
from tests.unit.handler_calls import CONTEXT as LAMBDA_CONTEXT, QUICK
from tests.workflow.conftest import OF_A_RELEASE

# A table of its own: in the same process, `tests/workflow` may have its own in moto.
TABLE, PAIR, REGION = "of-the-model", "web", "us-east-1"
KEY = {"TableName": TABLE, "Key": {"pair": {"S": PAIR}}}
ITEMS_PER_EXPRESSION = 15
Json = dict[str, Any]
TEXTS, NUMBERS = ("a", "b", "-", "the command b", "READY"), ("0", "1", "7", "9007199254740993", "7.0")
TYPE_NAMES = {":number": "N", ":text": "S"}
# What the grammar of the workflows' expressions allows, too.
OTHERS = [
    {
        "UpdateExpression": "ADD a :n",
        "ConditionExpression": "NOT b = :b AND c <> :c",
        "types": {":n": "N", ":b": "S", ":c": "S"},
    },
    {
        "UpdateExpression": "SET c = if_not_exists(a, :b)",
        "ConditionExpression": "b = :b AND NOT c = :b OR a = :n",
        "types": {":n": "N", ":b": "S"},
    },
]
WORDS = {
    "SET", "REMOVE", "ADD", "AND", "OR", "NOT", "IN", "if_not_exists", "attribute_exists", "attribute_not_exists",
    "attribute_type", "contains", "pair",
}  # fmt: skip


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """The requests with expressions, without the same one twice."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOCK_TABLE", TABLE)
        found = [*_of_functions()]
    folder = tmp_path_factory.mktemp("cdk.out")
    pairs = {name: {**pair, "bakeSeconds": 60, **OF_A_RELEASE} for name, pair in CONTEXT["pairs"].items()}
    template = template_of(folder, {"pairs": pairs})
    for workflow in WORKFLOWS:
        for arguments in _arguments(workflow_of(template, workflow)):
            found += _evaluated(arguments)
    return [*{repr(each): each for each in map(_shape, found)}.values(), *OTHERS * 3]


def _arguments(part: Any) -> Iterator[Json]:
    """Of the states that call DynamoDB with an expression."""
    if isinstance(part, dict):
        arguments = part.get("Arguments", {})
        if ":dynamodb:" in str(part.get("Resource")) and "ExpressionAttributeValues" in arguments:
            yield arguments
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _arguments(each)


def _evaluated(arguments: Json) -> Iterator[Json]:
    """With the expressions that JSONata makes, in every case that they distinguish."""
    made = {key: text for key, text in arguments.items() if key.endswith("Expression") and text.startswith("{%")}
    for number in range(2**5 if made else 1):
        deploys, dry_run, undo, failed, ended = (bool(number >> bit & 1) for bit in range(5))
        for outcome in ("CUT_OVER", "PreflightFailed") if made and not failed else ("RepairFailed",):
            variables = {
                "plan": {"deploys": deploys, "dryRun": dry_run, "undo": undo},
                "outcome": outcome,
                "holderEnded": "SUCCEEDED" if ended else "ABORTED",
                "states": {"context": {"Execution": {"Input": {"pair": "web"} if ended else {"execution": "a"}}}},
            }
            texts = {key: Jsonata(text[2:-2]).evaluate(None, variables) for key, text in made.items()}
            yield arguments | texts


def _of_functions() -> Iterator[Json]:
    """What the functions send: for the commands of a release, and for the measurement of the gap."""
    sent: list[Json] = []

    def answer(params: Json, **_: Any) -> tuple[Any, Json]:
        sent.append(json.loads(params["body"]))
        held = {"execution": {"S": "me"}, "command": {"S": "a command"}}
        return SimpleNamespace(status_code=200), {"Attributes": held, "Item": held}

    events = aws_client("dynamodb", ONCE).meta.events
    events.register("before-call.dynamodb", answer, unique_id="answer")
    try:
        _use_the_lock(LockItem(PAIR, "me"))
    finally:
        events.unregister("before-call.dynamodb", unique_id="answer")
    asked = {"lock": {"pair": PAIR, "execution": "me"}, "newServer": dict.fromkeys(("identity", "release", "shared"))}
    asked |= {"healthCheck": [{**QUICK, "port": 1}], "address": {"name": "production", "publicIp": "127.0.0.1"}}
    client = SimpleNamespace(update_item=lambda **parameters: sent.append(parameters))
    measure_gap.handler({**PRODUCTION, **asked}, LAMBDA_CONTEXT, client=client, seconds=0)
    yield from (request for request in sent if "UpdateExpression" in request)


def _use_the_lock(item: LockItem) -> None:
    first, second = (Command("deploy", "tao", "i-1", sent=at, until=60) for at in (1.0, 2.0))
    item.write(first, runs=True, more={"hooksBegan": "true"})
    item.write(first, runs=False)
    item.write(second, runs=True, more={"rollbackTo": "b", "releases": "c"})
    item.read()
    item.write(first, runs=True)
    item.end_commands()
    item.write_end(None)
    item.write_end(first)


def _shape(request: Json) -> Json:
    """Its expressions, and the types of its values."""
    types = {name: next(iter(value)) for name, value in request["ExpressionAttributeValues"].items()}
    return {key: text for key, text in request.items() if key.endswith("Expression")} | {"types": types}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", REGION)
        client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pair", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pair", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def _of_model(model: DynamoDb, action: str, asked: Json) -> Any:
    return _answer(lambda: model.answer(action, asked))


def _answer(call: Callable[..., Any], **asked: Any) -> Any:
    """What it answers that counts, or the code with which it is refused."""
    try:
        answer = call(**asked)
    except ClientError as error:
        return error.response["Error"]["Code"]
    except AwsError as error:
        return error.code
    return {key: value for key, value in answer.items() if key in ("Attributes", "Item", "Items", "Count")}


def _values(request: Json, choose: random.Random) -> Json:
    return {
        name: {kind: TYPE_NAMES.get(name) or choose.choice(NUMBERS if kind == "N" else TEXTS)}
        for name, kind in request["types"].items()
    }


def _item(request: Json, values: Json, choose: random.Random, *, often: str = "") -> Json | None:
    """None, or an item with some of the attributes, whose values are often among those of the request. The condition
    `often` mostly holds for it."""
    if choose.random() < 0.1:
        return None
    text = " ".join(text for key, text in request.items() if key.endswith("Expression"))
    names = sorted(set(re.findall(r"(?<![:\w])[a-zA-Z_]+", text)) - WORDS)
    pool = [*values.values(), {"S": choose.choice(TEXTS)}, {"N": choose.choice(NUMBERS)}]
    item: Json = {}
    for _ in range(choose.choice([1, 20]) if often else 1):
        item = {name: choose.choice(pool) for name in names if choose.random() < 0.6}
        if often and condition(often).evaluate(item, values):
            break
    return item


def test_every_update_has_the_answer_and_the_effect_that_it_has_in_moto(client: Any, requests: list[Json]) -> None:
    choose, outcomes = random.Random(1), set[str]()  # noqa: S311
    for request in (each for each in requests if "UpdateExpression" in each):
        for _ in range(ITEMS_PER_EXPRESSION):
            values = _values(request, choose)
            before = _item(request, values, choose, often=request["ConditionExpression"])
            model = DynamoDb(TABLE, lambda: 0)
            model.put(PAIR, before)
            client.delete_item(**KEY)
            if before is not None:
                client.put_item(TableName=TABLE, Item={"pair": {"S": PAIR}, **before})
            asked = {key: text for key, text in request.items() if key != "types"}
            asked |= {**KEY, "ExpressionAttributeValues": values}
            asked["ReturnValues"] = choose.choice(["NONE", "ALL_OLD", "ALL_NEW"])
            theirs, ours = _answer(client.update_item, **asked), _of_model(model, "UpdateItem", asked)
            assert ours == theirs, (asked, before)
            outcomes.add(ours if isinstance(ours, str) else "done")
            read = {**KEY, "ConsistentRead": True}
            if ours == "ValidationException":  # moto has made the other changes by then
                assert model.item(PAIR) == (before and {**before, "pair": {"S": PAIR}})
            else:
                assert _of_model(model, "GetItem", read) == _answer(client.get_item, **read), (asked, before)
    assert outcomes == {"done", "ConditionalCheckFailedException", "ValidationException"}


def test_every_scan_finds_the_items_that_it_finds_in_moto(client: Any, requests: list[Json]) -> None:
    choose = random.Random(2)  # noqa: S311
    scans = [each for each in requests if "FilterExpression" in each]
    assert len(scans) == 2
    for request in scans:
        for _ in range(ITEMS_PER_EXPRESSION):
            values, model = _values(request, choose), DynamoDb(TABLE, lambda: 0)
            for pair in TEXTS[:3]:
                client.delete_item(TableName=TABLE, Key={"pair": {"S": pair}})
                if (item := _item(request, values, choose)) is not None:
                    model.put(pair, item)
                    client.put_item(TableName=TABLE, Item={**item, "pair": {"S": pair}})
            asked = {"TableName": TABLE, "ConsistentRead": True, "ExpressionAttributeValues": values}
            asked["FilterExpression"] = request["FilterExpression"]
            ours, theirs = model.answer("Scan", asked), client.scan(**asked)
            assert ours["Count"] == theirs["Count"]
            assert sorted(ours["Items"], key=str) == sorted(theirs["Items"], key=str)


@pytest.mark.parametrize(
    ("update", "holds", "values"),
    [
        pytest.param("SET a = :a, c = :c", "attribute_not_exists(b) OR b = :b", {":a", ":b"}, id="a value is missing"),
        pytest.param("SET a = :a", "attribute_exists(b)", {":a", ":b"}, id="a value is not used"),
        pytest.param("SET a = :a REMOVE a", "attribute_not_exists(b)", {":a"}, id="an attribute is set and removed"),
        pytest.param("ADD a :a", "attribute_not_exists(b)", {":a"}, id="a text is added"),
    ],
)
def test_an_invalid_request_is_refused_as_in_moto(client: Any, update: str, holds: str, values: set[str]) -> None:
    texts = {name: {"S": "a"} for name in values}
    asked = {**KEY, "UpdateExpression": update, "ConditionExpression": holds, "ExpressionAttributeValues": texts}
    client.delete_item(**KEY)
    theirs, ours = _answer(client.update_item, **asked), _of_model(DynamoDb(TABLE, lambda: 0), "UpdateItem", asked)
    assert ours == theirs == "ValidationException"


@pytest.mark.parametrize("number", ["7", "7.0", "8"])
def test_numbers_are_equal_if_their_values_are(client: Any, number: str) -> None:
    model = DynamoDb(TABLE, lambda: 0)
    model.put(PAIR, {"revision": {"N": "7"}})
    client.put_item(TableName=TABLE, Item={"pair": {"S": PAIR}, "revision": {"N": "7"}})
    asked = {**KEY, "UpdateExpression": "REMOVE revision", "ConditionExpression": "revision = :revision"}
    asked |= {"ExpressionAttributeValues": {":revision": {"N": number}}}
    assert _of_model(model, "UpdateItem", asked) == _answer(client.update_item, **asked)


def test_a_read_that_is_not_consistent_may_show_the_past() -> None:
    times = iter(range(100))
    model = DynamoDb(TABLE, lambda: next(times))
    for text in ("a", "b"):
        values = {":a": {"S": text}}
        model.answer("UpdateItem", {**KEY, "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": values})
    assert model.answer("GetItem", KEY, as_of=0)["Item"]["a"] == {"S": "a"}
    assert model.answer("GetItem", KEY, as_of=-1) == {}
    assert model.answer("GetItem", {**KEY, "ConsistentRead": True}, as_of=0)["Item"]["a"] == {"S": "b"}


@pytest.mark.parametrize("text", ["a > :a", "size(a) = :a", "a.b = :a", "a = :a AND", "(a = :a"])
def test_an_expression_that_is_not_modelled_is_not_guessed(text: str) -> None:
    asked = {**KEY, "UpdateExpression": "REMOVE a", "ConditionExpression": text}
    with pytest.raises(NotModelled):
        DynamoDb(TABLE, lambda: 0).answer("UpdateItem", asked | {"ExpressionAttributeValues": {":a": {"S": "a"}}})
