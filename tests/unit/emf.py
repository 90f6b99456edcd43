"""CloudWatch, as far as it reads the embedded metric format: what a function has printed, held to the specification.

Source: CloudWatch User Guide, "Specification: Embedded metric format"; API Reference, MetricDatum (names, units).
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

Capture = pytest.CaptureFixture[str]
UNITS = {"Count", "Milliseconds", "Seconds"}  # of those that CloudWatch knows, the ones that are used here
TWO_WEEKS, TWO_HOURS = 14 * 86_400_000, 2 * 3_600_000
# What identifies a metric in CloudWatch: its namespace, its name, and its dimensions, all of them.
Identity = tuple[str, str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Point:
    """What CloudWatch would keep: values of a metric at a time, in milliseconds since 1970."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    unit: str
    values: tuple[float, ...]
    at: int

    @property
    def identity(self) -> Identity:
        return self.namespace, self.name, frozenset(self.dimensions.items())


def points(printed: str) -> list[Point]:
    """Every point of what was printed; lines that are no metrics are left alone, as CloudWatch leaves them."""
    return [point for line in printed.splitlines() if '"_aws"' in line for point in _points(line)]


def values(printed: str) -> dict[tuple[str, tuple[str, ...]], tuple[float, ...]]:
    """The values by the metric's name and the values of its dimensions, in the order of the dimensions' names."""
    return {
        (point.name, tuple(value for _, value in sorted(point.dimensions.items()))): point.values
        for point in points(printed)
    }


def _points(line: str) -> Iterator[Point]:
    assert len(line.encode()) <= 256 * 1024
    document = json.loads(line)
    metadata, now = document["_aws"], time.time() * 1000
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert type(metadata["Timestamp"]) is int
    assert now - TWO_WEEKS <= metadata["Timestamp"] <= now + TWO_HOURS
    for directive in metadata["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 255
        assert directive["Dimensions"]
        assert 1 <= len(directive["Metrics"]) <= 100
        for keys in directive["Dimensions"]:
            assert len(keys) == len(set(keys)) <= 30
            yield from _of_one_set(document, directive, keys)


def _of_one_set(document: dict[str, Any], directive: dict[str, Any], keys: list[str]) -> Iterator[Point]:
    dimensions = {key: document[key] for key in keys}
    for key, value in dimensions.items():
        assert 1 <= len(key) <= 250
        assert re.fullmatch(r"(?=.*[!-~])[ -~]{1,1024}", value)
    for metric in directive["Metrics"]:
        assert set(metric) == {"Name", "Unit"}
        assert 1 <= len(metric["Name"]) <= 255
        assert metric["Unit"] in UNITS
        values = document[metric["Name"]]
        assert isinstance(values, list)
        assert 1 <= len(values) <= 100
        assert all(isinstance(value, int | float) and abs(value) < 2**360 for value in values)
        at = document["_aws"]["Timestamp"]
        yield Point(directive["Namespace"], metric["Name"], dimensions, metric["Unit"], tuple(values), at)
