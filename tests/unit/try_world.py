"""An AWS account in moto, and a machine for `make try`, on which the CDK CLI and the client do what they would do."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import boto3
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

from client.account import Account
from local.address_semantics import restore_address_semantics
from this_machine import Answer, ThisMachine
from try_servers import PAIR
from try_stacks import CUTOVER, SERVERS, TEST_PAIR

REGION = "eu-west-1"
TAG = [{"Key": TEST_PAIR, "Value": "true"}]
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:eip-cutover-try"
WITHOUT_IMAGES = "MOTO_EC2_LOAD_DEFAULT_AMIS", "false"  # which takes moto longer than a test
BOOTSTRAP = {"Name": "/cdk-bootstrap/hnb659fds/version", "Type": "String"}


class Session(boto3.Session):
    """Its clients are shared by all tests, because making them takes most of the time of a test. The calls of those
    that are seen are recorded and answered by the newest world."""

    seen_by: "ClassVar[TryWorld | None]" = None

    def __init__(self, *, seen: bool) -> None:
        super().__init__(region_name=REGION)
        if seen:
            self.events.register("before-call", self._called)

    @cache  # noqa: B019 - both sessions stay
    def client(self, service: str, **options: Any) -> Any:
        return super().client(service, **options)  # type: ignore[call-overload]

    @classmethod
    def _called(cls, model: Any, params: Any, **_: Any) -> Any:
        return cls.seen_by.called(model.name, params["body"]) if cls.seen_by else None


SEEN, UNSEEN = Session(seen=True), Session(seen=False)


def servers_template(zone: str, port: str = "80") -> dict[str, Any]:
    subnet = {"CidrBlock": "10.0.0.0/24", "VpcId": {"Ref": "Network"}, "AvailabilityZone": zone}
    server = {"ImageId": "ami-12c6146b", "InstanceType": "t4g.nano", "SubnetId": {"Ref": "Subnet"}, "Tags": TAG}
    server["UserData"] = f"port {port}"
    resources: dict[str, Any] = {
        "Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/24"}},
        "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": subnet},
    }
    for name in ("Production", "Staging"):
        resources[name] = {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}}
    for name in ("Bittybot", "Tao"):
        resources[name] = {"Type": "AWS::EC2::Instance", "Properties": server}
    values: dict[str, Any] = {"Bittybot": {"Ref": "Bittybot"}, "Tao": {"Ref": "Tao"}, "Port": port}
    for name in ("Production", "Staging"):
        values |= {f"{name}AllocationId": {"Fn::GetAtt": [name, "AllocationId"]}, f"{name}Ip": {"Ref": name}}
    return {"Resources": resources, "Outputs": {key: {"Value": value} for key, value in values.items()}}


EMPTY_TEMPLATE = json.dumps({"Resources": {"Nothing": {"Type": "AWS::SNS::Topic"}}})  # moto needs a resource
CUTOVER_TEMPLATE = {
    "Resources": {
        "Locks": {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "Properties": {
                "KeySchema": [{"AttributeName": "pair", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pair", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "DeletionProtectionEnabled": True,
                "Tags": TAG,  # on AWS, it has the tags of its stack
            },
        }
    },
    "Outputs": {"LockTableName": {"Value": {"Ref": "Locks"}}, "StateMachineArn": {"Value": MACHINE}},
}


# What the account has. Another test of this process may be within `mock_aws`, too; then moto does not begin anew.
SERVICES: Any = ("cloudformation", "dynamodb", "ec2", "ssm", "stepfunctions")


class TryWorld(ThisMachine):
    """Within `mock_aws`. `lines` is what was printed, `commands` what was run, `calls` the changes of the account."""

    def __init__(self) -> None:
        for service in SERVICES:
            get_backend(service)[DEFAULT_ACCOUNT_ID][REGION].reset()
        restore_address_semantics()
        self.lines: list[str] = []
        self.commands: list[Sequence[str]] = []
        self.folders: list[Path] = []
        self.variables: list[Mapping[str, str]] = []
        self.calls: list[str] = []
        self.exit_codes = Counter[str]()
        self.before: dict[str, Callable[[], None]] = {}
        self.synthesized: dict[str, Any] = {}
        self.after_client: Callable[[], object] = lambda: None
        self.releases = {"bittybot": "1", "tao": "1"}
        self.silent: set[str] = set()
        self.online: set[str] | None = None
        self.answers_as: dict[str, str] = {}
        self._template: dict[str, Any] = {}
        self._clock = 0.0
        self._outputs: dict[str, str] = {}
        self._answers: dict[str, Callable[[Any], Any]] = {"DescribeInstanceInformation": lambda _: self._agents()}
        Session.seen_by, self.session, self.unseen = self, SEEN, UNSEEN.client
        self.account = Account(self.session, stack=CUTOVER)
        self.unseen("ssm").put_parameter(**BOOTSTRAP, Value="30")

    # The account.

    @staticmethod
    def answered(answer: Mapping[str, Any]) -> Any:
        return SimpleNamespace(status_code=200), {"ResponseMetadata": {}, **answer}

    def answer_by(self, operation: str, answer: Callable[[], Any]) -> None:
        """Let a function answer an operation of AWS, from now on; if it returns None, moto does."""
        self._answers[operation] = lambda _: answer()

    def answer_by_parameters(self, operation: str, answer: Callable[[Any], Any]) -> None:
        """The same; the function gets the body of the call, as it is sent."""
        self._answers[operation] = answer

    def answer_call(self, operation: str, answer: Mapping[str, Any]) -> None:
        """Answer an operation of AWS, from now on."""
        self.answer_by(operation, lambda: self.answered(answer))

    def refuse(self, operation: str, code: str, message: str = "AWS says why.") -> None:
        error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        self._answers[operation] = lambda _: (SimpleNamespace(status_code=400), error)

    def stack(self, name: str) -> dict[str, Any] | None:
        stacks = self.unseen("cloudformation").describe_stacks()["Stacks"]
        return next((each for each in stacks if each["StackName"] == name), None)

    def make_servers(self, *, zone: str = "eu-west-1a", port: str = "80", tags: Any = TAG) -> None:
        """The stack of the servers, without a run of `make try`."""
        template = json.dumps(servers_template(zone, port))
        self._outputs.clear()
        self.unseen("cloudformation").create_stack(StackName=SERVERS, Tags=tags, TemplateBody=template)
        addresses = [self.output(f"{role}AllocationId") for role in ("Production", "Staging")]
        self.unseen("ec2").create_tags(Resources=addresses, Tags=TAG)  # which moto does not do

    def make_cutover(self, tags: Any = TAG) -> None:
        template = json.dumps(CUTOVER_TEMPLATE)
        self.unseen("cloudformation").create_stack(StackName=CUTOVER, TemplateBody=template, Tags=tags)

    def output(self, key: str) -> str:
        if key not in self._outputs:
            outputs = (self.stack(SERVERS) or {})["Outputs"]
            self._outputs = {each["OutputKey"]: each["OutputValue"] for each in outputs}
        return self._outputs[key]

    def server_at(self, role: str) -> str | None:
        """The name of the server that has the address of this role."""
        ip = self.output(f"{role.capitalize()}Ip")
        (address,) = self.unseen("ec2").describe_addresses(PublicIps=[ip])["Addresses"]
        instances = {self.output(name.capitalize()): name for name in self.releases}
        return instances.get(address.get("InstanceId"))

    def associate(self, role: str, instance_id: str) -> None:
        allocation_id = self.output(f"{role.capitalize()}AllocationId")
        self.unseen("ec2").associate_address(
            AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=True
        )

    @property
    def tables(self) -> list[str]:
        return list(self.unseen("dynamodb").list_tables()["TableNames"])

    # The machine.

    @property
    def output_text(self) -> str:
        return "\n".join(self.lines)

    def say(self, text: str = "") -> None:
        self.lines += text.split("\n")

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> int:
        self.commands.append(command)
        self.folders.append(folder)
        self.variables.append(variables)
        what = command[2] if command[1] in ("deploy", "synth") else "client"
        self.before.get(what, lambda: None)()
        if self.exit_codes[what]:
            return self.exit_codes[what]
        if command[1] == "synth":
            self._template = self.synthesized or servers_template(**self.context(command))
            return 0
        if what == SERVERS and not self.stack(SERVERS):
            context = self.context(command)
            self.make_servers(zone=context["zone"], port=context.get("port", "80"))
        if what == CUTOVER and not self.stack(CUTOVER):
            self.make_cutover()
        if what == "client":
            self._release(command)
            self.after_client()
        return 0

    def _release(self, command: Sequence[str]) -> None:
        """As `cutover.py start`, if everything goes well."""
        words = dict(zip(command[3::2], command[4::2], strict=True))
        live, idle = words["--server"], next(name for name in self.releases if name != words["--server"])
        before = self.server_at("production")
        self.releases[live] = words["--release"]
        for role, server in (("production", live), ("staging", idle)):
            self.associate(role, self.output(server.capitalize()))
        back = {"S": json.dumps({"server": before, "why": "it was live before"})}
        self.unseen("dynamodb").put_item(TableName=self.tables[0], Item={"pair": {"S": PAIR}, "rollbackTo": back})

    def read(self, file: Path) -> str:
        assert file.name == f"{SERVERS}.template.json"
        return json.dumps(self._template)

    @staticmethod
    def context(command: Sequence[str]) -> dict[str, str]:
        """The context of a command of the CDK CLI."""
        pairs = [following for word, following in pairwise(command) if word == "--context"]
        return dict(pair.split("=", 1) for pair in pairs)

    def answer(self, ip: str, port: int) -> Answer | None:
        role = next(role for role in ("production", "staging") if self.output(f"{role.capitalize()}Ip") == ip)
        server = self.server_at(role)
        if server is None or server in self.silent or port != int(self.output("Port")):
            return None
        return Answer(self.answers_as.get(server, server), self.releases[server])

    def sleep(self, seconds: float) -> None:
        self._clock += seconds

    def monotonic(self) -> float:
        return self._clock

    @property
    def python(self) -> str:
        return "/a folder/python"

    # Calls of the account.

    def called(self, operation: str, parameters: Any) -> Any:
        """Returns the answer to a call; None if moto answers."""
        if not operation.startswith(("Describe", "Get", "List")):
            self.calls.append(operation)
        return self._answers[operation](parameters) if operation in self._answers else None

    def _agents(self) -> Any:
        online = self.releases if self.online is None else self.online
        listed = [
            {
                "InstanceId": self.output(name.capitalize()),
                "PingStatus": "Online" if name in online else "ConnectionLost",
            }
            for name in self.releases
        ]
        return self.answered({"InstanceInformationList": listed})
