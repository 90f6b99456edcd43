"""All calls to AWS, and the errors that end a command. Each has a message that says what to do: the client never prints
a traceback. The outputs of the stack name the workflow, the lock table and the pairs."""

import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property, partial
from itertools import takewhile
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from client.result import CLIENT_FAILED, ROLES, USAGE
from client.screen import JsonObject, plain, program
from domain.lock import object_of
from domain.pair import Address, Pair
from domain.record import Record

STACK = "EipCutover"
RETRIES: Any = {"mode": "standard", "total_max_attempts": 4}
CONFIG = Config(retries=RETRIES, connect_timeout=5, read_timeout=20, user_agent_extra="eip-cutover-client")
IDS_PER_CALL = 200  # values of one filter
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException", "AuthFailure",
           "InvalidClientTokenId", "SignatureDoesNotMatch")  # fmt: skip
# AWS's other errors that may pass have the HTTP status 5xx.
BUSY = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "RequestTimeout", "ProvisionedThroughputExceeded")
# The execution has just started (DescribeExecution is eventually consistent), never existed, or ended 90 days ago.
UNKNOWN_EXECUTION = "ExecutionDoesNotExist"
UNANSWERED = (exceptions.ConnectionError, exceptions.HTTPClientError, ResponseParserError)


class Problem(Exception):
    """The client cannot do what it was asked to do; the message is for a person."""

    exit_code = CLIENT_FAILED


class WrongName(Problem):
    """The stack has no such pair, or the pair no such server."""

    exit_code = USAGE


class AwsError(Problem):
    """A use of the SDK failed, here or in AWS, which then gave it a `code`, at a `moment` by AWS's clock. If it
    `is_transient`, the same call may succeed soon: AWS did not answer, throttled the call, or failed itself."""

    def __init__(self, error: Exception) -> None:
        answer = error.response if isinstance(error, ClientError) else {}
        self.code, self.moment = str(answer.get("Error", {}).get("Code", "")), moment_of(answer)
        failed = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
        self.is_transient = failed or isinstance(error, UNANSWERED) or any(word in self.code for word in BUSY)
        super().__init__(sentence(error))


class NotAnExecution(Problem):
    """The text is not the ARN of an execution."""


@contextmanager
def sdk() -> Iterator[None]:
    """Around every use of the SDK: whatever it raises, also for its settings and credentials, becomes an AwsError."""
    try:
        yield
    except Exception as error:
        raise AwsError(error) from error


class Account:
    """The account and Region of the credentials in the environment, and the stack of this name there."""

    def __init__(self, session: boto3.Session | None = None, *, stack: str = STACK) -> None:
        self.stack_name = stack
        with sdk():
            # As the AWS CLI v2 does; boto3 reads AWS_DEFAULT_REGION only.
            source: Any = session or boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
            self.region = str(source.region_name)
        self._client: Callable[[str], Any] = cache(lambda service: source.client(service, config=CONFIG))

    def command(self, *words: str) -> str:
        """A command of this client to copy, for the same stack, as this client was called."""
        stack = [] if self.stack_name == STACK else ["--stack", self.stack_name]
        return shlex.join([program(), *words, *stack])

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        with sdk():
            return getattr(self._client(service), operation)(**parameters)

    def pages(self, service: str, operation: str, **parameters: Any) -> Iterator[Any]:
        """The answers of an operation, page by page. Reads a page only when the caller asks for it."""
        with sdk():
            yield from self._client(service).get_paginator(operation).paginate(**parameters)

    @cached_property
    def _outputs(self) -> dict[str, str]:
        try:
            (stack,) = self.call("cloudformation", "describe_stacks", StackName=self.stack_name)["Stacks"]
        except AwsError as error:
            if error.code != "ValidationError":
                raise
            advice = "Deploy it (`make deploy`), set AWS_REGION to its Region, or set --stack or EIP_CUTOVER_STACK."
            raise Problem(f"There is no stack {plain(self.stack_name)} in {self.region}. {advice}") from None
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def output(self, key: str) -> str:
        if key not in self._outputs:
            why = "belongs to another project, or is older than this client. Deploy it again with `make deploy`."
            raise Problem(f"The stack {plain(self.stack_name)} has no output {key}: the stack {why}")
        return self._outputs[key]

    def _all(self, service: str, operation: str, result: str, **parameters: Any) -> Iterator[Any]:
        for page in self.pages(service, operation, **parameters):
            yield from page[result]

    def arn_of(self, execution: str, *, repair: bool = False) -> str:
        """The ARN of an execution of the workflow, or of its repair, from its name; an ARN is returned unchanged."""
        if execution.startswith("arn:"):
            return execution
        workflow = self.output("StateMachineArn").replace(":stateMachine:", ":execution:", 1)
        return f"{workflow}{'-repair' if repair else ''}:{execution}"

    def start(self, arn: str, request: JsonObject) -> bool:
        """Start an execution. Returns False if an execution with this ARN and input has already ended. If it still
        runs, StartExecution returns it as if it were new (API reference of StartExecution)."""
        (workflow, _, name), text = arn.replace(":execution:", ":stateMachine:", 1).rpartition(":"), json.dumps(request)
        try:
            self.call("stepfunctions", "start_execution", stateMachineArn=workflow, name=name, input=text)
            return True
        except AwsError as error:
            if error.code != "ExecutionAlreadyExists":
                raise
        if object_of(existing := self.describe(arn).get("input")) != request:
            now = f"The input is now {text}. Nothing was started. Choose another --name."
            raise Problem(f"The execution {plain(name)} already exists, with the input {plain(existing, 300)}. {now}")
        return False

    def describe(self, arn: str) -> JsonObject:
        """The answer of DescribeExecution, and its moment as `answered`. Raises NotAnExecution."""
        with _execution(arn):
            answer = self.call("stepfunctions", "describe_execution", executionArn=arn)
            return {**answer, "answered": moment_of(answer)}

    def events(self, arn: str, *, after: int = 0) -> list[JsonObject]:
        """The events of an execution's history with ids above `after`, in order. Raises as `describe`."""
        parameters = {"executionArn": arn, "reverseOrder": True}
        with _execution(arn):
            newest_first = self._all("stepfunctions", "get_execution_history", "events", **parameters)
            return list(takewhile(lambda event: event["id"] > after, newest_first))[::-1]

    def definition(self, arn: str) -> JsonObject:
        """The definition of the workflow that an execution runs; empty if AWS does not answer or does not permit it."""
        with suppress(AwsError):
            answer = self.call("stepfunctions", "describe_state_machine_for_execution", executionArn=arn)
            return object_of(answer.get("definition"))
        return {}

    def executions(self, *, repair: bool = False, **asked: Any) -> Iterator[JsonObject]:
        """The executions of the workflow or of its repair, newest first; `asked` are parameters of ListExecutions."""
        asked["stateMachineArn"] = self.output("StateMachineArn") + ("-repair" if repair else "")
        return self._all("stepfunctions", "list_executions", "executions", **asked)

    @cached_property
    def pairs(self) -> dict[str, Pair]:
        """All pairs of the stack, by name. What the stack does not publish is empty, such as a long health check."""
        pairs = {}
        for parameter in self._all("ssm", "get_parameters_by_path", "Parameters", Path=self.output("PairsPath")):
            name, value = parameter["Name"].rsplit("/", 1)[-1], json.loads(parameter["Value"])
            pairs[name] = Pair.from_json(name, {"healthCheck": [], "bakeSeconds": 0, "alarms": [], **value})
        return dict(sorted(pairs.items()))

    def addresses(self, pairs: Iterable[Pair]) -> dict[str, Address]:
        """The existing addresses of these pairs, by allocation id."""
        of = {getattr(pair, role): partial(pair.address, role) for pair in pairs for role in ROLES}
        # A filter, because a call by ids fails completely if one id does not exist.
        shown = self.addresses_by("allocation-id", list(of))
        return {address["AllocationId"]: of[address["AllocationId"]](address) for address in shown}

    def addresses_by(self, name: str, values: Sequence[str]) -> Iterator[JsonObject]:
        """The Elastic IPs of this account and Region that a filter of DescribeAddresses finds."""
        for start in range(0, len(values), IDS_PER_CALL):
            filters = [{"Name": name, "Values": values[start : start + IDS_PER_CALL]}]
            yield from self.call("ec2", "describe_addresses", Filters=filters)["Addresses"]

    def instances(self, ids: Iterable[str]) -> dict[str, JsonObject]:
        """The existing instances as DescribeInstances shows them, by id."""
        filters = [{"Name": "instance-id", "Values": list(ids)}]
        reservations = self._all("ec2", "describe_instances", "Reservations", Filters=filters)
        return {each["InstanceId"]: each for reservation in reservations for each in reservation["Instances"]}

    def records(self) -> dict[str, Record]:
        """The records in the table, by pair. A pair without an item has none."""
        items = self._all("dynamodb", "scan", "Items", TableName=self.output("LockTableName"), ConsistentRead=True)
        return {item["pair"]["S"]: Record.from_item(item) for item in items}

    def record(self, pair: str) -> Record:
        """The record of this pair; empty if the table has none."""
        key = {"TableName": self.output("LockTableName"), "Key": {"pair": {"S": pair}}, "ConsistentRead": True}
        return Record.from_item(self.call("dynamodb", "get_item", **key).get("Item", {}))


@contextmanager
def _execution(arn: str) -> Iterator[None]:
    """Around a call about an execution: raises NotAnExecution, and says what UNKNOWN_EXECUTION means."""
    invalid = NotAnExecution(f"{plain(arn, 300) or 'An empty text'} is not the ARN of an execution.")
    if not arn.startswith("arn:"):
        raise invalid
    try:
        yield
    except AwsError as error:
        if error.code == "InvalidArn":
            raise invalid from None
        if error.code == UNKNOWN_EXECUTION:
            text = f"Step Functions does not know the execution {plain(arn)}, and keeps one for 90 days after its end."
            error.args = (text,)
        raise


def moment_of(answer: Mapping[str, Any]) -> datetime:
    """The time at which AWS answered, by AWS's clock: this machine's clock may be wrong."""
    with suppress(KeyError, TypeError, ValueError):
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).astimezone(UTC)
    return datetime.now(UTC)


def sentence(error: Exception) -> str:
    """What went wrong in AWS or its SDK, and what to do, on one line."""
    match error:
        case ClientError(operation_name=action, response={"Error": {"Code": code, "Message": message}}):
            code, message = plain(code, 80), plain(message, 400)
            if code in DENIED:
                return f"{action} is not permitted; docs/client.md lists the permissions. AWS: {message}"
            if code in EXPIRED:
                return f"AWS does not accept these credentials ({code}). Renew them, or use others. AWS: {message}"
            return f"{action} failed with {code}: {message}"
        case exceptions.NoCredentialsError():
            text = "There are no AWS credentials. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        case exceptions.PartialCredentialsError(kwargs={"provider": provider, "cred_var": missing}):
            place = "environment" if provider == "env" else f"profile (AWS_PROFILE, else default; {plain(provider)})"
            text = f"The AWS credentials are incomplete. The {place} lacks {plain(missing)}."
        case exceptions.NoRegionError():
            text = "No Region is set. Set AWS_REGION to the Region of the stack."
        case BotoCoreError() | ClientError() | ResponseParserError():
            text = f"The call to AWS failed: {plain(error, 600)}"
        case _:  # a file is missing, a program does not run, a value is not a URL
            places = "the AWS variables (AWS_PROFILE, AWS_ENDPOINT_URL, ...) and the profile"
            cause = plain(f"{type(error).__name__}: {error}", 400)
            text = f"The AWS SDK cannot use its settings. Check {places}: {cause}"
    return text
