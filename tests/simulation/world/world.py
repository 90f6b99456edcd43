"""AWS as one run of the simulation finds it: small, fast and deterministic. Nothing here waits, chooses or schedules.

Every call takes effect at one instant, when `World.answer` is called. The scheduler decides what happens to a call on
its way. A call or parameter that is not modelled raises NotModelled.
"""

from collections.abc import Callable, Mapping
from typing import Any

from domain.pair import Pair
from domain.release_commands import document
from tests.simulation.world.dynamodb import DynamoDb
from tests.simulation.world.ec2 import Ec2
from tests.simulation.world.errors import NotModelled
from tests.simulation.world.machines import ACCOUNT, REGION, THIRD, Address, Instance, Interface
from tests.simulation.world.small_services import CloudFormation, CloudWatch, Events, Sns
from tests.simulation.world.systems_manager import WorldCommands
from tests.simulation.world.web import Web

TABLE, TOPIC, DOCUMENTS = "locks", f"arn:aws:sns:{REGION}:{ACCOUNT}:outcomes", "eip-cutover."
STRANGER = "i-0000000000000ffff"


class World:
    """The pairs of `pairs.json`, each with production on its first server and staging on its second, all running and
    healthy; and a running instance, `stranger`, and an address on no server, `ec2.third`, that belong to no pair.

    The lock table has the name TABLE, the documents of Systems Manager begin with DOCUMENTS.
    """

    stranger = STRANGER

    def __init__(self, pairs: Mapping[str, Any], clock: Callable[[], float]) -> None:
        self.pairs = {name: Pair.from_json(name, configured) for name, configured in pairs.items()}
        self.ec2 = Ec2({name: (pair.production, pair.staging) for name, pair in self.pairs.items()}, clock)
        self.ssm = WorldCommands(self.ec2.state_of, clock)
        self.ec2.before_an_instance_changes = self.ssm.settle
        names: dict[str, str] = {}
        for pair in self.pairs.values():
            names |= {pair.production: "production", pair.staging: "staging"}
            self._add(pair)
        self.ec2.add(Address(THIRD, self._public_ip()))
        self.launch(STRANGER)
        self.web = Web(self.ec2, clock, addresses=names, release_of=self.ssm.release_of)
        for pair in self.pairs.values():
            self.web.headers |= {each.instance_id: {"X-Server": each.name, "X-Store": "db-1"} for each in pair.servers}
        self.web.headers[STRANGER] = {"X-Server": "stranger"}
        self.dynamodb = DynamoDb(TABLE, clock)
        self.sns, self.events = Sns(clock), Events(clock)
        self.cloudwatch, self.cloudformation = CloudWatch(clock), CloudFormation()
        self._stale = {"ec2": self.ec2.answer, "dynamodb": self.dynamodb.answer}
        self._services: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
            **self._stale,
            "ssm": self.ssm.answer,
            "sns": self.sns.answer,
            "events": self.events.answer,
            "cloudwatch": self.cloudwatch.answer,
            "cloudformation": self.cloudformation.answer,
        }

    def answer(
        self, service: str, action: str, parameters: Mapping[str, Any], *, as_of: float | None = None
    ) -> dict[str, Any]:
        """What boto3 returns from the call, without ResponseMetadata. Raises AwsError.

        With `as_of`, DescribeAddresses of `ec2` and reads of `dynamodb` that are not consistent show that moment.
        """
        if as_of is not None and service in self._stale:
            return self._stale[service](action, parameters, as_of=as_of)
        if service not in self._services:
            raise NotModelled(service)
        return self._services[service](action, parameters)

    def launch(self, instance_id: str, *, network_interface_id: str | None = None) -> Instance:
        """A running instance with an interface, which has a public address from EC2. If an interface is named, the
        instance has a second one with this id, and neither has such an address."""
        instance = self.ec2.instances[instance_id] = Instance(instance_id)
        alone = network_interface_id is None
        for interface_id in filter(None, (f"eni-{instance_id.removeprefix('i-')}", network_interface_id)):
            number = len(self.ec2.interfaces) + 10
            private_ip = f"172.31.{number // 250}.{number % 250}"
            interface = Interface(interface_id, [private_ip], instance, assigns_public_ip=alone)
            self.ec2.interfaces[interface_id] = interface
            instance.interfaces.append(interface)
            self.ec2.assign_public_ip(interface)
        return instance

    def use_second_private_ips(self) -> None:
        """Each server of a pair gets a second private address, and its Elastic IP is put on that."""
        for address in self.ec2.addresses.values():
            if interface := address.interface:
                interface.private_ips.append(f"{interface.private_ips[0]}9")
                self.ec2.place(address, interface)

    def _add(self, pair: Pair) -> None:
        for allocation_id, server in zip((pair.production, pair.staging), pair.servers, strict=True):
            instance = self.launch(server.instance_id, network_interface_id=server.network_interface_id)
            self.ec2.add(Address(allocation_id, self._public_ip()), instance.interfaces[-1])
        if runs := document(pair):
            self.ssm.register(f"{DOCUMENTS}{runs.key}", runs.content)

    def _public_ip(self) -> str:
        number = len(self.ec2.addresses) + 10
        return f"203.0.{113 + number // 250}.{number % 250}"
