"""The complete AWS on this machine: the pair `web` on two running servers, and the deployed stack that swaps them.

`with LocalAws() as aws:` is for tests and the demo. `make aws` is for people: see `local.console`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from local import deployment, environment
from local.ec2 import Address, Ec2
from local.emulator import Emulator
from local.instances import BootedInstance, Instances
from local.network import require_addresses
from local.routing import Routing
from local.run_folder import run_folder
from local.server import PROGRAMS, Server
from local.systems_manager_server import SystemsManagerServer

PAIR = "web"
STACK = "EipCutover"
PRODUCTION_IP = "127.0.0.10"
STAGING_IP = "127.0.0.11"
SERVER_ADDRESSES = {"bittybot": "127.0.0.21", "tao": "127.0.0.22"}
STARTING_PLACES = {"production": "bittybot", "staging": "tao"}
# As of the pair that `make try` makes.
_KEYS: dict[str, dict[str, object]] = json.loads((PROGRAMS / "pair.json").read_text())
HEALTH_CHECK, DEPLOY = _KEYS["healthCheck"], _KEYS["deploy"] | {"timeoutSeconds": 60}

Role = Literal["production", "staging"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Execution:
    """An execution. `output` is its output, parsed; None unless the execution succeeded."""

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str | None


@dataclass(frozen=True)
class Move:
    """An address is on another server, None for no server, from the moment `at` (`time.monotonic`)."""

    at: float
    role: Role
    server: str | None


class LocalAws:
    """Production on `bittybot`, staging on `tao`, both with release 1, and the workflow deployed.

    `health_check` changes keys of the pair's health check, and `pair` keys of the pair; `app` is the CDK app to deploy;
    `time_scale` shortens the waits and retry delays of the workflows. `seconds` says how long each part took to start;
    `moves` has every move of an address so far.
    """

    def __init__(
        self,
        *,
        health_check: Mapping[str, object] | None = None,
        pair: Mapping[str, object] | None = None,
        app: Path | None = None,
        time_scale: float = 1,
    ) -> None:
        self._time_scale = time_scale
        self._health_check = dict(health_check or {})
        self._pair = dict(pair or {})
        self._app = app or deployment.ROOT / "app.py"
        self.seconds: dict[str, float] = {}
        self.moves: list[Move] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        """Emulator and synthesis are slow, so they start in parallel with the rest. The deployment needs both."""
        began = time.monotonic()
        require_addresses([PRODUCTION_IP, STAGING_IP, *SERVER_ADDRESSES.values()])
        self.folder = stack.enter_context(run_folder())
        self.ec2 = stack.enter_context(Ec2())
        self._routing = Routing(
            [PRODUCTION_IP, STAGING_IP],
            public_ips=self.ec2.public_ips,
            holder=self._instance_with,
            machines=self._machines,
        )
        self.server_port = self._routing.port
        self.servers: dict[str, Server] = {}
        self.systems_manager = SystemsManagerServer(
            state_of=self.ec2.state_of,
            machines=self._machines,
            environment=lambda: self.environment,
            folder=self.folder,
            other=lambda: self.emulator.address,
        )
        self.emulator = stack.enter_context(
            Emulator(
                ec2_endpoint=self.ec2.endpoint,
                ssm_endpoint=self.systems_manager.endpoint,
                folder=self.folder,
                time_scale=self._time_scale,
            )
        )
        stack.enter_context(self.systems_manager)
        self.addresses: dict[Role, Address] = {
            "production": self.ec2.allocate(PRODUCTION_IP),
            "staging": self.ec2.allocate(STAGING_IP),
        }
        instances = {name: self.ec2.launch(name) for name in SERVER_ADDRESSES}
        self.pairs = self._pairs(instances)
        synthesis = deployment.Synthesis({"pairs": self.pairs}, folder=self.folder, app=self._app)
        stack.enter_context(synthesis.process)
        for name, address in SERVER_ADDRESSES.items():
            folder = self.folder / name
            server = Server(
                name, instance_id=instances[name], address=address, production_ip=PRODUCTION_IP, folder=folder
            )
            self.servers[name] = stack.enter_context(server)
        self.instances = stack.enter_context(
            Instances(
                self.ec2,
                folder=self.folder,
                port=self.server_port,
                variables=lambda: self.environment,
                report=self._routing.report,
            )
        )
        stack.enter_context(self._routing)
        self.ec2.on_change(self._changed)
        self.place(**STARTING_PLACES)
        self._took("ec2, servers, network", began)

        began = time.monotonic()
        self.emulator.wait_until_ready()
        deployment.bootstrap(self.emulator)
        self._took("emulator", began)

        began = time.monotonic()
        assembly = synthesis.finish()
        self._took("synthesis", began)

        began = time.monotonic()
        self.outputs = self._deploy(assembly, STACK)
        self.state_machine_arn = self.outputs["StateMachineArn"]
        self._took("deployment", began)

    def deploy_beside(self, name: str, stack: str) -> dict[str, str]:
        """Deploy a second stack for the same pair. Its `name` gives the id `stack`. Returns its outputs."""
        folder = self.folder / stack
        folder.mkdir()
        synthesis = deployment.Synthesis({"pairs": self.pairs, "name": name}, folder=folder, app=self._app)
        with synthesis.process:
            return self._deploy(synthesis.finish(), stack)

    def _deploy(self, assembly: Path, stack: str) -> dict[str, str]:
        deploying = deployment.Deployment(
            assembly, stack=stack, client_environment=self.environment, folder=assembly.parent
        )
        with deploying.process:
            deploying.finish()
        return deployment.outputs(self.emulator, stack)

    # Places.

    @property
    def production_ip(self) -> str:
        return self.addresses["production"].public_ip

    @property
    def staging_ip(self) -> str:
        return self.addresses["staging"].public_ip

    def holder(self, role: Role) -> str | None:
        """The name of the server that holds the address now; None if no server does."""
        instance = self.ec2.holder(self.addresses[role].allocation_id)
        return next((name for name, server in self.servers.items() if server.instance_id == instance), None)

    def place(self, *, production: str | None, staging: str | None) -> None:
        """Put the addresses on these servers, or on no server, for the start of a test."""
        client = self.ec2.client()
        wanted: dict[Role, str | None] = {"production": production, "staging": staging}
        for role, name in wanted.items():
            if self.holder(role) != name:
                (address,) = client.describe_addresses(AllocationIds=[self.addresses[role].allocation_id])["Addresses"]
                if "AssociationId" in address:
                    client.disassociate_address(AssociationId=address["AssociationId"])
        for role, name in wanted.items():
            if name and self.holder(role) != name:
                self.ec2.associate(self.addresses[role], self.servers[name].instance_id)

    def reset(self) -> None:
        """Restore the state after the start: production on bittybot, staging on tao, release 1 healthy on both.

        Removes faults and delays. The last outcome counts as long ago, so that no execution waits because of it.
        """
        locks, table = self.client("dynamodb"), self.outputs["LockTableName"]
        for item in locks.scan(TableName=table)["Items"]:
            locks.update_item(TableName=table, Key={"pair": item["pair"]}, UpdateExpression="REMOVE lastOutcome")
        self.emulator.cloudwatch.behave("answers")
        self.systems_manager.core.forget_commands()
        self.systems_manager.core.agents.manner.clear()
        self.ec2.faults.clear()
        self.ec2.latency_seconds = 0
        self._routing.complete()
        for server in self.servers.values():
            server.deploy(release=1)
            server.restart()
        self.place(**STARTING_PLACES)

    @property
    def propagation_seconds(self) -> float:
        """After an address moves, new connections still reach its former server for so long."""
        return self._routing.seconds

    @propagation_seconds.setter
    def propagation_seconds(self, seconds: float) -> None:
        self._routing.seconds = seconds

    # Clients and executions.

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make an AWS client, such as the AWS CLI, talk to this AWS."""
        return environment.of_a_client(
            endpoint=self.emulator.endpoint, ec2_endpoint=self.ec2.endpoint, ssm_endpoint=self.systems_manager.endpoint
        )

    def client(self, service: str) -> Any:
        """A boto3 client of any service of this AWS."""
        if service == "ec2":
            return self.ec2.client()
        return self.emulator.client(service, self.systems_manager.endpoint if service == "ssm" else None)

    def start(self, request: object, **more: str) -> str:
        """Start an execution of the workflow with this input. Returns its ARN. `more` goes to StartExecution."""
        started = self._states.start_execution(
            stateMachineArn=self.state_machine_arn, input=json.dumps(request), **more
        )
        return str(started["executionArn"])

    def look(self, arn: str) -> Execution:
        """The execution as it is now."""
        described = self._states.describe_execution(executionArn=arn)
        # ministack also gives a failed execution an output.
        output = json.loads(described["output"]) if described["status"] == "SUCCEEDED" else None
        return Execution(arn, described["status"], output, described.get("error"), described.get("cause"))

    def history(self, arn: str) -> list[dict[str, Any]]:
        """All events of the execution so far, in order."""
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def wait(self, arn: str, *, seconds: float = 120) -> Execution:
        """Wait for the execution to end. Raises TimeoutError if it does not."""
        deadline = time.monotonic() + seconds
        while (execution := self.look(arn)).status == "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{arn} still runs after {seconds} s")
            time.sleep(0.05)
        return execution

    def execute(self, request: object, **more: str) -> Execution:
        """Start an execution and wait for it to end."""
        return self.wait(self.start(request, **more))

    @property
    def _states(self) -> Any:
        if not hasattr(self, "_states_client"):
            self._states_client = self.client("stepfunctions")
        return self._states_client

    # Parts.

    def _pairs(self, instances: Mapping[str, str]) -> dict[str, object]:
        return {
            PAIR: {
                "production": self.addresses["production"].allocation_id,
                "staging": self.addresses["staging"].allocation_id,
                "servers": dict(instances),
                "healthCheck": HEALTH_CHECK | {"port": self.server_port} | self._health_check,
                "deploy": DEPLOY,
                **self._pair,
            }
        }

    def _instance_with(self, ip: str) -> str | None:
        """The id of the instance that holds an Elastic IP. Another local AWS in this process may have the same IPs."""
        own = {address.public_ip: address.allocation_id for address in self.addresses.values()}
        return self.ec2.holder(own[ip]) if ip in own else self.ec2.holder_of_ip(ip)

    def _machines(self) -> dict[str, Server | BootedInstance]:
        """What runs on the instances, by their ids."""
        return {server.instance_id: server for server in self.servers.values()} | dict(self.instances.booted)

    def _changed(self) -> None:
        self.instances.follow()
        for role in ROLES:
            server = self.holder(role)
            if server != next((move.server for move in reversed(self.moves) if move.role == role), None):
                self.moves.append(Move(time.monotonic(), role, server))
        self._routing.follow()

    def _took(self, what: str, began: float) -> None:
        self.seconds[what] = time.monotonic() - began
