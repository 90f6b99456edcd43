"""The one door to AWS: what the commands ask and tell it, in their own words.

Everything is found from the outputs of the stack. Where AWS answers with pages, all that is needed are read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from client.errors import NotAnExecution, Problem, UnknownExecution, code_of
from client.text import JsonObject, parsed, plain

STACK = "EipCutover"
CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    read_timeout=20,
    user_agent_extra="eip-cutover-client",
)
IDS_PER_CALL = 200  # values of one filter
EVENTS_PER_PAGE = 100


@dataclass(frozen=True)
class Stack:
    """The outputs that the client goes by."""

    state_machine_arn: str
    lock_table: str
    pairs_path: str


@dataclass(frozen=True)
class Pair:
    """A configured pair, as the stack publishes it: two allocation ids, and instance ids by the servers' names."""

    name: str
    production: str
    staging: str
    servers: Mapping[str, str]

    def server_on(self, instance_id: str | None) -> str | None:
        return next((name for name, instance in self.servers.items() if instance == instance_id), None)

    def other(self, server: str) -> str:
        return next(name for name in self.servers if name != server)


@dataclass(frozen=True)
class Lock:
    """The item of the lock table: which execution holds the pair, since when, and which server it is making live."""

    pair: str
    execution: str
    since: str
    server: str


class Account:
    """The account and Region of the credentials in the environment, and the stack of this name in it."""

    def __init__(self, session: boto3.Session | None = None, *, stack: str = STACK) -> None:
        self.stack_name = stack
        self._session: Any = session or boto3.Session()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service, config=CONFIG)
        return self._clients[service]

    @property
    def region(self) -> str:
        return str(self.client("stepfunctions").meta.region_name)

    @cached_property
    def stack(self) -> Stack:
        try:
            (found,) = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"]
        except ClientError as error:
            if code_of(error) != "ValidationError":
                raise
            raise Problem(
                f"There is no stack {plain(self.stack_name)} in {self.region}. Deploy it with `make deploy`, set "
                "AWS_REGION to its Region, or name it with --stack or EIP_CUTOVER_STACK."
            ) from None
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        try:
            return Stack(outputs["StateMachineArn"], outputs["LockTableName"], outputs["PairsPath"])
        except KeyError as missing:
            raise Problem(
                f"The stack {plain(self.stack_name)} has no output {missing.args[0]}: it is not a stack of this "
                "project, or an older one. Deploy it again with `make deploy`."
            ) from None

    # Executions.

    def arn_of(self, execution: str) -> str:
        """The ARN of an execution of the workflow by its name; an ARN is returned as it is."""
        if execution.startswith("arn:"):
            return execution
        return f"{self.stack.state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{execution}"

    def start(self, name: str, request: JsonObject) -> bool:
        """Start an execution; whether it is a new one, and not one of the same name and input that was there before.

        StartExecution returns a running execution of the same name and input as if it were new, and refuses when that
        one has ended or has another input. Source: API reference of StartExecution.
        """
        try:
            self.client("stepfunctions").start_execution(
                stateMachineArn=self.stack.state_machine_arn, name=name, input=json.dumps(request)
            )
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise
        else:
            return True
        before = self.describe(self.arn_of(name))
        if parsed(before.get("input")) != request:
            raise Problem(
                f"There is an execution {plain(name)} already, with the input {plain(before.get('input'), 300)}; this "
                f"one would be {json.dumps(request)}. Nothing was started. Choose another --name."
            )
        return False

    def describe(self, arn: str) -> JsonObject:
        """What DescribeExecution says. Raises UnknownExecution and NotAnExecution."""
        no_execution = NotAnExecution(f"{plain(arn, 300) or 'Nothing'} is not the ARN of an execution.")
        if not arn.startswith("arn:"):
            raise no_execution
        try:
            found: JsonObject = self.client("stepfunctions").describe_execution(executionArn=arn)
        except ClientError as error:
            if code_of(error) == "InvalidArn":
                raise no_execution from None
            if code_of(error) != "ExecutionDoesNotExist":
                raise
            raise UnknownExecution(
                f"Step Functions knows no execution {plain(arn)}. It keeps them for 90 days after they end."
            ) from None
        return found

    def events(self, arn: str, *, after: int = 0) -> list[JsonObject]:
        """The events of its history with ids above `after`, in their order: the newest pages are read, and no more."""
        found: list[JsonObject] = []
        token: dict[str, str] = {}
        while True:
            page = self.client("stepfunctions").get_execution_history(
                executionArn=arn, reverseOrder=True, maxResults=EVENTS_PER_PAGE, **token
            )
            new = [event for event in page["events"] if event["id"] > after]
            found += new
            if len(new) < len(page["events"]) or not page.get("nextToken"):
                return found[::-1]
            token = {"nextToken": page["nextToken"]}

    def executions(self, *, running: bool = False, page: int = 100) -> Iterator[JsonObject]:
        """Those of the workflow, newest first, read page by page as they are asked for."""
        token: dict[str, str] = {"statusFilter": "RUNNING"} if running else {}
        while True:
            found = self.client("stepfunctions").list_executions(
                stateMachineArn=self.stack.state_machine_arn, maxResults=page, **token
            )
            yield from found["executions"]
            if not found.get("nextToken"):
                return
            token["nextToken"] = found["nextToken"]

    # Pairs and their addresses.

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """All pairs that the stack serves, by name."""
        pages = self.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=self.stack.pairs_path)
        published = [parameter for page in pages for parameter in page["Parameters"]]
        found = [_pair(each["Name"].rsplit("/", 1)[-1], json.loads(each["Value"])) for each in published]
        return {pair.name: pair for pair in sorted(found, key=lambda pair: pair.name)}

    def addresses(self, pairs: Iterable[Pair]) -> dict[str, JsonObject]:
        """The addresses of these pairs by allocation id, as DescribeAddresses shows them; those that exist."""
        ids = [allocation for pair in pairs for allocation in (pair.production, pair.staging)]
        found: dict[str, JsonObject] = {}
        for start in range(0, len(ids), IDS_PER_CALL):
            # By a filter: an id that is gone would make the whole call fail.
            some = [{"Name": "allocation-id", "Values": ids[start : start + IDS_PER_CALL]}]
            answer = self.client("ec2").describe_addresses(Filters=some)
            found |= {address["AllocationId"]: address for address in answer["Addresses"]}
        return found

    def addresses_of(self, public_ips: Iterable[str]) -> list[JsonObject]:
        """The Elastic IPs of this account and Region with these public addresses."""
        by_ip = [{"Name": "public-ip", "Values": list(public_ips)}]
        found: list[JsonObject] = self.client("ec2").describe_addresses(Filters=by_ip)["Addresses"]
        return found

    def instances(self, ids: Iterable[str]) -> dict[str, JsonObject]:
        by_id = [{"Name": "instance-id", "Values": list(ids)}]
        pages = self.client("ec2").get_paginator("describe_instances").paginate(Filters=by_id)
        reservations = [reservation for page in pages for reservation in page["Reservations"]]
        return {each["InstanceId"]: each for reservation in reservations for each in reservation["Instances"]}

    # The lock table.

    def locks(self) -> dict[str, Lock]:
        """Every lock that is held, by pair: the table has no other items."""
        pages = (
            self.client("dynamodb").get_paginator("scan").paginate(TableName=self.stack.lock_table, ConsistentRead=True)
        )
        found = [_lock(item) for page in pages for item in page["Items"]]
        return {lock.pair: lock for lock in found}

    def lock(self, pair: str) -> Lock | None:
        item = self.client("dynamodb").get_item(
            TableName=self.stack.lock_table, Key={"pair": {"S": pair}}, ConsistentRead=True
        )
        return _lock(item["Item"]) if "Item" in item else None

    def delete_lock(self, lock: Lock) -> bool:
        """Delete this lock, if this execution still holds it; whether it did."""
        try:
            self.client("dynamodb").delete_item(
                TableName=self.stack.lock_table,
                Key={"pair": {"S": lock.pair}},
                ConditionExpression="execution = :holder",
                ExpressionAttributeValues={":holder": {"S": lock.execution}},
            )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True


def moment_of(answer: Mapping[str, Any]) -> datetime:
    """AWS's own time when it gave this answer: this machine's clock may be wrong."""
    stamp = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(stamp).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC)


def _pair(name: str, value: Mapping[str, Any]) -> Pair:
    return Pair(name, value["production"], value["staging"], dict(value["servers"]))


def _lock(item: Mapping[str, Any]) -> Lock:
    def text(key: str) -> str:
        return str(item.get(key, {}).get("S", ""))

    return Lock(text("pair"), text("execution"), text("since"), text("server"))
