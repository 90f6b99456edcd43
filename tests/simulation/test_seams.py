"""The seams: how boto3's clients and the sockets of probes reach the model of AWS."""

from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.simulation.fates import Call, Fate
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START, Scheduler
from tests.simulation.seams import present
from tests.simulation.seams.boto import make_api_call
from tests.simulation.seams.sockets import Socket
from tests.simulation.seams.threads import Timer
from tests.simulation.world.errors import AwsError

RESPONSE = b"HTTP/1.1 200 OK\r\n\r\nok"
OPERATION = "function/dynamodb GetItem"


class Servers:
    """One server, behind one address."""

    def holder(self, ip: str) -> str | None:
        return "i-1" if ip == "203.0.113.10" else None

    def delay(self, _holder: str) -> float:
        return 2.0

    def response(self, _ip: str, request: bytes, holder: str | None) -> bytes | None:
        return RESPONSE if request.startswith(b"GET") and holder == "i-1" else None


class Outside:
    """A run whose AWS answers with `answers`, in turn."""

    def __init__(self, *answers: Any, forced: Mapping[str, str] | None = None) -> None:
        self.scheduler = Scheduler(Schedule(0, only=frozenset(), forced=forced or {}))
        self.web: present.Servers = Servers()
        self._answers = iter(answers)

    def answer(self, _call: Call, _fate: Fate) -> Any:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, work: Callable[[], Any]) -> tuple[Any, float]:
        """What it returns or raises, and how many seconds it takes."""
        with present.running(self):
            task = self.scheduler.spawn("function", lambda: self._timed(work), group=self.scheduler.group("function"))
            self.scheduler.run(until=START + 1000)
            result: tuple[Any, float] = task.result()
            return result

    def _timed(self, work: Callable[[], Any]) -> tuple[Any, float]:
        result: Any
        try:
            result = work()
        except Exception as error:
            result = error
        return result, self.scheduler.now - START


@pytest.fixture(scope="module")
def client() -> Any:
    """As `aws.calls.CONFIG` has it."""
    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    keys: dict[str, Any] = {"aws_access_key_id": "simulated", "aws_secret_access_key": "simulated"}
    return boto3.client("dynamodb", "us-east-1", config=config, **keys)


def throttled() -> AwsError:
    return AwsError("ThrottlingException", "Rate exceeded", 400)


def test_a_throttled_call_is_tried_again(client: Any) -> None:
    outside = Outside(throttled(), throttled(), {"Item": {}})
    answer, _ = outside.run(lambda: make_api_call(client, "GetItem", {}))

    assert answer == {"Item": {}}
    assert outside.scheduler.calls == 3


def test_after_the_last_attempt_the_error_is_raised_as_its_own_class(client: Any) -> None:
    error, _ = Outside(throttled(), throttled(), throttled()).run(lambda: make_api_call(client, "GetItem", {}))

    assert isinstance(error, ClientError)
    assert error.response["Error"]["Code"] == "ThrottlingException"


def test_a_failed_condition_is_not_tried_again(client: Any) -> None:
    outside = Outside(AwsError("ConditionalCheckFailedException", "The conditional request failed"))
    error, _ = outside.run(lambda: make_api_call(client, "UpdateItem", {}))

    assert isinstance(error, client.exceptions.ConditionalCheckFailedException)
    assert outside.scheduler.calls == 1


@pytest.mark.parametrize(
    ("kind", "error_class", "shortest"),
    [("request lost", ReadTimeoutError, 21), ("connection closed", ConnectionClosedError, 0)],
)
def test_each_attempt_without_an_answer_takes_the_clients_timeouts(
    client: Any, kind: str, error_class: type[Exception], shortest: float
) -> None:
    outside = Outside(forced={f"{OPERATION}.{number}": kind for number in (1, 2, 3)})
    error, seconds = outside.run(lambda: make_api_call(client, "GetItem", {}))

    assert isinstance(error, error_class)
    assert shortest <= seconds < shortest + 5


def ask(ip: str, *, deadline: float = 10.0) -> Callable[[], bytes]:
    """A probe, as `health.probe` makes one: its deadline shuts the connection down."""

    def probe() -> bytes:
        with Socket() as connection, connection.dup() as duplicate:
            timer = Timer(deadline, lambda: duplicate.shutdown(2))
            timer.start()
            connection.settimeout(deadline)
            connection.connect((ip, 80))
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            buffer, received = bytearray(8), b""
            while count := connection.recv_into(buffer):
                received += buffer[:count]
            timer.cancel()
            return received

    return probe


def test_a_probe_gets_the_response_of_the_server_that_holds_the_address() -> None:
    received, seconds = Outside().run(ask("203.0.113.10"))

    assert received == RESPONSE
    assert 2 < seconds < 2.1


def test_a_probe_to_an_address_on_no_server_gets_no_connection() -> None:
    error, seconds = Outside().run(ask("203.0.113.11", deadline=3))

    assert isinstance(error, OSError)
    assert seconds == 3


def test_the_deadline_of_a_probe_ends_its_wait() -> None:
    received, seconds = Outside(forced={"function/web GET.1": "probe lost"}).run(ask("203.0.113.10", deadline=3))

    assert (received, seconds) == (b"", 3)
