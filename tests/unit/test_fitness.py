"""Obstacles that can be found without a change are found and refused before the first change."""

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import PreflightFailed
from domain.fitness import complete
from domain.pair import NOT_SHOWN, Instance, NetworkInterface, Picture, PrivateAddress, Server
from domain.plan import Awaited, Plan, plan
from domain.record import Record, RollbackTo
from domain.request import Request
from tests.unit.example_pair import BITTYBOT, PRIMARY, TAO, WEB, address, place, planned

CUT_OVER = planned()
TO_TAO = Record(rollback_to=RollbackTo("tao", "it was live before c-7"))
# Staging is on no server and goes to tao.
REPAIR = planned(staging=None, asked=BITTYBOT)
REPAIR_AND_CUT_OVER = planned(staging=None, asked=TAO)
URGENT = planned(emergency=True)
FROM_NO_SERVER = planned(production=None, asked=TAO)
SECONDARY = {BITTYBOT: "10.0.0.11", TAO: "10.0.0.21"}
OTHER_TEAM: Any = {"public_ip": "203.0.113.7", "association_id": "eipassoc-7", "owner": "123456789012"}
AUTO_ASSIGNED: Any = {"public_ip": "203.0.113.8", "owner": "amazon"}


def interface(server: Server, *, second: dict[str, Any] | None = None, **primary: Any) -> NetworkInterface:
    """The interface of a server, with two private addresses, and the public addresses of the pair on the primary."""
    elastic = {BITTYBOT: "198.51.100.1", TAO: "198.51.100.2"}[server]
    of_primary: dict[str, Any] = {"public_ip": elastic, "owner": "123456789012", **primary}
    secondary = PrivateAddress(SECONDARY[server], is_primary=False, **(second or {}))
    return NetworkInterface(f"eni-of-{server.name}", (PrivateAddress(PRIMARY[server], **of_primary), secondary))


def instance(*interfaces: NetworkInterface, state: str = "running") -> Instance:
    return Instance(state, {each.network_interface_id: each for each in interfaces})


def picture(bittybot: Instance | None = None, tao: Instance | None = None, **more: Any) -> Picture:
    """Two running servers, unless one is described."""
    instances = bittybot or instance(interface(BITTYBOT)), tao or instance(interface(TAO))
    return Picture(dict(zip((BITTYBOT.instance_id, TAO.instance_id), instances, strict=True)), **more)


def refusal(plan: Plan, picture: Picture) -> str:
    with pytest.raises(PreflightFailed) as refused:
        complete(plan, picture)
    assert "Nothing was changed." in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("plan", [CUT_OVER, REPAIR, REPAIR_AND_CUT_OVER], ids=lambda plan: plan.decision)
def test_a_plan_without_obstacles_is_completed_with_both_places(plan: Plan) -> None:
    completed = complete(plan, picture())
    assert (completed.live, completed.idle) == (place(BITTYBOT), place(TAO))
    assert completed.staging_to == (place(BITTYBOT) if plan.decision == "CUT_OVER" else None)
    assert replace(completed, idle=plan.idle, staging_to=plan.staging_to) == plan


# The places.


def test_the_places_are_the_private_addresses_of_the_addresses() -> None:
    addresses = address("production", BITTYBOT, SECONDARY[BITTYBOT]), address("staging", TAO, SECONDARY[TAO])
    secondary = plan(Request(WEB), *addresses)
    assert complete(secondary, picture()) == secondary


@pytest.mark.parametrize(
    ("recorded", "private_ip"),
    [
        ({"tao": SECONDARY[TAO], "bittybot": PRIMARY[BITTYBOT]}, SECONDARY[TAO]),
        ({"tao": "10.0.0.99"}, PRIMARY[TAO]),
        ({}, PRIMARY[TAO]),
    ],
    ids=["recorded", "recorded and removed since", "not recorded"],
)
def test_staging_goes_to_the_recorded_or_the_primary_private_address(recorded: dict[str, str], private_ip: str) -> None:
    assert complete(REPAIR, picture(), private_ips=recorded).idle == place(TAO, private_ip)
    assert complete(CUT_OVER, picture(), private_ips=recorded).idle == place(TAO), "where staging stands counts more"


# The instances.


@pytest.mark.parametrize(
    ("plan", "server", "state", "message"),
    [
        (CUT_OVER, TAO, "stopped", "tao (i-0bbbbbbbb) should become live, but is stopped, not running."),
        (REPAIR_AND_CUT_OVER, TAO, "pending", "tao (i-0bbbbbbbb) should become live, but is pending, not running."),
        (CUT_OVER, TAO, "terminated", "tao (i-0bbbbbbbb) should become live, but is terminated, not running."),
        (FROM_NO_SERVER, TAO, "stopped", "tao (i-0bbbbbbbb) should become live, but is stopped, not running."),
        (URGENT, TAO, "stopping", "tao (i-0bbbbbbbb) should become live, but is stopping, not running."),
        (REPAIR, TAO, "pending", "tao (i-0bbbbbbbb) is pending and cannot hold an address."),
        (REPAIR, BITTYBOT, "stopping", "bittybot (i-0aaaaaaaa) is stopping and cannot hold an address."),
    ],
)
def test_an_instance_in_the_wrong_state_is_refused(plan: Plan, server: Server, state: str, message: str) -> None:
    refused = refusal(plan, picture(**{server.name: instance(interface(server), state=state)}))
    assert refused.startswith(message)
    assert refused.endswith(f" Nothing was changed. {advice(state)}")


def advice(state: str) -> str:
    """A server that was terminated cannot be started."""
    known = {"pending": "Wait until it runs.", "stopped": "Start it.", "stopping": "Start it."}
    return known.get(state, "Replace it: docs/replacing-a-server.md says how.")


@pytest.mark.parametrize(("plan", "server"), [(CUT_OVER, BITTYBOT), (REPAIR, TAO), (REPAIR, BITTYBOT)])
def test_a_server_that_does_not_become_live_may_be_stopped(plan: Plan, server: Server) -> None:
    complete(plan, picture(**{server.name: instance(interface(server), state="stopped")}))


# The live server is no obstacle to making the other one live.


@pytest.mark.parametrize(
    ("state", "returns"),
    [("terminated", False), ("shutting-down", False), (NOT_SHOWN, False), ("stopping", True), ("pending", True)],
)
@pytest.mark.parametrize("cutover", [CUT_OVER, REPAIR_AND_CUT_OVER, URGENT, FROM_NO_SERVER])
def test_a_server_that_cannot_hold_an_address_gets_no_staging_and_production_goes_back_only_if_it_will_run_again(
    cutover: Plan, state: str, returns: bool
) -> None:
    plan = complete(cutover, picture(instance(state=state)))
    assert (plan.idle, plan.staging_to, plan.urgent) == (place(TAO), None, True)
    assert plan.can_roll_back == (returns and cutover.live is not None)
    assert plan.warnings == (
        f"Staging cannot go to bittybot, so it will be on no server. bittybot (i-0aaaaaaaa) is {state} and cannot hold "
        f"an address. {advice(state)}",
    )
    assert "with bittybot" not in " ".join(plan.steps)


def test_the_commands_after_a_failure_lead_back_to_a_live_server_that_is_stopping() -> None:
    plan = complete(CUT_OVER, picture(instance(state="stopping")))
    first, second = plan.to_json()["restore"].strip().splitlines()
    assert f"--allocation-id {WEB.production} --instance-id {BITTYBOT.instance_id} " in first
    assert f"--allocation-id {WEB.staging} --instance-id {TAO.instance_id} " in second


def test_a_stopped_live_server_gets_staging_and_its_alarms_and_answers_do_not_count() -> None:
    plan = complete(CUT_OVER, picture(instance(interface(BITTYBOT), state="stopped")))
    assert (plan.staging_to, plan.can_roll_back, plan.urgent, plan.warnings) == (place(BITTYBOT), True, True, ())
    assert complete(CUT_OVER, picture()).urgent is False


TWO_INTERFACES = instance(interface(BITTYBOT), replace(interface(BITTYBOT), network_interface_id="eni-1"))
IN_ANOTHER_GROUP = instance(replace(interface(BITTYBOT), border_group="us-east-1-bos-1"))


@pytest.mark.parametrize(
    ("bittybot", "found"),
    [
        (TWO_INTERFACES, "has 2 network interfaces (eni-of-bittybot, eni-1)"),
        (instance(), "has 0 network interfaces (none)"),
        (instance(interface(BITTYBOT, **OTHER_TEAM)), "holds the Elastic IP address 203.0.113.7"),
        (IN_ANOTHER_GROUP, "is in the network border group us-east-1-bos-1"),
    ],
    ids=["two interfaces", "no interface", "another team's address", "another border group"],
)
def test_what_keeps_staging_from_the_live_server_refuses_a_cutover_and_only_warns_if_it_is_urgent(
    bittybot: Instance, found: str
) -> None:
    def grouped(plan: Plan) -> Plan:
        return replace(plan, production=replace(plan.production, border_group="us-east-1"))

    for cutover in (CUT_OVER, REPAIR_AND_CUT_OVER, REPAIR):
        assert refusal(grouped(cutover), picture(bittybot)).startswith(f"{BITTYBOT} {found}")
    for urgent in (URGENT, planned(rollback=True, record=TO_TAO), FROM_NO_SERVER):
        plan = complete(grouped(urgent), picture(bittybot))
        assert (plan.staging_to, plan.can_roll_back) == (None, plan.live is not None)
        (warning,) = plan.warnings
        assert warning.startswith(f"Staging cannot go to bittybot, so it will be on no server. {BITTYBOT} {found}")
        assert "Nothing was changed" not in warning


@pytest.mark.parametrize("urgent", [URGENT, FROM_NO_SERVER], ids=["emergency", "from no server"])
def test_the_checks_of_the_server_that_becomes_live_are_never_skipped(urgent: Plan) -> None:
    grouped = replace(urgent, production=replace(urgent.production, border_group="us-east-1"))
    for tao, found in (
        (instance(interface(TAO), state="pending"), "should become live, but is pending"),
        (instance(), "has 0 network interfaces"),
        (instance(interface(TAO, **OTHER_TEAM)), "holds the Elastic IP address 203.0.113.7"),
        (instance(replace(interface(TAO), border_group="us-east-1-bos-1")), "us-east-1-bos-1, but the addresses"),
        (dual_stack().instances[TAO.instance_id], "is its only public IPv4 address"),
    ):
        assert found in refusal(grouped, picture(tao=tao))
    for allocation_id in (WEB.production, WEB.staging):
        assert "is offered to the account 2" in refusal(urgent, picture(offered_to={allocation_id: "210987654321"}))


# Production is where an emergency or a rollback asks for it.

TO_BITTYBOT = Record(rollback_to=RollbackTo("bittybot", "it was live before c-7"))
URGENT_REPAIRS = [
    planned(staging=None, asked=BITTYBOT, emergency=True),
    planned(staging=None, rollback=True, record=TO_BITTYBOT),
    planned(staging=None, rollback=True, awaited=Awaited("c-7", "bittybot")),
]


@pytest.mark.parametrize("urgent", URGENT_REPAIRS, ids=["emergency", "rollback", "after another execution"])
@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ({"tao": instance(state="terminated")}, f"{TAO} is terminated and cannot hold an address."),
        ({"tao": instance(interface(TAO, **OTHER_TEAM))}, f"{TAO} holds the Elastic IP address 203.0.113.7"),
        ({"bittybot": instance()}, f"{BITTYBOT} has 0 network interfaces"),
    ],
    ids=["terminated", "another team's address", "the live server"],
)
def test_staging_that_cannot_be_repaired_is_only_a_warning_if_it_is_urgent(
    urgent: Plan, servers: dict[str, Instance], found: str
) -> None:
    assert urgent.decision == "REPAIR"
    in_picture = picture(**servers, warnings=("The border group is unknown.",))
    plan = complete(urgent, in_picture)
    assert (plan.decision, plan.steps, plan.to_json()["target"]) == ("ALREADY_LIVE", [], "bittybot")
    assert plan.warnings[:-1] == (*urgent.warnings, "The border group is unknown.")
    assert plan.warnings[-1].startswith(f"Staging cannot go to tao. {found}")
    assert "Nothing was changed" not in plan.warnings[-1]
    assert refusal(REPAIR, in_picture).startswith(found), "if it is not urgent"


@pytest.mark.parametrize("urgent", URGENT_REPAIRS, ids=["emergency", "rollback", "after another execution"])
def test_staging_that_can_be_repaired_is_repaired_in_an_emergency_and_a_rollback_too(urgent: Plan) -> None:
    plan = complete(urgent, picture())
    assert (plan.decision, plan.idle, plan.warnings) == ("REPAIR", place(TAO), urgent.warnings)


# Production on no server.


@pytest.mark.parametrize("staging", [TAO, None])
def test_from_no_server_both_places_are_known_and_staging_goes_to_the_other_server(staging: Server | None) -> None:
    plan = complete(planned(production=None, staging=staging, asked=TAO), picture())
    assert (plan.live, plan.idle, plan.staging_to) == (None, place(TAO), place(BITTYBOT))
    assert plan.to_json()["privateIps"] == {"tao": "10.0.0.20", "bittybot": "10.0.0.10"}
    assert (plan.can_roll_back, plan.urgent, plan.warnings) == (False, True, ())


@pytest.mark.parametrize(
    ("staging_at", "recorded", "private_ip"),
    [
        (None, {"bittybot": SECONDARY[BITTYBOT]}, SECONDARY[BITTYBOT]),
        (SECONDARY[BITTYBOT], {}, SECONDARY[BITTYBOT]),
        (SECONDARY[BITTYBOT], {"bittybot": PRIMARY[BITTYBOT]}, PRIMARY[BITTYBOT]),
        ("10.0.0.99", {}, PRIMARY[BITTYBOT]),
    ],
    ids=["recorded", "where it is", "recorded counts more", "removed since"],
)
def test_from_no_server_staging_goes_to_the_private_address_that_it_had(
    staging_at: str | None, recorded: dict[str, str], private_ip: str
) -> None:
    staging = address("staging", BITTYBOT, staging_at) if staging_at else address("staging", None)
    intended = plan(Request(WEB, TAO), address("production", None), staging)
    assert complete(intended, picture(), private_ips=recorded).staging_to == place(BITTYBOT, private_ip)


def test_from_no_server_staging_of_another_border_group_stays_and_its_server_is_not_checked_through_it() -> None:
    addresses = (
        replace(address("production", None), border_group="us-east-1"),
        replace(address("staging", None), border_group="us-east-1-bos-1"),
    )
    servers = (interface(each, public_ip=None) for each in WEB.servers)
    in_group = picture(*(instance(replace(each, border_group="us-east-1")) for each in servers))
    plan_without = complete(plan(Request(WEB, TAO), *addresses), in_group)
    assert (plan_without.idle, plan_without.checks_staging, plan_without.staging_to) == (place(TAO), False, None)
    (warning,) = plan_without.warnings
    assert warning.startswith("tao was not checked through staging before it became live")
    assert "in the network border group us-east-1, and the staging address" in warning
    assert "Nothing was changed" not in warning


def test_staging_that_a_service_manages_is_not_displaced_by_production() -> None:
    managed = replace(address("staging", TAO), service_managed="nlb")
    message = refusal(plan(Request(WEB, TAO), address("production", None), managed), picture())
    assert message.startswith("tao (i-0bbbbbbbb) holds the Elastic IP address 198.51.100.2")


# The network interfaces.

ETH0, ETH1 = (replace(interface(TAO), network_interface_id=name) for name in ("eni-0", "eni-1"))


def with_tao_on(network_interface_id: str) -> Plan:
    tao = replace(TAO, network_interface_id=network_interface_id)
    request = Request(replace(WEB, servers=(BITTYBOT, tao)))
    return replace(CUT_OVER, request=request, idle=replace(CUT_OVER.idle, server=tao))


@pytest.mark.parametrize(("interfaces", "attached"), [([], "none"), ([ETH0, ETH1], "eni-0, eni-1")])
def test_a_server_needs_one_interface_or_a_configured_one(interfaces: list[NetworkInterface], attached: str) -> None:
    refused = refusal(CUT_OVER, picture(tao=instance(*interfaces)))
    assert refused.startswith(f"tao (i-0bbbbbbbb) has {len(interfaces)} network interfaces ({attached}). Without")
    assert "a server must have exactly one. Nothing was changed. Configure networkInterfaces and deploy." in refused


def test_the_configured_interface_is_the_one_that_is_checked() -> None:
    occupied = replace(ETH0, addresses=(PrivateAddress(PRIMARY[TAO], **OTHER_TEAM),))
    two_interfaces = picture(tao=instance(occupied, ETH1))
    complete(with_tao_on("eni-1"), two_interfaces)
    assert "203.0.113.7" in refusal(with_tao_on("eni-0"), two_interfaces)
    not_attached = "does not have the network interface eni-2, which cdk.json names; attached: eni-0"
    assert f"{not_attached}, eni-1." in refusal(with_tao_on("eni-2"), two_interfaces)
    assert f"{not_attached}." in refusal(with_tao_on("eni-2"), picture(tao=instance(ETH0)))


# Someone else's Elastic IP is never displaced.


@pytest.mark.parametrize(
    ("plan", "server"),
    [(REPAIR, TAO), (REPAIR_AND_CUT_OVER, TAO), (CUT_OVER, BITTYBOT)],
    ids=["repair", "repair and cut over", "where production is until the cutover"],
)
def test_another_teams_elastic_ip_is_refused_with_the_command_that_disassociates_it(plan: Plan, server: Server) -> None:
    message = refusal(plan, picture(**{server.name: instance(interface(server, **OTHER_TEAM))}))
    holds = f"{server} holds the Elastic IP address 203.0.113.7 on its private address {PRIMARY[server]}. It does not"
    assert message.startswith(f"{holds} belong to pair web, ")
    assert "aws ec2 disassociate-address --association-id eipassoc-7" in message


def test_another_teams_elastic_ip_on_another_private_address_is_allowed() -> None:
    complete(REPAIR_AND_CUT_OVER, picture(tao=instance(interface(TAO, public_ip=None, second=OTHER_TEAM))))
    complete(CUT_OVER, picture(bittybot=instance(interface(BITTYBOT, second=OTHER_TEAM))))


def test_another_teams_elastic_ip_on_the_recorded_private_address_is_refused() -> None:
    occupied = picture(tao=instance(interface(TAO, public_ip=None, second=OTHER_TEAM)))
    with pytest.raises(PreflightFailed, match=r"203\.0\.113\.7 on its private address 10\.0\.0\.21"):
        complete(REPAIR, occupied, private_ips={"tao": SECONDARY[TAO]})


def test_an_auto_assigned_public_address_is_allowed() -> None:
    complete(REPAIR_AND_CUT_OVER, picture(tao=instance(interface(TAO, **AUTO_ASSIGNED))))


# Network border groups.


@pytest.mark.parametrize(
    ("production", "staging", "differ"),
    [
        ("us-east-1", "us-east-1-bos-1", True),
        ("us-east-1", "us-east-1", False),
        ("us-east-1", None, False),
        (None, None, False),
    ],
)
def test_addresses_of_two_border_groups_are_refused(production: str | None, staging: str | None, differ: bool) -> None:
    addresses = address("production", BITTYBOT), address("staging", TAO)
    in_groups = (
        replace(each, border_group=group) for each, group in zip(addresses, (production, staging), strict=True)
    )
    grouped = plan(Request(WEB), *in_groups)
    if not differ:
        complete(grouped, picture())
        return
    message = refusal(grouped, picture())
    assert "in the network border group us-east-1, and the staging address 198.51.100.2" in message
    assert "Allocate an address in the border group of both servers" in message


@pytest.mark.parametrize("server", WEB.servers)
def test_a_server_in_another_border_group_than_the_addresses_is_refused(server: Server) -> None:
    grouped = replace(REPAIR, production=replace(REPAIR.production, border_group="us-east-1"))
    elsewhere = replace(interface(server), border_group="us-east-1-bos-1")
    message = refusal(grouped, picture(**{server.name: instance(elsewhere)}))
    assert message.startswith(f"{server} is in the network border group us-east-1-bos-1, but the addresses")
    complete(grouped, picture(**{server.name: instance(replace(elsewhere, border_group="us-east-1"))}))


# An interface with a public dual-stack DNS name: EC2 does not take its only public IPv4 address from it.


def dual_stack(server: Server = TAO, **addresses: Any) -> Picture:
    named = replace(interface(server, **addresses), dual_stack_name="i-0b.us-east-1.ip.aws")
    return picture(**{server.name: instance(named)})


def test_the_only_public_address_of_an_interface_with_a_dual_stack_name_is_refused() -> None:
    message = refusal(CUT_OVER, dual_stack())
    assert "eni-of-tao of tao (i-0bbbbbbbb) has the public dual-stack DNS name i-0b.us-east-1.ip.aws" in message
    assert "aws ec2 modify-public-ip-dns-name-options --network-interface-id eni-of-tao" in message


@pytest.mark.parametrize("primary", [AUTO_ASSIGNED, {"public_ip": None}], ids=["auto-assigned", "none"])
def test_the_only_public_address_is_refused_before_staging_is_repaired(primary: Any) -> None:
    assert "is its only public IPv4 address" in refusal(REPAIR_AND_CUT_OVER, dual_stack(**primary))


def test_a_dual_stack_name_is_allowed_with_a_second_public_address_or_on_a_secondary_private_address() -> None:
    complete(CUT_OVER, dual_stack(second=OTHER_TEAM))
    complete(CUT_OVER, dual_stack(BITTYBOT))
    complete(REPAIR, dual_stack())
    on_secondary = plan(Request(WEB), CUT_OVER.production, address("staging", TAO, SECONDARY[TAO]))
    complete(on_secondary, dual_stack(public_ip=None, second={"public_ip": "198.51.100.2"}))


# Transfers to another account.


@pytest.mark.parametrize("allocation_id", [WEB.production, WEB.staging])
def test_an_address_that_is_offered_to_another_account_is_refused(allocation_id: str) -> None:
    message = refusal(CUT_OVER, picture(offered_to={allocation_id: "210987654321"}))
    assert f"({allocation_id}) is offered to the account 210987654321" in message
    assert f"aws ec2 disable-address-transfer --allocation-id {allocation_id}" in message
