"""The decisions: the plan for each configuration, input and observation, and the refusals."""

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import PreflightFailed
from domain.lock import Lock
from domain.pair import Pair, Place, Server
from domain.plan import Awaited, NoTarget, Plan, Refusal, commands_to_restore, plan
from domain.record import EMPTY, Record, RollbackTo
from domain.request import Request
from tests.unit.example_pair import BITTYBOT, STRANGER, TAO, WEB, address, place, planned

PAIR = {"production": "eipalloc-1", "staging": "eipalloc-2", "servers": {"tao": "i-1", "bittybot": "i-2"}}
CHECKED: dict[str, Any] = {"healthCheck": [], "bakeSeconds": 0, "alarms": []}


def associate(allocation_id: str, server: Server) -> str:
    return f"aws ec2 associate-address --allocation-id {allocation_id} --instance-id {server.instance_id}"


def test_the_plan_tells_the_health_check_when_a_certificate_expires_too_soon() -> None:
    web = replace(WEB, certificate_expiry_days=30)
    result = plan(Request(web), address("production", BITTYBOT), address("staging", TAO))
    assert isinstance(result, Plan)
    assert result.to_json()["certificateExpiryDays"] == 30
    assert Pair.from_json("web", PAIR | CHECKED).certificate_expiry_days == 14
    off, own = ({"readiness": readiness} for readiness in (False, {"certificateExpiryDays": 7}))
    days = [Pair.from_json("web", PAIR | CHECKED | readiness).certificate_expiry_days for readiness in (off, own)]
    assert days == [14, 7]


# Production on, staging on, asked for → the decision, and who is live once it is carried out.
@pytest.mark.parametrize(
    ("production", "staging", "asked", "decision", "live"),
    [
        (BITTYBOT, TAO, None, "CUT_OVER", TAO),
        (TAO, BITTYBOT, None, "CUT_OVER", BITTYBOT),
        (BITTYBOT, TAO, TAO, "CUT_OVER", TAO),
        (BITTYBOT, TAO, BITTYBOT, "ALREADY_LIVE", BITTYBOT),
        (BITTYBOT, None, TAO, "CUT_OVER", TAO),
        (BITTYBOT, None, BITTYBOT, "REPAIR", BITTYBOT),
        (TAO, None, TAO, "REPAIR", TAO),
        (BITTYBOT, BITTYBOT, TAO, "CUT_OVER", TAO),
        (BITTYBOT, BITTYBOT, BITTYBOT, "REPAIR", BITTYBOT),
    ],
)
def test_the_plan_makes_the_requested_server_live(
    production: Server, staging: Server | None, asked: Server | None, decision: str, live: Server
) -> None:
    result = planned(production=production, staging=staging, asked=asked)
    assert result.decision == decision
    assert (result.live, result.idle.server) == (place(production), WEB.other(production))
    assert (result.idle.server if result.decision == "CUT_OVER" else production) == live
    assert result.to_json()["target"] == live.name


@pytest.mark.parametrize("staging", [None, BITTYBOT])
def test_in_an_unsound_pair_an_empty_input_is_refused_with_both_possible_inputs(staging: Server | None) -> None:
    with pytest.raises(PreflightFailed) as refused:
        planned(staging=staging)
    for words in (
        "the production address 198.51.100.1 (eipalloc-0aaaaaaa) is on bittybot (i-0aaaaaaaa)",
        f"is {'on bittybot (i-0aaaaaaaa)' if staging else 'on no server'} instead of on tao",
        '{"pair": "web", "serverName": "bittybot"} to keep bittybot live',
        '{"pair": "web", "serverName": "tao"} to make tao live',
    ):
        assert words in str(refused.value)


def test_a_plan_says_why_and_its_steps_are_its_changes_in_their_order() -> None:
    assert planned().reason == (
        "the idle server was asked for, which is tao; production is on bittybot and staging is on tao (i-0bbbbbbbb)"
    )
    assert planned().steps == [
        "disassociate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) from tao",
        "associate the production address 198.51.100.1 (eipalloc-0aaaaaaa) with tao, in one move from bittybot",
        "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with bittybot",
    ]
    repair = "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with tao"
    assert planned(staging=None, asked=TAO).steps == [repair, *planned().steps]
    assert planned(staging=BITTYBOT, asked=BITTYBOT).steps == [repair]


def test_the_places_of_a_plan_are_the_private_addresses_of_the_addresses() -> None:
    second = plan(Request(WEB), address("production", BITTYBOT, "10.0.0.11"), address("staging", TAO, "10.0.0.21"))
    assert (second.live, second.idle) == (place(BITTYBOT, "10.0.0.11"), place(TAO, "10.0.0.21"))
    assert second.to_json()["privateIps"] == {"bittybot": "10.0.0.11", "tao": "10.0.0.21"}
    assert planned(staging=None, asked=TAO).idle.private_ip is None


@pytest.mark.parametrize("live_when_it_ended", [BITTYBOT, TAO])
def test_the_same_input_again_finishes_what_an_interrupted_execution_began(live_when_it_ended: Server) -> None:
    result = planned(production=live_when_it_ended, staging=None, interrupted=TAO)
    assert result.decision == ("CUT_OVER" if live_when_it_ended == BITTYBOT else "REPAIR")
    assert "an interrupted execution was making tao live" in result.reason


def test_a_record_of_a_server_that_is_no_longer_in_the_pair_is_ignored() -> None:
    assert planned(interrupted=STRANGER).reason.startswith("the idle server was asked for")
    with pytest.raises(PreflightFailed, match="there is no record of an interrupted execution"):
        planned(staging=None, interrupted=STRANGER)


def test_an_execution_that_holds_the_lock_was_not_interrupted() -> None:
    held = Record(lock=Lock("web", "arn", "", "bittybot"), interrupted=Lock(server="bittybot"))
    assert planned(record=held).reason.startswith("the idle server was asked for")
    assert planned(record=replace(held, lock=None)).decision == "ALREADY_LIVE"


def test_an_address_on_an_instance_outside_the_pair_is_refused_with_the_command_that_moves_it() -> None:
    for production, staging in ((STRANGER, TAO), (BITTYBOT, STRANGER)):
        with pytest.raises(PreflightFailed) as refused:
            planned(production=production, staging=staging)
        message = str(refused.value)
        assert "on eni-of-stranger of i-0cccccccc, which is not in the pair web (bittybot and tao)" in message
        assert "aws ec2 associate-address --allocation-id" in message


@pytest.mark.parametrize("live", WEB.servers)
def test_staging_outside_the_pair_goes_to_the_idle_server_if_it_displaces_nothing(live: Server) -> None:
    with pytest.raises(PreflightFailed) as refused:
        planned(production=live, staging=STRANGER)
    assert associate(WEB.staging, WEB.other(live)) in str(refused.value)
    assert associate(WEB.staging, live) not in str(refused.value)


def test_an_address_on_a_network_interface_without_an_instance_is_refused() -> None:
    stray = replace(address("staging", None), association_id="eipassoc-1", network_interface_id="eni-0dddd")
    with pytest.raises(PreflightFailed, match="on eni-0dddd, which is not in the pair"):
        plan(Request(WEB), address("production", BITTYBOT), stray)


def test_an_address_that_an_aws_service_manages_is_refused() -> None:
    managed = replace(address("staging", TAO), service_managed="nlb")
    with pytest.raises(PreflightFailed, match=r"managed by the AWS service nlb.* Nothing was changed\. Configure"):
        plan(Request(WEB), address("production", BITTYBOT), managed)


def test_a_refusal_is_reported_like_a_plan_that_changes_nothing() -> None:
    addresses = address("production", None), address("staging", TAO)
    request = Request(WEB, TAO, dry_run=True, wait_seconds=60)
    refusal = Refusal(request, *addresses, "Because.", record=TO_BITTYBOT).to_json()
    assert refusal.items() >= {"pair": "web", "decision": "REFUSED", "reason": "Because.", "dryRun": True}.items()
    assert (refusal["target"], refusal["privateIps"], refusal["error"]) == ("tao", {}, "PreflightFailed")
    assert refusal["warnings"] == []
    assert (refusal["rollback"], refusal["waitSeconds"], refusal["record"]) == (False, 60, TO_BITTYBOT.to_json())
    assert refusal["production"] == address("production", None).to_json()
    assert Refusal(Request(WEB), *addresses, "Because.", "InvalidRequest").to_json()["error"] == "InvalidRequest"
    assert Refusal(Request(WEB, rollback=True), *addresses, "Because.").to_json()["target"] == "-"


# A rollback.

LAST_CUTOVER = {"from": "bittybot", "to": "tao", "at": "2026-02-01T09:30:00Z", "execution": "c-7", "rollback": False}
TO_BITTYBOT = Record(rollback_to=RollbackTo("bittybot", "it was live before c-7"), last_cutover=LAST_CUTOVER)


def test_a_rollback_makes_the_server_live_that_the_record_names_and_does_so_once() -> None:
    back = planned(production=TAO, staging=BITTYBOT, rollback=True, record=TO_BITTYBOT)
    assert (back.decision, back.idle) == ("CUT_OVER", place(BITTYBOT))
    assert back.reason.startswith("a rollback was asked for, to bittybot: it was live before c-7; production is on tao")
    again = planned(production=BITTYBOT, staging=TAO, rollback=True, record=TO_BITTYBOT)
    assert (again.decision, again.steps) == ("ALREADY_LIVE", [])


@pytest.mark.parametrize("staging", [None, TAO])
def test_a_rollback_in_an_unsound_pair_repairs_staging_first(staging: Server | None) -> None:
    assert planned(production=TAO, staging=staging, rollback=True, record=TO_BITTYBOT).decision == "CUT_OVER"
    assert planned(production=BITTYBOT, staging=None, rollback=True, record=TO_BITTYBOT).decision == "REPAIR"


def test_a_rollback_counts_more_than_what_was_interrupted() -> None:
    back = planned(production=TAO, staging=None, interrupted=TAO, rollback=True, record=TO_BITTYBOT)
    assert (back.decision, back.idle.server) == ("CUT_OVER", BITTYBOT)


@pytest.mark.parametrize(
    ("record", "error", "why"),
    [
        (EMPTY, "InvalidRequest", "no cutover is on record."),
        (Record(last_cutover=LAST_CUTOVER), "PreflightFailed", "no cutover is on record."),
        (Record(rollback_to=RollbackTo(None, "the cutover to tao ended RolledBack: c-7")), "PreflightFailed",
         "the cutover to tao ended RolledBack: c-7."),
        (Record(rollback_to=RollbackTo("kai", "it was live before c-7")), "PreflightFailed",
         "the record names kai, which is not a server of pair web any more."),
    ],
    ids=["nothing on record", "unreadable", "the cutover failed", "the server is no longer configured"],
)  # fmt: skip
@pytest.mark.parametrize("production", [BITTYBOT, None], ids=["", "on no server"])
def test_a_rollback_without_a_server_to_go_back_to_is_refused_and_says_why(
    record: Record, error: str, why: str, production: Server | None
) -> None:
    with pytest.raises(NoTarget) as refused:
        planned(production=production, rollback=True, record=record)
    assert (refused.value.error, str(refused.value)) == (error, f"There is no server to roll back to: {why}")


# The cutover to tao that was asked to roll back, and what its record says.
C_7 = Awaited("c-7", live="bittybot")
FAILED = Record(rollback_to=RollbackTo(None, "the cutover to tao ended RolledBack: c-7", rejected=("tao",)))
ASKED_C_7 = "c-7 was asked to roll back, and has ended."


@pytest.mark.parametrize("record", [FAILED, EMPTY, TO_BITTYBOT, Record(rollback_to=RollbackTo("tao", "before c-6"))])
def test_if_production_is_where_it_was_before_the_cutover_that_was_asked_there_is_nothing_left_to_do(
    record: Record,
) -> None:
    """Whatever the record says, and however the cutover ended: it may have been interrupted."""
    done = planned(rollback=True, awaited=C_7, record=record)
    assert (done.decision, done.warnings) == ("ALREADY_LIVE", (ASKED_C_7,))
    assert done.reason.startswith("a rollback was asked for, and production is where it was before c-7; production is")
    assert planned(staging=None, rollback=True, awaited=C_7, record=record).decision == "REPAIR"


@pytest.mark.parametrize("production", [TAO, None], ids=["left on its server", "on no server"])
def test_if_the_cutover_that_was_asked_left_production_elsewhere_the_record_decides(production: Server | None) -> None:
    staging = BITTYBOT if production else TAO
    with pytest.raises(NoTarget, match="There is no server to roll back to: the cutover to tao ended RolledBack: c-7"):
        planned(production=production, staging=staging, rollback=True, awaited=C_7, record=FAILED)
    undone = planned(production=production, staging=staging, rollback=True, awaited=C_7, record=TO_BITTYBOT)
    assert (undone.decision, undone.to_json()["target"]) == ("CUT_OVER", "bittybot")
    assert undone.reason.startswith("a rollback was asked for, to bittybot: it was live before c-7")
    assert undone.warnings == (ASKED_C_7,)


def test_without_a_cutover_that_was_asked_the_record_decides_and_nothing_is_reported_of_one() -> None:
    with pytest.raises(NoTarget, match="the cutover to tao ended RolledBack"):
        planned(rollback=True, record=FAILED)
    assert planned(rollback=True, record=TO_BITTYBOT).warnings == ()


@pytest.mark.parametrize(
    ("asked", "urgent"), [({}, False), ({"emergency": True}, True), ({"rollback": True}, True)], ids=str
)
def test_an_urgent_plan_does_not_compare_with_the_live_server(asked: dict[str, Any], urgent: bool) -> None:
    value = planned(production=TAO, staging=BITTYBOT, record=TO_BITTYBOT, **asked).to_json()
    assert (value["urgent"], value["compared"]) == (urgent, not urgent)
    assert value["rollback"] == ("rollback" in asked)


# Production on no server.


@pytest.mark.parametrize("interrupted", [None, TAO])
def test_production_on_no_server_goes_to_no_server_that_nobody_named(interrupted: Server | None) -> None:
    for asked in ({}, {"keep_live": True}, {"keep_live": True, "asked": TAO}, {"emergency": True}):
        with pytest.raises(NoTarget) as refused:
            planned(production=None, interrupted=interrupted, **asked)
        nowhere = "The production address 198.51.100.1 (eipalloc-0aaaaaaa) is on no server, so no server is live."
        assert (refused.value.error, str(refused.value)) == ("PreflightFailed", nowhere)


@pytest.mark.parametrize("asked", [{"asked": TAO}, {"rollback": True}], ids=["named", "rollback"])
def test_production_goes_from_no_server_to_the_server_that_is_asked_for(asked: dict[str, Any]) -> None:
    record = Record(rollback_to=RollbackTo("tao", "it was live before c-7"))
    result = planned(production=None, staging=TAO, record=record, **asked)
    assert (result.decision, result.live, result.idle) == ("CUT_OVER", None, place(TAO))
    assert (result.staging_to, result.checks_staging, result.can_roll_back) == (Place(BITTYBOT), True, False)
    assert "; production is on no server and staging is on tao (i-0bbbbbbbb)" in result.reason
    assert result.steps == [
        "disassociate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) from tao",
        "associate the production address 198.51.100.1 (eipalloc-0aaaaaaa) with tao, from no server",
        "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with bittybot",
    ]
    value = result.to_json()
    assert (value["live"], value["target"], value["urgent"], value["compared"]) == (None, "tao", True, False)


def test_from_no_server_staging_is_first_put_on_the_server_that_is_checked_and_then_back() -> None:
    addresses = address("production", None), address("staging", BITTYBOT, "10.0.0.11")
    result = plan(Request(WEB, TAO), *addresses)
    assert (result.idle, result.staging_to) == (Place(TAO), place(BITTYBOT, "10.0.0.11"))
    assert result.steps[0] == "associate the staging address 198.51.100.2 (eipalloc-0bbbbbbb) with tao"
    assert planned(production=None, staging=None, asked=TAO).staging_to == Place(BITTYBOT)


@pytest.mark.parametrize("asked", WEB.servers)
@pytest.mark.parametrize("managed", [False, True], ids=["outside the pair", "managed by a service"])
def test_from_no_server_staging_that_cannot_be_there_is_left_alone_with_a_warning(asked: Server, managed: bool) -> None:
    staging = address("staging", STRANGER)
    staging = replace(staging, service_managed="nlb") if managed else staging
    result = plan(Request(WEB, asked), address("production", None), staging)
    assert (result.checks_staging, result.staging_to) == (False, None)
    assert result.steps == [
        f"associate the production address 198.51.100.1 (eipalloc-0aaaaaaa) with {asked.name}, from no server"
    ]
    (warning,) = result.warnings
    assert warning.startswith(f"{asked.name} was not checked through staging before it became live, and staging stays")
    assert ("managed by the AWS service nlb" if managed else "which is not in the pair web") in warning
    assert "Nothing was changed" not in warning
    # By the time that a person runs the command of the warning, production is on the server that was asked for.
    assert associate(WEB.staging, asked) not in warning
    assert managed or associate(WEB.staging, WEB.other(asked)) in warning


@pytest.mark.parametrize("managed", [False, True])
def test_production_outside_the_pair_is_not_production_on_no_server(managed: bool) -> None:
    production = replace(address("production", STRANGER), service_managed="nlb" if managed else None)
    for request in (Request(WEB, TAO), Request(WEB, TAO, emergency=True), Request(WEB, rollback=True)):
        with pytest.raises(PreflightFailed, match="nlb" if managed else "which is not in the pair web"):
            plan(request, production, address("staging", TAO), record=TO_BITTYBOT)


# After a rollback.


@pytest.mark.parametrize(
    ("production", "staging", "moves"),
    [
        (BITTYBOT, TAO, []),
        (BITTYBOT, None, ["staging"]),
        (BITTYBOT, BITTYBOT, ["staging"]),
        (STRANGER, TAO, ["production"]),
        (TAO, TAO, ["production"]),
        (TAO, None, ["production", "staging"]),
        (TAO, BITTYBOT, ["production", "staging"]),
    ],
)
def test_an_unrestored_pair_is_reported_with_the_commands_that_restore_it_production_first(
    production: Server, staging: Server | None, moves: list[str]
) -> None:
    addresses = address("production", production, "10.0.0.9"), address("staging", staging)
    commands = {
        "production": f"{associate(WEB.production, BITTYBOT)} --private-ip-address 10.0.0.9 --allow-reassociation",
        "staging": f"{associate(WEB.staging, TAO)} --private-ip-address 10.0.0.20 --allow-reassociation",
    }
    places = place(BITTYBOT, "10.0.0.9"), place(TAO)
    assert commands_to_restore(*places, *addresses) == [commands[move] for move in moves]
    assert len(commands_to_restore(place(BITTYBOT), place(TAO, "10.0.0.21"), *addresses)) == 2, "other private address"


BACK = f"{associate(WEB.production, BITTYBOT)} --private-ip-address 10.0.0.10 --allow-reassociation"
STAGING_TO_TAO = f"{associate(WEB.staging, TAO)} --private-ip-address 10.0.0.20 --allow-reassociation"
FORWARD = f"{associate(WEB.production, TAO)} --private-ip-address 10.0.0.20 --allow-reassociation"
STAGING_TO_BITTYBOT = f"{associate(WEB.staging, BITTYBOT)} --private-ip-address 10.0.0.10 --allow-reassociation"


@pytest.mark.parametrize(
    ("changed", "commands"),
    [
        ({}, [BACK, STAGING_TO_TAO]),
        ({"can_roll_back": False}, [FORWARD, STAGING_TO_BITTYBOT]),
        ({"can_roll_back": False, "staging_to": None}, [FORWARD]),
        ({"can_roll_back": False, "live": None}, [FORWARD, STAGING_TO_BITTYBOT]),
    ],
    ids=["back", "forward, if production cannot go back", "without staging", "from no server"],
)
def test_a_plan_has_the_commands_that_make_the_pair_sound_on_lines_of_their_own(
    changed: dict[str, Any], commands: list[str]
) -> None:
    assert replace(planned(), **changed).to_json()["restore"] == "\n" + " &&\n".join(commands)
