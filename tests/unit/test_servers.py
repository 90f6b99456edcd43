"""What EC2 describes of the two servers of a pair, and how long the workflow waits for the status checks."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from aws.servers import SECONDS_BETWEEN_CHECKS, STATUS_CHECKS, Servers
from domain.errors import EC2Refused, EC2Throttled
from domain.pair import NOT_SHOWN, Instance, NetworkInterface, Picture, PrivateAddress
from tests.unit.example_pair import BITTYBOT, TAO, WEB

STAGING = {"PublicIp": "198.51.100.2", "AssociationId": "eipassoc-1", "IpOwnerId": "123456789012"}


NAMED = {"PublicDualStackDnsName": "i.ip.aws"}


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "EC2 says why."}}, "Action")


@dataclass
class FakeEc2:
    """Two running servers whose status checks have passed. EC2 no longer shows those that are `forgotten`.

    Successive looks at the status checks show `statuses`, None for nothing; the last status stays.
    """

    states: dict[str, str] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    interfaces: list[dict[str, Any]] = field(default_factory=list)
    transfers: dict[str, Any] = field(default_factory=dict)
    statuses: list[dict[str, str] | None] = field(default_factory=lambda: [{}])
    events: list[dict[str, Any]] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    looks: int = 0

    def _called(self, action: str, **parameters: Any) -> None:
        self.parameters[action] = parameters
        if action in self.errors:
            raise self.errors[action]

    def describe_instances(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeInstances", **parameters)
        (by_id,) = parameters["Filters"]
        shown = [each for each in by_id["Values"] if each not in self.forgotten]
        states = {each: {"Name": self.states.get(each, "running")} for each in shown}
        return {"Reservations": [{"Instances": [{"InstanceId": each, "State": states[each]}]} for each in states]}

    def describe_network_interfaces(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeNetworkInterfaces", **parameters)
        return {"NetworkInterfaces": self.interfaces}

    def describe_availability_zones(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeAvailabilityZones", **parameters)
        groups = {"us-east-1a": "us-east-1", "us-east-1-bos-1a": "us-east-1-bos-1"}
        zones = [{"ZoneName": each, "NetworkBorderGroup": groups[each]} for each in parameters["ZoneNames"]]
        return {"AvailabilityZones": zones}

    def describe_address_transfers(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeAddressTransfers", **parameters)
        return self.transfers

    def describe_instance_status(self, **parameters: Any) -> dict[str, Any]:
        self.looks += 1
        self._called("DescribeInstanceStatus", **parameters)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            return {"InstanceStatuses": []}
        passed = {"SystemStatus": "ok", "InstanceStatus": "ok"}
        checks = {check: {"Status": value} for check, value in (passed | status).items()}
        return {"InstanceStatuses": [checks | ({"Events": self.events} if self.events else {})]}


class Clock:
    """Time passes only while someone sleeps."""

    now = 100.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def ec2() -> FakeEc2:
    return FakeEc2()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def servers(ec2: FakeEc2, clock: Clock) -> Servers:
    return Servers(WEB, ec2, clock=clock.read, sleep=clock.sleep)  # type: ignore[arg-type]


# The picture.


def described(servers: Servers) -> Picture:
    return servers.picture(with_border_groups=True, with_offers=True)


def interface(name: str, instance_id: str, *addresses: Any, zone: str = "us-east-1a", **more: Any) -> dict[str, Any]:
    return {
        "NetworkInterfaceId": name,
        "Attachment": {"InstanceId": instance_id},
        "AvailabilityZone": zone,
        "PrivateIpAddresses": list(addresses) or [{"PrivateIpAddress": "10.0.0.10", "Primary": True}],
        **more,
    }


def test_the_description_has_each_servers_state_and_its_own_interfaces(servers: Servers, ec2: FakeEc2) -> None:
    ec2.states[TAO.instance_id] = "stopped"
    ec2.interfaces = [interface(f"eni-{n}", server.instance_id) for n, server in enumerate((TAO, BITTYBOT, TAO))]
    instances = servers.picture(with_border_groups=False, with_offers=True).instances
    bittybot, tao = instances[BITTYBOT.instance_id], instances[TAO.instance_id]
    assert (bittybot.state, set(bittybot.interfaces)) == ("running", {"eni-1"})
    assert (tao.state, set(tao.interfaces)) == ("stopped", {"eni-0", "eni-2"})
    ids = [BITTYBOT.instance_id, TAO.instance_id]
    assert ec2.parameters["DescribeInstances"] == {"Filters": [{"Name": "instance-id", "Values": ids}]}
    attached = {"Name": "attachment.instance-id", "Values": ids}
    assert ec2.parameters["DescribeNetworkInterfaces"] == {"Filters": [attached]}


def test_a_terminated_server_that_ec2_has_forgotten_is_described_and_has_no_interface(
    servers: Servers, ec2: FakeEc2
) -> None:
    ec2.forgotten = {BITTYBOT.instance_id}
    ec2.interfaces = [interface("eni-0", TAO.instance_id)]
    instances = described(servers).instances
    assert instances[BITTYBOT.instance_id] == Instance(NOT_SHOWN)
    assert instances[TAO.instance_id].state == "running"
    ec2.forgotten, ec2.interfaces = {BITTYBOT.instance_id, TAO.instance_id}, []
    ec2.parameters = {}
    assert {each.state for each in described(servers).instances.values()} == {NOT_SHOWN}
    assert "DescribeAvailabilityZones" not in ec2.parameters, "without zones, it would describe all of them"


def interface_shown(servers: Servers, ec2: FakeEc2, *addresses: Any, **more: Any) -> NetworkInterface:
    ec2.interfaces = [interface("eni-0", BITTYBOT.instance_id, *addresses, **more)]
    picture = described(servers)
    return picture.instances[BITTYBOT.instance_id].interfaces["eni-0"]


def test_an_interface_has_private_addresses_each_with_the_owner_of_its_public_address(
    servers: Servers, ec2: FakeEc2
) -> None:
    second = {"PrivateIpAddress": "10.0.0.11", "Primary": False, "Association": STAGING}
    shown = interface_shown(servers, ec2, {"PrivateIpAddress": "10.0.0.10", "Primary": True}, second)
    public = PrivateAddress("10.0.0.11", False, "198.51.100.2", "eipassoc-1", "123456789012")
    assert shown.addresses == (PrivateAddress("10.0.0.10"), public)
    assert [address for address in shown.addresses if address.is_primary] == [PrivateAddress("10.0.0.10")]


def test_an_interface_has_its_tags(servers: Servers, ec2: FakeEc2) -> None:
    tagged = interface_shown(servers, ec2, TagSet=[{"Key": "aws:cloudformation:stack-name", "Value": "web"}])
    assert tagged.tags == {"aws:cloudformation:stack-name": "web"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (NAMED, "i.ip.aws"),
        (NAMED | {"DnsHostnameType": "public-dual-stack-dns-name"}, "i.ip.aws"),
        (NAMED | {"DnsHostnameType": "public-ipv4-dns-name"}, None),
        ({"PublicDualStackDnsName": ""}, None),
        ({}, None),
    ],
)
def test_a_dual_stack_name_counts_while_it_is_in_use(
    servers: Servers, ec2: FakeEc2, options: dict[str, str], name: str | None
) -> None:
    assert interface_shown(servers, ec2, PublicIpDnsNameOptions=options).dual_stack_name == name


def test_the_border_group_of_an_interface_comes_from_its_zone_in_a_call_of_its_own(
    servers: Servers, ec2: FakeEc2
) -> None:
    assert interface_shown(servers, ec2, zone="us-east-1-bos-1a").border_group == "us-east-1-bos-1"
    assert ec2.parameters.pop("DescribeAvailabilityZones") == {"ZoneNames": ["us-east-1-bos-1a"]}
    picture = servers.picture(with_border_groups=False, with_offers=True)
    assert picture.instances[BITTYBOT.instance_id].interfaces["eni-0"].border_group is None
    assert "DescribeAvailabilityZones" not in ec2.parameters


@pytest.mark.parametrize(("status", "offered"), [("pending", True), ("disabled", False), ("accepted", False)])
def test_a_pending_transfer_is_an_offer(servers: Servers, ec2: FakeEc2, status: str, offered: bool) -> None:
    transfer = {"AllocationId": WEB.staging, "TransferAccountId": "210987654321", "AddressTransferStatus": status}
    ec2.transfers = {"AddressTransfers": [transfer]}
    offers = servers.picture(with_border_groups=False, with_offers=True).offered_to
    assert offers == ({WEB.staging: "210987654321"} if offered else {})
    assert ec2.parameters["DescribeAddressTransfers"] == {"AllocationIds": [WEB.production, WEB.staging]}


@pytest.mark.parametrize(
    "answer", [{}, {"AddressTransfers": []}, {"AddressTransfers": [{"AllocationId": WEB.staging}]}]
)
def test_an_answer_without_a_pending_transfer_offers_nothing(
    servers: Servers, ec2: FakeEc2, answer: dict[str, Any]
) -> None:
    ec2.transfers = answer
    picture = servers.picture(with_border_groups=False, with_offers=True)
    assert (picture.offered_to, picture.warnings) == ({}, ())


def test_ec2_may_answer_that_addresses_without_an_offer_have_no_transfer(servers: Servers, ec2: FakeEc2) -> None:
    ec2.errors["DescribeAddressTransfers"] = error("InvalidAddressTransfer.NotFound")
    picture = servers.picture(with_border_groups=False, with_offers=True)
    assert (picture.offered_to, picture.warnings) == ({}, ())


UNKNOWN = {
    "DescribeAvailabilityZones": "Cannot tell in which network border groups the servers are",
    "DescribeAddressTransfers": "Cannot tell whether an address is offered to another account",
}


@pytest.mark.parametrize("action", UNKNOWN)
@pytest.mark.parametrize(
    "failure",
    [
        *map(error, ("AuthFailure", "InternalError", "InvalidAction", "InvalidParameterValue", "OptInRequired")),
        *map(error, ("RequestLimitExceeded", "SomethingNew")),
        ConnectTimeoutError(endpoint_url="https://ec2"),
    ],
    ids=str,
)
def test_what_ec2_does_not_tell_is_a_warning_if_the_cutover_does_not_depend_on_it(
    servers: Servers, ec2: FakeEc2, action: str, failure: Exception
) -> None:
    ec2.interfaces = [interface("eni-0", BITTYBOT.instance_id)]
    ec2.errors[action] = failure
    (warning,) = described(servers).warnings
    assert warning.startswith(f"{UNKNOWN[action]}: {action} of ")


def test_nobody_asks_for_offers_that_the_plan_does_not_depend_on(servers: Servers, ec2: FakeEc2) -> None:
    servers.picture(with_border_groups=True, with_offers=False)
    assert "DescribeAddressTransfers" not in ec2.parameters


# EC2's status checks.


def wait(servers: Servers, within_seconds: float = 60) -> None:
    servers.wait_for_status_checks(TAO, within_seconds)


@pytest.mark.parametrize(("check", "in_words"), STATUS_CHECKS.items())
def test_an_impaired_server_is_refused_at_once(servers: Servers, ec2: FakeEc2, check: str, in_words: str) -> None:
    ec2.statuses = [{"InstanceStatus": "initializing", check: "impaired"}]
    with pytest.raises(EC2Refused, match=f"status checks of tao .* have failed .*{in_words}: impaired"):
        wait(servers)
    assert ec2.looks == 1


@pytest.mark.parametrize("status", ["ok", "not-applicable", "initializing", "insufficient-data"])
def test_a_server_passes_the_first_status_check_even_if_ec2_does_not_know_its_volumes(
    servers: Servers, ec2: FakeEc2, clock: Clock, status: str
) -> None:
    ec2.statuses = [{"AttachedEbsStatus": status}]
    wait(servers, 0)
    assert (ec2.looks, clock.now) == (1, Clock.now)
    assert ec2.parameters["DescribeInstanceStatus"] == {"InstanceIds": [TAO.instance_id]}


@pytest.mark.parametrize("unknown", [{"SystemStatus": "initializing"}, {"InstanceStatus": "insufficient-data"}, None])
def test_incomplete_status_checks_are_described_again(
    servers: Servers, ec2: FakeEc2, clock: Clock, unknown: dict[str, str] | None
) -> None:
    ec2.statuses = [unknown, unknown, {}]
    wait(servers)
    assert clock.now == Clock.now + 2 * SECONDS_BETWEEN_CHECKS


def test_incomplete_status_checks_fail_at_the_deadline(servers: Servers, ec2: FakeEc2, clock: Clock) -> None:
    ec2.statuses = [{"SystemStatus": "initializing"}]
    with pytest.raises(EC2Refused, match=r"did not complete within 60 s \(system status: initializing\)"):
        wait(servers)
    assert (clock.now, ec2.looks) == (Clock.now + 60, 13)


def test_a_throttled_description_of_the_status_checks_is_repeated(ec2: FakeEc2, clock: Clock) -> None:
    initializing = {"InstanceStatus": "initializing"}
    ec2.statuses = [initializing, initializing, {}]

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        ec2.errors = {} if ec2.errors else {"DescribeInstanceStatus": error("RequestLimitExceeded")}

    wait(Servers(WEB, ec2, clock=clock.read, sleep=sleep))  # type: ignore[arg-type]
    assert (ec2.looks, clock.now) == (5, Clock.now + 4 * SECONDS_BETWEEN_CHECKS)


RETIREMENT = {"Code": "instance-retirement", "NotBefore": datetime(2026, 12, 5, 3, 4, 5, tzinfo=UTC)}
REBOOT = RETIREMENT | {"Code": "system-reboot", "NotAfter": datetime(2026, 12, 5, 5, tzinfo=UTC)}


def test_events_that_ec2_has_scheduled_are_sentences_that_say_what_to_do(servers: Servers, ec2: FakeEc2) -> None:
    ec2.statuses, ec2.events = [{"SystemStatus": "initializing"}, {}], [RETIREMENT, REBOOT]
    do = "UTC. Stop and start the server, or let the event pass, before the cutover."
    assert servers.wait_for_status_checks(TAO, 60) == [
        f"EC2 has scheduled the event instance-retirement for {TAO} not before 2026-12-05 03:04 {do}",
        f"EC2 has scheduled the event system-reboot for {TAO} not before 2026-12-05 03:04 UTC and not after 2026-12-05 "
        f"05:00 {do}",
    ]


@pytest.mark.parametrize("description", ["[Completed] The host is new.", "[Canceled] It is not needed."])
def test_an_event_that_is_over_does_not_count(servers: Servers, ec2: FakeEc2, description: str) -> None:
    ec2.events = [RETIREMENT | {"Description": description}, REBOOT | {"Description": "Not [Completed]"}]
    (scheduled,) = servers.wait_for_status_checks(TAO, 60)
    assert "system-reboot" in scheduled


# Every call may be refused or throttled.

NEEDED = ("DescribeInstances", "DescribeNetworkInterfaces", "DescribeInstanceStatus")
FAILURES = [
    *((action, "UnauthorizedOperation", EC2Refused) for action in (*NEEDED, *UNKNOWN)),
    *((action, "RequestLimitExceeded", EC2Throttled) for action in NEEDED),
]


@pytest.mark.parametrize(("action", "code", "kind"), FAILURES)
def test_a_refused_call_is_named_and_a_throttled_call_may_be_retried(
    servers: Servers, ec2: FakeEc2, action: str, code: str, kind: type[Exception]
) -> None:
    ec2.interfaces = [interface("eni-0", BITTYBOT.instance_id)]
    ec2.errors[action] = error(code)
    with pytest.raises(kind, match=f"{action} of .* failed with {code}"):
        wait(servers) if action == "DescribeInstanceStatus" else described(servers)
