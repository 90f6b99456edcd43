"""The two servers of a pair, as EC2 shows them. This module changes nothing, and judges only status checks."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aws.calls import Clock, Ec2, Sleep, translated
from domain.errors import EC2Refused, EC2Throttled, EC2Unavailable
from domain.pair import NOT_SHOWN, Instance, NetworkInterface, Pair, Picture, PrivateAddress, Server, tags_of

DUAL_STACK = "public-dual-stack-dns-name"
# EC2 User Guide, "View status checks for Amazon EC2 instances": the checks and their names.
EBS_CHECK = "attached EBS status"  # it may stay without data, and does not say whether the server runs
STATUS_CHECKS = {"SystemStatus": "system status", "InstanceStatus": "instance status", "AttachedEbsStatus": EBS_CHECK}
NOT_KNOWN_YET = ("initializing", "insufficient-data")
SECONDS_BETWEEN_CHECKS = 5.0
# EC2 API Reference, InstanceStatusEvent. The event is shown for up to a week after it was completed or canceled.
WHEN, OVER = {"not before": "NotBefore", "and not after": "NotAfter"}, ("[Completed]", "[Canceled]")
# EC2 API Reference, "Common client error codes".
NOT_PERMITTED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
# AWS does not document what EC2 answers for an address that was never offered. These codes say that there is no offer.
NEVER_OFFERED = ("InvalidAddressTransfer", "InvalidTransfer")


class Servers:
    """The two servers of one pair, as EC2 shows them. Every method raises EC2Refused, EC2Throttled, EC2Unavailable."""

    def __init__(self, pair: Pair, ec2: Ec2, *, clock: Clock = time.monotonic, sleep: Sleep = time.sleep) -> None:
        self._pair, self._ec2, self._clock, self._sleep = pair, ec2, clock, sleep

    def picture(self, *, with_border_groups: bool, with_offers: bool) -> Picture:
        """Both instances, as NOT_SHOWN if EC2 does not show one, and their interfaces. Border groups of zones, and
        accounts to which addresses are offered, take a call each. If it is permitted, its failure is a warning."""
        warnings: list[str] = []
        ids = [server.instance_id for server in self._pair.servers]
        # With InstanceIds, EC2 refuses the whole call if it does not know one of them any longer.
        by_id: Any = [{"Name": "instance-id", "Values": ids}]
        with translated(f"DescribeInstances of {' and '.join(ids)}"):
            reservations = self._ec2.describe_instances(Filters=by_id)["Reservations"]
        shown: Any = {each["InstanceId"]: each for group in reservations for each in group["Instances"]}
        attached: Any = [{"Name": "attachment.instance-id", "Values": ids}]
        with translated(f"DescribeNetworkInterfaces of {' and '.join(ids)}"):
            interfaces = self._ec2.describe_network_interfaces(Filters=attached)["NetworkInterfaces"]
        zones = {each["AvailabilityZone"] for each in interfaces}
        groups = self._border_groups(sorted(zones), warnings) if with_border_groups and zones else {}
        attached_to: dict[str, dict[str, NetworkInterface]] = defaultdict(dict)
        for each in interfaces:
            interface = _interface(each, groups.get(each["AvailabilityZone"]))
            attached_to[each["Attachment"].get("InstanceId", "")][interface.network_interface_id] = interface
        instances = {each: _instance(shown.get(each, {}), attached_to[each]) for each in ids}
        return Picture(instances, self._offered_to(warnings) if with_offers else {}, tuple(warnings))

    def _border_groups(self, names: list[str], warnings: list[str]) -> dict[str, str]:
        """The network border group of each zone, as far as EC2 says. Source: EC2 API Reference, AvailabilityZone."""
        zones, unknown = [], "Cannot tell in which network border groups the servers are"
        with _or_warning(unknown, warnings), translated(f"DescribeAvailabilityZones of {' and '.join(names)}"):
            zones = self._ec2.describe_availability_zones(ZoneNames=names).get("AvailabilityZones", [])
        return {zone["ZoneName"]: zone["NetworkBorderGroup"] for zone in zones if zone.get("NetworkBorderGroup")}

    def _offered_to(self, warnings: list[str]) -> dict[str, str]:
        """The account that an address is offered to, by allocation id. Source: VPC User Guide, "Transfer"."""
        ids, transfers = [self._pair.production, self._pair.staging], []
        unknown = "Cannot tell whether an address is offered to another account"
        with _or_warning(unknown, warnings), translated(f"DescribeAddressTransfers of {' and '.join(ids)}"):
            transfers = self._ec2.describe_address_transfers(AllocationIds=ids).get("AddressTransfers", [])
        pending = (each for each in transfers if each.get("AddressTransferStatus") == "pending")
        return {each["AllocationId"]: each.get("TransferAccountId", "unknown") for each in pending}

    def wait_for_status_checks(self, server: Server, within_seconds: float) -> list[str]:
        """Waits until EC2's status checks of a server have passed. Returns a sentence for each scheduled event. Raises
        EC2Refused if a check is impaired, or did not complete `within_seconds`; EC2Throttled only at first."""
        deadline = self._clock() + within_seconds
        status, scheduled = dict[str, str](), list[str]()
        while True:
            try:
                status, scheduled = self._status(server)
            except EC2Throttled:
                if not status:
                    raise
            not_ok = ", ".join(f"{check}: {value}" for check, value in status.items() if value not in ("ok", ""))
            if "impaired" in status.values():
                do = "See Status checks in the EC2 console. To move the server to other hardware, stop and start it."
                raise EC2Refused(f"EC2's status checks of {server} have failed ({not_ok}). {do}")
            if not any(value in NOT_KNOWN_YET for check, value in status.items() if check != EBS_CHECK):
                return scheduled
            if self._clock() + SECONDS_BETWEEN_CHECKS > deadline:
                raise EC2Refused(
                    f"EC2's status checks of {server} did not complete within {within_seconds:g} s ({not_ok}). They "
                    f"take minutes after a server starts: wait and start again, or raise deadlineSeconds in cdk.json."
                )
            self._sleep(SECONDS_BETWEEN_CHECKS)

    def _status(self, server: Server) -> tuple[dict[str, str], list[str]]:
        """The result of each status check, `""` if EC2 does not report it; and a sentence for each scheduled event."""
        with translated(f"DescribeInstanceStatus of {server.instance_id}"):
            statuses: Any = self._ec2.describe_instance_status(InstanceIds=[server.instance_id])["InstanceStatuses"]
        if not statuses:
            return dict.fromkeys(STATUS_CHECKS.values(), NOT_KNOWN_YET[0]), []
        status = {in_words: statuses[0].get(key, {}).get("Status", "") for key, in_words in STATUS_CHECKS.items()}
        events = (event for event in statuses[0].get("Events", []) if not event.get("Description", "").startswith(OVER))
        return status, [_scheduled(server, event) for event in events]


@contextmanager
def _or_warning(unknown: str, warnings: list[str]) -> Iterator[None]:
    """No answer to a question that the cutover does not depend on is a warning. Raises EC2Refused if not permitted."""
    try:
        yield
    except (EC2Refused, EC2Throttled, EC2Unavailable) as error:
        code = error.code if isinstance(error, EC2Refused) else ""
        if code in NOT_PERMITTED:
            raise
        if not code.startswith(NEVER_OFFERED):
            warnings.append(f"{unknown}: {error}")


def _scheduled(server: Server, event: Mapping[str, Any]) -> str:
    times = (f"{when} {event[key]:%Y-%m-%d %H:%M} UTC" for when, key in WHEN.items() if event.get(key))
    what = " ".join([f"EC2 has scheduled the event {event['Code']} for {server}", *times])
    return f"{what}. Stop and start the server, or let the event pass, before the cutover."


def _instance(shown: Mapping[str, Any], interfaces: Mapping[str, NetworkInterface]) -> Instance:
    state = shown.get("State", {}).get("Name", NOT_SHOWN)
    return Instance(state, interfaces, tags_of(shown), is_spot=shown.get("InstanceLifecycle") == "spot")


def _interface(shown: Mapping[str, Any], border_group: str | None) -> NetworkInterface:
    names = shown.get("PublicIpDnsNameOptions", {})
    in_use = names.get("DnsHostnameType", DUAL_STACK) == DUAL_STACK
    return NetworkInterface(
        shown["NetworkInterfaceId"],
        tuple(_private_address(each) for each in shown["PrivateIpAddresses"]),
        names.get("PublicDualStackDnsName") or None if in_use else None,
        border_group,
        tags_of(shown, "TagSet"),
    )


def _private_address(shown: Mapping[str, Any]) -> PrivateAddress:
    of_public = (shown.get("Association", {}).get(key) for key in ("PublicIp", "AssociationId", "IpOwnerId"))
    return PrivateAddress(shown["PrivateIpAddress"], shown.get("Primary", True), *of_public)
