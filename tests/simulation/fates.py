"""What may happen to a call to AWS, and why AWS allows it. This is the one place that says what the simulation may do:
a guarantee that it breaks with one of these fates is broken on AWS, too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tests.simulation.world.errors import AwsError

# "bus": EventBridge, which delivers an event.
Caller = Literal["function", "workflow", "probe", "bus"]
# A call that is answered as usual. Calls of one function take about so long in one Region.
SHORTEST, LONGEST = 0.01, 0.12
USUAL = {"probe": (0.002, 0.02), "bus": (0.1, 2.0)}
STALE_SECONDS = (
    10.0  # for some 10 s, DescribeAddresses may show the state before a change (EC2 API, "Eventual consistency")
)
COLD_START_SECONDS = 10.0  # the longest start of a function (Lambda Developer Guide, "Init phase")
LATEST_EVENT = 600.0  # later than that, the next execution has done what the event was for
SHOWN_LATE_SECONDS = (
    5.0  # for so long, DescribeExecution may show the state before (API reference: eventually consistent)
)
# No invocation of these that Step Functions lost starts late: it may then put staging back that its execution has freed
# since, or undo what the next execution does. This is a known limit (docs/architecture.md, "What makes it safe").
STARTS_AT_ONCE = ("RepairStaging", "RestoreProduction")
AT_ONCE_SECONDS = 1.0
# The rehearsals have called their functions just before, so no function of theirs is inactive.
AMID_CHANGES = ("DisassociateStaging", "ReassociateProduction", "ReassociateStaging", "RestoreProduction",
                "RestoreStaging")  # fmt: skip
READS = ("Describe", "Get", "List", "Scan", "Query")

# Each service's own codes, with the HTTP status: what it answers when it is called too often, when it fails, when the
# caller has no permission.
THROTTLED = {
    "ec2": ("RequestLimitExceeded", 503), "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "lambda": ("TooManyRequestsException", 429), "sns": ("ThrottledException", 429),
}  # fmt: skip
FAILED = {
    "ec2": ("InternalError", 500), "dynamodb": ("InternalServerError", 500), "lambda": ("ServiceException", 500),
    "sns": ("InternalError", 500), "events": ("InternalException", 500), "ssm": ("InternalServerError", 500),
}  # fmt: skip
DENIED = {"ec2": ("UnauthorizedOperation", 403), "cloudformation": ("AccessDenied", 403)}
FAILED_ENTRY = AwsError("FailedEntry", "PutEvents has failed for one or more entries.")
INACTIVE = AwsError("ResourceNotReadyException", "The function is inactive.", 502)


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
    error: AwsError | None = field(default=None, compare=False)
    closed: bool = False
    age: float = 0.0
    death: Literal["before", "after", "hangs"] | None = None


class Draw(Protocol):
    """Numbers of this call, from the seed."""

    def share(self) -> float: ...
    def between(self, shortest: float, longest: float) -> float: ...


Fates = Callable[[Call, Draw], Fate]


@dataclass(frozen=True)
class Kind:
    """Why AWS allows it, to which calls it may happen, and what happens then."""

    why: str
    applies: Callable[[Call], bool]
    fate: Fates


def ordinary(call: Call, draw: Draw) -> Fate:
    """The call is answered, quickly."""
    answer = draw.between(*USUAL.get(call.caller, (SHORTEST, LONGEST)))
    return Fate("answered", answer / 2, answer)


def _to_aws(call: Call) -> bool:
    return call.caller in ("function", "workflow")


def _invocation(call: Call) -> bool:
    """Of a function by a workflow: it goes on after its call has arrived."""
    return call.caller == "workflow" and call.action == "Invoke"


def _request(call: Call) -> bool:
    return _to_aws(call) and not _invocation(call)


def _change(call: Call) -> bool:
    return _request(call) and not call.reads


def _by_function(call: Call) -> bool:
    return call.caller == "function"


def _probe(call: Call) -> bool:
    return call.caller == "probe"


def _event(call: Call) -> bool:
    return call.caller == "bus"


def _error(
    codes: Mapping[str, tuple[str, int]], otherwise: tuple[str, int], message: str
) -> Callable[[Call], AwsError]:
    def error(call: Call) -> AwsError:
        code, status = codes.get(call.service, otherwise)
        return AwsError(code, message, status)

    return error


_throttling = _error(THROTTLED, ("ThrottlingException", 400), "Rate exceeded")
_failure = _error(FAILED, ("InternalFailure", 500), "An internal error occurred.")
_denial = _error(DENIED, ("AccessDeniedException", 400), "You are not authorized to perform this operation.")


def _refused(kind: str, error: Callable[[Call], AwsError]) -> Fates:
    """The call has no effect."""
    return lambda call, draw: Fate(kind, None, draw.between(SHORTEST, LONGEST), error(call))


def _state(call: Call) -> str:
    return call.path.rpartition("/")[2].partition(".")[0]


def _lost_invocation(call: Call, draw: Draw) -> Fate:
    effect = draw.between(0, AT_ONCE_SECONDS if _state(call) in STARTS_AT_ONCE else COLD_START_SECONDS)
    return Fate("invocation lost", effect, draw.between(0, 2 * COLD_START_SECONDS), closed=True)


def _slow(call: Call, draw: Draw) -> Fate:
    answer = draw.between(LONGEST, max(call.patience * 0.95, LONGEST))
    return Fate("slow", draw.between(0, answer), answer)


KINDS = {
    "slow": Kind(
        "AWS promises no time within which it answers. The caller waits as long as its timeouts allow.",
        _request, _slow,
    ),
    "throttled": Kind(
        "Every API has a request limit that others of the account use, too (EC2 API, 'Request throttling').",
        _to_aws, _refused("throttled", _throttling),
    ),
    "failed": Kind(
        "Every service may answer with an internal error, and nothing was done.",
        _to_aws, _refused("failed", _failure),
    ),
    "failed after its effect": Kind(
        "An internal error does not say whether the request took effect.",
        _change, lambda call, draw: Fate("failed after its effect", LONGEST / 2, LONGEST, _failure(call)),
    ),
    "request lost": Kind(
        "A network loses packets: the request does not arrive, and the caller gives up.",
        _request, lambda call, draw: Fate("request lost", None, None),
    ),
    "answer lost": Kind(
        "A network loses packets: the request takes effect, at the latest when the caller gives up.",
        _change, lambda call, draw: Fate("answer lost", draw.between(0, call.patience), None),
    ),
    "connection closed": Kind(
        "A connection may be closed before the request is sent.",
        _request, lambda call, draw: Fate("connection closed", None, draw.between(0, LONGEST), closed=True),
    ),
    "connection closed after its effect": Kind(
        "A connection may be closed before the answer arrives.",
        _change, lambda call, draw: Fate("connection closed after its effect", LONGEST / 2, LONGEST, closed=True),
    ),
    "refused": Kind(
        "Permissions may be changed, or be denied by an organization, at any time.",
        _request, _refused("refused", _denial),
    ),
    "entry failed": Kind(
        "If an entry of PutEvents fails, its state fails (Step Functions Developer Guide, 'EventBridge events').",
        lambda call: call.caller == "workflow" and call.action == "PutEvents",
        _refused("entry failed", lambda _: FAILED_ENTRY),
    ),
    "stale": Kind(
        "EC2 is eventually consistent: a description may be some 10 s old (EC2 API, 'Eventual consistency').",
        lambda call: call.action == "DescribeAddresses",
        lambda call, draw: Fate("stale", LONGEST / 2, LONGEST, age=draw.between(0, STALE_SECONDS)),
    ),
    "shown late": Kind(
        "DescribeExecution is eventually consistent (API reference): RUNNING for some seconds after the end, and "
        "ExecutionDoesNotExist just after the start.",
        lambda call: call.action == "DescribeExecution",
        lambda call, draw: Fate("shown late", LONGEST / 2, LONGEST, age=draw.between(0, SHOWN_LATE_SECONDS)),
    ),
    "dies before": Kind(
        "A function's process may end at any moment: out of memory, a crash of the host (Runtime.ExitError).",
        _by_function, lambda call, draw: Fate("dies before", None, None, death="before"),
    ),
    "dies after": Kind(
        "As above; what the process has sent takes effect.",
        _by_function, lambda call, draw: Fate("dies after", draw.between(0, LONGEST), None, death="after"),
    ),
    "hangs": Kind(
        "A function may hang until Lambda ends it at its timeout (Sandbox.Timedout).",
        _by_function, lambda call, draw: Fate("hangs", None, None, death="hangs"),
    ),
    "cold start": Kind(
        "A function starts within 10 s (Lambda Developer Guide, 'Init phase').",
        _invocation,
        lambda call, draw: Fate("cold start", draw.between(LONGEST, COLD_START_SECONDS), LONGEST),
    ),
    "inactive": Kind(
        "A function that was not called for weeks is prepared again (Lambda Developer Guide, 'Function states').",
        lambda call: _invocation(call) and _state(call) not in AMID_CHANGES, _refused("inactive", lambda _: INACTIVE),
    ),
    "invocation lost": Kind(
        "Step Functions may lose the connection to Lambda (Lambda.SdkClientException). The function runs on.",
        _invocation, _lost_invocation,
    ),
    "started late": Kind(
        "As above. Step Functions may notice at once, and a function without a warm environment starts seconds later.",
        lambda call: _invocation(call) and _state(call) not in STARTS_AT_ONCE,
        lambda call, draw: Fate("started late", draw.between(2, COLD_START_SECONDS), draw.share(), closed=True),
    ),
    "invocation never answered": Kind(
        "Step Functions may wait in vain for an answer until the state's own timeout. The function runs on.",
        _invocation,
        lambda call, draw: Fate("invocation never answered", draw.between(0, COLD_START_SECONDS), None),
    ),
    "probe lost": Kind(
        "A network loses packets: a probe gets no answer within its timeout.",
        _probe, lambda call, draw: Fate("probe lost", None, None),
    ),
    "probe slow": Kind(
        "A server may answer late.",
        _probe, lambda call, draw: Fate("probe slow", 0.0, draw.between(LONGEST, call.patience)),
    ),
    "event late": Kind(
        "EventBridge promises no time: it tries for 24 h (EventBridge User Guide, 'Event retry policy').",
        _event, lambda call, draw: Fate("event late", draw.between(2, LATEST_EVENT), None),
    ),
    "event twice": Kind(
        "EventBridge delivers at least once: here at `effect` and at `answer`.",
        _event, lambda call, draw: Fate("event twice", draw.between(0, 30), draw.between(0, LATEST_EVENT)),
    ),
    "event never": Kind(
        "Step Functions emits events at best effort (Developer Guide, 'Automating with EventBridge').",
        _event, lambda call, draw: Fate("event never", None, None),
    ),
}  # fmt: skip
