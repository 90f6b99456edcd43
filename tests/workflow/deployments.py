"""Deployments for tests: what a deploy command does, and calls of the function that runs commands, disturbed."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from aws.calls import ONCE, aws_client
from domain.errors import CutoverError
from local.systems_manager_agents import Command
from local.systems_manager_runs import Result
from tests.workflow.account import Aws
from tests.workflow.engine import AROUND_HANDLERS, FunctionEnded
from tests.workflow.web import Web

DEPLOY = {"command": '/opt/web/deploy "$RELEASE"', "timeoutSeconds": 60}
OUTPUT = "Unpacking\nrelease 7 runs\n"
DEPLOYED = Result(output=OUTPUT, seconds=5)
WRITE, SEND, SEE = "dynamodb.UpdateItem", "ssm.SendCommand", "ssm.GetCommandInvocation"
# When something happens, in the order of a deployment.
MOMENTS: dict[str, dict[str, Any]] = {
    "before the command is written": {"moment": f"before-call.{WRITE}", "containing": '"id": null'},
    "before it is sent": {"moment": f"before-call.{SEND}"},
    "after it was sent": {"moment": f"after-call.{SEND}"},
    "before its id is written": {"moment": f"before-call.{WRITE}", "nth": 2},
    "before Systems Manager shows it": {"moment": f"before-call.{SEE}"},
    "while it runs": {"moment": f"before-call.{SEE}", "nth": 2},
    "before its end is written": {"moment": f"before-call.{WRITE}", "containing": '"ended": true'},
    "after its end was written": {"moment": f"after-call.{WRITE}", "containing": '"ended": true'},
}


def configure(aws: Aws, web: Web, *, header: bool = True, **pair: Any) -> None:
    """The pair `web` has a deploy command that makes its server answer with the release; both answer with release 6."""
    check = {"releaseHeader": "X-Release"} if header else {}
    aws.configure(port=web.port, pair={"deploy": DEPLOY, **pair}, **check)
    for server in ("bittybot", "tao"):
        web.headers[server]["X-Release"] = "6"
    aws.systems_manager.runs(deploying(web), step="deploy")


def deploying(web: Web, result: Result = DEPLOYED) -> Callable[[Command], Result]:
    """What puts the release on its server when it begins, whatever its result is."""

    def deploy(command: Command) -> Result:
        web.headers[command.parameters["Server"]]["X-Release"] = command.parameters["Release"]
        return result

    return deploy


def one_after_the_other(aws: Aws) -> bool:
    """Whether no two commands ran on one server at the same time, and none runs now."""
    commands = aws.systems_manager.commands
    return aws.systems_manager.overlaps() == [] and all(command.ended is not None for command in commands)


@contextmanager
def at(
    moment: str, act: Callable[..., object], *, nth: int | None = 1, containing: str = "", answer: Any = None
) -> Iterator[None]:
    """Something happens at the nth call of the function (None: at each), for example `before-call.ssm.SendCommand`.

    Only calls count that contain a text, in the request or, after the call, in the answer. An `answer` is what the
    call is answered in its place."""
    client = aws_client(moment.split(".")[1], ONCE)
    counting, seen = threading.Lock(), [0]

    def happen(params: Mapping[str, Any] | None = None, parsed: Any = None, **others: Any) -> Any:
        if containing not in str(params["body"] if params else parsed).replace("\\", ""):
            return None
        with counting:
            seen[0] += 1
        if nth in (None, seen[0]):
            act(**({"parsed": parsed, **others} if params is None else {}))
            return answer
        return None

    client.meta.events.register(moment, happen, unique_id=happen)
    try:
        yield
    finally:
        client.meta.events.unregister(moment, unique_id=happen)
    assert seen[0] >= (nth or 1)


@contextmanager
def losing_its_answer(action: str) -> Iterator[None]:
    """The function's first call of an action takes effect, and is answered with an internal error."""

    def lose(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        http_response.status_code = 500
        parsed |= {"Error": {"Code": "InternalServerError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}

    with at(f"after-call.{action}", lose):
        yield


@contextmanager
def refused(action: str, code: str, message: str = "A test says so.", *, nth: int | None = None) -> Iterator[None]:
    """Systems Manager, or DynamoDB, refuses the function's calls of an action meanwhile, or only the nth."""
    status = 500 if code == "InternalServerError" else 400
    metadata = {"HTTPStatusCode": status, "RequestId": "test"}
    response = type("Response", (), {"status_code": status})
    answer = response(), {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    with at(f"before-call.{action}", lambda: None, nth=nth, answer=answer):
        yield


def dies(**_: Any) -> None:
    """The function ends without an answer, as one that Lambda has timed out."""
    raise FunctionEnded("Sandbox.Timedout")


@contextmanager
def around(state: str, act: Callable[[int, Callable[[], Any]], Any]) -> Iterator[None]:
    """Calls of a state's function are made by `act`, which gets how often there was one before, and the call."""
    count = [-1]

    def call(name: str, run: Callable[[], Any]) -> Any:
        if name != state:
            return run()
        count[0] += 1
        return act(count[0], run)

    AROUND_HANDLERS.append(call)
    try:
        yield
    finally:
        AROUND_HANDLERS.remove(call)


def quietly(run: Callable[[], Any]) -> Callable[[], None]:
    """A call whose answer nobody waits for."""

    def call() -> None:
        with suppress(CutoverError, FunctionEnded):
            run()

    return call
