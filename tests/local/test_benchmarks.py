"""The instruments of `make bench` measure what really happens."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

import measure_gap
import start_evaluations
from benchmarks import cost, pictures, readiness
from benchmarks.cases import CASES
from benchmarks.cost import transitions
from benchmarks.methods import HERE, KILLED, METHODS, process
from benchmarks.rollback import Rollback, least_of_a_check
from benchmarks.shares import production_share, staging_unassociated
from local import environment
from local.aws import Execution, Move
from local.ec2 import Ec2
from local.emergencies import EMERGENCIES, Ended
from local.fault_layer import Call
from local.load import REQUESTS_A_SECOND, Answer, Load
from local.palette import DARK, LIGHT
from local.panel import Panel
from local.server import Server
from local.summary import summarized
from stacks.monitoring.evaluations import MOSTLY_WAITS

LOOPBACK = "127.0.0.1"


class Stalling(ThreadingHTTPServer):
    """Answers while `goes_on` is set; other requests wait."""

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
        """Silent."""


@contextmanager
def stalling() -> Iterator[Stalling]:
    with Stalling() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
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


def test_an_answer_with_500_is_not_a_good_answer(tmp_path: Path) -> None:
    with Server(
        "tao", instance_id="i-t", address="127.0.0.22", production_ip="127.0.0.10", folder=tmp_path / "t"
    ) as tao:
        tao.deploy(release=2, behaviour="broken")
        tao.restart()
        with Load(tao.address, tao.port or 0) as load:
            time.sleep(0.3)
    assert {answer.error for answer in load.answers} == {"status 500"}
    assert {answer.who for answer in load.answers} == {"tao, release 2"}


def stall_server(server: Stalling, _load: Load) -> Callable[[], object]:
    server.goes_on.clear()
    return server.goes_on.set


def stall_load(_server: Stalling, load: Load) -> Callable[[], object]:
    os.kill(load.pid, signal.SIGSTOP)
    return lambda: os.kill(load.pid, signal.SIGCONT)


@pytest.mark.parametrize(("stall", "sent"), [(stall_server, True), (stall_load, False)])
def test_a_request_counts_from_its_intended_time_even_if_the_server_or_the_load_stalls(
    stall: Callable[[Stalling, Load], Callable[[], object]], sent: bool
) -> None:
    with stalling() as server, Load(LOOPBACK, server.server_port) as load:
        time.sleep(0.2)
        go_on = stall(server, load)
        began = time.monotonic()
        time.sleep(0.5)
        ended = time.monotonic()
        assert (server.waiting > 10) == sent
        go_on()
        time.sleep(0.2)
    meanwhile = [answer for answer in load.answers if began + 0.05 < answer.sent < ended]
    assert len(meanwhile) == pytest.approx((ended - began - 0.05) * REQUESTS_A_SECOND, abs=1)
    assert all(answer.good and answer.milliseconds >= (ended - answer.sent) * 1000 for answer in meanwhile)


def test_an_answer_can_be_read_at_once_while_the_load_goes_on() -> None:
    """Though there are too few answers to fill a buffer."""
    with stalling() as server, Load(LOOPBACK, server.server_port) as load:
        time.sleep(0.1)
        server.goes_on.clear()
        deadline = time.monotonic() + 2
        while not load.answers:
            assert time.monotonic() < deadline, "no answer within 2 s"
            time.sleep(0.01)
        server.goes_on.set()
        assert load.answers[0].good


def test_answers_are_in_the_order_in_which_their_requests_were_due_not_in_which_they_arrived() -> None:
    with stalling() as server, Load(LOOPBACK, server.server_port) as load:
        server.goes_on.clear()
        time.sleep(0.2)
        server.goes_on.set()
        time.sleep(0.2)
    assert [answer.sent for answer in load.answers] == sorted(answer.sent for answer in load.answers)


def test_a_load_that_dies_before_its_first_answer_is_an_error_of_its_own() -> None:
    with stalling() as server:
        server.goes_on.clear()
        load = Load(LOOPBACK, server.server_port).__enter__()
        os.kill(load.pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="the load sent no request"):
            load.__exit__(None, None, None)


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_load() -> None:
    with stalling() as server, Load(LOOPBACK, server.server_port) as load:
        time.sleep(0.2)
        assert os.getpgid(load.pid) != os.getpgid(0)


def test_a_request_fails_after_5_s() -> None:
    with stalling() as server:
        server.goes_on.clear()
        with Load(LOOPBACK, server.server_port) as load:
            time.sleep(0.1)
    assert {answer.error for answer in load.answers} == {"no answer within 5 s"}
    assert all(5000 <= answer.milliseconds < 8000 for answer in load.answers)


def answers(*errors: str | None, milliseconds: float = 10) -> list[Answer]:
    """Requests that were due one second apart."""
    return [Answer(float(number), milliseconds, None, error) for number, error in enumerate(errors)]


@pytest.mark.parametrize(
    ("errors", "failed", "recovery", "longest_without"),
    [
        ([None, None, None], 0, "no failure", 1.0),
        # To the first good answer after the last bad one.
        ([None, "status 500", None, "reset", None, None], 2, "3.01 s", 2.0),
        # To the end of the observation.
        ([None, "reset", "reset", "reset"], 3, "not within 2.0 s", 2.99),
    ],
)
def test_requests_fail_from_the_first_failure_until_they_succeed_again(
    errors: list[str | None], failed: int, recovery: str, longest_without: float
) -> None:
    summary = summarized(answers(*errors))
    assert (summary.sent, summary.failed, summary.recovery) == (len(errors), failed, recovery)
    assert summary.longest_without == pytest.approx(longest_without)


@pytest.mark.parametrize(
    ("errors", "staging", "words"),
    [
        ([None, "status 500", None], "bittybot", ""),
        ([None, None], "bittybot", ""),
        ([None, "status 500"], "bittybot", "goes on: nobody puts it back"),
        ([None, "status 500"], None, "goes on: nobody puts it back"),
        ([None, None], None, "staging stays on no server: nobody puts it back"),
    ],
)
def test_what_did_not_end_with_the_observation_goes_on(errors: list[str | None], staging: str, words: str) -> None:
    assert pictures.goes_on(summarized(answers(*errors)), staging) == words


def test_every_case_has_a_picture_for_light_and_dark_pages_and_the_readme_has_two_methods(tmp_path: Path) -> None:
    panels = {(case, method.name): Panel(method.name, answers(None)) for case in CASES for method in METHODS}
    pictures.draw_all(panels, tmp_path)
    light = {case.name for case in CASES} | {"readme"}
    assert {file.stem for file in tmp_path.iterdir()} == light | {f"{name}-dark" for name in light}
    for name in light:
        day, night = (imread(tmp_path / f"{name}{suffix}.png") for suffix in ("", "-dark"))
        assert day.shape == night.shape
        assert (to_hex(day[0, 0]), to_hex(night[0, 0])) == (LIGHT.paper, DARK.paper)
    readme, case = (imread(tmp_path / f"{name}.png").shape[0] for name in ("readme", "answers-500"))
    assert readme / pictures.README_DOTS_PER_INCH < 0.75 * case / pictures.DOTS_PER_INCH


def test_the_slowest_request_may_be_a_failed_one() -> None:
    requests = [*answers(None, None), Answer(2.0, 5000, None, "no answer within 5 s")]
    assert summarized(requests).slowest == 5000


@pytest.mark.parametrize("command", [(sys.executable, "classic.py"), ("sh", "classic.sh")], ids=["boto3", "CLI"])
def test_a_classic_script_swaps_the_addresses_with_four_calls(
    ec2: Ec2, bittybot: str, tao: str, command: tuple[str, str]
) -> None:
    production, staging = ec2.allocate("127.0.0.10"), ec2.allocate("127.0.0.11")
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


def test_a_method_that_does_not_end_is_killed() -> None:
    with process({}, ["sleep", "60"], longest_seconds=0.3) as running:
        assert running.stdout.read() == b""
        assert running.wait() == KILLED


def test_the_share_of_production_is_1_for_one_call_and_more_for_several() -> None:
    calls = [
        Call("DisassociateAddress", "staging", 0.0, 1.0),
        Call("AssociateAddress", "production", 1.0, 3.0),
        Call("AssociateAddress", "staging", 4.0, 5.0),
    ]
    assert production_share(calls, "production") == 1.0
    assert production_share([*calls, Call("AssociateAddress", "production", 6.0, 8.0)], "production") == 3.5


def test_staging_is_on_no_server_from_the_end_of_one_call_to_the_end_of_the_other() -> None:
    time_off = staging_unassociated(
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
    assert (time_off.seconds, time_off.seconds_of_calls, time_off.calls) == (6.0, 4.0, 3)
    assert time_off.share == 1.5


def test_a_retry_is_a_transition_as_well() -> None:
    kinds = (
        "ExecutionStarted", "PassStateEntered", "PassStateExited",
        "TaskStateEntered", "TaskScheduled", "TaskFailed", "TaskScheduled", "TaskSucceeded", "TaskStateExited",
        "ParallelStateEntered", "TaskStateEntered", "TaskScheduled", "TaskSucceeded", "TaskStateExited",
        "ParallelStateExited", "ExecutionSucceeded",
    )  # fmt: skip
    assert transitions([{"type": kind, "timestamp": datetime.now(UTC)} for kind in kinds]) == 3 + 1 + 1


def test_the_highest_cost_of_measuring_is_for_its_longest_time() -> None:
    assert cost.LONGEST_SECONDS == measure_gap.LONGEST_SECONDS
    assert cost.SAVED_EVERY_SECONDS == measure_gap.SAVE_INTERVAL_SECONDS


def test_the_cost_of_starting_an_evaluation_is_the_pause_before_the_next() -> None:
    limits = 1000 * start_evaluations.SECONDS_APART, MOSTLY_WAITS["memory_size"]
    assert (readiness.STARTER.milliseconds, readiness.STARTER.megabytes) == limits


def test_the_month_of_a_pair_has_30_evaluations_and_reads_its_result_every_five_minutes() -> None:
    directives = [{"Dimensions": [["address", "server"]], "Metrics": [{"Name": "HealthCheckLatency"}]}]
    line = json.dumps({"_aws": {"CloudWatchMetrics": directives}})
    events: list[dict[str, Any]] = [{"type": "PassStateEntered", "timestamp": datetime.now(UTC)}]
    evaluated = readiness.Evaluation(events, [cost.Invocation("check_servers", 1000, 512)], ["x", line], 4097)
    assert evaluated.metrics == 2
    assert evaluated.log_bytes > len(line) + 1
    counts = {name: count for name, count, _ in evaluated.items}
    assert counts["Step Functions, state transitions"] == counts["EventBridge Scheduler, invocations"] == 1
    assert counts["Lambda, GB-seconds"] == 0.5 + 3 * 0.25
    # A transition, two invocations, their GB-seconds, the schedule, two metrics for an hour; two reads, 8,640 times.
    once = 0.025 / 1000 + 2 * 0.20 / 1e6 + 1.25 * 0.0000133334 + 1 / 1e6 + 2 * 0.30 / 720
    assert evaluated.month == pytest.approx(30 * once + 2 * 8_640 * 0.125 / 1e6, abs=1e-5)
    assert "| **the only pair of a stack** |" in readiness.text(evaluated)


def emergency_that_ended(calls: list[Call], moved: float, served: float) -> Ended:
    execution = Execution("arn", "SUCCEEDED", {}, None, None)
    moves = [Move(0.5, "staging", None), Move(moved, "production", "bittybot"), Move(served + 1, "production", "tao")]
    return Ended(EMERGENCIES[0], 0.0, served, execution, None, calls, moves)


def test_a_rollback_takes_at_least_the_check_and_the_calls_until_production_has_moved() -> None:
    rollback = Rollback(
        emergency_that_ended(
            [
                Call("DescribeAddresses", None, -0.25, 0.25),
                Call("AssociateAddress (dry run)", None, 0.5, 1.0),
                Call("DescribeInstanceStatus", None, 0.5, 1.0),
                Call("AssociateAddress", "production", 4.0, 5.0),
                Call("DescribeAddresses", None, 5.0, 6.0),
            ],
            moved=4.5,
            served=5.5,
        ),
        check_seconds=2.0,
    )
    assert rollback.call_seconds == 0.25 + 0.5
    assert rollback.times_least == 5.5 / 2.75


def test_a_check_takes_at_least_its_intervals_and_its_last_probe() -> None:
    probes = [{"status": 200, "milliseconds": milliseconds} for milliseconds in (900, 900, 30)]
    results: list[dict[str, Any]] = [
        {"changed": False},
        {"address": "staging", "checks": [{"probes": probes}]},
        {"address": "production", "checks": [{"probes": probes[:1]}]},
    ]
    outputs = [json.dumps({"StatusCode": 200, "Payload": result}) for result in results]
    succeeded = [{"taskSucceededEventDetails": {"output": output}} for output in ['{"Attributes": {}}', *outputs]]
    assert least_of_a_check([{"type": "ExecutionStarted"}, *succeeded]) == 2.03
