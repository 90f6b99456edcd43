"""Are the two servers and addresses of a plan fit for a cutover, as EC2 sees them? Nothing here changes anything."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aws.calls import translated
from domain.errors import EC2Refused, EC2Throttled
from domain.pair import Server
from domain.plan import Plan
from domain.text import capitalized

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceStatusTypeDef, InstanceTypeDef

# A server keeps one address of its own while it runs or is stopped; EC2 refuses it in every other state.
HOLDS_AN_ADDRESS = ("running", "stopped")
# The owner of a public address that EC2 assigned by itself. Such a one makes room for an Elastic IP, and comes back.
AUTO_ASSIGNED = "amazon"
# EC2 User Guide, "View status checks for Amazon EC2 instances": what is checked, and what it is called.
STATUS_CHECKS = {
    "SystemStatus": "system status",
    "InstanceStatus": "instance status",
    "AttachedEbsStatus": "attached EBS status",
}
NOT_KNOWN_YET = ("initializing", "insufficient-data")
# The others are waited for. This one may stay without data, and says nothing about whether the server runs.
ONLY_IF_IMPAIRED = "attached EBS status"
SECONDS_BETWEEN_LOOKS = 5.0


class Servers:
    """The two servers of a plan, as EC2 has them."""

    def __init__(
        self,
        plan: Plan,
        ec2: "EC2Client",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._plan = plan
        self._ec2 = ec2
        self._clock = clock
        self._sleep = sleep

    def check_instances(self) -> None:
        """Both servers must be able to hold an address, on one network interface; the idle one must be running.

        On that interface, no third Elastic IP may stand in the way. Raises EC2Refused, EC2Throttled, EC2Unavailable.
        """
        plan = self._plan
        ids = [plan.live.instance_id, plan.idle.instance_id]
        with translated(f"DescribeInstances of {' and '.join(ids)}"):
            answer = self._ec2.describe_instances(InstanceIds=ids)
        found = {
            instance["InstanceId"]: instance
            for reservation in answer["Reservations"]
            for instance in reservation["Instances"]
        }
        for server in (plan.idle, plan.live):
            instance = found[server.instance_id]
            state = instance["State"]["Name"]
            if server == plan.idle and state != "running":
                raise EC2Refused(f"{_known(server)} is to become live and is {state}, not running. Start it.")
            if state not in HOLDS_AN_ADDRESS:
                raise EC2Refused(
                    f"{_known(server)} is {state} and cannot hold an address. Start it, or put the server that "
                    f"replaces it into cdk.json and deploy."
                )
            held = _interface(server, instance).get("Association", {})
            ours = (plan.production.public_ip, plan.staging.public_ip)
            if held.get("PublicIp", ours[0]) not in ours and held.get("IpOwnerId") != AUTO_ASSIGNED:
                raise EC2Refused(
                    f"{_known(server)} holds the Elastic IP {held['PublicIp']}, which is not of this pair and which a "
                    f"cutover would displace. Take it off, or put it on another private address."
                )

    def check_transfers(self) -> None:
        """Neither address may be on its way to another account: AWS moves it when that account accepts.

        Source: VPC User Guide, "Transfer Elastic IP addresses". Raises EC2Refused, EC2Throttled,
        EC2Unavailable.
        """
        addresses = (self._plan.production, self._plan.staging)
        ids = [address.allocation_id for address in addresses]
        with translated(f"DescribeAddressTransfers of {' and '.join(ids)}"):
            found = self._ec2.describe_address_transfers(AllocationIds=ids)["AddressTransfers"]
        pending = {each["AllocationId"]: each for each in found if each["AddressTransferStatus"] == "pending"}
        for address in addresses:
            if transfer := pending.get(address.allocation_id):
                raise EC2Refused(
                    f"{capitalized(address)} is offered to the account {transfer.get('TransferAccountId')}, which may "
                    f"accept the transfer at any moment. Withdraw it with: aws ec2 disable-address-transfer "
                    f"--allocation-id {address.allocation_id}"
                )

    def _status(self, server: Server) -> dict[str, str]:
        """What each status check says."""
        with translated(f"DescribeInstanceStatus of {server.instance_id}"):
            found = self._ec2.describe_instance_status(InstanceIds=[server.instance_id])["InstanceStatuses"]
        return _statuses(found[0]) if found else dict.fromkeys(STATUS_CHECKS.values(), NOT_KNOWN_YET[0])

    def check_status(self, within_seconds: float) -> None:
        """EC2's status checks of the idle server must have passed; those that are not over yet are waited for.

        Of attached volumes that are not known to be impaired nothing is waited for.

        Raises EC2Refused when one is impaired, or when they are not over `within_seconds`; EC2Unavailable;
        EC2Throttled at the first look only: a later one that is throttled is made again with the next.
        """
        idle = self._plan.idle
        deadline = self._clock() + within_seconds
        status: dict[str, str] = {}
        while True:
            try:
                status = self._status(idle)
            except EC2Throttled:
                if not status:
                    raise
            told = ", ".join(f"{check}: {said}" for check, said in status.items() if said not in ("ok", ""))
            if "impaired" in status.values():
                raise EC2Refused(
                    f"EC2's status checks of {_known(idle)} have failed ({told}). Look at it in the EC2 console, "
                    f"Status checks; stopping and starting it moves it to other hardware."
                )
            if not any(said in NOT_KNOWN_YET for check, said in status.items() if check != ONLY_IF_IMPAIRED):
                return
            if self._clock() + SECONDS_BETWEEN_LOOKS > deadline:
                raise EC2Refused(
                    f"EC2's status checks of {_known(idle)} were not over within {within_seconds:g} s ({told}). They "
                    f"take some minutes after a start: wait and start again, or raise deadlineSeconds in cdk.json."
                )
            self._sleep(SECONDS_BETWEEN_LOOKS)


def _known(server: Server) -> str:
    return f"{server.name} ({server.instance_id})"


def _interface(server: Server, instance: "InstanceTypeDef") -> Mapping[str, Any]:
    """The network interface that the server's addresses belong on."""
    interfaces = {found["NetworkInterfaceId"]: found for found in instance.get("NetworkInterfaces", [])}
    if server.network_interface_id is None and len(interfaces) == 1:
        return next(iter(interfaces.values()))
    if server.network_interface_id in interfaces:
        return interfaces[server.network_interface_id]
    attached = ", ".join(interfaces) or "none"
    if server.network_interface_id is None:
        raise EC2Refused(
            f"{_known(server)} has {len(interfaces)} network interfaces ({attached}), and an address is put on an "
            f"instance that has exactly one. Say which one is meant, with networkInterfaces in cdk.json, and deploy."
        )
    raise EC2Refused(
        f"{_known(server)} does not have the network interface {server.network_interface_id} of cdk.json; attached: "
        f"{attached}. Attach it, or correct networkInterfaces and deploy."
    )


def _statuses(found: "InstanceStatusTypeDef") -> dict[str, str]:
    """What each status check says; `""` where EC2 does not report one."""
    told: Mapping[str, Any] = found
    return {in_words: told.get(key, {}).get("Status", "") for key, in_words in STATUS_CHECKS.items()}
