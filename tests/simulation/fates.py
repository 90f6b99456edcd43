"""What may happen to a call to AWS, and why AWS allows it. This is the one place that says what the simulation may do:
a guarantee that it breaks with one of these fates is broken on AWS, too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tests.simulation.world.errors import AwsError

# "bus": EventBridge, which delivers an event.
Caller = Literal["function", "workflow", "probe", "bus"]
# A call that is answered as usual. Calls of one function take about so long in one Region.
SHORTEST, LONGEST = 0.01, 0.12
USUAL = {"probe": (0.002, 0.02), "bus": (0.1, 2.0)}
STALE_SECONDS = 10.0  # for some 10 s, DescribeAddresses may show the state before a change (EC2 API, "Eventual consistency")
COLD_START_SECONDS = 10.0  # the longest start of a function (Lambda Developer Guide, "Init phase")
LATEST_EVENT = 600.0  # later than that, the next execution has done what the event was for
SHOWN_LATE_SECONDS = 5.0  # for so long, DescribeExecution may show the state before (API reference: eventually consistent)
READS = ("Describe", "Get", "List", "Scan", "Query")

# Each service's own codes, with the HTTP status: what it answers when it is called too often, and when it fails.
THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503), "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "lambda": ("TooManyRequestsException", 429), "sns": ("ThrottledException", 429),
}  # fmt: skip
FAILED = {
    "ec2": "InternalError", "dynamodb": "InternalServerError", "lambda": "ServiceException", "sns": "InternalError",
    "events": "InternalException", "ssm": "InternalServerError",
}  # fmt: skip
DENIED = {"ec2": "UnauthorizedOperation", "cloudformation": "AccessDenied"}


@dataclass(frozen=True)
class Call:
    """An attempt to call AWS, or a probe. `path` names the task that calls, and `number` counts its calls of this
    operation. After `patience` seconds without an answer, the caller gives up."""

    path: str
    service: str
    action: str
    number: int
    caller: Caller
    patience: float
    parameters: Any = None

    @property
    def key(self) -> str:
        return f"{self.path}/{self.service} {self.action}.{self.number}"

    @property
    def reads(self) -> bool:
        return self.action.startswith(READS)


@dataclass(frozen=True, slots=True)
class Fate:
    """`effect`: after how many seconds the call takes effect, if ever. `answer`: after how many seconds the caller has
    the answer; None: it gives up after its patience. `error` comes in place of the result. `closed`: the connection
    ends instead of an answer. A read shows the state of `age` seconds ago. `death`: the caller dies before it sends the
    call or right after its effect, or hangs from now on."""

    kind: str
    effect: float | None
    answer: float | None
    error: AwsError | None = None
    closed: bool = False
    age: float = 0.0
    death: Literal["before", "after", "hangs"] | None = None


class Draw(Protocol):
    """Numbers of this call, from the seed."""

    def share(self) -> float: ...
    def between(self, shortest: float, longest: float) -> float: ...


@dataclass(frozen=True)
class Kind:
    why: str
    applies: Callable[[Call], bool]
    fate: Callable[[Call, Draw], Fate]


def ORDINARY(call: Call, draw: Draw) -> Fate:  # noqa: N802
    """The call is answered, quickly."""
    answer = draw.between(*USUAL.get(call.caller, (SHORTEST, LONGEST)))
    return Fate("answered", answer / 2, answer)


def _to_aws(call: Call) -> bool:
    return call.caller in ("function", "workflow")


def _changes(call: Call) -> bool:
    return _to_aws(call) and not call.reads


def _runs_on(call: Call) -> bool:
    return call.action == "Invoke" and call.caller == "workflow"


def _service(call: Call) -> bool:
    """A request that is over with its answer; an invocation goes on."""
    return _to_aws(call) and not _runs_on(call)


def _error(codes: dict[str, Any], other: tuple[str, int], call: Call, text: str) -> AwsError:
    code = codes.get(call.service, other)
    name, status = code if isinstance(code, tuple) else (code, other[1])
    return AwsError(name, text, status)


def throttling(call: Call) -> AwsError:
    return _error(THROTTLED, ("ThrottlingException", 400), call, "Rate exceeded")


def failure(call: Call) -> AwsError:
    return _error(FAILED, ("InternalFailure", 500), call, "An internal error occurred.")


def denial(call: Call) -> AwsError:
    return _error(DENIED, ("AccessDeniedException", 403), call, f"not authorized to perform: {call.action}")


def _late(call: Call, draw: Draw) -> float:
    return draw.between(LONGEST, max(call.patience, LONGEST))


def _slow(call: Call, draw: Draw) -> Fate:
    answer = draw.between(LONGEST, max(call.patience * 0.95, LONGEST))
    return Fate("slow", draw.between(0, answer), answer)


KINDS = {
    "slow": Kind(
        "AWS promises no time within which it answers. The caller waits as long as its timeouts allow.",
        _service, _slow,
    ),
    "throttled": Kind(
        "Every API has a request limit that others of the account use, too (EC2 API, 'Request throttling').",
        _to_aws, lambda call, draw: Fate("throttled", None, draw.between(SHORTEST, LONGEST), throttling(call)),
    ),
    "failed": Kind(
        "Every service may answer with an internal error, and nothing was done.",
        _to_aws, lambda call, draw: Fate("failed", None, draw.between(SHORTEST, LONGEST), failure(call)),
    ),
    "failed after its effect": Kind(
        "An internal error does not say whether the request took effect.",
        lambda call: _changes(call) and _service(call),
        lambda call, draw: Fate("failed after its effect", LONGEST / 2, LONGEST, failure(call)),
    ),
    "request lost": Kind(
        "A network loses packets: the request does not arrive, and the caller gives up.",
        _service, lambda call, draw: Fate("request lost", None, None),
    ),
    "answer lost": Kind(
        "A network loses packets: the request takes effect, at the latest when the caller gives up.",
        lambda call: _changes(call) and _service(call),
        lambda call, draw: Fate("answer lost", draw.between(0, call.patience), None),
    ),
    "connection closed": Kind(
        "A connection may be closed before the request is sent.",
        _service, lambda call, draw: Fate("connection closed", None, draw.between(0, LONGEST), closed=True),
    ),
    "connection closed after its effect": Kind(
        "A connection may be closed before the answer arrives.",
        lambda call: _changes(call) and _service(call),
        lambda call, draw: Fate("connection closed after its effect", LONGEST / 2, LONGEST, closed=True),
    ),
    "refused": Kind(
        "Permissions may be changed, or be denied by an organization, at any time.",
        lambda call: _service(call), lambda call, draw: Fate("refused", None, draw.between(SHORTEST, LONGEST), denial(call)),
    ),
    "stale": Kind(
        "EC2 is eventually consistent: a description may be some 10 s old (EC2 API, 'Eventual consistency').",
        lambda call: call.action == "DescribeAddresses",
        lambda call, draw: Fate("stale", LONGEST / 2, LONGEST, age=draw.between(0, STALE_SECONDS)),
    ),
    "shown late": Kind(
        "DescribeExecution is eventually consistent: RUNNING for some seconds after the end, ExecutionDoesNotExist just "
        "after the start (Step Functions API reference).",
        lambda call: call.action == "DescribeExecution",
        lambda call, draw: Fate("shown late", LONGEST / 2, LONGEST, age=draw.between(0, SHOWN_LATE_SECONDS)),
    ),
    "dies before": Kind(
        "A function's process may end at any moment: out of memory, a crash of the host (Runtime.ExitError).",
        lambda call: call.caller == "function", lambda call, draw: Fate("dies before", None, None, death="before"),
    ),
    "dies after": Kind(
        "As above; what the process has sent takes effect.",
        lambda call: call.caller == "function",
        lambda call, draw: Fate("dies after", draw.between(0, LONGEST), None, death="after"),
    ),
    "hangs": Kind(
        "A function may hang until Lambda ends it at its timeout (Sandbox.Timedout).",
        lambda call: call.caller == "function", lambda call, draw: Fate("hangs", None, None, death="hangs"),
    ),
    "cold start": Kind(
        "A function starts within 10 s (Lambda Developer Guide, 'Init phase').",
        lambda call: call.action == "Invoke",
        lambda call, draw: Fate("cold start", draw.between(LONGEST, COLD_START_SECONDS), 0.0),
    ),
    "invocation lost": Kind(
        "Step Functions may lose the connection to Lambda (Lambda.SdkClientException). The function runs on.",
        _runs_on,
        lambda call, draw: Fate("invocation lost", draw.between(0, COLD_START_SECONDS), draw.between(0, 20), closed=True),
    ),
    "invocation never answered": Kind(
        "Step Functions may wait in vain for an answer until the state's own timeout. The function runs on.",
        _runs_on, lambda call, draw: Fate("invocation never answered", draw.between(0, COLD_START_SECONDS), None),
    ),
    "probe lost": Kind(
        "A network loses packets: a probe gets no answer within its timeout.",
        lambda call: call.caller == "probe", lambda call, draw: Fate("probe lost", None, None),
    ),
    "event late": Kind(
        "EventBridge promises no time: it tries for 24 h (EventBridge User Guide, 'Event retry policy').",
        lambda call: call.caller == "bus", lambda call, draw: Fate("event late", draw.between(2, LATEST_EVENT), None),
    ),
    "event twice": Kind(
        "EventBridge delivers at least once: `effect` and `answer` are the two times.",
        lambda call: call.caller == "bus",
        lambda call, draw: Fate("event twice", draw.between(0, 30), draw.between(0, LATEST_EVENT)),
    ),
    "event never": Kind(
        "Step Functions emits events at best effort (Developer Guide, 'Automating with EventBridge').",
        lambda call: call.caller == "bus", lambda call, draw: Fate("event never", None, None),
    ),
    "probe slow": Kind(
        "A server may answer late.",
        lambda call: call.caller == "probe", lambda call, draw: Fate("probe slow", 0.0, _late(call, draw)),
    ),
}  # fmt: skip
