"""AWS in this process: the synthesized workflow on moto's Step Functions engine, with the real handlers.

moto runs the definition, DynamoDB and SNS; its EC2 has AWS's address semantics (`local.address_semantics`). What moto
gets wrong or leaves out is corrected here and listed in `docs/emulators.md`.
"""

import importlib
import json
import re
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import jsonata
import pytest
from botocore.config import Config
from jsonata.utils import Utils
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sns.models import sns_backends
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval import states, variable_store
from moto.stepfunctions.parser.asl.jsonata import jsonata as engine_jsonata
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client

from local.address_semantics import restore_address_semantics

REGION = "us-east-1"
MODULES = ("describe_addresses", "health_check", "disassociate_address", "associate_address")
MOTO = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}


# Retries and waits take a hundredth of their time; how long the Wait states were asked to wait is kept.
INTERNAL_ERROR = {"HTTPStatusCode": 500, "RequestId": "test"}
TIME_SCALE = 0.01
WAITS: list[float] = []


@dataclass(frozen=True)
class Execution:
    """What a finished execution came to. `states` are the names of the states it entered, in order."""

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str | None
    states: list[str]

    @property
    def outcome(self) -> str:
        return self.output["outcome"] if self.status == "SUCCEEDED" else str(self.error)


@contextmanager
def corrected_engine() -> Iterator[None]:
    """moto with a JSONata engine, its string variables safe, our handlers as its functions, and AWS's addresses."""
    restore_address_semantics()
    with mock_aws(config=MOTO), pytest.MonkeyPatch.context() as moto:
        moto.setattr(engine_jsonata, "_eval_jsonata", _evaluate)
        moto.setattr(states, "encode_jsonata_variable_declarations", _declare)
        moto.setattr(variable_store, "encode_jsonata_variable_declarations", _declare)
        moto.setattr(StateTaskServiceAwsSdk, "_normalise_parameters", _in_boto3_case)
        moto.setattr(StateTaskServiceAwsSdk, "_normalise_response", _in_workflow_case)
        moto.setattr(LambdaSimpleBackend, "invoke", _invoke)
        moto.setattr(AmazonStateLanguageParser, "parse", cache(AmazonStateLanguageParser.parse))
        moto.setattr(boto_client, "boto3", SimpleNamespace(client=lambda service_name, **_: _client(service_name)))
        moto.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * TIME_SCALE)))
        moto.setattr(WaitFunction, "_wait_interval", _wait)
        yield


def _wait(_self: object, env: Any, wait_seconds: float) -> None:
    WAITS.append(wait_seconds)
    env.program_state_event.wait(max(wait_seconds, 0) * TIME_SCALE)


# moto writes all variables into each expression as text, which breaks on quotes and takes most of a run to parse. Here
# the text has the number of a set of variables in a comment, and the variables are handed over as what they are.
BINDINGS: list[dict[str, Any]] = []
MARK = re.compile(r"/\*(\d+)\*/")


def _declare(bindings: dict[str, Any]) -> str:
    plain = json.loads(json.dumps({name.lstrip("$"): value for name, value in bindings.items()}, default=_iso_8601))
    BINDINGS.append({name: Utils.NULL_VALUE if value is None else value for name, value in plain.items()})
    return f"/*{len(BINDINGS) - 1}*/"


def _evaluate(expression: str) -> Any:
    bindings: dict[str, Any] = {}
    for number in MARK.findall(expression):
        bindings |= BINDINGS[int(number)]
    result = jsonata.Jsonata(MARK.sub("", expression)).evaluate(None, bindings)
    return None if result is None else json.loads(json.dumps(result, default=lambda _null: None))


def _iso_8601(moment: Any) -> str:
    """AWS SDK integrations return timestamps as ISO 8601 text; moto returns boto3's."""
    return str(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")


def _in_boto3_case(self: Any, parameters: dict[str, Any], *_: Any, **__: Any) -> None:
    """`aws-sdk:sfn` takes `ExecutionArn` and boto3 `executionArn`; moto hands it on as it is."""
    if self._get_boto_service_name() == "stepfunctions":
        for key in list(parameters):
            parameters[key[0].lower() + key[1:]] = parameters.pop(key)


def _in_workflow_case(self: Any, response: dict[str, Any], *_: Any, **__: Any) -> None:
    """And back: `Status`, where moto leaves `status`."""
    if self._get_boto_service_name() == "stepfunctions":
        for key in list(response):
            response[key[0].upper() + key[1:]] = response.pop(key)


@cache
def _client(service: str) -> Any:
    """moto makes a client for every task, which takes longer than the task."""
    once = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return boto3.client(service, REGION, config=once)  # type: ignore[call-overload]


@cache
def _handler(module: str) -> Any:
    return importlib.import_module(module).handler


def _invoke(
    _self: object, function_name: str, _qualifier: object, body: Any, _headers: object, response_headers: Any
) -> bytes:
    """What Lambda does: runs the handler, and reports an exception by its class name."""
    context = SimpleNamespace(
        function_name=function_name,
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:{function_name}",
        aws_request_id="00000000-0000-0000-0000-000000000000",
    )
    try:
        return json.dumps(_handler(function_name)(json.loads(body), context)).encode()
    except Exception as error:
        response_headers["x-amz-function-error"] = "Unhandled"
        failure = {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": context.aws_request_id,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        return json.dumps(failure).encode()


class Account:
    """What all tests share: the clients, the lock table, the topic, and the workflow of a template."""

    def __init__(self, template: dict[str, Any]) -> None:
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
        self.state_machine = self.sfn.create_state_machine(
            name="eip-cutover",
            definition=definition(template, table=self.table, topic=self.topic),
            roleArn="arn:aws:iam::123456789012:role/workflow",
        )["stateMachineArn"]


class Aws:
    """One test's own pair in the account: production on bittybot, staging on tao; no lock, nothing notified yet."""

    def __init__(self, account: Account, folder: Path, environment: pytest.MonkeyPatch, ips: tuple[str, str]) -> None:
        self.ec2, self.sfn, self.dynamodb = account.ec2, account.sfn, account.dynamodb
        self.table, self.topic, self.state_machine = account.table, account.topic, account.state_machine
        self.servers = {name: self.launch() for name in ("bittybot", "tao")}
        self.production, self.staging = (
            self.ec2.allocate_address(Domain="vpc", Address=ip)["AllocationId"] for ip in ips
        )
        self.associate(self.production, "bittybot")
        self.associate(self.staging, "tao")
        self.pairs_file = folder / "pairs.json"
        environment.setenv("PAIRS_FILE", str(self.pairs_file))
        for lock in self.locks:
            self.dynamodb.delete_item(TableName=self.table, Key={"pair": lock["pair"]})
        self._published().clear()
        WAITS.clear()

    def configure(self, *, port: int, **health_check: Any) -> None:
        """Configures pair `web`, checked by one probe each unless `health_check` says otherwise."""
        check = {
            "protocol": "HTTP",
            "port": port,
            "path": "/health",
            "matcher": "200",
            "intervalSeconds": 1,
            "timeoutSeconds": 1,
            "healthyThresholdCount": 1,
            "unhealthyThresholdCount": 1,
            "deadlineSeconds": 30,
            **health_check,
        }
        pair = {
            "production": self.production,
            "staging": self.staging,
            "servers": self.servers,
            "healthCheck": check,
        }
        self.pairs_file.write_text(json.dumps({"web": pair}))

    def launch(self) -> str:
        launched = self.ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)
        return launched["Instances"][0]["InstanceId"]

    def associate(self, allocation_id: str, server: str) -> None:
        self.ec2.associate_address(AllocationId=allocation_id, InstanceId=self.servers[server])

    def disassociate(self, allocation_id: str) -> None:
        found = self.ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0]
        self.ec2.disassociate_address(AssociationId=found["AssociationId"])

    def holder(self, allocation_id: str) -> str | None:
        """The name of the server that holds an address, its instance id if it is none of the pair's, or None."""
        found = self.ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0].get("InstanceId") or None
        return next((name for name, instance in self.servers.items() if instance == found), found)

    def described(self, name: str) -> dict[str, Any]:
        """An address as an outcome reports it."""
        allocation_id = self.production if name == "production" else self.staging
        found = self.ec2.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0]
        return {
            "publicIp": found["PublicIp"],
            "allocationId": allocation_id,
            "associationId": found.get("AssociationId"),
            "server": self.holder(allocation_id),
            "instanceId": found.get("InstanceId"),
            "privateIp": found.get("PrivateIpAddress"),
        }

    @property
    def places(self) -> tuple[str | None, str | None]:
        """Who holds production, and who holds staging."""
        return self.holder(self.production), self.holder(self.staging)

    @property
    def locks(self) -> list[dict[str, Any]]:
        locks: list[dict[str, Any]] = self.dynamodb.scan(TableName=self.table)["Items"]
        return locks

    @property
    def notices(self) -> list[dict[str, Any]]:
        """What was published to the topic, parsed."""
        return [json.loads(message) for _, message, _, _, _ in self._published()]

    def _published(self) -> list[Any]:
        published: list[Any] = sns_backends[DEFAULT_ACCOUNT_ID][REGION].topics[self.topic].sent_notifications
        return published

    @staticmethod
    @contextmanager
    def failing(service: str, action: str) -> Iterator[None]:
        """The workflow's own calls of an action (`sns`, `Publish`) fail with an internal error meanwhile."""
        error = {"Code": "InternalServerError", "Message": "A test says so."}
        answer = SimpleNamespace(status_code=500), {"Error": error, "ResponseMetadata": INTERNAL_ERROR}
        event = f"before-call.{service}.{action}"
        events = _client(service).meta.events
        events.register(event, lambda **_: answer, unique_id="failing")
        try:
            yield
        finally:
            events.unregister(event, unique_id="failing")

    def start(self, value: Any = None, name: str | None = None) -> str:
        started = self.sfn.start_execution(
            stateMachineArn=self.state_machine,
            name=name or f"test-{uuid.uuid4()}",
            input=json.dumps({} if value is None else value),
        )
        return str(started["executionArn"])

    def execute(self, value: Any = None) -> Execution:
        return self.wait(self.start(value))

    def wait(self, arn: str) -> Execution:
        """The execution, once it has ended."""
        self.until(lambda: self.status(arn) != "RUNNING")
        found = self.sfn.describe_execution(executionArn=arn)
        output = json.loads(found["output"]) if found.get("output") else None
        return Execution(arn, found["status"], output, found.get("error"), found.get("cause"), self.entered(arn))

    def status(self, arn: str) -> str:
        return str(self.sfn.describe_execution(executionArn=arn)["status"])

    def put_lock(self, execution: str, *, server: str) -> None:
        """A lock that an execution left behind while it was making a server live."""
        item = {"pair": "web", "execution": execution, "since": "2026-01-01T00:00:00Z", "server": server}
        self.dynamodb.put_item(TableName=self.table, Item={key: {"S": value} for key, value in item.items()})

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
        events = self.sfn.get_execution_history(executionArn=arn)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


def definition(template: dict[str, Any], *, table: str, topic: str) -> str:
    """The synthesized definition of the workflow, with its references resolved to what this account has."""
    resources = template["Resources"]
    (machine,) = (found for found in resources.values() if found["Type"] == "AWS::StepFunctions::StateMachine")

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
