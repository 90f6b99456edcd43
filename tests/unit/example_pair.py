"""The pair for the tests of the domain: its servers, and its addresses at any place."""

from dataclasses import replace
from typing import Any

from domain.lock import Lock
from domain.pair import Address, AddressName, Pair, Place, Server
from domain.plan import Awaited, Plan, plan
from domain.record import EMPTY, Record
from domain.request import Request

BITTYBOT, TAO = Server("bittybot", "i-0aaaaaaaa"), Server("tao", "i-0bbbbbbbb")
STRANGER = Server("stranger", "i-0cccccccc")
WEB = Pair("web", "eipalloc-0aaaaaaa", "eipalloc-0bbbbbbb", (BITTYBOT, TAO), [{"port": 80}])
# The primary private address of each server.
PRIMARY = {BITTYBOT: "10.0.0.10", TAO: "10.0.0.20", STRANGER: "10.0.0.30"}


def address(name: AddressName, on: Server | None, private_ip: str | None = None) -> Address:
    """An address of the pair, on this private address of a server: the primary one, unless another is named."""
    production = name == "production"
    allocation_id, public_ip = (WEB.production, "198.51.100.1") if production else (WEB.staging, "198.51.100.2")
    if on is None:
        return Address(name, allocation_id, public_ip)
    return Address(
        name, allocation_id, public_ip, association_id=f"eipassoc-{name}", instance_id=on.instance_id,
        network_interface_id=f"eni-of-{on.name}", private_ip=private_ip or PRIMARY[on],
        server=on.name if on in WEB.servers else None,
    )  # fmt: skip


def planned(
    *,
    production: Server | None = BITTYBOT,
    staging: Server | None = TAO,
    asked: Server | None = None,
    interrupted: Server | None = None,
    record: Record = EMPTY,
    keep_live: bool = False,
    awaited: Awaited | None = None,
    **request: Any,
) -> Plan:
    """The plan of pair `web` whose addresses are on these servers; `request` has more of the request."""
    return plan(
        Request(WEB, asked, **request),
        address("production", production),
        address("staging", staging),
        record=replace(record, interrupted=Lock(server=interrupted.name)) if interrupted else record,
        keep_live=keep_live,
        awaited=awaited,
    )


def place(server: Server, private_ip: str | None = None) -> Place:
    """A place on a server: its primary private address, unless another is named."""
    return Place(server, private_ip or PRIMARY[server])
