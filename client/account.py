"""All calls to AWS. The outputs of the stack name the workflow, the lock table and the pairs."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from itertools import takewhile
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from client.errors import NotAnExecution, Problem, UnknownExecution, code_of, unusable_settings
from client.text import JsonObject, parsed, plain
from domain.lock import Lock
from domain.pair import Pair, Server

STACK = "EipCutover"
RETRIES: Any = {"mode": "standard", "total_max_attempts": 4}
CONFIG = Config(retries=RETRIES, connect_timeout=5, read_timeout=20, user_agent_extra="eip-cutover-client")
IDS_PER_CALL = 200  # values of one filter


class Account:
    """The account and Region of the credentials in the environment, and the stack of this name there."""

    def __init__(self, session: boto3.Session | None = None, *, stack: str = STACK) -> None:
        self.stack_name = stack
        with unusable_settings():
            # As the AWS CLI v2 does; boto3 reads AWS_DEFAULT_REGION only.
            sdk: Any = session or boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        self._client: Callable[[str], Any] = cache(lambda service: sdk.client(service, config=CONFIG))

    @property
    def region(self) -> str:
        with unusable_settings():
            return str(self._client("stepfunctions").meta.region_name)

    def _call(self, service: str, operation: str, **parameters: Any) -> Any:
        with unusable_settings():
            return getattr(self._client(service), operation)(**parameters)

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[Any]:
        """The answers of an operation, page by page. Reads a page only when the caller asks for it."""
        with unusable_settings():
            yield from self._client(service).get_paginator(operation).paginate(**parameters)

    @cached_property
    def _outputs(self) -> dict[str, str]:
        try:
            (stack,) = self._call("cloudformation", "describe_stacks", StackName=self.stack_name)["Stacks"]
        except ClientError as error:
            if code_of(error) != "ValidationError":
                raise
            raise Problem(
                f"There is no stack {plain(self.stack_name)} in {self.region}. Deploy it with `make deploy`, set "
                "AWS_REGION to its Region, or name it with --stack or EIP_CUTOVER_STACK."
            ) from None
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def output(self, key: str) -> str:
        if key not in self._outputs:
            raise Problem(
                f"The stack {plain(self.stack_name)} has no output {key}: the stack belongs to another project, or is "
                "older than this client. Deploy it again with `make deploy`."
            )
        return self._outputs[key]

    def _all(self, service: str, operation: str, result: str, **parameters: Any) -> Iterator[Any]:
        for page in self.pages(service, operation, **parameters):
            yield from page[result]

    def arn_of(self, execution: str) -> str:
        """The ARN of an execution of the workflow, from its name; an ARN is returned unchanged."""
        if execution.startswith("arn:"):
            return execution
        return f"{self.output('StateMachineArn').replace(':stateMachine:', ':execution:', 1)}:{execution}"

    def start(self, name: str, request: JsonObject) -> bool:
        """Start an execution. Returns False if an execution with this name and input has already ended.

        If that execution still runs, StartExecution returns it as if it were new (API reference of StartExecution).
        """
        workflow = self.output("StateMachineArn")
        try:
            started = {"stateMachineArn": workflow, "name": name, "input": json.dumps(request)}
            self._call("stepfunctions", "start_execution", **started)
            return True
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise
        existing = self.describe(self.arn_of(name))
        if parsed(existing.get("input")) != request:
            raise Problem(
                f"The execution {plain(name)} already exists, with the input {plain(existing.get('input'), 300)}. "
                f"The input is now {json.dumps(request)}. Nothing was started. Choose another --name."
            )
        return False

    def describe(self, arn: str) -> JsonObject:
        """The answer of DescribeExecution. Raises UnknownExecution and NotAnExecution."""
        with _execution(arn):
            return dict(self._call("stepfunctions", "describe_execution", executionArn=arn))

    def events(self, arn: str, *, after: int = 0) -> list[JsonObject]:
        """The events of an execution's history with ids above `after`, in order. Raises as `describe`."""
        options = {"executionArn": arn, "reverseOrder": True, "maxResults": 100}
        newest_first = self._all("stepfunctions", "get_execution_history", "events", **options)
        with _execution(arn):
            return list(takewhile(lambda event: event["id"] > after, newest_first))[::-1]

    def executions(self, *, running: bool = False, page: int = 100) -> Iterator[JsonObject]:
        """The executions of the workflow, newest first."""
        asked = {"stateMachineArn": self.output("StateMachineArn"), "maxResults": page}
        status = {"statusFilter": "RUNNING"} if running else {}
        return self._all("stepfunctions", "list_executions", "executions", **asked, **status)

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """All pairs of the stack, by name. The stack does not publish their health checks."""
        pairs = {}
        for parameter in self._all("ssm", "get_parameters_by_path", "Parameters", Path=self.output("PairsPath")):
            name, value = parameter["Name"].rsplit("/", 1)[-1], json.loads(parameter["Value"])
            first, second = (Server(server, instance_id) for server, instance_id in value["servers"].items())
            pairs[name] = Pair(name, value["production"], value["staging"], (first, second), health_check=())
        return dict(sorted(pairs.items()))

    def addresses(self, pairs: Iterable[Pair]) -> dict[str, JsonObject]:
        """The existing addresses of these pairs as DescribeAddresses shows them, by allocation id."""
        ids = [allocation for pair in pairs for allocation in (pair.production, pair.staging)]
        # A filter, because a call by ids fails completely if one id does not exist.
        batches = [ids[start : start + IDS_PER_CALL] for start in range(0, len(ids), IDS_PER_CALL)]
        addresses = (address for batch in batches for address in self.addresses_by("allocation-id", batch))
        return {address["AllocationId"]: address for address in addresses}

    def addresses_by(self, name: str, values: Iterable[str]) -> list[JsonObject]:
        """The Elastic IPs of this account and Region that a filter of DescribeAddresses finds."""
        filters = [{"Name": name, "Values": list(values)}]
        return list(self._call("ec2", "describe_addresses", Filters=filters)["Addresses"])

    def instances(self, ids: Iterable[str]) -> dict[str, JsonObject]:
        """The existing instances as DescribeInstances shows them, by id."""
        filters = [{"Name": "instance-id", "Values": list(ids)}]
        reservations = self._all("ec2", "describe_instances", "Reservations", Filters=filters)
        return {each["InstanceId"]: each for reservation in reservations for each in reservation["Instances"]}

    def locks(self) -> dict[str, Lock]:
        """Every lock that is held, by pair. The table has no other items."""
        items = self._all("dynamodb", "scan", "Items", TableName=self.output("LockTableName"), ConsistentRead=True)
        return {lock.pair: lock for lock in map(Lock.from_item, items)}

    def lock(self, pair: str) -> Lock | None:
        item = {"TableName": self.output("LockTableName"), "Key": {"pair": {"S": pair}}}
        answer = self._call("dynamodb", "get_item", **item, ConsistentRead=True)
        return Lock.from_item(answer["Item"]) if "Item" in answer else None

    def delete_lock(self, lock: Lock) -> bool:
        """Delete this lock if the same execution still holds it. Returns whether the lock was deleted."""
        item = {"TableName": self.output("LockTableName"), "Key": {"pair": {"S": lock.pair}}}
        holder = {":holder": {"S": lock.execution}}
        held: Any = {"ConditionExpression": "execution = :holder", "ExpressionAttributeValues": holder}
        try:
            self._call("dynamodb", "delete_item", **item, **held)
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True


@contextmanager
def _execution(arn: str) -> Iterator[None]:
    """Around a call about an execution: raises NotAnExecution and UnknownExecution for the errors of AWS."""
    invalid = NotAnExecution(f"{plain(arn, 300) or 'An empty text'} is not the ARN of an execution.")
    if not arn.startswith("arn:"):
        raise invalid
    try:
        yield
    except ClientError as error:
        kept = "It keeps executions for 90 days after they end."
        unknown = f"Step Functions does not know the execution {plain(arn)}. {kept}"
        not_found = UnknownExecution(unknown, moment_of(error.response))
        raise {"InvalidArn": invalid, "ExecutionDoesNotExist": not_found}.get(code_of(error), error) from None


def moment_of(answer: Mapping[str, Any]) -> datetime:
    """The time at which AWS answered, by AWS's clock: this machine's clock may be wrong."""
    stamp = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(stamp).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC)
