"""The item of the lock table, as the workflow, `measure_gap` or a person wrote it."""

from datetime import UTC, datetime

import pytest

from domain.lock import Lock


@pytest.mark.parametrize(
    ("attributes", "lock"),
    [
        ({"pair": "web", "execution": "arn", "since": "2026-02-01T09:30:00.000Z", "server": "tao"},
         Lock("web", "arn", "2026-02-01T09:30:00.000Z", "tao")),
        ({"pair": "web", "execution": "arn", "since": "x", "server": "tao", "gap": "{}"},
         Lock("web", "arn", "x", "tao", gap="{}")),
        ({"pair": "web", "comment": "by hand"}, Lock("web", "", "", "")),
    ],
    ids=["held", "with a gap", "by hand"],
)  # fmt: skip
def test_an_item_is_a_lock_whatever_attributes_it_lacks(attributes: dict[str, str], lock: Lock) -> None:
    assert Lock.from_item({key: {"S": value} for key, value in attributes.items()}) == lock


def test_an_attribute_that_is_not_a_string_is_empty() -> None:
    assert Lock.from_item({"pair": {"S": "web"}, "since": {"N": "7"}}) == Lock("web", "", "", "")


@pytest.mark.parametrize("since", ["2026-02-01T09:30:00Z", "2026-02-01T10:30:00.000+01:00"])
def test_the_time_of_a_lock_is_a_moment(since: str) -> None:
    assert Lock("web", "arn", since, "tao").held_since == datetime(2026, 2, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("since", ["", "yesterday", "2026-02-01T09:30:00"])
def test_a_time_without_a_zone_is_unknown(since: str) -> None:
    assert Lock("web", "arn", since, "tao").held_since is None
