"""The events of handlers: their keys, and how handlers read them."""

from dataclasses import dataclass
from typing import Any

import pytest

from domain.events import InvalidEvent, keys, read


@dataclass(frozen=True, kw_only=True)
class Place:
    instance_id: str
    private_ip: str | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    execution: str
    target: Place
    expected_release: str | None = None
    previous: Place | None = None
    visited: list[Place] | None = None
    max_latency_ms: int = 500


MOVE: dict[str, Any] = {"execution": "cutover-7", "target": {"instanceId": "i-0b"}}


def test_a_field_without_a_default_is_a_required_key_and_one_with_a_default_an_optional_key() -> None:
    optional = {"expectedRelease", "previous", "visited", "maxLatencyMs"}
    assert keys(Move) == (frozenset({"execution", "target"}), frozenset(optional))


def test_an_event_is_read_into_its_fields() -> None:
    event = {**MOVE, "expectedRelease": "42", "maxLatencyMs": 100, "previous": {"instanceId": "i-0a"}}
    event["visited"] = [{"instanceId": "i-0a"}, {"instanceId": "i-0b", "privateIp": "10.0.0.11"}]
    assert read(Move, event) == Move(
        execution="cutover-7",
        target=Place(instance_id="i-0b"),
        expected_release="42",
        previous=Place(instance_id="i-0a"),
        visited=[Place(instance_id="i-0a"), Place(instance_id="i-0b", private_ip="10.0.0.11")],
        max_latency_ms=100,
    )


@pytest.mark.parametrize("event", [MOVE, {**MOVE, "expectedRelease": None, "previous": None, "maxLatencyMs": None}])
def test_an_optional_key_that_is_absent_or_null_has_its_default(event: dict[str, Any]) -> None:
    assert read(Move, event) == Move(execution="cutover-7", target=Place(instance_id="i-0b"))


def test_a_required_key_may_be_null_and_unknown_keys_inside_a_value_are_ignored() -> None:
    assert read(Move, {**MOVE, "target": None}).target is None
    assert read(Move, {**MOVE, "target": {"instanceId": "i-0b", "name": "tao"}}).target == Place(instance_id="i-0b")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"target": {"instanceId": "i-0b"}}, "Move lacks the key execution; required: execution, target; "),
        ({}, "Move lacks the key execution, target; required: "),
        ({**MOVE, "target": {}}, "Place lacks the key instanceId; required: instanceId; optional: privateIp."),
        ({**MOVE, "maxLatency": 1, "a": 2}, "Move has no key a, maxLatency; required: execution, target; optional: "),
        ({**MOVE, "expected_release": "42"}, "Move has no key expected_release; "),
    ],
)
def test_a_missing_or_an_unknown_key_is_named_with_the_known_keys(event: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        read(Move, event)
    assert str(raised.value).startswith(message)
