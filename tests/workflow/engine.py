"""AWS in this process: the synthesized workflow on moto's Step Functions engine, with the real handlers.

moto runs the definition, DynamoDB and SNS; its EC2 has AWS's address semantics (`local.address_semantics`). What moto
gets wrong or leaves out is corrected here and listed in `docs/emulators.md`.
"""

import importlib
import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from functools import cache, partial, wraps
from inspect import signature
from types import SimpleNamespace
from typing import Any

import boto3
import jsonata
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from jsonata.jexception import JException
from jsonata.utils import Utils
from jsonpath_ng.ext.parser import parse as jsonpath_parse
from moto import mock_aws
from moto.core import responses
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.dynamodb.responses import DynamoHandler
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.stepfunctions.exceptions import InvalidToken
from moto.stepfunctions.parser import api
from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.common.string.string_expression import StringJSONata
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branch_worker import BranchWorker
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_events import (
    StateTaskServiceEvents,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    _SUPPORTED_API_PARAM_BINDINGS as PARAMETERS,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval import states, variable_store
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeTimedOut
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.asl.jsonata import jsonata as engine_jsonata
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.responses import StepFunctionResponse

from local.address_semantics import restore_address_semantics
from local.missing_actions import add_missing_actions
from local.systems_manager import ACTIONS
from tests.workflow.cheap_calls import A_FUNCTION, make_calls_cheap
from tests.workflow.given_commands import answering, given_commands

REGION = "us-east-1"
MODULES = (
    "describe_addresses",
    "describe_restored",
    "health_check",
    "check_servers",
    "disassociate_address",
    "associate_address",
    "run_commands",
)
MOTO = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}


# Retries and waits take a hundredth of their time; how long the Wait states were asked to wait is kept.
TIME_SCALE = 0.01
SECONDS_APART = 0.005
WAITS: list[float] = []
DURING_WAITS: list[Callable[[], None]] = []
BEGAN = time.time()


def scaled_time() -> float:
    """The time for commands: a second of it passes in a hundredth of a second, however short the waits are."""
    return BEGAN + (time.time() - BEGAN) * 100


SYSTEMS_MANAGER = given_commands(REGION, scaled_time)


@contextmanager
def corrected_engine() -> Iterator[None]:
    """moto with a JSONata engine, its string variables safe, our handlers as its functions, and AWS's addresses."""
    restore_address_semantics()
    add_missing_actions()
    with mock_aws(config=MOTO), pytest.MonkeyPatch.context() as moto:
        moto.setattr(engine_jsonata, "_eval_jsonata", _evaluate)
        moto.setattr(string_expression, "extract_jsonata_variable_references", _references)
        moto.setattr(StringJSONata, "_eval_body", _failing_its_state(StringJSONata._eval_body))
        moto.setattr(states, "encode_jsonata_variable_declarations", _declare)
        moto.setattr(variable_store, "encode_jsonata_variable_declarations", _declare)
        moto.setattr(StateTaskServiceAwsSdk, "_normalise_parameters", _in_boto3_case)
        moto.setattr(StateTaskServiceAwsSdk, "_normalise_response", _in_workflow_case)
        moto.setattr(lambda_eval_utils, "execute_lambda_function_integration", _invoke)
        moto.setitem(PARAMETERS, "invoke", {*PARAMETERS["invoke"], "InvocationType"})
        moto.setattr(ExecutionWorker, "start", _start)
        moto.setattr(execute_state, "Thread", _InPlace)
        moto.setattr(BranchWorker, "_thread_routine", _branch)
        for action in ACTIONS:
            name = xform_name(action)
            moto.setattr(SimpleSystemManagerResponse, name, answering(SYSTEMS_MANAGER, action), raising=False)
        moto.setattr(responses, "method_names_from_class", cache(responses.method_names_from_class))
        moto.setattr(DynamoHandler, "call_action", _alone(DynamoHandler.call_action))
        moto.setattr(AmazonStateLanguageParser, "parse", cache(AmazonStateLanguageParser.parse))
        moto.setattr(result_path, "parse", cache(result_path.parse))
        moto.setattr("jsonpath_ng.ext.parse", cache(jsonpath_parse))
        moto.setattr(
            boto_client, "boto3", SimpleNamespace(client=lambda service_name, **_: service_client(service_name))
        )
        moto.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * TIME_SCALE)))
        moto.setattr(WaitFunction, "_wait_interval", _wait)
        moto.setattr(StepFunctionResponse, "send_task_success", _send_task_success)
        moto.setattr(StepFunctionResponse, "send_task_failure", _send_task_failure)
        moto.setattr(StateTaskServiceEvents, "_from_error", _named(StateTaskServiceEvents._from_error))
        moto.setattr(Environment, "set_error", _unless_stopped(Environment.set_error))
        moto.setattr(StateTaskServiceCallback, "_eval_wait_for_task_token", _wait_for_token)
        make_calls_cheap(moto)
        yield


_ONE_CALL = threading.RLock()


def _alone(call: Callable[..., Any]) -> Callable[..., Any]:
    """moto looks at a condition and then writes, whatever another thread has written in between, and answers a read
    from an item that another thread is changing; a call to DynamoDB sees all of another one or nothing."""

    @wraps(call)
    def alone(*args: Any, **kwargs: Any) -> Any:
        with _ONE_CALL:
            return call(*args, **kwargs)

    return alone


def _start(self: Any) -> None:
    """As moto's, and the thread can be waited for."""
    self.thread = threading.Thread(target=self._execution_logic, daemon=True)
    self.thread.start()


class _InPlace:
    """moto runs each try of a task in a thread of its own, to time it out; here no task takes that long."""

    def __init__(self, *, target: Callable[[], None], **_: object) -> None:
        self.start = target


def _branch(self: Any) -> None:
    """In moto, a branch that an execution is stopped before fails without a word, and the execution waits for ever."""
    with suppress(RuntimeError):
        self._program.eval(self.env)
    self._branch_worker_comm.on_terminated(env=self.env)


def _wait(_self: object, env: Any, wait_seconds: float) -> None:
    WAITS.append(wait_seconds)
    for act in DURING_WAITS:
        act()
    env.program_state_event.wait(max(wait_seconds, 0) * TIME_SCALE)


def _wait_for_token(
    _self: object, env: Any, timeout_seconds: float, callback_endpoint: Any, heartbeat_endpoint: Any
) -> Any:
    """moto waits on when the execution has been stopped."""
    deadline = time.monotonic() + timeout_seconds * TIME_SCALE
    outcome = None
    while outcome is None and env.is_running() and time.monotonic() < deadline:
        outcome = callback_endpoint.wait(timeout=SECONDS_APART)
    CLOSED_TOKENS.add(callback_endpoint.callback_id)
    return outcome or CallbackOutcomeTimedOut(callback_id=callback_endpoint.callback_id)


def _unless_stopped(set_error: Callable[..., None]) -> Callable[..., None]:
    """A stopped execution stays ABORTED, also if its state then fails."""

    def set_error_unless_stopped(env: Any, error: Any) -> None:
        if not isinstance(env.program_state(), ProgramStopped):
            set_error(env, error)

    return set_error_unless_stopped


class TaskTimedOut(AWSError):  # type: ignore[misc]  # moto has no types
    TYPE = "TaskTimedOut"


# Of the tasks that have ended.
CLOSED_TOKENS: set[str] = set()


def _send_task_success(call: Any) -> ActionResult:
    _send(call.stepfunction_backend.send_task_success, call._get_param("taskToken"), call._get_param("output"))
    return ActionResult({})


def _send_task_failure(call: Any) -> ActionResult:
    """With its cause, which moto loses."""
    token, error, cause = (call._get_param(name) for name in ("taskToken", "error", "cause"))
    _send(call.stepfunction_backend.send_task_failure, token, error, cause)
    return ActionResult({})


def _send(send: Callable[..., object], token: str, *answer: object) -> None:
    """moto knows no token of an execution that has ended, and takes one of a task that has."""
    if token in CLOSED_TOKENS:
        raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
    try:
        send(token, *answer)
    except api.InvalidToken as error:
        raise InvalidToken("'Invalid token'") from error


# moto writes all variables into each expression as text, which breaks on quotes and takes most of a run to parse. Here
# the text has the number of a set of variables in a comment, and the variables are handed over as what they are.
BINDINGS: list[dict[str, Any]] = []
REFERENCE = re.compile(r"\$\w+(?:\.\w+)*")
MARK = re.compile(r"/\*(\d+)\*/")
PARSED: dict[str, list[Any]] = {}  # expressions that no thread is evaluating


@cache
def _references(expression: str) -> set[str]:
    """What an expression names. moto takes what is between two divisions for a regular expression."""
    return set(REFERENCE.findall(expression))


def _declare(bindings: dict[str, Any]) -> str:
    plain = json.loads(json.dumps({name.lstrip("$"): value for name, value in bindings.items()}, default=_iso_8601))
    BINDINGS.append({name: Utils.NULL_VALUE if value is None else value for name, value in plain.items()})
    return f"/*{len(BINDINGS) - 1}*/"


def _evaluate(expression: str) -> Any:
    bindings: dict[str, Any] = {}
    for number in MARK.findall(expression):
        bindings |= BINDINGS[int(number)]
    text = MARK.sub("", expression)
    idle = PARSED.setdefault(text, [])
    parsed = idle.pop() if idle else jsonata.Jsonata(text)
    jsonata.Jsonata.CURRENT.jsonata = parsed  # else $millis() is when this thread last parsed an expression
    result = parsed.evaluate(None, bindings)
    idle.append(parsed)
    return None if result is None else json.loads(json.dumps(result, default=_in_json))


def _in_json(value: Any) -> str | None:
    """Null, or a text for a function: moto then asks for the type of the result, and refuses a function."""
    return None if value is Utils.NULL_VALUE else A_FUNCTION


def _named(from_error: Callable[..., Any]) -> Callable[..., Any]:
    """An error of EventBridge has a name, which States.ALL catches. moto has States.Runtime, which it does not."""

    def named(task: Any, env: Any, ex: Exception) -> Any:
        if not isinstance(ex, ClientError):
            return from_error(task, env, ex)
        error, kind = f"EventBridge.{ex.response['Error']['Code']}Exception", HistoryEventType.TaskFailed
        details = EventDetails(taskFailedEventDetails=TaskFailedEventDetails(error=error, cause=str(ex)))
        return FailureEvent(env=env, error_name=CustomErrorName(error), event_type=kind, event_details=details)

    return named


def _failing_its_state(evaluate: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """An expression that throws fails its state with an error that can be caught; moto ends the execution at once.

    An expression whose result is undefined fails its state in moto, too.
    """

    def evaluate_or_fail(expression: Any, env: Any) -> None:
        try:
            evaluate(expression, env)
        except JException as error:
            name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
            cause = (
                f"The JSONata expression '{expression.expression}' threw an error during evaluation. "
                f"{error.error}: {error}"
            )
            details = EventDetails(
                evaluationFailedEventDetails=EvaluationFailedEventDetails(cause=cause, error=name.error_name)
            )
            kind = HistoryEventType.EvaluationFailed
            failure = FailureEvent(env=env, error_name=name, event_type=kind, event_details=details)
            env.event_manager.add_event(context=env.event_history_context, event_type=kind, event_details=details)
            raise FailureEventException(failure_event=failure) from error

    return evaluate_or_fail


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
def service_client(service: str) -> Any:
    """moto makes a client for every task, which takes longer than the task."""
    once = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return boto3.client(service, REGION, config=once)  # type: ignore[call-overload]


@cache
def _handler(module: str) -> Any:
    """The handler, and what waits in it waits shorter."""
    handlers = importlib.import_module(module)
    if "sleep" not in signature(handlers.handler).parameters:
        return handlers.handler
    clock = {"clock": scaled_time} if module == "run_commands" else {}
    return partial(handlers.handler, sleep=lambda seconds: time.sleep(seconds * TIME_SCALE), **clock)


# What runs a handler, given the name of the state and the handler's call; a test that disturbs functions adds its own.
AROUND_HANDLERS: list[Callable[[str, Callable[[], Any]], Any]] = [lambda _state, run: run()]


class FunctionEnded(Exception):
    """A function that ended without an answer; Lambda reports it by a name of its own."""

    def __init__(self, reported_as: str) -> None:
        super().__init__(f"RequestId: 0 Error: {reported_as}")
        self.reported_as = reported_as


# What asynchronous calls begin, by the name of the function and its event: nothing, unless a test says otherwise.
BEGUN: list[Callable[[str, Any], object]] = [lambda _function, _event: None]


def _invoke(env: Any, parameters: dict[str, Any], **_: Any) -> None:
    """What Lambda does: runs the handler, and reports an exception by its class name."""
    function = parameters["FunctionName"]
    context = SimpleNamespace(
        function_name=function,
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:{function}",
        aws_request_id="00000000-0000-0000-0000-000000000000",
    )
    state = str(env.states.context_object.context_object_data["State"]["Name"])
    if parameters.get("InvocationType") == "Event":
        with suppress(FunctionEnded):  # of which the caller hears nothing
            AROUND_HANDLERS[-1](state, lambda: BEGUN[-1](function, json.loads(parameters["Payload"])))
        env.stack.append({"StatusCode": 202})
        return
    try:
        answer = AROUND_HANDLERS[-1](state, lambda: _handler(function)(json.loads(parameters["Payload"]), context))
    except ClientError:
        raise  # Lambda's own; a handler raises none
    except Exception as error:
        failure = {
            "errorMessage": str(error),
            "errorType": getattr(error, "reported_as", type(error).__name__),
            "requestId": context.aws_request_id,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
        raise lambda_eval_utils.LambdaFunctionErrorException("Unhandled", json.dumps(failure)) from error
    env.stack.append({"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": json.loads(json.dumps(answer))})


@contextmanager
def redriven() -> Iterator[None]:
    """Executions that start meanwhile have the context object of one that was redriven, which moto cannot do."""
    first_drive = ExecutionWorker._get_evaluation_environment

    def second_drive(worker: Any) -> Any:
        environment = first_drive(worker)
        environment.states.context_object.context_object_data["Execution"]["RedriveCount"] = 1
        return environment

    with pytest.MonkeyPatch.context() as moto:
        moto.setattr(ExecutionWorker, "_get_evaluation_environment", second_drive)
        yield


def _stop(env: Any) -> None:
    arn = env.states.context_object.context_object_data["Execution"]["Id"]
    service_client("stepfunctions").stop_execution(executionArn=arn)


def _fail(_env: Any) -> None:
    raise RuntimeError("Step Functions itself fails the execution, past every Catch")


@contextmanager
def stopping_before(name: str, *, status: str = "ABORTED") -> Iterator[None]:
    """Executions that come to this state meanwhile are stopped before it does anything, or with the status FAILED
    failed, as Step Functions does it by an error that no Catch catches."""
    evaluate, end = CommonStateField._eval_body, {"ABORTED": _stop, "FAILED": _fail}[status]

    def evaluate_or_end(state: Any, env: Any) -> None:
        if state.name == name:
            end(env)
        else:
            evaluate(state, env)

    with pytest.MonkeyPatch.context() as moto:
        moto.setattr(CommonStateField, "_eval_body", evaluate_or_end)
        yield
