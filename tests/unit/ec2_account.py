"""An account of EC2 in moto with AWS's address semantics, and a client whose single calls a test can disturb."""

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import ReadTimeoutError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

from domain.pair import Pair, Place, Server
from local.address_semantics import descriptions, move, restore_address_semantics
from local.missing_actions import add_missing_actions

REGION = "us-east-1"
CHANGES = ("AssociateAddress", "DisassociateAddress")


class Ec2Account:
    """Production on bittybot, staging on tao; `stranger` is an instance outside the pair. Within `mock_aws`.

    Each instance has a network interface with two private addresses. `client` is for the code under test: `calls` are
    its calls, in order, `parameters` by action those of the last call, `request_ids` those of its changes that EC2
    accepted, `association_id` staging's first association, `production_association` production's. Its next `stale`
    looks show what was true before the last change.
    """

    def __init__(self) -> None:
        restore_address_semantics()
        add_missing_actions()
        self.client, self._unseen = (boto3.client("ec2", region_name=REGION) for _ in range(2))
        launched = self._unseen.run_instances(ImageId="ami-12c6146b", MinCount=3, MaxCount=3)["Instances"]
        for instance in launched:
            interface_id = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
            self._unseen.assign_private_ip_addresses(NetworkInterfaceId=interface_id, SecondaryPrivateIpAddressCount=1)
        bittybot, tao, self.stranger = (instance["InstanceId"] for instance in launched)
        self.bittybot, self.tao = Server("bittybot", bittybot), Server("tao", tao)
        self.reset()
        events = self.client.meta.events
        events.register("before-parameter-build.ec2", self._asked)
        events.register("before-call.ec2", self._called)
        events.register("after-call.ec2", self._answered)

    def reset(self) -> None:
        """Two new addresses where they belong, and nothing has happened yet."""
        for existing in self._unseen.describe_addresses()["Addresses"]:
            if "AssociationId" in existing:  # of a test of a workflow that ran before in this process
                self._unseen.disassociate_address(AssociationId=existing["AssociationId"])
            self._unseen.release_address(AllocationId=existing["AllocationId"])
        production, staging = (
            self._unseen.allocate_address(Domain="vpc", Address=ip)["AllocationId"]
            for ip in ("198.51.100.1", "198.51.100.2")
        )
        self.pair = Pair("web", production, staging, (self.bittybot, self.tao), [{"deadlineSeconds": 4}])
        self.move("production", self.bittybot.instance_id)
        self.move("staging", self.tao.instance_id)
        self.association_id: str = self.described("staging")["AssociationId"]
        self.production_association: str = self.described("production")["AssociationId"]
        self.calls: list[str] = []
        self.slept: list[float] = []
        self.request_ids: list[str] = []
        self.parameters: dict[str, dict[str, Any]] = {}
        self.stale = 0
        self._past = descriptions(self._backend)
        self._before: dict[str, list[Callable[[], Any]]] = defaultdict(list)
        self._after: dict[str, list[Callable[[Any, Any], None]]] = defaultdict(list)

    # Someone else's doing.

    def move(self, name: str, instance_id: str) -> None:
        move(self._backend, self._allocation_id(name), instance_id)

    def take_off(self, name: str) -> None:
        self._unseen.disassociate_address(AssociationId=self.described(name)["AssociationId"])

    # What happens to the next call of an action.

    def before(self, action: str, act: Callable[[], Any]) -> None:
        self._before[action].append(act)

    def fail(self, action: str, code: str, status: int = 400) -> None:
        """It has no effect."""
        self._before[action].append(lambda: _error(code, status))

    def lose_answer(self, action: str, code: str | None = None) -> None:
        """It has its effect, but gets no answer; or this error, as botocore's next try of the same call would."""

        def lose(http_response: Any, parsed: Any) -> None:
            if code is None:
                raise ReadTimeoutError(endpoint_url="ec2")
            http_response.status_code, error = 400, _error(code, 400)[1]
            parsed.update(error)

        self._after[action].append(lose)

    def describe_more(self, name: str, **keys: str) -> None:
        """The next look shows these keys of an address as well."""

        def add(_: Any, parsed: Any) -> None:
            next(each for each in parsed["Addresses"] if each["AllocationId"] == self._allocation_id(name)).update(keys)

        self._after["DescribeAddresses"].append(add)

    # What is true.

    def described(self, name: str) -> dict[str, Any]:
        return descriptions(self._backend)[self._allocation_id(name)]

    def holder(self, name: str) -> str | None:
        """The name of the server that holds an address, or the id of another instance."""
        instance_id = self.described(name).get("InstanceId")
        return next((server.name for server in self.pair.servers if server.instance_id == instance_id), instance_id)

    @property
    def holders(self) -> tuple[str | None, str | None]:
        return self.holder("production"), self.holder("staging")

    def place(self, server: Server, *, primary: bool = True) -> Place:
        interface = self._interface(server)
        shown = next(each for each in interface["PrivateIpAddresses"] if each["Primary"] == primary)
        return Place(server, shown["PrivateIpAddress"])

    def interface_of(self, server: Server) -> str:
        return str(self._interface(server)["NetworkInterfaceId"])

    @property
    def changes(self) -> list[str]:
        return [call for call in self.calls if call in CHANGES]

    def _interface(self, server: Server) -> Any:
        owner: Any = {"Name": "attachment.instance-id", "Values": [server.instance_id]}
        return self._unseen.describe_network_interfaces(Filters=[owner])["NetworkInterfaces"][0]

    def _allocation_id(self, name: str) -> str:
        return self.pair.production if name == "production" else self.pair.staging

    @property
    def _backend(self) -> Any:
        return ec2_backends[DEFAULT_ACCOUNT_ID][REGION]

    # The calls of the client.

    def _asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.parameters[model.name] = dict(params)

    def _called(self, model: Any, **_: Any) -> Any:
        action = model.name
        dry_run = self.parameters[action].get("DryRun")
        self.calls.append(f"{action} (dry run)" if dry_run else action)
        answer = self._before[action].pop(0)() if self._before[action] else None
        if action in CHANGES and not dry_run:
            self._past = descriptions(self._backend)
        if action == "DescribeAddresses" and self.stale:
            self.stale -= 1
            shown = [self._past[each] for each in self.parameters[action]["AllocationIds"]]
            answer = SimpleNamespace(status_code=200), {"Addresses": shown, "ResponseMetadata": {}}
        return answer

    def _answered(self, model: Any, http_response: Any, parsed: Any, **_: Any) -> None:
        if model.name in CHANGES and "Error" not in parsed:
            self.request_ids.append(parsed["ResponseMetadata"]["RequestId"])
        if self._after[model.name]:
            self._after[model.name].pop(0)(http_response, parsed)


def _error(code: str, status: int) -> Any:
    error = {"Error": {"Code": code, "Message": "EC2 says why."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return SimpleNamespace(status_code=status), error
