"""The function of a hook: what it is called with, what its answers mean, and for how long it is waited for."""

import io
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from aws.calls import aws_client
from aws.hook_function import CONFIG_OF_A_CALL, answered
from aws.records import RollbackRequest
from domain.errors import RollbackRequested

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:drain:live"
EVENT = {"pair": "web", "server": "tao", "release": "7", "execution": "arn:x", "hook": "beforeCutover"}
LOCK = {"pair": "web", "execution": "arn:x"}
Status = tuple[str, str | None]


def error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Invoke")


@dataclass
class Lambda:
    """Lambda's client: answers, one for each call, the last one again and again. A text is a payload as it is."""

    answers: list[Any]
    asked: list[tuple[str, Any]] = field(default_factory=list)
    runs: threading.Event = field(default_factory=threading.Event)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803  # boto3's names
        self.asked.append((FunctionName, json.loads(Payload)))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        match answer:
            case Exception():
                raise answer
            case threading.Event():
                self.runs.set()
                answer.wait(30)
                return self._payload({"hookStatus": "SUCCEEDED"})
            case _:
                return self._payload(answer)

    @staticmethod
    def _payload(answer: Any) -> dict[str, Any]:
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        failed = {"FunctionError": "Unhandled"} if b"errorMessage" in text else {}
        return {"StatusCode": 200, "Payload": io.BytesIO(text), **failed}


class Item:
    """DynamoDB's client, for the item of the lock."""

    def __init__(self) -> None:
        self.asked_by: str | None = None

    def get_item(self, **_: Any) -> dict[str, Any]:
        asked = {"rollbackRequestedBy": {"S": self.asked_by}} if self.asked_by else {}
        return {"Item": {"execution": {"S": LOCK["execution"]}, **asked}}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def call(*answers: Any, seconds: float = 60) -> tuple[Status, Lambda, Clock]:
    client, clock = Lambda(list(answers)), Clock()
    ended = answered(
        FUNCTION,
        EVENT,
        until=seconds,
        listener=RollbackRequest(None),
        sleep=clock.sleep,
        clock=lambda: clock.now,
        client=client,
    )
    return ended, client, clock


IN_PROGRESS = {"hookStatus": "IN_PROGRESS"}
SUCCEEDED = {"hookStatus": "SUCCEEDED"}


def test_a_function_gets_the_event_and_succeeds() -> None:
    ended, client, clock = call(SUCCEEDED)
    assert ended == ("SUCCEEDED", None)
    assert (client.asked, clock.slept) == ([(FUNCTION, EVENT)], [])


def test_a_function_that_is_not_ready_is_called_again_after_its_delay() -> None:
    ended, client, clock = call({**IN_PROGRESS, "callBackDelay": 5}, IN_PROGRESS, SUCCEEDED)
    assert ended == ("SUCCEEDED", None)
    assert (len(client.asked), clock.now) == (3, 35)


@pytest.mark.parametrize(("delay", "seconds"), [(0, 1), (-7, 1), (float("nan"), 1), (1e9, 840), (float("inf"), 840)])
def test_a_delay_is_never_shorter_than_a_second_or_longer_than_a_function_may_run(delay: float, seconds: float) -> None:
    _, _, clock = call({**IN_PROGRESS, "callBackDelay": delay}, SUCCEEDED, seconds=2_000)
    assert clock.now == seconds


def test_a_function_that_is_not_ready_in_time_has_failed() -> None:
    ended, client, clock = call({**IN_PROGRESS, "callBackDelay": 25})
    assert ended == ("IN_PROGRESS", "was still IN_PROGRESS when its time was up.")
    assert (len(client.asked), clock.now) == (3, 50)


def test_a_function_that_says_that_it_has_failed_has_failed_and_is_quoted() -> None:
    (status, failure), client, _ = call({"hookStatus": "FAILED", "why": "3 requests\n<!channel>"})
    assert (status, len(client.asked)) == ("FAILED", 1)
    assert failure is not None
    assert failure.startswith('answered FAILED: {"hookStatus": "FAILED", "why": "3 requests')
    assert "<!channel>" not in failure


@pytest.mark.parametrize(
    "answer",
    [
        None, 7, "SUCCEEDED", [], ["hookStatus"], {}, {"hookStatus": None}, {"hookStatus": ["SUCCEEDED"]},
        {"hookStatus": "succeeded"}, {**IN_PROGRESS, "callBackDelay": "soon"}, {**IN_PROGRESS, "callBackDelay": None},
        {**IN_PROGRESS, "callBackDelay": 10**400}, b"", b"\xff\x00", b"[" * 200_000, b"x" * 5_000_000,
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_a_failure_that_says_what_to_answer(answer: Any) -> None:
    (status, failure), client, _ = call(answer)
    assert (status, len(client.asked)) == ("FAILED", 1)
    assert failure is not None
    assert 'it must answer {"hookStatus": "SUCCEEDED", "FAILED" or "IN_PROGRESS"}.' in failure
    assert len(failure) < 1_000
    assert failure.isascii()
    assert failure.isprintable()


def test_a_function_that_raises_an_error_has_failed() -> None:
    (status, failure), client, _ = call({"errorMessage": "no such target group", "errorType": "KeyError"})
    assert (status, len(client.asked)) == ("FAILED", 1)
    assert str(failure).startswith('raised an error: {"errorMessage": "no such target group"')


@pytest.mark.parametrize(
    "passing",
    [
        error("TooManyRequestsException", 429), error("ThrottlingException", 400), error("ServiceException", 500),
        error("ResourceConflictException", 409), ReadTimeoutError(endpoint_url="https://lambda"),
    ],
)  # fmt: skip
def test_a_function_that_cannot_be_called_now_is_called_again(passing: Exception) -> None:
    ended, client, clock = call(passing, passing, SUCCEEDED)
    assert ended == ("SUCCEEDED", None)
    assert (len(client.asked), clock.now) == (3, 2)
    (status, failure), client, clock = call(passing, seconds=5)
    assert (status, str(failure)[:21]) == ("UNAVAILABLE", "could not be called: ")
    assert (len(client.asked), clock.now) == (6, 5)


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_function_that_may_not_be_called_has_failed_at_once(code: str) -> None:
    (status, failure), client, _ = call(error(code, 403))
    assert (status, len(client.asked)) == ("UNAVAILABLE", 1)
    assert f"could not be called: An error occurred ({code})" in str(failure)


def test_a_function_that_does_not_answer_is_not_waited_for_longer() -> None:
    gate, began = threading.Event(), time.monotonic()
    client = Lambda([gate])
    ended = answered(
        FUNCTION, EVENT, until=began + 0.3, listener=RollbackRequest(None), sleep=time.sleep, clock=time.monotonic,
        client=client,
    )  # fmt: skip
    assert ended == ("IN_PROGRESS", "did not answer in time. It may still run.")
    assert 0.3 <= time.monotonic() - began < 5
    gate.set()


@pytest.mark.parametrize("waits", ["for its answer", "to call it again"])
def test_a_rollback_that_is_asked_for_does_not_wait_for_a_function(waits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, item, began = threading.Event(), Item(), time.monotonic()
    client = Lambda([gate if waits == "for its answer" else {**IN_PROGRESS, "callBackDelay": 600}])

    def ask_once_it_runs() -> None:
        if waits == "for its answer":
            client.runs.wait(10)
        item.asked_by = "arn:rollback"

    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        ask_once_it_runs()

    if waits == "for its answer":
        threading.Thread(target=ask_once_it_runs, daemon=True).start()
    monkeypatch.setenv("LOCK_TABLE", "locks")
    listener = RollbackRequest(LOCK, item)
    with pytest.raises(RollbackRequested, match="arn:rollback asked"):
        answered(
            FUNCTION, EVENT, until=began + 840, listener=listener, sleep=sleep, clock=time.monotonic, client=client
        )  # fmt: skip
    assert time.monotonic() - began < 10
    assert max(slept, default=0) <= 1
    gate.set()


def test_the_client_waits_for_as_long_as_a_function_may_run_and_calls_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    config = aws_client("lambda", CONFIG_OF_A_CALL).meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (900, 1)
