"""The item of the lock table, as the workflow, `measure_gap` or a person wrote it."""

from datetime import UTC, datetime

import pytest

from domain.lock import Lock, moment as moment_of


@pytest.mark.parametrize(
    ("attributes", "lock"),
    [
        ({"pair": "web", "execution": "arn", "since": "2026-02-01T09:30:00.000Z", "server": "tao"},
         Lock("web", "arn", "2026-02-01T09:30:00.000Z", "tao")),
        ({"pair": "web", "execution": "arn", "since": "x", "server": "tao", "gap": "{}"},
         Lock("web", "arn", "x", "tao")),
        ({"pair": "web", "execution": "arn", "since": "x", "server": "tao", "live": "bittybot", "rollsBack": "true",
          "bakesUntil": "2026-02-01T10:00:00.000Z"},
         Lock("web", "arn", "x", "tao", rollback=True, bakes_until="2026-02-01T10:00:00.000Z", live="bittybot")),
        ({"pair": "web", "execution": "arn", "since": "x", "server": "tao", "rollsBack": "false"},
         Lock("web", "arn", "x", "tao")),
        ({"pair": "web", "execution": "arn", "since": "x", "server": "tao", "approvesUntil": "2026-02-01T10:00:00Z",
          "approvalToken": "AAAA", "command": '{"step": "deploy", "id": null}'},
         Lock("web", "arn", "x", "tao", approves_until="2026-02-01T10:00:00Z", approval_token="AAAA",  # noqa: S106
              command={"step": "deploy", "id": None})),
        ({"pair": "web", "comment": "by hand"}, Lock("web", "", "", "")),
    ],
    ids=["held", "with a gap", "rolls back and bakes", "no rollback", "waits", "by hand"],
)  # fmt: skip
def test_an_item_is_a_lock_even_if_attributes_are_missing_or_wrong(attributes: dict[str, str], lock: Lock) -> None:
    item = {key: {"S": value} for key, value in attributes.items()}
    assert Lock.from_item({"since": {"N": "7"}} | item) == lock


@pytest.mark.parametrize("text", ["", "{", "{}", "7", "[]", "null", "[" * 100_000])
def test_a_command_that_cannot_be_read_counts_as_absent(text: str) -> None:
    assert Lock.from_item({"execution": {"S": "arn"}, "command": {"S": text}}).command is None


MOMENT = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "moment"),
    [("2026-02-01T09:30:00Z", MOMENT), ("2026-02-01T10:30:00.000+01:00", MOMENT),
     ("2026-02-01T09:30:00", None), ("yesterday", None), ("", None)],
)  # fmt: skip
def test_the_time_of_a_lock_is_a_moment_unless_it_lacks_a_zone(since: str, moment: datetime | None) -> None:
    assert moment_of(Lock("web", "arn", since, "tao").since) == moment
