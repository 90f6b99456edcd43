"""The lock table: GetItem, UpdateItem and Scan, each at one instant, and everything that was ever written."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulation.world.dynamodb_expressions import Item, condition, update
from tests.simulation.world.errors import AwsError, NotModelled, require_known

KEY = "pair"
KNOWN = {
    "GetItem": frozenset(("TableName", "Key", "ConsistentRead")),
    "UpdateItem": frozenset((
        "TableName", "Key", "UpdateExpression", "ConditionExpression", "ExpressionAttributeValues", "ReturnValues",
    )),
    "Scan": frozenset(("TableName", "ConsistentRead", "FilterExpression", "ExpressionAttributeValues")),
}  # fmt: skip
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Write:
    """A write that took effect on the item of a pair, before and after; None if there is no item."""

    at: float
    pair: str
    before: Item | None
    after: Item | None


class DynamoDb:
    """The items by pair, as DynamoDB's API shows them. An item is replaced by each write, and never changed."""

    def __init__(self, table: str, clock: Callable[[], float]) -> None:
        self._table, self._clock = table, clock
        self._items: dict[str, Item] = {}
        self.writes: list[Write] = []

    def answer(self, action: str, parameters: Mapping[str, Any], *, as_of: float | None = None) -> dict[str, Any]:
        """`as_of`: a read that is not consistent shows the items at that moment."""
        if action not in KNOWN:
            raise NotModelled(f"DynamoDB's {action}")
        require_known(action, parameters, KNOWN[action])
        if parameters["TableName"] != self._table:
            raise AwsError("ResourceNotFoundException", "Requested resource not found")
        if action == "UpdateItem":
            return self._update(parameters)
        items = self._items if as_of is None or parameters.get("ConsistentRead") else self._past(as_of)
        return self._scan(items, parameters) if action == "Scan" else self._get(items, parameters)

    def item(self, pair: str) -> Item | None:
        """The item of a pair as it is now."""
        return self._items.get(pair)

    def put(self, pair: str, item: Item | None) -> None:
        """Someone else writes the item, or deletes it."""
        before = self._items.pop(pair, None)
        if item is not None:
            self._items[pair] = {**item, KEY: {"S": pair}}
        self.writes.append(Write(self._clock(), pair, before, self._items.get(pair)))

    def _past(self, at: float) -> dict[str, Item]:
        items: dict[str, Item] = {}
        for write in self.writes[: bisect_right(self.writes, at, key=lambda write: write.at)]:
            items.pop(write.pair, None)
            if write.after is not None:
                items[write.pair] = write.after
        return items

    def _get(self, items: Mapping[str, Item], parameters: Mapping[str, Any]) -> dict[str, Any]:
        item = items.get(parameters["Key"][KEY]["S"])
        return {} if item is None else {"Item": item.copy()}

    def _scan(self, items: Mapping[str, Item], parameters: Mapping[str, Any]) -> dict[str, Any]:
        shown, values = list(items.values()), parameters.get("ExpressionAttributeValues", NOTHING)
        if text := parameters.get("FilterExpression"):
            passes = condition(text)
            _require_values(passes.values, values)
            shown = [item for item in shown if passes.evaluate(item, values)]
        return {"Items": [item.copy() for item in shown], "Count": len(shown), "ScannedCount": len(items)}

    def _update(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        pair, values = parameters["Key"][KEY]["S"], parameters.get("ExpressionAttributeValues", NOTHING)
        changes = update(parameters["UpdateExpression"])
        before = self._items.get(pair)
        if text := parameters.get("ConditionExpression"):
            holds = condition(text)
            _require_values(holds.values | changes.values, values)
            if not holds.evaluate(before or NOTHING, values):
                raise AwsError("ConditionalCheckFailedException", "The conditional request failed")
        else:
            _require_values(changes.values, values)
        after: Item = {KEY: {"S": pair}} if before is None else before.copy()
        changes.evaluate(before or NOTHING, values, after)
        self._items[pair] = after
        self.writes.append(Write(self._clock(), pair, before, after))
        match parameters.get("ReturnValues", "NONE"):
            case "NONE":
                return {}
            case "ALL_NEW":
                return {"Attributes": after.copy()}
            case "ALL_OLD":
                return {} if before is None else {"Attributes": before.copy()}
            case other:
                raise NotModelled(f"ReturnValues {other}")


def _require_values(used: frozenset[str], given: Mapping[str, Any]) -> None:
    """DynamoDB refuses values that no expression uses, and expressions that use others."""
    if missing := sorted(used - given.keys()):
        raise AwsError(
            "ValidationException",
            f"Invalid expression: An expression attribute value used in expression is not defined; "
            f"attribute value: {missing[0]}",
        )
    if unused := sorted(given.keys() - used):
        raise AwsError(
            "ValidationException",
            f"Value provided in ExpressionAttributeValues unused in expressions: keys: {{{', '.join(unused)}}}",
        )
