"""The instruments of `make bench` show what is there, and not what would look good."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

import measure_gap
from benchmarks import cost, methods
from benchmarks.cost import transitions
from benchmarks.load import REQUESTS_A_SECOND, Load
from benchmarks.methods import HERE, KILLED
from benchmarks.shares import production_share, staging_dark
from benchmarks.summary import summarized
from local import environment
from local.client import Answer
from local.ec2 import Ec2
from local.fault_layer import Call
from local.server import Server

LOOPBACK = "127.0.0.1"


class Stalling(ThreadingHTTPServer):
    """Answers while `goes_on` is set; what is asked meanwhile waits."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.waiting = 0
        super().__init__((LOOPBACK, 0), Waiting)


class Waiting(BaseHTTPRequestHandler):
    server: Stalling

    def do_GET(self) -> None:
        if not self.server.goes_on.is_set():
            self.server.waiting += 1
        self.server.goes_on.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""


@contextmanager
def stalling() -> Iterator[Stalling]:
    with Stalling() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.goes_on.set()
        server.shutdown()
        thread.join()


def test_every_request_to_a_server_that_is_down_fails() -> None:
    with socket.socket() as kept:
        kept.bind((LOOPBACK, 0))
        with Load(LOOPBACK, kept.getsockname()[1]) as load:
            time.sleep(0.3)
    assert len(load.answers) >= 0.3 * REQUESTS_A_SECOND
    assert {answer.error for answer in load.answers} == {"Connection refused"}
    assert {answer.who for answer in load.answers} == {None}


def test_an_answer_with_500_is_no_good_answer(tmp_path: Path) -> None:
    with Server(
        "tao", instance_id="i-t", address="127.0.0.22", production_ip="127.0.0.10", folder=tmp_path / "t"
    ) as tao:
        tao.deploy(release=2, behaviour="broken")
        tao.restart()
        with Load(tao.address, tao.port or 0) as load:
            time.sleep(0.3)
    assert {answer.error for answer in load.answers} == {"status 500"}
    assert {answer.who for answer in load.answers} == {"tao, release 2"}


def test_requests_go_on_while_a_server_stalls_and_each_waits_from_when_it_was_due() -> None:
    with stalling() as server, Load(LOOPBACK, server.server_port) as load:
        time.sleep(0.2)
        server.goes_on.clear()
        began = time.monotonic()
        time.sleep(0.5)
        ended = time.monotonic()
        waiting = server.waiting
        server.goes_on.set()
        time.sleep(0.2)
    meanwhile = [answer for answer in load.answers if began + 0.05 < answer.sent < ended]
    assert len(meanwhile) == pytest.approx((ended - began - 0.05) * REQUESTS_A_SECOND, abs=1)
    assert waiting > 10
    assert all(answer.good and answer.milliseconds >= (ended - answer.sent) * 1000 for answer in meanwhile)


def test_a_request_that_starts_late_was_slow() -> None:
    with stalling() as server, Load(LOOPBACK, server.server_port) as load:
        time.sleep(0.2)
        os.kill(load.pid, signal.SIGSTOP)
        began = time.monotonic()
        time.sleep(0.5)
        ended = time.monotonic()
        os.kill(load.pid, signal.SIGCONT)
        time.sleep(0.2)
    meanwhile = [answer for answer in load.answers if began + 0.05 < answer.sent < ended]
    assert len(meanwhile) == pytest.approx((ended - began - 0.05) * REQUESTS_A_SECOND, abs=1)
    assert all(answer.milliseconds >= (ended - answer.sent) * 1000 for answer in meanwhile)


def test_a_request_is_given_up_after_5_s() -> None:
    with stalling() as server:
        server.goes_on.clear()
        with Load(LOOPBACK, server.server_port) as load:
            time.sleep(0.1)
    assert {answer.error for answer in load.answers} == {"no answer within 5 s"}
    assert all(5000 <= answer.milliseconds < 8000 for answer in load.answers)


def answers(*errors: str | None, milliseconds: float = 10) -> list[Answer]:
    """Requests that were due 1 s apart."""
    return [Answer(float(number), milliseconds, None, error) for number, error in enumerate(errors)]


def test_users_who_were_never_unwell_have_no_time_until_they_were_well() -> None:
    summary = summarized(answers(None, None, None))
    assert (summary.sent, summary.failed, summary.until_well) == (3, 0, "never unwell")
    assert summary.longest_without == pytest.approx(1.0)


def test_users_are_well_again_with_the_first_good_answer_after_the_last_bad_one() -> None:
    summary = summarized(answers(None, "status 500", None, "reset", None, None))
    assert (summary.failed, summary.until_well) == (2, "3.01 s")
    assert summary.longest_without == pytest.approx(2.0)


def test_users_who_are_unwell_at_the_end_are_not_well_within_what_was_observed() -> None:
    summary = summarized(answers(None, "reset", "reset", "reset"))
    assert (summary.failed, summary.well_again, summary.until_well) == (3, False, "not within 2.0 s")
    assert summary.longest_without == pytest.approx(2.99)


def test_the_slowest_request_may_be_one_that_failed() -> None:
    requests = [*answers(None, None), Answer(2.0, 5000, None, "no answer within 5 s")]
    assert summarized(requests).slowest == 5000


@pytest.fixture(scope="module")
def ec2() -> Iterator[Ec2]:
    with Ec2() as running:
        yield running


@pytest.mark.parametrize("command", [(sys.executable, "classic.py"), ("sh", "classic.sh")], ids=["boto3", "CLI"])
def test_a_classic_script_swaps_the_addresses_by_four_calls(ec2: Ec2, command: tuple[str, str]) -> None:
    production, staging = ec2.allocate("127.0.0.10"), ec2.allocate("127.0.0.11")
    bittybot, tao = ec2.launch("bittybot"), ec2.launch("tao")
    ec2.associate(production, bittybot)
    ec2.associate(staging, tao)
    first = len(ec2.calls)
    program, script = command
    client = environment.of_a_client(endpoint=ec2.endpoint, ec2_endpoint=ec2.endpoint)
    subprocess.run(
        [program, HERE / script, production.allocation_id, staging.allocation_id],
        env=environment.of_this_machine() | client,
        check=True,
    )
    assert ec2.holder(production.allocation_id) == tao
    assert ec2.holder(staging.allocation_id) == bittybot
    assert [(call.action, call.allocation_id) for call in ec2.calls[first:]] == [
        ("DescribeAddresses", None),
        ("DisassociateAddress", staging.allocation_id),
        ("AssociateAddress", production.allocation_id),
        ("AssociateAddress", staging.allocation_id),
    ]


def test_a_method_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "LONGEST_SECONDS", 0.3)
    with methods.process(SimpleNamespace(environment={}), ["sleep", "60"]) as process:  # type: ignore[arg-type]
        assert process.stdout.read() == b""
        assert process.wait() == KILLED


def test_productions_share_is_1_where_one_call_moves_it_and_more_where_several_do() -> None:
    calls = [
        Call("DisassociateAddress", "staging", 0.0, 1.0),
        Call("AssociateAddress", "production", 1.0, 3.0),
        Call("AssociateAddress", "staging", 4.0, 5.0),
    ]
    assert production_share(calls, "production") == 1.0
    assert production_share([*calls, Call("AssociateAddress", "production", 6.0, 8.0)], "production") == 3.5


def test_staging_is_dark_from_the_end_of_one_call_to_the_end_of_the_other() -> None:
    dark = staging_dark(
        [
            Call("DescribeAddresses", None, -1.0, -0.5),
            Call("DisassociateAddress", "staging", 0.0, 1.0),
            Call("DescribeAddresses", None, 1.5, 2.0),
            Call("AssociateAddress", "production", 2.5, 4.0),
            Call("AssociateAddress", "staging", 5.0, 7.0),
            Call("DescribeAddresses", None, 7.5, 8.0),
        ],
        "staging",
    )
    assert (dark.seconds, dark.seconds_of_calls, dark.calls) == (6.0, 4.0, 3)
    assert dark.share == 1.5


def test_a_state_in_a_branch_and_a_state_tried_again_are_transitions_as_well() -> None:
    kinds = (
        "ExecutionStarted", "PassStateEntered", "PassStateExited",
        "TaskStateEntered", "TaskScheduled", "TaskFailed", "TaskScheduled", "TaskSucceeded", "TaskStateExited",
        "ParallelStateEntered", "TaskScheduled", "TaskScheduled", "TaskSucceeded", "TaskSucceeded",
        "ParallelStateExited", "ExecutionSucceeded",
    )  # fmt: skip
    assert transitions([{"type": kind, "timestamp": datetime.now(UTC)} for kind in kinds]) == 3 + 1 + 2


def test_the_cost_of_measuring_is_for_as_long_as_it_may_take() -> None:
    assert (cost.LONGEST_SECONDS, cost.SAVED_EVERY_SECONDS) == (
        measure_gap.LONGEST_SECONDS,
        measure_gap.SAVED_EVERY_SECONDS,
    )
