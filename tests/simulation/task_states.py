"""What Task states call: functions, and services of AWS by their integrations, with the names that Step Functions gives
to their errors. Source: Step Functions Developer Guide, "Integrating services", "Handling errors"."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tests.simulation.fates import FAILED_ENTRY, Call, Fate
from tests.simulation.functions import FunctionFailed, Functions
from tests.simulation.interpreter import TaskCall, TaskFailed, iso_8601
from tests.simulation.scheduler import NoAnswer, Scheduler, Task
from tests.simulation.world.errors import AwsError

TIMEOUT = "States.Timeout"
NO_ANSWER = "SdkClientException"
LONGEST_REQUEST_SECONDS = 30.0
# How errors of a service begin: of the optimized integrations, and of `aws-sdk`.
PREFIXES = {"dynamodb": "DynamoDB", "sns": "SNS", "events": "EventBridge"}
SDK_PREFIXES = {"dynamodb": "DynamoDb", "sfn": "Sfn", "sns": "Sns", "events": "EventBridge"}
Answer = Callable[[Call, Fate], Any]


class Integration(NamedTuple):
    """What the ARN of a Task state's resource says."""

    service: str
    action: str
    prefix: str

    @classmethod
    def of(cls, resource: str) -> "Integration":
        called = resource.split(":::", 1)[1].removesuffix(".waitForTaskToken")
        *sdk, service, action = called.split(":")
        prefix = (SDK_PREFIXES if sdk else PREFIXES).get(service, service.capitalize())
        return cls(service, action[0].upper() + action[1:], prefix)


@dataclass(eq=False)
class _Waiting:
    """A task that waits for the answer to its token."""

    task: Task
    result: Any = None
    failure: TaskFailed | None = None
    is_answered: bool = False
    sleeps: bool = False


class Tokens:
    """The task tokens that may still be answered, and that were once."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: dict[str, _Waiting] = {}
        self._known: set[str] = set()

    def open(self, token: str) -> _Waiting:
        self._known.add(token)
        waiting = self._waiting[token] = _Waiting(self._scheduler.current)
        return waiting

    def close(self, token: str) -> None:
        del self._waiting[token]

    def succeed(self, token: str, result: Any) -> None:
        waiting = self._answered(token)
        waiting.result = result

    def fail(self, token: str, error: str | None, cause: str | None) -> None:
        waiting = self._answered(token)
        waiting.failure = TaskFailed(error or "", cause)

    def _answered(self, token: str) -> _Waiting:
        if token not in self._known:
            raise AwsError("InvalidToken", "Invalid Token: 'Invalid token'")
        waiting = self._waiting.get(token)
        if waiting is None or waiting.is_answered:
            raise AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        waiting.is_answered = True
        if waiting.sleeps:
            self._scheduler.wake(waiting.task)
        return waiting


class WorkflowCalls:
    """Makes the calls of Task states. `answer` is what a service answers."""

    def __init__(self, scheduler: Scheduler, functions: Functions, answer: Answer) -> None:
        self._scheduler, self._functions, self._answer = scheduler, functions, answer
        self.tokens = Tokens(scheduler)

    def make(self, path: str, call: TaskCall) -> Any:
        """The task's result in JSON. Raises TaskFailed."""
        integration = Integration.of(call.resource)
        if integration.service == "lambda":
            return self._invoke(path, call)
        if call.token is not None:
            return self._wait_for_token(path, call, integration)
        return self._request(path, call, integration)

    def _request(self, path: str, call: TaskCall, integration: Integration) -> Any:
        service, action, prefix = integration
        patience = min(call.timeout_seconds, LONGEST_REQUEST_SECONDS)
        parameters = _in_boto3_case(call.arguments) if service == "sfn" else call.arguments
        request = Call(path, service, action, 1, "workflow", patience, parameters)
        try:
            result = self._scheduler.call(request, self._answer)
        except AwsError as error:
            is_whole = error.code.endswith("Exception") or error is FAILED_ENTRY
            name = error.code if is_whole else f"{error.code}Exception"
            raise TaskFailed(f"{prefix}.{name}", error.message) from error
        except NoAnswer as nothing:
            is_late = not nothing.closed and patience == call.timeout_seconds
            raise TaskFailed(TIMEOUT if is_late else f"{prefix}.{NO_ANSWER}", str(nothing)) from nothing
        return _in_workflow_case(result) if service == "sfn" else result

    def _wait_for_token(self, path: str, call: TaskCall, integration: Integration) -> Any:
        assert call.token is not None
        until = self._scheduler.now + call.timeout_seconds
        waiting = self.tokens.open(call.token)
        try:
            self._request(path, call, integration)
            if not waiting.is_answered:  # it may be, before the answer to the request has come
                waiting.sleeps = True
                self._scheduler.suspend(until - self._scheduler.now)
        finally:
            self.tokens.close(call.token)
        if waiting.failure:
            raise waiting.failure
        if not waiting.is_answered:
            raise TaskFailed(TIMEOUT, None)
        return waiting.result

    def _invoke(self, path: str, call: TaskCall) -> Any:
        scheduler, arguments = self._scheduler, call.arguments
        request = Call(path, "lambda", "Invoke", 1, "workflow", call.timeout_seconds, arguments)
        fate = scheduler.schedule.fate(request)
        scheduler.note(request.key, fate.kind)
        if fate.error:
            scheduler.sleep(fate.answer or 0)
            raise TaskFailed(f"Lambda.{fate.error.code}", fate.error.message)
        invocation = self._functions.invoke(
            path, arguments["FunctionName"], arguments["Payload"], after=fate.effect or 0
        )
        if fate.answer is None:
            scheduler.sleep(call.timeout_seconds)
            raise TaskFailed(TIMEOUT, None)
        if fate.closed:
            scheduler.sleep(fate.answer)
            raise TaskFailed(f"Lambda.{NO_ANSWER}", "the connection was closed")
        if arguments.get("InvocationType") == "Event":
            scheduler.sleep(fate.answer)
            return {"StatusCode": 202}
        if not invocation.task.join(call.timeout_seconds):
            raise TaskFailed(TIMEOUT, None)
        try:
            return {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": invocation.answer()}
        except FunctionFailed as failure:
            raise TaskFailed(failure.error, failure.payload) from failure


def _in_boto3_case(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key[0].lower() + key[1:]: value for key, value in arguments.items()}


def _in_workflow_case(result: Mapping[str, Any]) -> dict[str, Any]:
    """Times are text in JSON."""
    shown = {key[0].upper() + key[1:]: value for key, value in result.items()}
    return {key: iso_8601(each.timestamp()) if isinstance(each, datetime) else each for key, each in shown.items()}
