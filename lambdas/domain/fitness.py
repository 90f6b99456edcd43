"""Can a plan be carried out? All that can be checked without a change is checked here, before any change. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain.errors import PreflightFailed
from domain.pair import AUTO_ASSIGNED, Address, Instance, NetworkInterface, Picture, Place, Server
from domain.plan import NOTHING_CHANGED, Plan, without_staging
from domain.text import capitalized

HOLDS_AN_ADDRESS = ("running", "stopped")  # in every other state, EC2 refuses to associate an address
ADVICE = {"pending": "Wait until it runs.", "stopping": "Start it.", "stopped": "Start it."}
IS_TO_STAY = ("running", *ADVICE)


def complete(plan: Plan, picture: Picture, *, private_ips: Mapping[str, str] | None = None) -> Plan:
    """The plan with its places known. Raises PreflightFailed if it cannot be carried out. The idle place is where
    staging is. If staging is elsewhere, it is the private address that `private_ips` has for the idle server (from the
    record of an interrupted execution), or the primary one, as EC2 chooses. It is only a warning if staging must end on
    no server, or if an urgent request finds production where it asks for it, and staging cannot be repaired."""
    try:
        return _completed(plan, picture, private_ips or {})
    except PreflightFailed as problem:
        if plan.decision != "REPAIR" or not plan.request.is_urgent:
            raise
        plan = replace(plan, warnings=(*plan.warnings, *picture.warnings))
        warning = f"Staging cannot go to {plan.idle.server.name}. {problem}"
        return plan.warned(warning, decision="ALREADY_LIVE", checks_staging=False)


def _completed(plan: Plan, picture: Picture, recorded: Mapping[str, str]) -> Plan:
    cuts_over = plan.decision == "CUT_OVER"
    instance = picture.instances[plan.idle.server.instance_id]
    _refuse_state(plan.idle.server, instance.state, becomes_live=cuts_over)
    idle = _interface(plan.idle.server, instance)
    if not plan.staging_in_place:
        plan = replace(plan, idle=_place(plan.idle.server, idle, recorded))
    try:
        _refuse_border_groups(plan)
    except PreflightFailed as problem:
        if plan.live:
            raise
        plan = without_staging(plan, problem)
    _refuse_occupied(plan, plan.idle, idle)
    _refuse_border_group(plan, plan.idle.server, idle)
    if cuts_over:
        if plan.checks_staging:
            _refuse_dual_stack(plan, idle)
        for address in (plan.production, plan.staging):
            _refuse_offered(address, picture.offered_to.get(address.allocation_id))
    plan = replace(plan, warnings=(*plan.warnings, *picture.warnings))
    return _with_the_other_server(plan, picture.instances[plan.other.instance_id], recorded)


def _with_the_other_server(plan: Plan, instance: Instance, recorded: Mapping[str, str]) -> Plan:
    """The plan with the place on the other server, where staging goes in the end, if that server can hold it."""
    cuts_over, server = plan.decision == "CUT_OVER", plan.other
    if cuts_over and plan.staging_to is None:
        return plan
    urgent = plan.urgent or instance.state != "running"
    plan = replace(plan, can_roll_back=plan.can_roll_back and instance.state in IS_TO_STAY, urgent=urgent)
    try:
        _refuse_state(server, instance.state, becomes_live=False)
        interface = _interface(server, instance)
        place = plan.live or _place(server, interface, {plan.staging.server: plan.staging.private_ip, **recorded})
        _refuse_occupied(plan, place, interface)
        _refuse_border_group(plan, server, interface)
    except PreflightFailed as problem:
        if not cuts_over or (plan.live and not plan.urgent):
            raise
        warning = f"Staging cannot go to {server.name}, so it will be on no server. {problem}"
        return plan.warned(warning, staging_to=None)
    return replace(plan, staging_to=place if cuts_over else None)


def _place(server: Server, interface: NetworkInterface, recorded: Mapping[Any, Any]) -> Place:
    primary = next(address for address in interface.addresses if address.is_primary)
    return Place(server, (interface.address(recorded.get(server.name)) or primary).private_ip)


def _refuse_state(server: Server, state: str, *, becomes_live: bool) -> None:
    advice = ADVICE.get(state, "Replace it: docs/replacing-a-server.md says how.")
    if becomes_live and state != "running":
        raise PreflightFailed(f"{server} should become live, but is {state}, not running. {NOTHING_CHANGED} {advice}")
    if state not in HOLDS_AN_ADDRESS:
        raise PreflightFailed(f"{server} is {state} and cannot hold an address. {NOTHING_CHANGED} {advice}")


def _interface(server: Server, instance: Instance) -> NetworkInterface:
    """The network interface that the server's addresses belong on."""
    interfaces, configured = instance.interfaces, server.network_interface_id
    if configured in interfaces or (configured is None and len(interfaces) == 1):
        return interfaces[configured or next(iter(interfaces))]
    attached = ", ".join(interfaces) or "none"
    if configured is None:
        raise PreflightFailed(
            f"{server} has {len(interfaces)} network interfaces ({attached}). Without networkInterfaces in cdk.json, "
            f"a server must have exactly one. {NOTHING_CHANGED} Configure networkInterfaces and deploy."
        )
    raise PreflightFailed(
        f"{server} does not have the network interface {configured}, which cdk.json names; attached: {attached}. "
        f"{NOTHING_CHANGED} Attach it, or correct networkInterfaces and deploy."
    )


def _refuse_occupied(plan: Plan, place: Place, interface: NetworkInterface) -> None:
    """Refuses a place that holds an Elastic IP address of someone else: EC2 would displace that address."""
    address = interface.address(place.private_ip)
    no_obstacle = (None, plan.production.public_ip, plan.staging.public_ip if plan.checks_staging else None)
    if address is None or address.public_ip in no_obstacle or address.owner == AUTO_ASSIGNED:
        return
    command = f"\naws ec2 disassociate-address --association-id {address.association_id}"
    raise PreflightFailed(
        f"{place.server} holds the Elastic IP address {address.public_ip} on its private address {address.private_ip}. "
        f"It does not belong to pair {plan.pair.name}, and an address of the pair would displace it. {NOTHING_CHANGED} "
        f"Find out who owns it. Move it to another private address, or disassociate it. Then start again."
        f"{command if address.association_id else ''}"
    )


def _refuse_border_groups(plan: Plan) -> None:
    """EC2 associates an address only within its border group (API Reference, AssociateAddress). A dry run misses it."""
    production, staging = plan.production.border_group, plan.staging.border_group
    if plan.checks_staging and production and staging and production != staging:
        raise PreflightFailed(
            f"{capitalized(plan.production)} is in the network border group {production}, and {plan.staging} in "
            f"{staging}, so they cannot change places. {NOTHING_CHANGED} Allocate an address in the border group of "
            f"both servers, put it into cdk.json and deploy."
        )


def _refuse_border_group(plan: Plan, server: Server, interface: NetworkInterface) -> None:
    group = plan.production.border_group
    if group and interface.border_group and interface.border_group != group:
        raise PreflightFailed(
            f"{server} is in the network border group {interface.border_group}, but the addresses of pair "
            f"{plan.pair.name} are in {group}, so it cannot hold them. {NOTHING_CHANGED} Use two servers in the "
            f"border group of the addresses."
        )


def _refuse_dual_stack(plan: Plan, interface: NetworkInterface) -> None:
    """EC2 does not disassociate the only public IPv4 address of an interface with a dual-stack name (API Reference,
    DisassociateAddress). An address that EC2 itself assigned to the place does not count: a repair replaces it."""
    place = interface.address(plan.idle.private_ip)
    others = [address for address in interface.addresses if address.public_ip and address != place]
    if interface.dual_stack_name and not others and (place is None or place.is_primary):
        raise PreflightFailed(
            f"The network interface {interface.network_interface_id} of {plan.idle.server} has the public dual-stack "
            f"DNS name {interface.dual_stack_name}, and {plan.staging} is its only public IPv4 address, so EC2 refuses "
            f"to disassociate it. {NOTHING_CHANGED} Give the interface another kind of name. Then start again.\n"
            f"aws ec2 modify-public-ip-dns-name-options --network-interface-id {interface.network_interface_id} "
            f"--hostname-type public-ipv4-dns-name"
        )


def _refuse_offered(address: Address, account: str | None) -> None:
    """AWS moves an offered address when that account accepts. Source: VPC User Guide, Transfer Elastic IP addresses."""
    if account is not None:
        raise PreflightFailed(
            f"{capitalized(address)} is offered to the account {account}, which may accept the transfer at any moment. "
            f"{NOTHING_CHANGED} Withdraw the offer:\n"
            f"aws ec2 disable-address-transfer --allocation-id {address.allocation_id}"
        )
