"""The record of a pair: what its item of the lock table says, and what an interrupted execution adds to it."""

import json
from typing import Any

import pytest

from domain.lock import Lock
from domain.record import EMPTY, NOTHING_RECORDED, Record, RollbackTo

ARN = "arn:aws:states:eu-west-1:123456789012:execution:eip-cutover:cutover-7"
SINCE = "2026-02-01T09:30:00.000Z"
CUTOVER = {"from": "bittybot", "to": "tao", "at": SINCE, "execution": ARN, "rollback": False}
TO_BITTYBOT = RollbackTo("bittybot", f"it was live before {ARN}")


def item(**attributes: Any) -> dict[str, Any]:
    """An item of the lock table: texts, JSON of objects, and numbers."""
    values = {"pair": "web", **attributes}
    return {
        key: {"N": str(value)}
        if isinstance(value, int)
        else {"S": value if isinstance(value, str) else json.dumps(value)}
        for key, value in values.items()
    }


def test_a_released_lock_is_a_record_of_the_last_cutover_and_no_lock() -> None:
    outcome = {"outcome": "CUT_OVER", "execution": ARN, "at": SINCE, "associations": '["eipassoc-1",null]'}
    released = item(rollbackTo=TO_BITTYBOT.to_json(), lastCutover=CUTOVER, lastOutcome=outcome, revision=3)
    assert Record.from_item(released) == Record(
        revision="3", rollback_to=TO_BITTYBOT, last_cutover=CUTOVER, last_outcome=outcome
    )


def test_the_record_remembers_the_server_of_a_cutover_that_failed() -> None:
    failed = RollbackTo(None, f"the cutover to tao ended RolledBack: {ARN}", rejected=("tao",))
    record = Record.from_item(item(rollbackTo=failed.to_json()))
    assert record.rollback_to == failed
    assert record.to_json()["rollbackTo"]["rejected"] == ["tao"]
    earlier = {"server": "tao", "why": "it was live before"}  # of a version that did not remember it
    assert Record.from_item(item(rollbackTo=earlier)).rollback_to == RollbackTo("tao", "it was live before")


def test_a_held_lock_is_a_lock_and_says_what_its_execution_does() -> None:
    held = {"execution": ARN, "since": SINCE, "server": "tao", "live": "bittybot", "rollsBack": "true"}
    held["stagingAssociation"] = "eipassoc-1"
    record = Record.from_item(item(**held, privateIps={"tao": "10.0.0.21"}, bakesUntil="2026-02-01T10:00:00.000Z"))
    assert record.lock == Lock(
        "web", ARN, SINCE, "tao", rollback=True, bakes_until="2026-02-01T10:00:00.000Z",
        private_ips={"tao": "10.0.0.21"}, live="bittybot", staging_association="eipassoc-1",
    )  # fmt: skip
    assert record.interrupted == record.lock


def test_an_item_of_an_older_version_is_a_lock_and_nothing_else() -> None:
    record = Record.from_item(item(execution=ARN, since=SINCE, server="tao", privateIps={"tao": "10.0.0.21"}))
    lock = Lock("web", ARN, SINCE, "tao", private_ips={"tao": "10.0.0.21"})
    assert record == Record(lock=lock, interrupted=lock)


def test_after_a_lock_was_taken_over_the_record_names_the_execution_that_was_interrupted() -> None:
    record = Record.from_item(item(interrupted=ARN, since=SINCE, server="tao", live="bittybot", rollsBack="false"))
    assert record.lock is None
    assert record.interrupted == Lock("web", ARN, SINCE, "tao", live="bittybot")
    finished = Record.from_item(item(interrupted=ARN, live="-", stagingAssociation="-", rollsBack="false"))
    assert finished.interrupted == Lock("web", ARN)
    by_a_repair = Record.from_item(item(execution="the repair", interrupted=ARN, server="tao"))
    assert by_a_repair.interrupted == Lock("web", ARN, server="tao")


@pytest.mark.parametrize("empty", [{}, item()])
def test_an_empty_item_is_an_empty_record(empty: dict[str, Any]) -> None:
    assert Record.from_item(empty) == EMPTY
    assert EMPTY.to_json() == {
        "revision": "0",
        "rollbackTo": {"server": None, "why": NOTHING_RECORDED, "instanceId": None, "rejected": []},
        "lastCutover": None,
    }


@pytest.mark.parametrize(
    "text",
    ["", "-", "bittybot", "null", "7", '"tao"', "[]", "{", '{"Server": "tao"}', "[" * 100_000, '{"a":' * 100_000],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_read_counts_as_absent(text: str) -> None:
    assert Record.from_item(item(rollbackTo=text, lastCutover=text, lastOutcome=text)) == EMPTY
    assert Record.from_item(item(releases=text)).releases == {}
    assert Record.from_item({"pair": {"S": "web"}, "rollbackTo": {"M": {}}, "lastCutover": {"NULL": True}}) == EMPTY
    private_ips = Record.from_item(item(server="tao", privateIps=text)).interrupted
    assert private_ips in (Lock("web", server="tao"), Lock("web", server="tao", private_ips={"Server": "tao"}))


@pytest.mark.parametrize("value", [7, True, None, ["tao"], {"name": "tao"}, float("nan"), float("inf")], ids=str)
def test_a_value_of_another_type_is_left_out(value: object) -> None:
    target = {"server": value, "why": value, "rejected": [value]}
    record = Record.from_item(item(rollbackTo=target, lastCutover={**CUTOVER, "from": value}))
    assert record.rollback_to == RollbackTo(None, NOTHING_RECORDED)
    assert record.last_cutover == {**CUTOVER, "from": None}
    assert Record.from_item(item(lastCutover={**CUTOVER, "rollback": "yes"})).last_cutover == CUTOVER
    json.dumps(record.to_json(), allow_nan=False)


def test_the_record_knows_the_release_on_each_server_and_whether_its_deployment_succeeded() -> None:
    done = {"release": "7", "at": SINCE, "execution": ARN, "instanceId": "i-0a", "deployed": True}
    begun = {**done, "release": "8", "deployed": False}
    assert Record.from_item(item(releases={"tao": done, "bittybot": begun})).releases == {
        "tao": done,
        "bittybot": begun,
    }
    by_hand = {"tao": {"release": "7", "at": 7, "deployed": "yes", "more": []}, "a": {"release": 7}, "b": 7}
    assert Record.from_item(item(releases=by_hand)).releases == {
        "tao": {"release": "7", "at": "", "execution": "", "instanceId": "", "deployed": False}
    }
    (long,) = Record.from_item(item(releases={"x" * 600: {"release": "x" * 600}})).releases.items()
    assert (len(long[0]), len(long[1]["release"])) == (512, 512)


HOSTILE = "\x1b[31m<!channel>\ud800" + "x" * 390_000


READINESS = {
    "ready": False, "since": SINCE, "checkedAt": SINCE, "execution": ARN, "reasons": ["tao is stopped."],
    "warnings": ["An alarm has no data."],
}  # fmt: skip


def test_the_record_has_the_result_of_the_last_evaluation() -> None:
    assert Record.from_item(item(readiness=READINESS)).readiness == READINESS
    assert Record.from_item(item()).readiness is None


@pytest.mark.parametrize("text", ["", "-", "{", "[]", "7", '{"ready": "yes"}', '{"ready": 1}', '{"since": "today"}'])
def test_a_result_that_does_not_say_whether_the_pair_is_ready_counts_as_absent(text: str) -> None:
    assert Record.from_item(item(readiness=text)).readiness is None
    assert Record.from_item({"pair": {"S": "web"}, "readiness": {"BOOL": True}}).readiness is None


@pytest.mark.parametrize("value", [7, None, True, "a text", {"a": 1}], ids=str)
def test_a_result_whose_other_values_have_another_type_has_no_such_values(value: object) -> None:
    record = Record.from_item(item(readiness={"ready": True, "reasons": value, "warnings": value, "since": [value]}))
    empty: dict[str, Any] = {"since": "", "checkedAt": "", "execution": "", "reasons": [], "warnings": []}
    assert record.readiness == {"ready": True, **empty}


def test_a_result_stays_small_and_its_sentences_are_printable_on_one_line() -> None:
    many = [HOSTILE, "Run this:\naws ec2 describe-addresses", *[HOSTILE] * 100]
    record = Record.from_item(item(readiness=READINESS | {"reasons": many, "warnings": many, "since": HOSTILE}))
    assert record.readiness
    for sentences in (record.readiness["reasons"], record.readiness["warnings"]):
        assert len(sentences) == 20
        assert all(len(each) <= 1000 and each.isprintable() and "<" not in each for each in sentences)
        assert sentences[1] == "Run this: aws ec2 describe-addresses"
    assert len(record.readiness["since"]) <= 512


def test_a_record_stays_small_whatever_a_person_wrote_and_its_reason_is_printable() -> None:
    record = Record.from_item(
        item(
            rollbackTo={"server": HOSTILE, "why": HOSTILE, "rejected": HOSTILE, "more": HOSTILE},
            lastCutover={**CUTOVER, "to": HOSTILE, "execution": HOSTILE, "more": {"nested": [HOSTILE]}},
            lastOutcome={"outcome": HOSTILE},
            interrupted=HOSTILE,
            server=HOSTILE,
            live=HOSTILE,
            since=HOSTILE,
            stagingAssociation=HOSTILE,
        )
    )
    assert record.last_cutover is not None
    assert set(record.last_cutover) == set(CUTOVER)
    assert len(json.dumps(record.to_json()) + repr(record)) < 10_000
    assert record.rollback_to.why.isprintable()
    assert "<" not in record.rollback_to.why


def test_the_arn_of_an_execution_is_not_altered() -> None:
    """Its name may have almost any character, and it is compared with the ARN of the execution that was asked."""
    arn = "arn:aws:states:eu-west-1:123456789012:execution:eip-cutover:" + "ä@b" * 26
    record = Record.from_item(item(lastOutcome={"execution": arn}, lastCutover={**CUTOVER, "execution": arn}))
    assert record.last_outcome == {"outcome": None, "execution": arn, "at": None, "associations": None}
    assert record.last_cutover == {**CUTOVER, "execution": arn}


@pytest.mark.parametrize("number", ["3", "1.5", "1E+2"])
def test_the_revision_is_the_number_that_the_item_has(number: str) -> None:
    assert Record.from_item({"revision": {"N": number}}).to_json()["revision"] == number


# What an interrupted execution did. Before it, tao was to go back to.

BEFORE = RollbackTo("tao", "it was live before cutover-6")


def settled(now: str | None, /, staging: str | None = None, **begun: Any) -> Record:
    """Staging was on tao by this association, and is on no server, unless another association is named."""
    begun = {"server": "tao", "live": "bittybot", "execution": ARN, "since": SINCE, **begun}
    interrupted = Lock(**{"staging_association": "eipassoc-1", **begun})
    return Record(interrupted=interrupted, rollback_to=BEFORE).settled(now, staging)


@pytest.mark.parametrize("staging", [None, "eipassoc-1", "eipassoc-2"])
@pytest.mark.parametrize(
    ("server", "rejected"),
    [("tao", "tao"), ("", None), ("bittybot", None)],
    ids=["interrupted", "finished, but its lock was not released", "a repair, and then a person moved it"],
)
def test_if_production_moved_that_was_its_cutover_and_nothing_goes_back_to_a_server_that_was_not_watched_to_the_end(
    server: str, rejected: str | None, staging: str | None
) -> None:
    record = settled("tao", staging, server=server)
    assert record.last_cutover == CUTOVER
    why = f"{ARN}, which was interrupted, moved production from it"
    assert record.rollback_to == RollbackTo("bittybot", why, rejected=(rejected,) if rejected else ())


def test_if_a_rollback_moved_production_a_second_rollback_goes_no_further() -> None:
    record = settled("tao", rollback=True)
    assert record.last_cutover == {**CUTOVER, "rollback": True}
    assert record.rollback_to == RollbackTo("tao", f"{ARN}, which was interrupted, rolled back to it")


@pytest.mark.parametrize(
    ("live", "staging"),
    [("bittybot", None), ("bittybot", "eipassoc-2"), (None, None), (None, "eipassoc-1")],
    ids=["staging taken", "staging moved", "on no server by now", "only production taken"],
)
@pytest.mark.parametrize("before", ["bittybot", None], ids=["", "from no server or of an older version"])
def test_if_only_staging_moved_its_server_is_nothing_to_go_back_to(
    live: str | None, staging: str | None, before: str | None
) -> None:
    if (live, staging, before) == (None, "eipassoc-1", None):
        return  # production was on no server before, and nothing moved
    record = settled(live, staging, live=before)
    why = f"the cutover to tao was interrupted: {ARN}"
    assert record.rollback_to == RollbackTo(None, why, rejected=("tao",))
    assert record.last_cutover is None


def test_an_interrupted_execution_of_an_older_version_is_taken_to_have_begun() -> None:
    record = settled("bittybot", "eipassoc-1", live=None, staging_association=None)
    assert record.rollback_to.rejected == ("tao",)


@pytest.mark.parametrize("association", ["eipassoc-1", None], ids=["on tao", "on no server"])
def test_if_nothing_moved_the_server_to_go_back_to_stays(association: str | None) -> None:
    record = settled("bittybot", association, staging_association=association)
    assert (record.rollback_to, record.last_cutover) == (BEFORE, None)


@pytest.mark.parametrize(
    ("live", "begun"),
    [
        ("bittybot", {"rollback": True}),
        (None, {"rollback": True}),
        ("bittybot", {"server": "-"}),
        (None, {"server": "-"}),
        ("bittybot", {"server": "bittybot"}),
    ],
    ids=["a rollback", "a rollback, on no server by now", "refused", "refused, on no server by now",
         "a repair"],
)  # fmt: skip
def test_otherwise_the_server_to_go_back_to_stays(live: str | None, begun: dict[str, Any]) -> None:
    record = settled(live, **begun)
    assert (record.rollback_to, record.last_cutover) == (BEFORE, None)


@pytest.mark.parametrize(
    ("server", "back"), [("tao", None), ("bittybot", "tao")], ids=["the server on record", "the other server"]
)
def test_an_interrupted_cutover_from_no_server_was_not_watched_to_its_end(server: str, back: str | None) -> None:
    record = settled(server, "eipassoc-2", server=server, live=None)
    assert (record.rollback_to.server, record.rollback_to.rejected) == (back, (server,))


def test_a_record_without_an_interruption_is_settled() -> None:
    record = Record(rollback_to=BEFORE, last_cutover=CUTOVER)
    assert record.settled("bittybot", "eipassoc-1") is record.settled(None, None) is record
