"""The health check: its rule, its loop without waiting, and its handler against real servers."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

import health_check
from errors import ProductionUnhealthy, StagingUnhealthy
from health_check import (
    GoOn,
    HealthCheck,
    Healthy,
    Unhealthy,
    decide,
    handler,
    matches,
    poll,
    unhealthy_message,
)
from probe import Probe
from tests.unit.misbehaving_servers import (
    OK,
    Server,
    answering,
    hanging_after,
    in_turn,
    refusing,
    serving,
    status,
)

SETTINGS: dict[str, Any] = {
    "protocol": "HTTP",
    "port": 80,
    "path": "/health",
    "matcher": "200",
    "intervalSeconds": 1,
    "timeoutSeconds": 2,
    "healthyThresholdCount": 3,
    "unhealthyThresholdCount": 3,
    "deadlineSeconds": 12,
}
EVENT: dict[str, Any] = {
    "execution": "cutover-7",
    "address": {"name": "staging", "publicIp": "127.0.0.11"},
    "server": {"name": "tao", "instanceId": "i-0bbbbbbbbbbbbbbbb"},
    "healthCheck": SETTINGS,
}
CHECK = HealthCheck.from_event(EVENT)
GOOD = Probe(200, 10, None)
BAD = Probe(500, 10, None)
REFUSED = Probe(None, 1, "connection refused")
SLOW = Probe(None, 2000, "no answer within 2 s")


# What is good


@pytest.mark.parametrize(
    ("matcher", "good", "bad"),
    [
        ("200", [200], [199, 201, 500]),
        ("200-299", [200, 250, 299], [199, 300]),
        ("200,301", [200, 301], [201, 300, 302]),
        ("200,300-302", [200, 300, 301, 302], [201, 299, 303]),
        ("200-202,404", [200, 202, 404], [203, 403]),
    ],
)
def test_a_matcher_means_what_it_means_in_elb(matcher: str, good: list[int], bad: list[int]) -> None:
    assert [code for code in good + bad if matches(matcher, code)] == good


def test_a_good_status_with_an_incomplete_body_is_not_good() -> None:
    assert not CHECK.is_good(Probe(200, 10, "closed the connection within its body"))


# The rule


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ([GOOD], GoOn()),
        ([GOOD, GOOD], GoOn()),
        ([GOOD, GOOD, GOOD], Healthy()),
        ([BAD, BAD, GOOD, GOOD, GOOD], Healthy()),
        ([GOOD, GOOD, BAD, GOOD], GoOn()),
        ([BAD, BAD, GOOD, BAD, BAD], GoOn()),
        ([BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
        ([GOOD, GOOD, BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
        ([REFUSED] * 3, Unhealthy("3 probes in a row failed: connection refused")),
        ([REFUSED, SLOW, SLOW], Unhealthy("3 probes in a row failed: connection refused; no answer within 2 s")),
        (
            [REFUSED, BAD, Probe(200, 9, "closed it")],
            Unhealthy("3 probes in a row failed: expected status 200, found connection refused, 500, 200: closed it"),
        ),
    ],
)
def test_enough_probes_in_a_row_decide(probes: list[Probe], verdict: object) -> None:
    assert decide(CHECK, probes, next_seconds=1) == verdict


def test_one_probe_decides_where_the_thresholds_are_one() -> None:
    check = replace(CHECK, healthy_threshold_count=1, unhealthy_threshold_count=1)
    assert decide(check, [GOOD], next_seconds=1) == Healthy()
    assert decide(check, [REFUSED], next_seconds=1) == Unhealthy("1 probe in a row failed: connection refused")


def test_the_last_probe_is_one_that_can_be_over_by_the_deadline() -> None:
    assert decide(CHECK, [GOOD, BAD], next_seconds=10) == GoOn()
    assert decide(CHECK, [GOOD, BAD], next_seconds=10.5) == Unhealthy(
        "it kept flapping: in 12 s neither 3 good probes in a row nor 3 bad ones: expected status 200, found 200, 500"
    )


def test_a_verdict_at_the_deadline_is_still_a_verdict() -> None:
    assert decide(CHECK, [GOOD] * 3, next_seconds=99) == Healthy()


# The loop


@dataclass
class Time:
    """A clock that moves only when somebody sleeps or a probe takes its time."""

    now: float = 1000.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def polled(check: HealthCheck, found: Callable[[int], Probe]) -> tuple[object, list[float], float]:
    """The verdict, when each probe started and when the check was over, in seconds; `found` gives probe n."""
    passing = Time()
    starts: list[float] = []

    def probe_once() -> Probe:
        one = found(len(starts))
        starts.append(passing.now - 1000)
        passing.now += one.milliseconds / 1000
        return one

    verdict, probes = poll(check, probe_once, passing.clock, passing.sleep)
    assert len(probes) == len(starts)
    return verdict, starts, passing.now - 1000


def test_three_good_probes_at_one_second_take_two_seconds_and_the_last_answer() -> None:
    verdict, starts, over = polled(CHECK, lambda _: Probe(200, 250, None))
    assert verdict == Healthy()
    assert starts == [0, 1, 2]
    assert over == 2.25


def test_after_a_slow_probe_the_next_starts_at_once() -> None:
    verdict, starts, over = polled(CHECK, lambda _: Probe(200, 1500, None))
    assert verdict == Healthy()
    assert starts == [0, 1.5, 3]
    assert over == 4.5


def test_a_dead_address_fails_after_its_timeouts_and_not_at_the_deadline() -> None:
    verdict, _, over = polled(CHECK, lambda _: SLOW)
    assert verdict == Unhealthy("3 probes in a row failed: no answer within 2 s")
    assert over == 6


def test_a_server_that_is_well_after_two_failures_is_healthy() -> None:
    verdict, starts, _ = polled(CHECK, lambda n: REFUSED if n < 2 else GOOD)
    assert verdict == Healthy()
    assert len(starts) == 5


@pytest.mark.parametrize(("good", "bad"), [(GOOD, BAD), (GOOD, SLOW), (Probe(200, 1500, None), SLOW)])
@pytest.mark.parametrize("interval", [1, 2, 5])
def test_flapping_ends_by_the_deadline_as_unhealthy(good: Probe, bad: Probe, interval: int) -> None:
    check = HealthCheck.from_event(
        {**EVENT, "healthCheck": {**SETTINGS, "intervalSeconds": interval, "deadlineSeconds": 6 * max(interval, 2)}}
    )
    verdict, starts, over = polled(check, lambda n: good if n % 2 else bad)
    assert isinstance(verdict, Unhealthy)
    assert verdict.reason.startswith(f"it kept flapping: in {check.deadline_seconds} s neither")
    assert len(starts) >= 6
    assert over <= check.deadline_seconds


@pytest.mark.parametrize("thresholds", [(1, 1), (2, 10), (10, 2), (10, 10)])
def test_the_slowest_server_that_is_healthy_after_all_is_not_cut_off_by_the_deadline(
    thresholds: tuple[int, int],
) -> None:
    settings = {
        **SETTINGS,
        "healthyThresholdCount": thresholds[0],
        "unhealthyThresholdCount": thresholds[1],
        "deadlineSeconds": sum(thresholds) * 2,
    }
    check = HealthCheck.from_event({**EVENT, "healthCheck": settings})
    late = Probe(200, 2001, None)
    verdict, starts, _ = polled(check, lambda n: replace(SLOW, milliseconds=2001) if n < thresholds[1] - 1 else late)
    assert verdict == Healthy()
    assert len(starts) == sum(thresholds) - 1


# The message


def message(*probes: Probe, reason: str = "why", **changed: Any) -> str:
    return unhealthy_message(replace(CHECK, **changed), reason, list(probes))


def test_a_message_says_what_was_checked_what_was_found_and_where_to_look() -> None:
    assert message(
        GOOD, BAD, BAD, BAD, reason="3 probes in a row failed: expected status 200, found 500, 500, 500"
    ) == (
        "tao (i-0bbbbbbbbbbbbbbbb) is not healthy through the staging address, at http://127.0.0.11/health: "
        "3 probes in a row failed: expected status 200, found 500, 500, 500 (4 probes in all). "
        "Look at the log of the application on tao."
    )


def test_a_message_names_the_address_and_leaves_it_to_the_workflow_to_say_what_was_changed() -> None:
    for address in ("staging", "production"):
        assert f"through the {address} address" in message(BAD, address=address)
        assert "changed" not in message(BAD, address=address)


@pytest.mark.parametrize(
    ("found", "where"),
    [
        (REFUSED, "Look whether a web server runs on tao and speaks HTTP on port 80, and what its security group"),
        (Probe(302, 5, None), "A redirect is not followed"),
        (Probe(400, 5, None), "accepts a request whose Host header is 127.0.0.11."),
        (Probe(503, 5, None), "Look at the log of the application on tao."),
        (Probe(200, 5, "no complete answer"), "it begins its answers and does not finish them."),
    ],
)
def test_a_message_says_where_to_look_for_what_the_last_bad_probe_found(found: Probe, where: str) -> None:
    assert where in message(found, GOOD)


def test_a_message_stays_below_1000_characters_with_the_longest_of_everything() -> None:
    check = replace(
        CHECK, server="s" * 64, path="/" + "p" * 1023, matcher="200," * 300 + "200", unhealthy_threshold_count=10
    )
    probes = [Probe(404, 5, "e" * 160)] * 10
    verdict = decide(check, probes, next_seconds=1)
    assert isinstance(verdict, Unhealthy)
    for found in (Probe(None, 5, "e" * 160), Probe(404, 5, None), probes[0]):
        text = unhealthy_message(check, verdict.reason, [*probes, found])
        assert len(text) < 1000
        assert not text.endswith("..."), "where to look must not be what is cut off"


# The handler


class Context:
    """What Powertools reads of a Lambda context."""

    function_name = "health-check"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:health-check"
    aws_request_id = "52fdfc07"


CONTEXT: Any = Context()


def event_for(server: Server, address: str = "staging", **changed: Any) -> dict[str, Any]:
    quick = {"port": server.port, "intervalSeconds": 0.02, "timeoutSeconds": 0.5, **changed}
    return {
        **EVENT,
        "address": {"name": address, "publicIp": server.ip},
        "healthCheck": {**SETTINGS, **quick},
    }


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines the handler has logged so far."""
    lines = io.StringIO()
    to_lines = logging.StreamHandler(lines)
    to_lines.setFormatter(health_check.logger.registered_formatter)
    health_check.logger.addHandler(to_lines)
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    health_check.logger.handlers.remove(to_lines)


def test_a_server_that_answers_is_healthy_and_its_probes_are_returned() -> None:
    with serving(answering(OK)) as server:
        result = handler(event_for(server), CONTEXT)
    probes = result.pop("probes")
    assert result == {"healthy": True, "address": "staging", "publicIp": "127.0.0.1", "server": "tao"}
    assert [(one["status"], one["error"]) for one in probes] == [(200, None)] * 3
    assert all(isinstance(one["milliseconds"], int) for one in probes)
    assert server.connections == 3


def test_a_server_that_answers_503_and_then_200_is_healthy() -> None:
    with serving(answering(status(503), status(503), OK)) as server:
        result = handler(event_for(server), CONTEXT)
    assert [one["status"] for one in result["probes"]] == [503, 503, 200, 200, 200]


def test_a_sick_server_is_staging_unhealthy_through_the_staging_address() -> None:
    with serving(answering(status(500))) as server, pytest.raises(StagingUnhealthy) as raised:
        handler(event_for(server), CONTEXT)
    assert "3 probes in a row failed: expected status 200, found 500, 500, 500" in str(raised.value)


def test_a_dead_server_is_production_unhealthy_through_the_production_address() -> None:
    with refusing() as server, pytest.raises(ProductionUnhealthy) as raised:
        handler(event_for(server, "production"), CONTEXT)
    assert "through the production address" in str(raised.value)
    assert "3 probes in a row failed: connection refused" in str(raised.value)


def test_a_hanging_server_is_unhealthy_after_its_timeouts() -> None:
    began = time.monotonic()
    with serving(hanging_after()) as server, pytest.raises(StagingUnhealthy) as raised:
        handler(event_for(server, timeoutSeconds=0.1), CONTEXT)
    assert time.monotonic() - began < 0.3 + 1
    assert "no answer within 0.1 s (connected, sent the request, 0 bytes received)" in str(raised.value)


def test_a_flapping_server_is_unhealthy_by_the_deadline() -> None:
    began = time.monotonic()
    with (
        serving(in_turn(answering(OK), answering(status(503)))) as server,
        pytest.raises(StagingUnhealthy, match="it kept flapping"),
    ):
        handler(event_for(server, timeoutSeconds=0.1, deadlineSeconds=0.6), CONTEXT)
    assert time.monotonic() - began < 0.6 + 1


def test_what_a_server_sends_brings_no_control_characters_into_the_message() -> None:
    with (
        serving(answering(b"\x1b[2J\r\x00\xc2\x85" * 1000 + b"\n")) as server,
        pytest.raises(StagingUnhealthy) as raised,
    ):
        handler(event_for(server), CONTEXT)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


def test_one_line_is_logged_for_a_healthy_server(log: Callable[[], list[dict[str, Any]]]) -> None:
    with serving(answering(OK)) as server:
        result = handler(event_for(server), CONTEXT)
    [line] = log()
    assert (line["level"], line["message"]) == ("INFO", "health check finished")
    assert line["correlation_id"] == "cutover-7"
    assert line["probes"] == result["probes"]


def test_one_line_with_the_probes_and_no_error_is_logged_for_a_sick_server(
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    with refusing() as server, pytest.raises(StagingUnhealthy):
        handler(event_for(server), CONTEXT)
    [line] = log()
    assert (line["level"], line["healthy"], len(line["probes"])) == ("INFO", False, 3)
    assert "exception" not in line
