"""What `status` says about the last evaluation of a pair."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.status import ago, readiness_in_words
from tests.unit.test_client_status import rows, standing

NOW = datetime(2026, 12, 4, 12, tzinfo=UTC)  # a Friday
RESULT: dict[str, Any] = {
    "ready": False, "since": "2026-12-01T03:00:00Z", "checkedAt": "2026-12-04T09:00:00Z",
    "reasons": ["The certificate of tao expires in 2 days, on 2026-12-06."], "warnings": [], "execution": "arn:x",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "not ready since Tuesday, checked 3 hours ago\nThe certificate of tao expires in 2 days, on 2026-12-06."),
        ({"ready": True, "reasons": []}, "ready, checked 3 hours ago"),
        ({"ready": True, "reasons": [], "warnings": ["tao is a Spot Instance."]},
         "ready, checked 3 hours ago\nwarning: tao is a Spot Instance."),
        ({"since": "2026-11-20T03:00:00Z", "reasons": ["a", "b"]},
         "not ready since 2026-11-20, checked 3 hours ago\na\nb"),
        ({"since": "", "checkedAt": "x", "reasons": []}, "not ready, checked at an unknown time"),
        ({"since": "0001-01-01T00:00:00+14:00", "reasons": ["::set-env::\x1b[31m"]},
         "not ready since 0001-01-01, checked 3 hours ago\n: :set-env:: [31m"),
    ],
)  # fmt: skip
def test_a_result_in_words(changes: dict[str, Any], words: str) -> None:
    assert readiness_in_words(RESULT | changes, NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-90, "less than a minute ago"), (59, "less than a minute ago"), (60, "1 minute ago"), (7199, "1 hour ago"),
        (172_800, "2 days ago"),
    ],
)  # fmt: skip
def test_how_long_ago(seconds: float, words: str) -> None:
    assert ago(timedelta(seconds=seconds)) == words


def test_status_has_the_last_result_and_nothing_before_the_first() -> None:
    evaluated = standing(record={"readiness": json.dumps(RESULT)})
    assert rows(evaluated)["readiness"].startswith("not ready since ")
    assert evaluated.to_json()["readiness"]["reasons"] == RESULT["reasons"]
    never = standing(record={"revision": 1})
    assert "readiness" not in rows(never)
    assert never.to_json()["readiness"] is None
