"""What is asked of EC2 about the servers and addresses of a plan before anything is changed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aws.servers import SECONDS_BETWEEN_LOOKS, Servers
from domain.errors import EC2Refused, EC2Throttled
from domain.pair import Address, Pair, Server
from domain.plan import Plan, plan
from domain.request import Request
from tests.unit.test_addresses import error

BITTYBOT, TAO = Server("bittybot", "i-0aaaaaaaa"), Server("tao", "i-0bbbbbbbb")
WEB = Pair("web", "eipalloc-0aaaaaaa", "eipalloc-0bbbbbbb", (BITTYBOT, TAO), [])
PLAN = plan(
    Request(WEB),
    Address("production", WEB.production, "198.51.100.1", "eipassoc-1", BITTYBOT.instance_id, server="bittybot"),
    Address("staging", WEB.staging, "198.51.100.2", "eipassoc-2", TAO.instance_id, server="tao"),
)


@dataclass
class FakeEc2:
    """Two servers, running and passed; what `statuses` says of the idle one is said once each, the last for ever."""

    states: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, list[str]] = field(default_factory=dict)
    elastic_ips: dict[str, dict[str, str]] = field(default_factory=dict)
    transfers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[dict[str, str] | None] = field(default_factory=lambda: [{}])
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    looks: int = 0

    def _called(self, action: str, **parameters: Any) -> None:
        self.asked[action] = parameters
        if action in self.errors:
            raise self.errors[action]

    def describe_instances(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeInstances", **parameters)
        return {"Reservations": [{"Instances": [self._instance(one)]} for one in parameters["InstanceIds"]]}

    def _instance(self, instance_id: str) -> dict[str, Any]:
        interfaces = self.interfaces.get(instance_id, [f"eni-of-{instance_id}"])
        association = self.elastic_ips.get(instance_id)
        return {
            "InstanceId": instance_id,
            "State": {"Name": self.states.get(instance_id, "running")},
            "NetworkInterfaces": [
                {"NetworkInterfaceId": one, **({"Association": association} if association else {})}
                for one in interfaces
            ],
        }

    def describe_address_transfers(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeAddressTransfers", **parameters)
        return {"AddressTransfers": self.transfers}

    def describe_instance_status(self, **parameters: Any) -> dict[str, Any]:
        self._called("DescribeInstanceStatus", **parameters)
        self.looks += 1
        found = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if found is None:
            return {"InstanceStatuses": []}
        passed = {"SystemStatus": "ok", "InstanceStatus": "ok"}
        return {"InstanceStatuses": [{key: {"Status": status} for key, status in (passed | found).items()}]}


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

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
    return of(PLAN, ec2, clock)


def of(planned: Plan, ec2: FakeEc2, clock: Clock) -> Servers:
    return Servers(planned, ec2, clock=clock.read, sleep=clock.sleep)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "state", "says"),
    [
        (TAO, "stopped", "tao .* is to become live and is stopped"),
        (TAO, "pending", "tao .* is to become live and is pending"),
        (BITTYBOT, "terminated", "bittybot .* is terminated and cannot hold an address"),
    ],
)
def test_an_instance_in_the_wrong_state_is_refused(
    servers: Servers, ec2: FakeEc2, server: Server, state: str, says: str
) -> None:
    ec2.states[server.instance_id] = state
    with pytest.raises(EC2Refused, match=says):
        servers.check_instances()


def test_a_former_live_server_that_is_stopped_may_hold_the_staging_address(servers: Servers, ec2: FakeEc2) -> None:
    ec2.states[BITTYBOT.instance_id] = "stopped"
    servers.check_instances()


@pytest.mark.parametrize("interfaces", [[], ["eni-1", "eni-2"]])
def test_a_server_needs_one_network_interface_or_one_that_is_configured(
    servers: Servers, ec2: FakeEc2, interfaces: list[str]
) -> None:
    ec2.interfaces[BITTYBOT.instance_id] = interfaces
    with pytest.raises(EC2Refused, match=f"bittybot .* has {len(interfaces)} network interfaces .*networkInterfaces"):
        servers.check_instances()


def test_the_interface_that_is_configured_is_the_one_that_is_looked_at(ec2: FakeEc2, clock: Clock) -> None:
    ec2.interfaces[TAO.instance_id] = ["eni-1", "eni-2"]
    of(replace(PLAN, idle=replace(TAO, network_interface_id="eni-2")), ec2, clock).check_instances()
    with pytest.raises(EC2Refused, match=r"tao .* does not have the network interface eni-3 .* attached: eni-1, eni-2"):
        of(replace(PLAN, idle=replace(TAO, network_interface_id="eni-3")), ec2, clock).check_instances()


def test_a_third_elastic_ip_on_a_server_is_not_displaced(servers: Servers, ec2: FakeEc2) -> None:
    ec2.elastic_ips[TAO.instance_id] = {"PublicIp": "203.0.113.7", "IpOwnerId": "123456789012"}
    with pytest.raises(EC2Refused, match=r"tao .* holds the Elastic IP 203.0.113.7, which is not of this pair"):
        servers.check_instances()


@pytest.mark.parametrize("public_ip", ["198.51.100.1", "198.51.100.2"])
def test_the_addresses_of_the_pair_are_no_obstacle(servers: Servers, ec2: FakeEc2, public_ip: str) -> None:
    ec2.elastic_ips[TAO.instance_id] = {"PublicIp": public_ip, "IpOwnerId": "123456789012"}
    servers.check_instances()


def test_a_public_address_that_ec2_assigned_makes_room(servers: Servers, ec2: FakeEc2) -> None:
    ec2.elastic_ips[TAO.instance_id] = {"PublicIp": "203.0.113.7", "IpOwnerId": "amazon"}
    servers.check_instances()


# Transfers to another account.


@pytest.mark.parametrize("allocation_id", [WEB.production, WEB.staging])
def test_an_address_that_is_offered_to_another_account_is_refused(
    servers: Servers, ec2: FakeEc2, allocation_id: str
) -> None:
    pending = {"AllocationId": allocation_id, "TransferAccountId": "123456789012", "AddressTransferStatus": "pending"}
    ec2.transfers = [pending]
    with pytest.raises(EC2Refused, match=f"offered to the account 123456789012.* --allocation-id {allocation_id}"):
        servers.check_transfers()
    assert ec2.asked["DescribeAddressTransfers"] == {"AllocationIds": [WEB.production, WEB.staging]}


@pytest.mark.parametrize("status", ["disabled", "accepted"])
def test_a_transfer_that_was_withdrawn_or_is_over_is_no_obstacle(servers: Servers, ec2: FakeEc2, status: str) -> None:
    ec2.transfers = [{"AllocationId": WEB.production, "AddressTransferStatus": status}]
    servers.check_transfers()


# EC2's status checks.


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("SystemStatus", "system status: impaired"),
        ("InstanceStatus", "instance status: impaired"),
        ("AttachedEbsStatus", "attached EBS status: impaired"),
    ],
)
def test_an_impaired_server_is_refused_at_once(servers: Servers, ec2: FakeEc2, check: str, says: str) -> None:
    ec2.statuses = [{"InstanceStatus": "initializing", check: "impaired"}]
    with pytest.raises(EC2Refused, match=f"status checks of tao .* have failed .*{says}"):
        servers.check_status(60)
    assert ec2.looks == 1


@pytest.mark.parametrize("status", ["ok", "not-applicable"])
def test_a_server_whose_checks_have_passed_is_fit_at_the_first_look(
    servers: Servers, ec2: FakeEc2, clock: Clock, status: str
) -> None:
    ec2.statuses = [{"AttachedEbsStatus": status}]
    servers.check_status(0)
    assert (ec2.looks, clock.now) == (1, 100)
    assert ec2.asked["DescribeInstanceStatus"] == {"InstanceIds": [TAO.instance_id]}


@pytest.mark.parametrize("unknown", [{"SystemStatus": "initializing"}, {"InstanceStatus": "insufficient-data"}, None])
def test_checks_that_are_not_over_are_waited_for(
    servers: Servers, ec2: FakeEc2, clock: Clock, unknown: dict[str, str] | None
) -> None:
    ec2.statuses = [unknown, unknown, {}]
    servers.check_status(60)
    assert clock.now == 100 + 2 * SECONDS_BETWEEN_LOOKS


@pytest.mark.parametrize("status", ["initializing", "insufficient-data"])
def test_attached_volumes_that_ec2_knows_nothing_of_yet_do_not_block(
    servers: Servers, ec2: FakeEc2, status: str
) -> None:
    ec2.statuses = [{"AttachedEbsStatus": status}]
    servers.check_status(0)
    assert ec2.looks == 1


def test_they_are_waited_for_until_the_deadline_and_no_longer(servers: Servers, ec2: FakeEc2, clock: Clock) -> None:
    ec2.statuses = [{"SystemStatus": "initializing"}]
    with pytest.raises(EC2Refused, match=r"not over within 60 s \(system status: initializing\)"):
        servers.check_status(60)
    assert clock.now == 160
    assert ec2.looks == 13


# Whatever is asked may be refused or fail.

CHECKS: dict[str, Callable[[Servers], None]] = {
    "DescribeInstances": Servers.check_instances,
    "DescribeAddressTransfers": Servers.check_transfers,
    "DescribeInstanceStatus": lambda servers: servers.check_status(60),
}


@pytest.mark.parametrize("action", CHECKS)
def test_a_call_that_is_refused_is_named_and_one_that_fails_may_be_tried_again(
    servers: Servers, ec2: FakeEc2, action: str
) -> None:
    ec2.errors[action] = error("UnauthorizedOperation", 403)
    with pytest.raises(EC2Refused, match=f"{action} of .* failed with UnauthorizedOperation"):
        CHECKS[action](servers)
    ec2.errors[action] = error("RequestLimitExceeded", 503)
    with pytest.raises(EC2Throttled, match=f"{action} of .* failed with RequestLimitExceeded"):
        CHECKS[action](servers)


def test_a_look_that_is_throttled_while_the_checks_are_waited_for_is_made_again(ec2: FakeEc2, clock: Clock) -> None:
    initializing = {"InstanceStatus": "initializing"}
    ec2.statuses = [initializing, initializing, {}]
    throttled = error("RequestLimitExceeded", 503)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        ec2.errors = {} if ec2.errors else {"DescribeInstanceStatus": throttled}

    Servers(PLAN, ec2, clock=clock.read, sleep=sleep).check_status(60)  # type: ignore[arg-type]
    assert ec2.looks == 3
