"""The test pair as an outsider sees it, by the APIs of AWS and by requests to its addresses, and changes it."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

from botocore.exceptions import ClientError

from tests.acceptance.executions import Clients, Executions, Json, until
from tests.acceptance.progress import Progress

HTTP_SECONDS = 5
SHOWN_SECONDS = 60  # until EC2 shows a change

TAG = "eip-cutover:test-pair"  # "true" on what may be moved and broken at will
SLOW = "slow"  # a release whose deployment takes 8 s more, for what must happen meanwhile
VERY_SLOW = "very-slow"  # 50 s: longer than a repair waits before it cancels the command, and than an interrupt takes

Role = Literal["production", "staging"]
ROLES: tuple[Role, ...] = get_args(Role)


class Places(NamedTuple):
    """The servers that the addresses are on, by EC2; None for no server of the pair."""

    production: str | None
    staging: str | None


class Answer(NamedTuple):
    """Who answered a request to an address: the headers X-Server and X-Release, and the status."""

    server: str | None
    release: str | None
    status: int

    @property
    def good(self) -> bool:
        return self.status == 200


class PairOnAws(Executions):
    """One pair of a deployed stack. `published` is what the stack publishes of it; it is the stack's `only` pair.

    `servers` has the instance ids by the servers' names, in their order. `allocation_ids` and `public_ips` are by role.
    `last_release` is the number of the newest release that a server has.
    """

    def __init__(
        self,
        clients: Clients,
        progress: Progress,
        *,
        name: str,
        only: bool,
        stack: str,
        outputs: Mapping[str, str],
        published: Mapping[str, Any],
    ) -> None:
        super().__init__(clients, progress, name=name, state_machine_arn=outputs["StateMachineArn"])
        self.only, self.stack, self.outputs = only, stack, dict(outputs)
        self.servers: dict[str, str] = dict(published["servers"])
        self.allocation_ids: dict[Role, str] = {role: published[role] for role in ROLES}
        self.public_ips: dict[Role, str] = {role: each["publicIp"] for role, each in self.addresses().items()}
        check: Json = next(iter(published.get("healthCheck", [])), {})
        self.port = int(check.get("port", 80))
        self.last_release = 0

    # What is there.

    def addresses(self) -> dict[Role, Json]:
        """Both addresses by EC2, in the form in which an execution reports them."""
        shown = self.client("ec2").describe_addresses(AllocationIds=list(self.allocation_ids.values()))["Addresses"]
        names = {instance: name for name, instance in self.servers.items()}
        by_id = {each["AllocationId"]: each for each in shown}
        return {
            role: {
                "publicIp": address["PublicIp"],
                "allocationId": id_,
                "associationId": address.get("AssociationId"),
                "server": names.get(address.get("InstanceId", "")),
                "instanceId": address.get("InstanceId"),
                "privateIp": address.get("PrivateIpAddress"),
            }
            for role, id_ in self.allocation_ids.items()
            for address in [by_id[id_]]
        }

    def places(self) -> Places:
        """Where both addresses are now, by EC2."""
        addresses = self.addresses()
        return Places(*(addresses[role]["server"] for role in ROLES))

    def live_and_idle(self) -> tuple[str, str]:
        """The names of the live and of the idle server of a sound pair."""
        production, staging = self.places()
        assert production, "production is on no server"
        assert staging, "staging is on no server"
        return production, staging

    def other(self, server: str) -> str:
        (other,) = self.servers.keys() - {server}
        return other

    def instances(self) -> dict[str, Json]:
        """Both instances as EC2 shows them, by id."""
        reservations = self.client("ec2").describe_instances(InstanceIds=list(self.servers.values()))["Reservations"]
        return {each["InstanceId"]: each for reservation in reservations for each in reservation["Instances"]}

    def instance_states(self) -> dict[str, str]:
        """The states of both instances, by the servers' names."""
        states = {id_: each["State"]["Name"] for id_, each in self.instances().items()}
        return {name: states[id_] for name, id_ in self.servers.items()}

    def statuses_ok(self) -> bool:
        """Whether both instances run and pass EC2's status checks."""
        # Only running instances are shown.
        shown = self.client("ec2").describe_instance_status(InstanceIds=list(self.servers.values()))["InstanceStatuses"]
        checks = [each[check]["Status"] for each in shown for check in ("InstanceStatus", "SystemStatus")]
        return checks == ["ok"] * 2 * len(self.servers)

    def item(self) -> Json:
        """The pair's item in the lock table, with its texts; empty if there is none."""
        table, key = self.outputs["LockTableName"], {"pair": {"S": self.name}}
        shown = self.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in shown.items()}

    def holder(self) -> str | None:
        """The ARN of the execution that holds the pair; None if none does."""
        return self.item().get("execution")

    def answer(self, role: Role, path: str = "/") -> Answer | None:
        """What answers at an address now, as a new connection sees it; None if nothing does."""
        connection = http.client.HTTPConnection(self.public_ips[role], self.port, timeout=HTTP_SECONDS)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            response.read()
            return Answer(response.headers["X-Server"], response.headers["X-Release"], response.status)
        return None

    def described(self) -> Iterator[str]:
        """The pair in lines for a person."""
        for role, ip in self.public_ips.items():
            yield f"{role:10} {ip} ({self.allocation_ids[role]})"
        for name, instance in self.servers.items():
            yield f"{name:10} {instance}"

    # Executions.

    def about(self, request: Mapping[str, object]) -> Json:
        """The input of an execution with this request for this pair."""
        return {"pair": self.name, **request}

    def start_again(self, arn: str) -> str:
        """Start an execution with the name and input of another. Returns its ARN, or the code of a refusal.

        Step Functions answers with the ARN of the other while that runs, and refuses the name for 90 days after.
        """
        states, name = self.client("stepfunctions"), arn.rpartition(":")[2]
        text = until(lambda: self._described(arn), f"Step Functions knows {arn}")["input"]
        try:
            answer = states.start_execution(stateMachineArn=self.state_machine_arn, name=name, input=text)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return str(answer["executionArn"])

    def commands(self, arn: str) -> list[Json]:
        """The commands that an execution has sent to the servers, by their comments, as Systems Manager shows them."""
        name, commands = arn.rpartition(":")[2], list[Json]()
        started = until(lambda: self._described(arn), f"Step Functions knows {arn}")["startDate"]
        since = [{"key": "InvokedAfter", "value": f"{started.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}]
        for instance in self.servers.values():
            pages = self.client("ssm").get_paginator("list_commands").paginate(InstanceId=instance, Filters=since)
            commands += [each for page in pages for each in page["Commands"] if name in each.get("Comment", "")]
        return commands

    def status_of(self, command: Json) -> str:
        """The status of a command on its server, such as `InProgress` or `Cancelled`."""
        id_, (instance,) = command["CommandId"], command["InstanceIds"]
        return str(self.client("ssm").get_command_invocation(CommandId=id_, InstanceId=instance)["Status"])

    def evaluate(self) -> Json:
        """Evaluate now whether the pair is ready. Returns the result."""
        execution = self.execute({"pair": self.name}, machine=self.readiness_arn)
        assert execution.status == "SUCCEEDED", execution
        return dict(execution.output)

    @cached_property
    def approves(self) -> bool:
        """Whether releases wait for an approval."""
        described = self.client("stepfunctions").describe_state_machine(stateMachineArn=self.state_machine_arn)
        return "WaitForApproval" in json.loads(described["definition"])["States"]

    def approval_token(self, arn: str) -> str | None:
        """What answers the execution that holds the pair and waits for approval; None if it does not wait now."""
        item = self.item()
        return item.get("approvalToken") if item.get("execution") == arn else None

    def meanwhile(self, arn: str) -> None:
        """Approve what waits for approval, so that the tests are the same for a pair with and without `approval`."""
        if self.approves and (token := self.approval_token(arn)):
            self.progress.step(f"{arn.rpartition(':')[2]} is approved")
            output = json.dumps({"approvedBy": "the acceptance suite"})
            with suppress(self.client("stepfunctions").exceptions.TaskTimedOut):  # it has been answered
                self.client("stepfunctions").send_task_success(taskToken=token, output=output)

    # Changes from outside.

    def new_release(self, behaviour: str = "") -> str:
        """The name of a release that no server has, such as `7`, or `7-unhealthy`, which behaves so."""
        self.last_release += 1
        return f"{self.last_release}-{behaviour}" if behaviour else str(self.last_release)

    def deploy(self, release: str, server: str) -> None:
        """Deploy a release to a server and restart it, without an execution."""
        self.on_server(server, f"deploy {release}")

    def on_server(self, server: str, command: str) -> None:
        """Run a command on a server by Systems Manager, and wait until it has succeeded.

        After the start of an instance, its agent needs some time: until then the command is sent again.
        """
        self.progress.step(f"{server} runs {command}")
        instance, ssm = self.servers[server], self.client("ssm")

        def sent() -> str | None:
            try:
                answer = ssm.send_command(
                    DocumentName="AWS-RunShellScript",
                    InstanceIds=[instance],
                    Parameters={"commands": [f"PATH=$PATH:/usr/local/bin {command}"]},
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidInstanceId":
                    raise
                return None
            return str(answer["Command"]["CommandId"])

        def ended() -> Json | None:
            try:
                invocation = dict(ssm.get_command_invocation(CommandId=id_, InstanceId=instance))
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvocationDoesNotExist":
                    raise
                return None
            return invocation if invocation["Status"] not in ("Pending", "InProgress", "Delayed") else None

        id_ = until(sent, f"Systems Manager reaches {server}")
        invocation = until(ended, f"the end of {command} on {server}")
        output = invocation["StandardOutputContent"] + invocation["StandardErrorContent"]
        assert invocation["Status"] == "Success", f"{command} on {server} ended {invocation['Status']}: {output}"

    def associate(self, role: Role, server: str) -> None:
        """Put an address on a server by EC2, from wherever it is."""
        self.progress.step(f"{role} goes to {server}, by EC2")
        id_, instance = self.allocation_ids[role], self.servers[server]
        call = self.client("ec2").associate_address
        association = call(AllocationId=id_, InstanceId=instance, AllowReassociation=True)["AssociationId"]
        self._await(role, lambda shown: shown == association)

    def disassociate(self, role: Role) -> None:
        """Put an address on no server, by EC2."""
        self.progress.step(f"{role} goes to no server, by EC2")
        if association := self.addresses()[role]["associationId"]:
            self.client("ec2").disassociate_address(AssociationId=association)
            # An execution, such as a repair, may already have put it on a server again.
            self._await(role, lambda shown: shown != association)

    def _await(self, role: Role, is_so: Callable[[str | None], bool]) -> None:
        """Return when EC2 shows the association of an address. What EC2 describes is eventually consistent."""
        what = f"EC2 shows the change of {role}'s association"
        until(lambda: is_so(self.addresses()[role]["associationId"]), what, seconds=SHOWN_SECONDS)
