"""Inputs and configurations made to break something: all end in a clear error, and break neither log nor notification.

AWS's limits: the input of an execution is at most 256 KiB (Step Functions, StartExecution), the cause of a failure at
most 32,768 characters (Amazon States Language, Fail), and the subject of a notification fewer than 100 characters of
ASCII without control characters (SNS, Publish).
"""

import importlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from health.deadline import Stop
from health.probe import Target, prober
from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured
from stacks.workflow import cutover as workflow, repair
from tests.unit.misbehaving_servers import OK, answering, serving
from tests.workflow.account import Aws, Execution
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import MODULES
from tests.workflow.web import Web, sick

INPUT_BYTES = 262_144
PATHS_ALLOWED = 'one "/" and then at most 1023 printable ASCII characters'


def nested(levels: int, kind: str) -> Any:
    """`[[[…]]]` or `{"a": {"a": …}}`."""
    value: Any = "core"
    for _ in range(levels):
        value = [value] if kind == "array" else {"a": value}
    return value


JSONATA = {
    "a server": {"serverName": "{% $states.context.Execution.Input %}"}, "a pair": {"pair": '{% $error("broken") %}'},
    "a flag": {"dryRun": "{% true %}"}, "a key": {"{% $plan %}": True}, "the whole input": "{% $plan %}",
    "an expression that ends ours": {"serverName": "' & $states.context & '"}, "a comment": {"serverName": "tao /* "},
    "a path": {"serverName.$": "$.pair"}, "an intrinsic function": {"serverName": "States.Format('{}', $.pair)"},
}  # fmt: skip
CHARACTERS = {
    "quotes": {"serverName": "tao\"'`\\"}, "end of line": {"serverName": "tao\r\n"},
    "a line of log": {"serverName": 'tao\n{"level": "ERROR", "message": "fake"}'},
    "control characters": {"serverName": "".join(map(chr, range(32))) + "\x7f\x85"},
    "escape sequences": {"serverName": "\x1b[31mtao\x1b[0m\x07"}, "other ends of line": {"pair": "web\u2028\u2029"},
    "right to left": {"serverName": "\u202eoat"}, "a lone surrogate": {"serverName": "tao\ud800"},
    "in a key": {"pair\r\nsubject: x": "web"}, "not in the basic plane": {"serverName": "tao\U0001f600"},
}  # fmt: skip
LONG = {
    "a value": {"serverName": "t" * 250_000}, "a key": {"k" * 250_000: 1}, "a string": "t" * 250_000,
    "a list": ["t"] * 50_000, "many keys": {f"key{number}": 0 for number in range(15_000)},
    "a known key among many": {"pair": list(range(30_000))}, "a number": {"dryRun": 10**400},
}  # fmt: skip
DEEP = {
    "a list": {"serverName": nested(500, "array")}, "an object": {"pair": nested(500, "object")},
    "under the flag": {"dryRun": nested(500, "object")}, "the whole input, a list": nested(500, "array"),
    "the whole input, an object": nested(500, "object"),
}  # fmt: skip
# As they are written: Step Functions reads JSON before anybody else does, and of a key given twice it takes the last.
AS_TEXT = {
    "a number beyond all": '{"dryRun": 1e400}', "a number for a name": '{"serverName": 1e400}',
    "a key twice, the last one wrong": '{"serverName": "tao", "serverName": "bitty"}',
    "a key twice, once escaped": '{"dryRun": true, "dry\\u0052un": 1}', "null": "null", "truth": "true",
    "a string that holds a request": '"{}"', "a list that holds a request": "[{}]",
}  # fmt: skip
# What AWS might answer: nothing says that its messages are short, or of one line.
HOSTILE = {
    "lines": "You are not\r\nauthorized.\u2028 \x1b[31m",
    "quotes and JSONata": '{"errorMessage": "{% $plan %}"} \\" {% $error() %}',
    "40,000 characters": "x" * 40_000,
}
SERVERS = {"bittybot": "i-0aaaaaaa", "tao": "i-0bbbbbbb"}
PAIR = {"production": "eipalloc-0aaaaaaa", "staging": "eipalloc-0bbbbbbb", "servers": SERVERS}


def ascii_id(value: object) -> str:
    return ascii(value)[:60]


def named(**groups: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(value if group == "as_text" else json.dumps(value), id=f"{group}: {name}")
        for group, values in groups.items()
        for name, value in values.items()
    ]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What all functions write to their logs in this test."""
    written = io.StringIO()
    handlers = [importlib.import_module(module).logger.registered_handler for module in MODULES]
    streams = [handler.setStream(written) or written for handler in handlers]
    try:
        yield written
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)


def assert_nothing_is_broken(aws: Aws, execution: Execution, log: io.StringIO) -> None:
    """The cause, the notice and the log can be read by people and programs, whatever came in."""
    cause = str(execution.cause)
    assert cause.isprintable()
    assert len(cause) <= 32_768
    ((_, message, subject, _, _),) = aws._published()
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100
    assert len(message.splitlines()) == 1
    (notice,), (event,), (text,) = aws.notices, aws.events, aws.messages
    for ended in (notice, event["detail"]):
        assert (ended["outcome"], ended["cause"]) == (execution.outcome, cause)
    assert json.loads(text["https"])["content"]["description"] == text["default"]
    assert text["default"].startswith(cause)
    for line in log.getvalue().split("\n"):
        assert not line or isinstance(json.loads(line), dict), line


@pytest.mark.parametrize("text", named(jsonata=JSONATA, characters=CHARACTERS, long=LONG, deep=DEEP, as_text=AS_TEXT))
def test_a_hostile_input_is_an_invalid_request(aws: Aws, ec2_calls: EC2Calls, log: io.StringIO, text: str) -> None:
    assert len(text.encode()) <= INPUT_BYTES
    execution = aws.wait(aws.start_text(text))
    assert execution.outcome == "InvalidRequest"
    assert len(str(execution.cause)) < 600
    assert str(execution.cause).startswith("The input ")
    assert "Nothing was read" in str(execution.cause)
    assert_nothing_is_broken(aws, execution, log)
    assert ec2_calls.made == []
    assert aws.locks == []
    assert aws.places == ("bittybot", "tao")


@pytest.mark.parametrize(("characters", "also"), [(250_000, []), (30_000, ["TaskScheduled"])])
def test_an_input_is_logged_at_most_once_beside_step_functions(aws: Aws, characters: int, also: list[str]) -> None:
    execution = aws.execute({"serverName": "t" * characters})
    history = aws.sfn.get_execution_history(executionArn=execution.arn)["events"]
    large = [event["type"] for event in history if len(json.dumps(event, default=str)) > characters]
    assert large == ["ExecutionStarted", "TaskStateEntered", *also]


def test_the_subject_has_room_for_the_longest_pair_and_outcome(aws: Aws, web: Web, log: io.StringIO) -> None:
    longest = "w" * 64
    assert configured({"pairs": {longest: PAIR}}.get)
    pair = json.loads(aws.pairs_file.read_text())["web"]
    aws.pairs_file.write_text(json.dumps({longest: pair}))
    web.behaviour["tao"] = sick
    execution = aws.execute({})
    assert log.getvalue()
    assert_nothing_is_broken(aws, execution, log)
    subject = aws._published()[0][2]
    assert longest in subject
    outcomes = [*workflow.SUCCESSES, *workflow.FAILURES, *repair.SUCCESSES, *repair.FAILURES]
    assert len(subject.replace(execution.outcome, max(outcomes, key=len))) < 100


@pytest.mark.parametrize("action", ["DescribeAddresses", "AssociateAddress"])
@pytest.mark.parametrize("message", [pytest.param(message, id=name) for name, message in HOSTILE.items()])
def test_any_error_of_ec2_is_shown(aws: Aws, ec2_calls: EC2Calls, log: io.StringIO, action: str, message: str) -> None:
    def refuse() -> None:
        error = {"Error": {"Code": "UnauthorizedOperation", "Message": message}}
        raise ClientError(error, action)  # type: ignore[arg-type]

    ec2_calls.before(action, refuse)
    execution = aws.execute({})
    assert execution.outcome in ("PreflightFailed", "RolledBack")
    assert "UnauthorizedOperation" in str(execution.cause)
    assert aws.places == ("bittybot", "tao")
    assert_nothing_is_broken(aws, execution, log)


def test_a_repair_by_hand_does_not_take_the_lock_of_a_running_execution(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    running = held("staging")
    aws.repair(running)
    holder = aws.locks[0]["execution"]["S"] if aws.locks else None
    web.open_gates()
    aws.wait(running)
    assert holder == running


@pytest.mark.parametrize(
    "event",
    [{}, [], {"execution": "{% $plan %}"}, {"execution": "x", "status": "ABORTED", "stopDate": "{% 1 %}"}, "{% 1 %}"],
    ids=ascii_id,
)
def test_a_repair_with_an_invalid_event_changes_nothing(aws: Aws, ec2_calls: EC2Calls, event: object) -> None:
    execution = aws.wait(aws.start_text(json.dumps(event), aws.repair_machine))
    assert execution.outcome in ("NOTHING_TO_REPAIR", "RepairFailed")
    assert ec2_calls.made == []
    assert aws.locks == []


# The configuration.


PATHS = [
    "/health check", " /health", "/health\r\nHost: other.example", "/health\n", "/health\t", "/\x00", "/\x7f",
    "/\u2028", "/h\u00e9alth", "/\uff0fother.example", "//other.example/health", "http://other.example/health",
    "@other.example/health", ":80/health", "?health", "\\\\other.example", "", "/" + "x" * 250_000, None, ["/health"],
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=ascii_id)
def test_an_invalid_path_is_an_invalid_configuration_on_one_line(path: object) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured({"pairs": {"web": {**PAIR, "healthCheck": {"path": path}}}}.get)
    _, problem = str(refused.value).split("\n")
    assert problem.strip().startswith("pairs.web.healthCheck.path: found ")
    assert f"allowed: {PATHS_ALLOWED}" in problem
    assert problem.isprintable()
    assert len(problem) < 300


@pytest.mark.parametrize(
    "path", ["/@other.example/", "/..//other.example/", "/%0d%0aHost:other.example", "/\\other.example"]
)
def test_a_path_that_resembles_another_host_is_requested_from_the_address_itself(path: str) -> None:
    settings = configured({"pairs": {"web": {**PAIR, "healthCheck": {"path": path}}}}.get)
    (check,) = settings.pairs["web"].as_json()["healthCheck"]
    with serving(answering(OK)) as server:
        asked = Target(protocol="HTTP", ip=server.ip, port=server.port, path=check["path"], timeout_seconds=5)
        assert prober([asked])(asked, Stop()).status == 200
    first, host, *others = server.requests[0].decode("ascii").split("\r\n")
    assert (first, host) == (f"GET {path} HTTP/1.1", f"Host: {server.ip}:{server.port}")
    assert [line for line in others if "other.example" in line] == []


CONFIGURATIONS = [
    {"w\r\neb": PAIR}, {"{% $plan %}": PAIR}, {"w" * 65: PAIR}, {"__proto__": PAIR}, {"web\u200b": PAIR},
    {"web": {**PAIR, "servers": {"tao": "i-0aaaaaaa", "t\u0430o": "i-0bbbbbbb"}}},
    {"web": {**PAIR, "servers": {"tao": "i-0aaaaaaa", "bittybot": "i-*"}}},
    {"web": {**PAIR, "production": "eipalloc-0aaaaaaa\n"}}, {"web": {**PAIR, "production": "*"}},
    {"web": nested(500, "array")}, {"web": nested(500, "object")}, '{"web": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"web": {"production": 1' + "0" * 5_000 + "}}", '{"web": {}, "web": {}}',
]  # fmt: skip


@pytest.mark.parametrize("pairs", CONFIGURATIONS, ids=ascii_id)
def test_a_configuration_that_attacks_is_refused_with_a_line_for_each_problem(pairs: object) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        configured({"pairs": pairs}.get)
    for problem in str(refused.value).split("\n"):
        assert problem.isprintable()
        assert len(problem) < 600
