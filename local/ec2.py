"""The EC2 of the local AWS: moto's, with AWS's address semantics, served on loopback by a thread of this process.

It runs in this process, so that the network can find the holder of an address without a request, and is notified of
every change before the caller gets an answer. moto's state belongs to the process: a start of `mock_aws` elsewhere in
the process also deletes this server's instances and addresses.
"""

from __future__ import annotations

import logging
import threading
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import boto3
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.access import LOOPBACK, REFUSED, new_access_key, refusal
from local.address_semantics import holder, restore_address_semantics
from local.fault_layer import Call, FaultLayer, StartResponse
from local.faults import PATH as FAULTS
from local.missing_actions import Status, StatusCheck, add_missing_actions, set_status
from local.service_quotas import add_quotas_of_ec2
from local.token_buckets import TokenBuckets

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import TagTypeDef

__all__ = ["ACCESS_KEY", "LOOPBACK", "REGION", "Address", "Ec2", "InstanceState", "restore_address_semantics"]

REGION = "us-east-1"
ACCESS_KEY = new_access_key()  # as key and as secret
TEST_PAIR: TagTypeDef = {"Key": "eip-cutover:test-pair", "Value": "true"}
"""The tag of servers and addresses that may be moved, broken and repaired at will."""
IMAGE = "ami-12c6146b"  # one that moto knows; nothing boots from it

InstanceState = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]
STATE_CODES: dict[InstanceState, int] = {
    "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80,
}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """An Elastic IP of this account."""

    allocation_id: str
    public_ip: str


class Ec2:
    """`with Ec2() as ec2:` serves EC2's API at `ec2.endpoint` until the block ends."""

    def __init__(self) -> None:
        restore_address_semantics()
        add_missing_actions()
        add_quotas_of_ec2()
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it prints a line per request
        self._on_change: list[Callable[[], None]] = []
        moto = DomainDispatcherApplication(create_backend_app)
        self._layer = FaultLayer(moto, backend=lambda: self._backend, changed=self._notify)
        self.faults = self._layer.faults
        self._server = make_server(LOOPBACK, 0, self._answer, threaded=True, request_handler=MotoRequestHandler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="ec2", daemon=True
        )
        self.endpoint = f"http://{LOOPBACK}:{self._server.server_port}"
        session = boto3.Session(ACCESS_KEY, ACCESS_KEY, region_name=REGION)
        self._client: EC2Client = session.client("ec2", endpoint_url=self.endpoint, config=Config(proxies={}))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def limit(self, buckets: TokenBuckets | None) -> None:
        """Limit requests from now on, as EC2 does; None for no limit, which is the default."""
        self._layer.buckets = buckets

    def client(self) -> EC2Client:
        """A client of this server. Ignores the endpoints, credentials and proxies of the environment."""
        return self._client

    def launch(self, name: str) -> str:
        """Launch an instance named `name`, and return its id when the instance is running."""
        launched = self.client().run_instances(
            ImageId=IMAGE,
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}, TEST_PAIR]}],
        )
        return launched["Instances"][0]["InstanceId"]

    def allocate(self, public_ip: str) -> Address:
        """Allocate the Elastic IP `public_ip`. Other allocations may have the same address, with other ids."""
        allocated = self.client().allocate_address(
            Address=public_ip, TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": [TEST_PAIR]}]
        )
        return Address(allocated["AllocationId"], public_ip)

    def associate(self, address: Address, instance_id: str) -> str:
        """Put the address on the instance. Returns the association id."""
        return self.client().associate_address(AllocationId=address.allocation_id, InstanceId=instance_id)[
            "AssociationId"
        ]

    def holder(self, allocation_id: str) -> str | None:
        """The id of the instance that holds the address now; None if no instance does."""
        return holder(self._backend, allocation_id)

    def holder_of_ip(self, public_ip: str) -> str | None:
        """The same for an Elastic IP; of several allocations of it, for the first."""
        addresses = [each for each in self._backend.addresses if each.public_ip == public_ip]
        return self.holder(addresses[0].allocation_id) if addresses else None

    def public_ips(self) -> list[str]:
        """The Elastic IPs of the account, without a call."""
        return [str(each.public_ip) for each in self._backend.addresses]

    def state_of(self, instance_id: str) -> str | None:
        """The state of an instance, without a call; None if there is no such instance."""
        instances = self._backend.all_instances()
        return next((str(each._state.name) for each in instances if each.id == instance_id), None)

    def user_data(self) -> dict[str, str]:
        """The user data of the instances that have any and are not terminated, by their ids, without a call."""
        launched = [each for each in self._backend.all_instances() if each.user_data and each.state != "terminated"]
        return {each.id: b64decode(str(each.user_data)).decode(errors="replace") for each in launched}

    def set_state(self, instance_id: str, state: InstanceState) -> None:
        """Put an instance into a state that it would otherwise leave at once, such as `pending`."""
        instance = self._backend.get_instance(instance_id)
        instance._state.name, instance._state.code = state, STATE_CODES[state]

    def set_status(self, instance_id: str, check: StatusCheck, status: Status) -> None:
        """Set the result of one of EC2's status checks of an instance from now on."""
        set_status(self._backend, instance_id, check, status)

    @property
    def latency_seconds(self) -> float:
        """The extra seconds that every call takes before it has any effect. It may be set at any time."""
        return self._layer.latency_seconds

    @latency_seconds.setter
    def latency_seconds(self, seconds: float) -> None:
        self._layer.latency_seconds = seconds

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in the order of their ends."""
        return self._layer.calls

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every call that may have moved an address, before the caller is answered."""
        self._on_change.append(listener)

    @property
    def _backend(self) -> Any:
        return ec2_backends[DEFAULT_ACCOUNT_ID][REGION]

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Every request of every client passes here."""
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        reason = refusal(headers, ports=[self._server.server_port], admits=partial(compare_digest, ACCESS_KEY))
        if reason:
            start_response(f"{REFUSED} Forbidden", [("Content-Type", "text/plain")])
            return [reason.encode()]
        if environ["PATH_INFO"] == FAULTS:
            return self._layer.answer_about_faults(environ, start_response)
        return self._layer.answer(environ, start_response)

    def _notify(self) -> None:
        for listener in self._on_change:
            listener()
