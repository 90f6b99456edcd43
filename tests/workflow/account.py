"""The account for executions in this process, and in it a pair of servers and addresses for each test."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.events.models import events_backends
from moto.sns.models import sns_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from moto.stepfunctions.parser.utils import TMP_THREADS

from domain.pair import Pair
from domain.record import Record
from domain.release_commands import document
from local.address_semantics import descriptions, holder
from stacks.workflow.retries import THROTTLED_TRIES
from tests.workflow.engine import BINDINGS, REGION, SYSTEMS_MANAGER, WAITS, service_client

PAIR = ("bittybot", "tao")
ACQUIRES, RELEASES = "SET execution", "SET rollbackTo"  # in the requests of the two states
DOCUMENTS = "eip-cutover."  # the names of the documents begin so
ARCHIVE = "of-all-events"
FEWER_THROTTLED_TRIES = 60  # as many as there are take long here, too
ERROR = {"Code": "InternalServerError", "Message": "A test says so."}
INTERNAL_ERROR = {"HTTPStatusCode": 500, "RequestId": "test"}


@dataclass(frozen=True)
class Execution:
    """A finished execution. `states` are the names of the states that it entered, in order."""

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str | None
    states: list[str]

    @property
    def outcome(self) -> str:
        return self.output["outcome"] if self.status == "SUCCEEDED" else str(self.error)


def _execution(arn: str) -> Any:
    """moto's own, since asking its API takes longer than the rest of a test."""
    return stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID][REGION].describe_execution(arn)


@contextmanager
def _hooked(service: str, event: str, hook: Callable[..., Any]) -> Iterator[None]:
    """botocore calls the hook at this event of the workflow's own client of a service meanwhile."""
    events = service_client(service).meta.events
    events.register(event, hook, unique_id="hooked")
    try:
        yield
    finally:
        events.unregister(event, unique_id="hooked")


class Account:
    """What all tests share: the clients, the lock table, the topic, and the workflow of a template."""

    def __init__(self, template: dict[str, Any], *, throttled_tries: int = FEWER_THROTTLED_TRIES) -> None:
        self.ec2 = boto3.client("ec2", REGION)
        self.sfn = boto3.client("stepfunctions", REGION)
        self.dynamodb = boto3.client("dynamodb", REGION)
        self.sns = boto3.client("sns", REGION)
        self.table = "locks"
        self.dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "pair", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pair", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.topic = self.sns.create_topic(Name="outcomes")["TopicArn"]
        events = boto3.client("events", REGION)
        bus = events.describe_event_bus(Name="default")["Arn"]
        events.create_archive(ArchiveName=ARCHIVE, EventSourceArn=bus, EventPattern='{"source": ["eip-cutover"]}')
        self.state_machine, self.repair, self.readiness = (
            self.sfn.create_state_machine(
                name=name,
                definition=quick(definition(template, table=self.table, topic=self.topic, name=name), throttled_tries),
                roleArn="arn:aws:iam::123456789012:role/workflow",
            )["stateMachineArn"]
            for name in ("eip-cutover", "eip-cutover-repair", "eip-cutover-readiness")
        )


class Aws:
    """One test's own pair in the account: production on bittybot, staging on tao; no lock, nothing notified yet."""

    def __init__(self, account: Account, folder: Path, environment: pytest.MonkeyPatch, ips: tuple[str, str]) -> None:
        self.ec2, self.sfn, self.dynamodb = account.ec2, account.sfn, account.dynamodb
        self.table, self.topic = account.table, account.topic
        self.state_machine, self.repair_machine = account.state_machine, account.repair
        self.readiness_machine = account.readiness
        self._ips = ips
        self.servers = {name: self.launch() for name in PAIR}
        self.production, self.staging = (
            self.ec2.allocate_address(Domain="vpc", Address=ip)["AllocationId"] for ip in ips
        )
        self.associate(self.production, "bittybot")
        self.associate(self.staging, "tao")
        self.pairs_file = folder / "pairs.json"
        environment.setenv("PAIRS_FILE", str(self.pairs_file))
        environment.setenv("LOCK_TABLE", self.table)
        environment.setenv("DOCUMENTS", DOCUMENTS)
        self.systems_manager = SYSTEMS_MANAGER
        self.systems_manager.begin_anew()
        self._forget()

    def _forget(self) -> None:
        for item in self._items:
            self.dynamodb.delete_item(TableName=self.table, Key={"pair": item["pair"]})
        self.forget_notices()
        self.systems_manager.forget_commands()
        WAITS.clear()

    def configure(self, *, port: int, pair: Mapping[str, Any] | None = None, **health_check: Any) -> None:
        """Configures pair `web`, checked by one probe each unless `health_check` says otherwise.

        `pair` are further keys of the pair.
        """
        check = {
            "protocol": "HTTP", "port": port, "path": "/health", "matcher": "200", "intervalSeconds": 1,
            "timeoutSeconds": 1, "healthyThresholdCount": 1, "unhealthyThresholdCount": 1, "startPeriodSeconds": 0,
            "deadlineSeconds": 30, **health_check,
        }  # fmt: skip
        configured = {
            "production": self.production, "staging": self.staging,
            "servers": {name: self.servers[name] for name in PAIR}, "healthCheck": [check], "bakeSeconds": 0,
            "alarms": [], **(pair or {}),
        }  # fmt: skip
        self._deploy({"web": configured})

    def configure_many(self, count: int, *, port: int, **health_check: Any) -> dict[str, Any]:
        """Configures so many pairs in place of `web`, each with servers and addresses of its own, live on `one`."""
        self.configure(port=port, **health_check)
        web = json.loads(self.pairs_file.read_text())["web"]
        pairs: dict[str, Any] = {}
        for number in range(count):
            servers = {name: self.launch() for name in ("one", "two")}
            addresses = [self.ec2.allocate_address(Domain="vpc", Address=ip)["AllocationId"] for ip in self._ips]
            for allocation_id, instance_id in zip(addresses, servers.values(), strict=True):
                self.ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id)
            production, staging = addresses
            pairs[f"pair-{number}"] = {**web, "production": production, "staging": staging, "servers": servers}
        self._deploy(pairs)
        return pairs

    def _deploy(self, pairs: dict[str, Any]) -> None:
        """What the stack deploys of pairs: a file for the functions, and the documents with their commands."""
        self.pairs_file.write_text(json.dumps(pairs))
        for name, configured in pairs.items():
            if runs := document(Pair.from_json(name, configured)):
                self.systems_manager.register(f"{DOCUMENTS}{runs.key}", runs.content)

    def launch(self, *, zone: str | None = None) -> str:
        """Launches an instance, if a zone is given in a new subnet there: the instance id."""
        place: dict[str, Any] = {"SubnetId": self._subnet(zone)} if zone else {}
        launched = self.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **place)
        return launched["Instances"][0]["InstanceId"]

    def _subnet(self, zone: str) -> str:
        (vpc, *_) = self.ec2.describe_vpcs()["Vpcs"]
        used = {subnet["CidrBlock"] for subnet in self.ec2.describe_subnets()["Subnets"]}
        free = next(block for block in (f"172.31.{third}.0/28" for third in range(128, 255)) if block not in used)
        subnet = self.ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock=free, AvailabilityZone=zone)["Subnet"]
        return str(subnet["SubnetId"])

    def associate(self, allocation_id: str, server: str, *, private_ip: str | None = None) -> None:
        """Puts an address on a server, on its primary private address unless another one is given."""
        chosen: dict[str, Any] = {"PrivateIpAddress": private_ip} if private_ip else {}
        self.ec2.associate_address(AllocationId=allocation_id, InstanceId=self.servers[server], **chosen)

    def interface_of(self, server: str) -> str:
        """The id of the only network interface of a server."""
        attached: Any = {"Name": "attachment.instance-id", "Values": [self.servers[server]]}
        (interface,) = self.ec2.describe_network_interfaces(Filters=[attached])["NetworkInterfaces"]
        return str(interface["NetworkInterfaceId"])

    def second_private_ip(self, server: str) -> str:
        """Assigns a second private address to the interface of a server."""
        interface = self.interface_of(server)
        assigned = self.ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=1)
        return str(assigned["AssignedPrivateIpAddresses"][0]["PrivateIpAddress"])

    def disassociate(self, allocation_id: str) -> None:
        (address,) = self.ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"]
        self.ec2.disassociate_address(AssociationId=address["AssociationId"])

    def holder(self, allocation_id: str) -> str | None:
        """The name of the server that holds an address, its instance id if it is none of the pair's, or None."""
        instance_id = holder(ec2_backends[DEFAULT_ACCOUNT_ID][REGION], allocation_id)
        return next((name for name, instance in self.servers.items() if instance == instance_id), instance_id)

    def runs(self, server: str) -> bool:
        """Whether the instance of that name, or of that id, is running."""
        return self.state_of(server) == "running"

    def state_of(self, server: str) -> str:
        instance = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].get_instance(self.servers.get(server, server))
        return str(instance._state.name)

    def renew(self) -> None:
        """Every server runs, no lock is held, nothing was notified; for one more execution of the same test."""
        for name in self.servers:
            match self.state_of(name):
                case "stopped":
                    self.ec2.start_instances(InstanceIds=[self.servers[name]])
                case "terminated":
                    self.servers[name] = self.launch()
        self._forget()
        TMP_THREADS.clear()
        BINDINGS.clear()

    def place(self, *, production: str, staging: str | None) -> None:
        """Puts both addresses where they are wanted."""
        if self.holder(self.staging):
            self.disassociate(self.staging)
        self.associate(self.production, production)
        if staging:
            self.associate(self.staging, staging)

    def described(self, name: str) -> dict[str, Any]:
        """An address as an outcome reports it."""
        allocation_id = self.production if name == "production" else self.staging
        shown = descriptions(ec2_backends[DEFAULT_ACCOUNT_ID][REGION])[allocation_id]
        return {
            "publicIp": shown["PublicIp"], "allocationId": allocation_id, "associationId": shown.get("AssociationId"),
            "server": self.holder(allocation_id), "instanceId": shown.get("InstanceId"),
            "privateIp": shown.get("PrivateIpAddress"),
        }  # fmt: skip

    @property
    def places(self) -> tuple[str | None, str | None]:
        """Who holds production, and who holds staging."""
        return self.holder(self.production), self.holder(self.staging)

    @property
    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.dynamodb.scan(TableName=self.table)["Items"]
        return items

    @property
    def locks(self) -> list[dict[str, Any]]:
        """The items that are locks; the others are only records."""
        return [item for item in self._items if "execution" in item]

    @property
    def item(self) -> dict[str, Any]:
        """The item of the pair `web`, or an empty one."""
        return next((item for item in self._items if item["pair"]["S"] == "web"), {})

    @property
    def record(self) -> Record:
        """The record of the pair `web`."""
        return Record.from_item(self.item)

    @property
    def notices(self) -> list[dict[str, Any]]:
        """What was published to the topic, as programs get it, parsed."""
        return [json.loads(message["sqs"]) for message in self.messages]

    @property
    def messages(self) -> list[dict[str, str]]:
        """What was published to the topic, by protocol."""
        return [json.loads(message) for _, message, _, _, _ in self._published()]

    @property
    def attributes(self) -> list[dict[str, str]]:
        """The attributes of what was published to the topic."""
        attributes = (published[3] or {} for published in self._published())
        return [{name: str(value["Value"]) for name, value in each.items()} for each in attributes]

    def forget_notices(self) -> None:
        self._published().clear()
        self.events.clear()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that were put on the default bus."""
        archived: list[Any] = events_backends[DEFAULT_ACCOUNT_ID][REGION].archives[ARCHIVE].events
        return archived

    def _published(self) -> list[Any]:
        published: list[Any] = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[self.topic].sent_notifications
        return published

    @property
    def subjects(self) -> list[str]:
        """The subjects of what was published to the topic."""
        return [str(subject) for _, _, subject, _, _ in self._published()]

    @staticmethod
    @contextmanager
    def failing(service: str, action: str, *, containing: str = "") -> Iterator[None]:
        """The workflow's own calls of an action (`sns`, `Publish`) fail with an internal error meanwhile; or only those
        whose request contains a text."""
        answer = SimpleNamespace(status_code=500), {"Error": ERROR, "ResponseMetadata": INTERNAL_ERROR}
        with Aws.just_before(service, action, lambda: answer, containing=containing):
            yield

    @staticmethod
    @contextmanager
    def losing_an_answer(service: str, action: str) -> Iterator[None]:
        """The workflow's first call of an action takes effect, and is answered with an internal error."""
        lost: list[object] = []

        def lose(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
            if not lost:
                lost.append(parsed.copy())
                http_response.status_code = 500
                parsed |= {"Error": ERROR, "ResponseMetadata": INTERNAL_ERROR}

        with _hooked(service, f"after-call.{service}.{action}", lose):
            yield
        assert lost

    @staticmethod
    @contextmanager
    def just_before(service: str, action: str, act: Callable[[], object], *, containing: str = "") -> Iterator[None]:
        """Just before the workflow's calls of an action whose request contains a text, something else happens. A tuple
        from it is the answer."""

        def happen(params: dict[str, Any], **_: Any) -> object:
            answer = act() if containing in str(params["body"]) else None
            return answer if isinstance(answer, tuple) else None

        with _hooked(service, f"before-call.{service}.{action}", happen):
            yield

    def start(self, value: Any = None) -> str:
        return self.start_text(json.dumps({} if value is None else value))

    def start_text(self, text: str, machine: str | None = None) -> str:
        """Starts an execution with an input as it is written."""
        started = self.sfn.start_execution(
            stateMachineArn=machine or self.state_machine, name=f"test-{uuid.uuid4()}", input=text
        )
        return str(started["executionArn"])

    def repair(self, dead: str, status: str | None = None) -> Execution:
        """What the EventBridge rule starts when an execution was stopped."""
        event = {"execution": dead, "status": status or self.status(dead)}
        return self.wait(self.start_text(json.dumps(event), self.repair_machine))

    def unlock(self, pair: str) -> Execution:
        """What `cutover.py unlock` starts."""
        return self.wait(self.start_text(json.dumps({"pair": pair}), self.repair_machine))

    def begin_evaluation(self, **value: Any) -> str:
        """What EventBridge starts to evaluate the pair `web`."""
        return self.start_text(json.dumps({"pair": "web", **value}), self.readiness_machine)

    def evaluate(self, **value: Any) -> Execution:
        return self.wait(self.begin_evaluation(**value))

    def execute(self, value: Any = None) -> Execution:
        return self.wait(self.start(value))

    def wait(self, arn: str) -> Execution:
        """The execution, once it has ended."""
        _execution(arn).exec_worker.thread.join(timeout=30)
        assert self.status(arn) != "RUNNING", "not over after 30 s"
        ended = self.sfn.describe_execution(executionArn=arn)
        output = json.loads(ended["output"]) if ended.get("output") else None
        return Execution(arn, ended["status"], output, ended.get("error"), ended.get("cause"), self.entered(arn))

    def status(self, arn: str) -> str:
        return str(_execution(arn).status)

    def backdate(self, arn: str, *, hours: float) -> None:
        """Lets an execution have ended that long ago."""
        _execution(arn).stop_date -= timedelta(hours=hours)

    def put_lock(self, execution: str, *, server: str, pair: str = "web") -> None:
        """A lock that an execution left behind while it was making a server live."""
        item = {"pair": pair, "execution": execution, "since": "2026-01-01T00:00:00Z", "server": server}
        self.dynamodb.put_item(TableName=self.table, Item={key: {"S": value} for key, value in item.items()})

    def hold_lock(self, execution: str, *, since: str) -> None:
        """From now on, an execution holds the lock of the pair `web`. Its record stays."""
        self._update("SET execution = :execution, since = :since", {":execution": execution, ":since": since})

    def delete_lock(self) -> None:
        self._update("REMOVE execution, since", {})

    def _update(self, expression: str, values: dict[str, str]) -> None:
        given = {"ExpressionAttributeValues": {key: {"S": value} for key, value in values.items()}} if values else {}
        self.dynamodb.update_item(
            TableName=self.table, Key={"pair": {"S": "web"}}, UpdateExpression=expression, **given
        )

    def put_record(self, *, rollback_to: str | None) -> None:
        """The record of the pair `web`, without a lock: the server to go back to."""
        target = json.dumps({"server": rollback_to, "why": "a test says so"})
        item: Any = {"pair": {"S": "web"}, "rollbackTo": {"S": target}, "revision": {"N": "7"}}
        self.dynamodb.put_item(TableName=self.table, Item=item)

    def wait_for(self, arn: str, state: str) -> None:
        """Until an execution has entered a state."""
        self.until(lambda: state in self.entered(arn))

    @staticmethod
    def until(true: Callable[[], bool], within_seconds: float = 30) -> None:
        deadline = time.monotonic() + within_seconds
        while not true():
            assert time.monotonic() < deadline, f"not so after {within_seconds} s"
            time.sleep(0.01)

    def entered(self, arn: str) -> list[str]:
        events = _execution(arn).to_history_output()["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


def quick(workflow: str, throttled_tries: int) -> str:
    """The workflow that believes an address to be moving for half a second, and not for ten, and that gives up after
    so many throttled tries."""
    seen = re.sub(r'"movingSeconds":10\b', '"movingSeconds":0.5', workflow)
    seen = seen.replace("{% $moved ? 10 : 0 %}", "{% $moved ? 0.5 : 0 %}")
    assert seen != workflow or "movingSeconds" not in workflow
    patient = f'"MaxAttempts":{THROTTLED_TRIES}'
    assert patient in workflow
    return seen.replace(patient, f'"MaxAttempts":{throttled_tries}')


def definition(template: dict[str, Any], *, table: str, topic: str, name: str = "eip-cutover") -> str:
    """The synthesized definition of a workflow, with its references resolved to what this account has."""
    resources = template["Resources"]
    (machine,) = (each for each in resources.values() if each.get("Properties", {}).get("StateMachineName") == name)

    def resolved(part: Any) -> str:
        if isinstance(part, str):
            return part
        if part == {"Ref": "AWS::Partition"}:
            return "aws"
        logical_id = part["Ref"] if "Ref" in part else part["Fn::GetAtt"][0]
        match resources[logical_id]["Type"]:
            case "AWS::Lambda::Function":
                return str(resources[logical_id]["Properties"]["Handler"]).removesuffix(".handler")
            case "AWS::DynamoDB::Table":
                return table
            case "AWS::SNS::Topic":
                return topic
            case other:
                raise AssertionError(f"the definition refers to {logical_id}, an {other}")

    return "".join(resolved(part) for part in machine["Properties"]["DefinitionString"]["Fn::Join"][1])
