"""What `status` says about the addresses of a pair, its record and its lock."""

import json
from dataclasses import replace
from typing import Any

import pytest

from client.status import Standing, standings
from domain.release_commands import Command
from tests.unit.client_doubles import EXECUTION, PAIR, account, execution, item, lock_table

AT = "2026-02-01T09:31:00Z"
HOLDER = f"{EXECUTION}:release-7"
CUTOVER = {"from": "tao", "to": "bittybot", "at": AT, "execution": HOLDER, "rollback": False}
RECORD = {
    "revision": 3,
    "lastCutover": CUTOVER,
    "rollbackTo": {"server": "tao", "why": "it was live before release-7", "instanceId": "i-b", "rejected": []},
    "lastOutcome": {"outcome": "CUT_OVER", "execution": HOLDER, "at": AT, "associations": None},
}
LOCK = {"execution": HOLDER, "since": "2026-02-01T09:30:00Z", "server": "tao", "live": "bittybot", "rollsBack": "false"}
RUNNING = execution("release-7", "RUNNING")


Json = dict[str, Any]


def standing(*executions: Json, record: Json | None = None, live: str | None = "bittybot", **shown: Any) -> Standing:
    """Of the pair web, with production on `live` and staging on the other server, or as `shown`."""
    table = lock_table(item(pair="web", **record)) if record else lock_table()
    (found,) = standings(account(*executions, live=live, dynamodb=table, **shown), [PAIR])
    return found


def rows(found: Standing) -> dict[str, str]:
    return {label: value.replace("\n", " | ") for label, value in found.lines(lambda *words: " ".join(words))}


@pytest.mark.parametrize(
    ("association", "rollback"),
    [("eipassoc-x", "tao"), ("eipassoc-before", "no server: the cutover to tao was interrupted: release-8")],
    ids=["nothing moved", "staging moved"],
)
def test_after_an_interruption_a_rollback_depends_on_what_has_moved(association: str, rollback: str) -> None:
    begun = {"interrupted": "release-8", "server": "tao", "live": "bittybot", "stagingAssociation": association}
    assert rows(standing(record={**RECORD, **begun}))["rollback to"] == rollback


def test_who_was_live_before_since_when_and_what_a_rollback_does() -> None:
    found = standing(record=RECORD)
    shown = rows(found)
    assert shown["live"] == f"bittybot, since {AT}; before that, tao"
    assert shown["rollback to"] == "tao"
    assert shown["last outcome"] == f"CUT_OVER at {AT}, of release-7"
    assert shown["lock"] == "free"
    document = found.to_json()
    assert (document["liveBefore"], document["liveSince"], document["lock"]) == ("tao", AT, None)
    assert document["rollbackTo"] == RECORD["rollbackTo"]
    assert (document["lastCutover"], document["lastOutcome"]) == (CUTOVER, RECORD["lastOutcome"])


@pytest.mark.parametrize(
    ("record", "live", "rollback"),
    [
        ({}, "bittybot", "no server: no cutover is on record"),
        ({**RECORD, "lastCutover": {**CUTOVER, "rollback": True}},
         f"bittybot, since {AT}, by a rollback; before that, tao", "tao"),
        ({**RECORD, "lastCutover": {**CUTOVER, "from": None}}, f"bittybot, since {AT}; before that, no server", "tao"),
        ({**RECORD, "lastCutover": {**CUTOVER, "to": "tao"}},
         f"bittybot; the last cutover was to tao, at {AT}", "tao"),
        ({**RECORD, "rollbackTo": {"server": "bittybot", "why": "x"}}, f"bittybot, since {AT}; before that, tao",
         "bittybot, which is live already"),
        ({**RECORD, "rollbackTo": {"server": None, "why": "release-8 was deployed to tao"}},
         f"bittybot, since {AT}; before that, tao", "no server: release-8 was deployed to tao"),
        ({**RECORD, "rollbackTo": {"server": "tao", "why": "x", "instanceId": "i-old"}},
         f"bittybot, since {AT}; before that, tao", "no server: tao, which was i-old, was replaced"),
        ({**RECORD, "rollbackTo": {"server": "mercury", "why": "x"}}, f"bittybot, since {AT}; before that, tao",
         "no server: mercury, which was live before, was replaced"),
    ],
    ids=["no record", "a rollback", "from nowhere", "moved by someone", "live already", "nothing to go back to",
         "new instance", "renamed"],
)  # fmt: skip
def test_the_record_in_words(record: dict[str, Any], live: str, rollback: str) -> None:
    shown = rows(standing(record=record))
    assert (shown["live"], shown["rollback to"]) == (live, rollback)


def test_a_running_execution_moves_the_addresses_and_nothing_asks_for_another_start() -> None:
    for lock, rollback in ((LOCK, "the execution below is asked to roll back"),
                           (LOCK | {"rollsBack": "true"}, "waits for the execution below")):  # fmt: skip
        found = standing(RUNNING, staging={}, record=RECORD | lock)
        shown = rows(found)
        assert shown["addresses"] == "being moved by the execution below"
        assert shown["rollback to"] == rollback
        assert "start" not in " ".join(shown.values())
    moved = standing(RUNNING, live="tao", record=RECORD | LOCK)
    assert rows(moved)["live"] == "tao", "nobody else moved production"
    assert rows(moved)["addresses"] == "in place"


def test_a_bake_shows_until_when_it_takes() -> None:
    until = "2026-02-01T10:30:00Z"
    found = standing(RUNNING, record=RECORD | LOCK | {"bakesUntil": until})
    assert rows(found)["lock"].endswith(f"to make tao live; the execution is running, and bakes until {until}")
    assert found.to_json()["lock"]["bakesUntil"] == until
    back = standing(RUNNING, record=RECORD | LOCK | {"rollsBack": "true"})
    assert "to roll back to tao; the execution is running" in rows(back)["lock"]


START = "start --pair web --server"
NAME_IT = f"not in place; name the server that should be live: | {START} bittybot | {START} tao"


@pytest.mark.parametrize(
    ("live", "staging", "says"),
    [
        ("bittybot", {}, NAME_IT),
        ("bittybot", {"AssociationId": "x", "InstanceId": "i-a"}, NAME_IT),
        ("bittybot", {"AssociationId": "x", "InstanceId": "i-z"}, "an address is outside the pair: docs/runbook.md"),
        (None, {}, NAME_IT),
    ],
    ids=["nowhere", "on the live server", "outside", "production nowhere"],
)
def test_addresses_that_are_not_in_place_say_what_to_do(live: str | None, staging: dict[str, str], says: str) -> None:
    assert says in rows(standing(live=live, staging=staging))["addresses"]


def test_a_dead_lock_counts_as_the_interruption_that_it_is() -> None:
    stopped = execution("release-7", "ABORTED")
    found = standing(stopped, live="tao", record=RECORD | LOCK)
    shown = rows(found)
    assert shown["live"] == "tao, since 2026-02-01T09:30:00Z; before that, bittybot"
    assert shown["rollback to"] == "bittybot"
    assert "the execution ended ABORTED. The repair or the next execution takes it over." in shown["lock"]
    assert shown["lock"].endswith("| unlock --pair web")


def test_a_text_in_the_table_is_not_shown_as_a_command() -> None:
    shown = rows(standing(record=RECORD | LOCK | {"execution": "x\naws ec2 y", "lastCutover": {"to": "x\naws ec2 y"}}))
    assert "held by x aws ec2 y since" in shown["lock"]
    assert not [value for value in shown.values() if " | " in value]


def test_the_release_on_each_server_comes_from_the_record() -> None:
    begun = {
        "release": "8\x1b[2J",
        "at": "2026-02-02T09:30:00Z",
        "execution": f"{EXECUTION}:release-8",
        "instanceId": "",
        "deployed": False,
    }
    done = {"release": "7", "at": AT, "execution": HOLDER, "instanceId": "", "deployed": True}
    found = standing(record={**RECORD, "releases": {"bittybot": done, "tao": begun}})
    shown = [value for label, value in found.lines(lambda *words: " ".join(words)) if label == "release"]
    assert shown == [
        f"7 on bittybot, deployed at {AT} by release-7",
        "8 [2J on tao, not deployed completely, begun at 2026-02-02T09:30:00Z by release-8",
    ]
    assert found.to_json()["releases"] == {"bittybot": done, "tao": begun}
    assert "release" not in rows(standing(record=RECORD))


def test_a_server_that_was_replaced_does_not_have_the_release_of_its_predecessor() -> None:
    there = {"release": "7", "at": AT, "execution": HOLDER, "instanceId": PAIR.servers[0].instance_id, "deployed": True}
    assert "release" in rows(standing(record={**RECORD, "releases": {PAIR.servers[0].name: there}}))
    gone = {**there, "instanceId": "i-0replaced"}
    assert "release" not in rows(standing(record={**RECORD, "releases": {PAIR.servers[0].name: gone}}))


def test_the_command_of_the_holder_says_which_step_where_and_since_when() -> None:
    runs = Command("deploy", "tao", None, 0, 600, status="InProgress", line="x\naws ec2 y")
    over = replace(runs.ends("Success"), seconds=41.04)
    for command, says in ((runs, "InProgress | x aws ec2 y"), (over, "Success after 41.0 s | x aws ec2 y")):
        written = json.loads(command.to_text()) | {"sent": AT}
        for holder in (RUNNING, execution("release-7", "ABORTED")):
            found = standing(holder, record=RECORD | LOCK | {"command": written})
            assert rows(found)["command"] == f"sent at {AT}: deploy on tao: {says}", "it may outlive its execution"
            assert found.to_json()["lock"]["command"] == written
    assert "command" not in rows(standing(RUNNING, record=RECORD | LOCK))


def test_a_holder_that_waits_for_approval_says_until_when_and_how_to_answer() -> None:
    waits = RECORD | LOCK | {"approvalToken": "AAAA", "approvesUntil": "2026-02-01T10:30:00Z"}
    found = standing(RUNNING, record=waits)
    assert rows(found)["approval"] == (
        "waits for approval until 2026-02-01T10:30:00Z | approve --pair web | reject --pair web"
    )
    assert found.to_json()["lock"]["approvesUntil"] == "2026-02-01T10:30:00Z"
    assert "AAAA" not in str((found.to_json(), rows(found))), "who has the token may answer"
    assert "approval" not in rows(standing(execution("release-7", "ABORTED"), record=waits))
    assert "approval" not in rows(standing(RUNNING, record=RECORD | LOCK))
