"""The door to EC2, against an EC2 in memory that can be slow to show a change, refuse, throttle or lose an answer."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from aws.addresses import VISIBLE_WITHIN_SECONDS, Addresses
from aws.calls import ec2_client
from domain.errors import AddressMoved, EC2Refused, EC2Throttled, EC2Unavailable, PreflightFailed
from domain.pair import Address, Pair, Server
from domain.plan import Plan, plan
from domain.request import Request

BITTYBOT, TAO = Server("bittybot", "i-0aaaaaaaa"), Server("tao", "i-0bbbbbbbb")
WEB = Pair("web", "eipalloc-0aaaaaaa", "eipalloc-0bbbbbbb", (BITTYBOT, TAO), [])
STRANGER = "i-0cccccccc"
INTERFACES = {"eni-0aaaaaaaa": BITTYBOT.instance_id, "eni-0bbbbbbbb": TAO.instance_id}
WITH_INTERFACES = replace(
    WEB,
    servers=(
        replace(BITTYBOT, network_interface_id="eni-0aaaaaaaa"),
        replace(TAO, network_interface_id="eni-0bbbbbbbb"),
    ),
)


@dataclass
class FakeEc2:
    """Who holds which allocation id; `stale` further looks show what was before the last change."""

    holders: dict[str, str | None] = field(
        default_factory=lambda: {WEB.production: BITTYBOT.instance_id, WEB.staging: TAO.instance_id}
    )
    interfaces: dict[str, str] = field(default_factory=dict)
    stale: int = 0
    calls: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    lose_answers: bool = False
    asked: dict[str, Any] = field(default_factory=dict)
    managed: dict[str, str] = field(default_factory=dict)
    _before: dict[str, str | None] = field(default_factory=dict)
    _associations: int = 0

    def _called(self, action: str, **parameters: Any) -> None:
        self.calls.append(action)
        if not self.lose_answers:
            self._fail(action)
        if parameters.get("DryRun"):
            raise error("DryRunOperation", 412)

    def _fail(self, action: str) -> None:
        if self.errors.get(action):
            raise self.errors[action].pop(0)

    def describe_addresses(self, AllocationIds: list[str]) -> dict[str, Any]:  # noqa: N803  # EC2's names
        self._called("DescribeAddresses")
        holders = self._before if self.stale and self._before else self.holders
        self.stale = max(self.stale - 1, 0)
        return {"Addresses": [self._described(one, holders[one]) for one in reversed(AllocationIds)]}

    def _described(self, allocation_id: str, holder: str | None) -> dict[str, Any]:
        described = {"AllocationId": allocation_id, "PublicIp": f"198.51.100.{len(allocation_id)}"}
        if holder:
            described |= {"InstanceId": holder, "AssociationId": f"{allocation_id}@{holder}", "PrivateIpAddress": "p"}
            described["NetworkInterfaceId"] = self.interfaces.get(allocation_id) or "eni-primary"
        if allocation_id in self.managed:
            described["ServiceManaged"] = self.managed[allocation_id]
        return described

    def associate_address(self, **parameters: Any) -> dict[str, Any]:
        self.asked = parameters
        self._called("AssociateAddress", **parameters)
        self._before = dict(self.holders)
        interface = parameters.get("NetworkInterfaceId", "")
        self.holders[parameters["AllocationId"]] = parameters.get("InstanceId") or INTERFACES[interface]
        self.interfaces[parameters["AllocationId"]] = interface
        self._fail("AssociateAddress")
        return {"AssociationId": "eipassoc-new"}

    def disassociate_address(self, **parameters: Any) -> dict[str, Any]:
        self._called("DisassociateAddress", **parameters)
        self._before = dict(self.holders)
        self.holders[parameters["AssociationId"].split("@")[0]] = None
        self._fail("DisassociateAddress")
        return {}

    @property
    def changes(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("Describe")]


def error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "Says EC2."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Action")


@pytest.fixture
def ec2() -> FakeEc2:
    return FakeEc2()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def addresses(ec2: FakeEc2, slept: list[float]) -> Addresses:
    return Addresses(WEB, ec2, sleep=slept.append)  # type: ignore[arg-type]


def planned(addresses: Addresses) -> Plan:
    return plan(Request(WEB), *addresses.look())


def test_one_look_finds_both_addresses_whatever_their_order(addresses: Addresses, ec2: FakeEc2) -> None:
    production, staging = addresses.look()
    assert (production.name, production.allocation_id, production.server) == ("production", WEB.production, "bittybot")
    assert (staging.name, staging.allocation_id, staging.server) == ("staging", WEB.staging, "tao")
    assert ec2.calls == ["DescribeAddresses"]


def test_an_address_that_a_service_of_aws_manages_is_known_as_such(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.managed[WEB.production] = "nlb"
    production, staging = addresses.look()
    assert (production.service_managed, staging.service_managed) == ("nlb", None)


def test_the_slowest_call_of_a_client_ends_within_21_seconds() -> None:
    config: Any = ec2_client().meta.config  # its attributes are made at run time
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert (config.connect_timeout, config.read_timeout) == (2, 5)


def test_an_address_on_no_server_has_nothing_but_its_own_ids(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.holders[WEB.staging] = None
    _, staging = addresses.look()
    assert not staging.is_associated
    assert (staging.server, staging.instance_id, staging.private_ip) == (None, None, None)


def test_an_address_that_stands_where_it_should_is_left_alone(addresses: Addresses, ec2: FakeEc2) -> None:
    address, changed = addresses.associate("production", BITTYBOT, allow_reassociation=True)
    assert (address.server, changed) == ("bittybot", False)
    assert ec2.changes == []


def test_an_address_on_another_private_address_of_the_server_is_moved(addresses: Addresses, ec2: FakeEc2) -> None:
    with pytest.raises(EC2Unavailable):  # this EC2 puts it on "p" again
        addresses.associate("production", BITTYBOT, allow_reassociation=True, private_ip="q")
    assert ec2.changes == ["AssociateAddress"]


def test_a_change_counts_once_it_shows(addresses: Addresses, ec2: FakeEc2, slept: list[float]) -> None:
    ec2.holders[WEB.staging] = None
    ec2.stale = 4
    address, changed = addresses.associate("production", TAO, allow_reassociation=True)
    assert (address.server, changed) == ("tao", True)
    assert len(slept) == 3
    assert ec2.changes == ["AssociateAddress"]


def test_a_change_that_never_shows_may_be_tried_again(addresses: Addresses, ec2: FakeEc2, slept: list[float]) -> None:
    ec2.stale = 1000
    with pytest.raises(EC2Unavailable, match=r"accepted to associate .* does not show it yet"):
        addresses.associate("production", TAO, allow_reassociation=True)
    assert sum(slept) == pytest.approx(VISIBLE_WITHIN_SECONDS, abs=1)


def test_an_address_that_is_not_where_it_is_expected_is_not_touched(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.holders[WEB.production] = STRANGER
    with pytest.raises(
        AddressMoved, match=rf"on eni-primary of {STRANGER}, which is not in the pair; the plan was made with it on"
    ):
        addresses.associate("production", TAO, allow_reassociation=True, expected=[BITTYBOT.instance_id])
    assert ec2.changes == []


def test_an_address_that_is_where_it_shall_be_need_not_be_where_it_is_expected(addresses: Addresses) -> None:
    _, changed = addresses.associate("production", BITTYBOT, allow_reassociation=True, expected=[TAO.instance_id])
    assert not changed


def test_staging_never_displaces_production(addresses: Addresses, ec2: FakeEc2) -> None:
    with pytest.raises(EC2Unavailable, match=r"is on bittybot; associating the staging address .* would displace it"):
        addresses.associate("staging", BITTYBOT, allow_reassociation=True)
    assert ec2.changes == []


@pytest.mark.parametrize("code", ["InternalError", "IncorrectInstanceState", "InvalidInstanceID"])
def test_what_passes_by_itself_may_be_tried_again(addresses: Addresses, ec2: FakeEc2, code: str) -> None:
    ec2.errors["AssociateAddress"] = [error(code)]
    with pytest.raises(EC2Unavailable, match=f"AssociateAddress of the production address .* failed with {code}"):
        addresses.associate("production", TAO, allow_reassociation=True)


@pytest.mark.parametrize("code", ["EC2ThrottledException", "RequestLimitExceeded", "Throttling", "ThrottlingException"])
def test_what_is_throttled_has_a_name_of_its_own(addresses: Addresses, ec2: FakeEc2, code: str) -> None:
    ec2.errors["AssociateAddress"] = [error(code, 503)]
    with pytest.raises(EC2Throttled, match=f"AssociateAddress of the production address .* failed with {code}"):
        addresses.associate("production", TAO, allow_reassociation=True)


def test_a_server_error_of_an_unknown_name_may_be_tried_again(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.errors["AssociateAddress"] = [error("SomethingNew", 500)]
    with pytest.raises(EC2Unavailable):
        addresses.associate("production", TAO, allow_reassociation=True)


@pytest.mark.parametrize("code", ["Resource.AlreadyAssociated", "UnauthorizedOperation", "AuthFailure"])
def test_what_ec2_refuses_for_good_is_not_tried_again(addresses: Addresses, ec2: FakeEc2, code: str) -> None:
    ec2.errors["AssociateAddress"] = [error(code, 403)]
    with pytest.raises(EC2Refused) as refused:
        addresses.associate("production", TAO, allow_reassociation=True)
    assert refused.value.code == code
    assert "Says EC2." in str(refused.value)


def test_an_answer_that_was_lost_is_found_by_the_next_try(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.lose_answers = True
    ec2.errors["AssociateAddress"] = [ReadTimeoutError(endpoint_url="ec2")]
    with pytest.raises(EC2Unavailable, match="got no answer"):
        addresses.associate("production", TAO, allow_reassociation=True)
    address, changed = addresses.associate("production", TAO, allow_reassociation=True)
    assert (address.server, changed) == ("tao", False)
    assert ec2.changes == ["AssociateAddress"]


def test_staging_is_taken_off_once(addresses: Addresses, ec2: FakeEc2) -> None:
    before = planned(addresses)
    assert addresses.disassociate_staging(before)[1] is True
    assert addresses.disassociate_staging(before, first_try=False)[1] is False
    assert ec2.changes == ["DisassociateAddress"]


def test_an_association_that_is_gone_is_as_good_as_disassociated(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.lose_answers = True  # it takes effect and says that it is not found
    ec2.errors["DisassociateAddress"] = [error("InvalidAssociationID.NotFound")]
    address, _ = addresses.disassociate_staging()
    assert not address.is_associated


def test_staging_that_somebody_took_off_before_the_first_try_has_moved(addresses: Addresses, ec2: FakeEc2) -> None:
    before = planned(addresses)
    ec2.holders[WEB.staging] = None
    with pytest.raises(AddressMoved, match="is on no server; the plan was made with it on i-0bbbbbbbb"):
        addresses.disassociate_staging(before)


def test_staging_is_not_repaired_when_production_moved(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.holders |= {WEB.staging: None, WEB.production: STRANGER}
    with pytest.raises(AddressMoved, match="The production address"):
        addresses.associate("staging", TAO, allow_reassociation=True, production_on=BITTYBOT.instance_id)
    assert ec2.changes == []


def test_an_address_that_seems_to_be_there_is_moved_there_by_force(addresses: Addresses, ec2: FakeEc2) -> None:
    addresses.associate("production", TAO, allow_reassociation=True)
    ec2.stale = 2  # shows it on bittybot again
    addresses.associate("production", BITTYBOT, allow_reassociation=True, force=True)
    assert ec2.holders[WEB.production] == BITTYBOT.instance_id


def test_a_call_that_meets_its_own_effect_has_succeeded(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.holders[WEB.staging] = None
    ec2.holders[WEB.production] = TAO.instance_id
    ec2.lose_answers = True  # it takes effect and says that the address is associated already
    ec2.errors["AssociateAddress"] = [error("Resource.AlreadyAssociated")]
    address, _ = addresses.associate("staging", BITTYBOT, allow_reassociation=False)
    assert address.server == "bittybot"


@pytest.mark.parametrize("allow", [True, False])
def test_what_may_be_reassociated_is_said_to_ec2(addresses: Addresses, ec2: FakeEc2, allow: bool) -> None:
    addresses.associate("production", TAO, allow_reassociation=allow, private_ip="p")
    assert ec2.asked["AllowReassociation"] is allow
    assert ec2.asked["PrivateIpAddress"] == "p"


@pytest.mark.parametrize("moved", [WEB.production, WEB.staging])
def test_staging_stays_where_it_is_when_either_address_moved(addresses: Addresses, ec2: FakeEc2, moved: str) -> None:
    before = planned(addresses)
    ec2.holders[moved] = STRANGER
    with pytest.raises(AddressMoved):
        addresses.disassociate_staging(before)
    assert ec2.changes == []


# Servers whose network interfaces are configured.


@pytest.fixture
def on_interfaces(ec2: FakeEc2, slept: list[float]) -> Addresses:
    ec2.interfaces = {WEB.production: "eni-0aaaaaaaa", WEB.staging: "eni-0bbbbbbbb"}
    return Addresses(WITH_INTERFACES, ec2, sleep=slept.append)  # type: ignore[arg-type]


def test_an_address_is_put_on_the_interface_that_is_configured(on_interfaces: Addresses, ec2: FakeEc2) -> None:
    address, changed = on_interfaces.associate("production", WITH_INTERFACES.servers[1], allow_reassociation=True)
    assert (address.server, changed) == ("tao", True)
    assert ec2.asked["NetworkInterfaceId"] == "eni-0bbbbbbbb"
    assert "InstanceId" not in ec2.asked


def test_an_address_on_another_interface_of_the_right_instance_is_on_no_server_of_the_pair(
    on_interfaces: Addresses, ec2: FakeEc2
) -> None:
    ec2.interfaces[WEB.staging] = "eni-0dddddddd"
    with pytest.raises(PreflightFailed) as refused:
        plan(Request(WITH_INTERFACES), *on_interfaces.look())
    assert "is on eni-0dddddddd of i-0bbbbbbbb, which is not in the pair web" in str(refused.value)
    assert "--network-interface-id eni-0aaaaaaaa" in str(refused.value)


def test_the_rehearsal_asks_for_the_interfaces_too(on_interfaces: Addresses, ec2: FakeEc2) -> None:
    on_interfaces.rehearse_associate("staging", WITH_INTERFACES.servers[0])
    assert ec2.asked["NetworkInterfaceId"] == "eni-0aaaaaaaa"
    assert "InstanceId" not in ec2.asked


# The rehearsals.


def staging_association(addresses: Addresses) -> str:
    return str(planned(addresses).staging.association_id)


def test_a_rehearsal_changes_nothing(addresses: Addresses, ec2: FakeEc2) -> None:
    before = dict(ec2.holders)
    addresses.rehearse_associate("production", TAO)
    addresses.rehearse_disassociate(staging_association(addresses))
    assert ec2.holders == before
    assert ec2.changes == ["AssociateAddress", "DisassociateAddress"]


@pytest.mark.parametrize(("name", "allocation_id"), [("production", WEB.production), ("staging", WEB.staging)])
def test_a_rehearsal_asks_for_the_very_move(addresses: Addresses, ec2: FakeEc2, name: Any, allocation_id: str) -> None:
    addresses.rehearse_associate(name, TAO)
    assert ec2.asked == {
        "AllocationId": allocation_id,
        "AllowReassociation": True,
        "DryRun": True,
        "InstanceId": TAO.instance_id,
    }


def test_a_permission_that_is_missing_is_a_failed_preflight(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.errors["AssociateAddress"] = [error("UnauthorizedOperation", 403)]
    with pytest.raises(PreflightFailed, match=r"AssociateAddress of .* failed with UnauthorizedOperation"):
        addresses.rehearse_associate("production", TAO)


def test_a_throttled_rehearsal_may_be_tried_again(addresses: Addresses, ec2: FakeEc2) -> None:
    ec2.errors["DisassociateAddress"] = [error("RequestLimitExceeded", 503)]
    with pytest.raises(EC2Throttled):
        addresses.rehearse_disassociate(staging_association(addresses))
    ec2.errors["AssociateAddress"] = [error("RequestLimitExceeded", 503)]
    with pytest.raises(EC2Throttled):
        addresses.rehearse_associate("staging", BITTYBOT)
    assert len(ec2.changes) == 2


def test_an_address_reads_as_a_person_would_say_it() -> None:
    address = Address("staging", "eipalloc-0bbbbbbb", "198.51.100.2")
    assert f"{address} is {address.place}" == "the staging address 198.51.100.2 (eipalloc-0bbbbbbb) is on no server"
