"""Every call that an execution makes: of the handlers to EC2, of the workflow to functions, DynamoDB and SNS.

This module sees all calls, and the faults of `local.faults` happen to them. EC2's calls pass here at botocore's events,
above botocore's retries, so a fault is the result of a call's third try. With `attempts`, the only visible fault is a
lost answer: the call takes effect twice, and its second answer arrives. With the kind `slow`, the client gives up, and
the call takes effect after the next call.
"""

import importlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends

from aws.calls import ONCE, aws_client
from domain.record import Record
from guarantees.trace import Entered, Event, Locked, Passed, Places, Seen, Unlocked
from local.address_semantics import allocation_of, descriptions
from local.fault_layer import strike
from local.faults import ERRORS, STRIKES, Fault, Faults, Kind
from tests.guarantees_seen_whole import Disturbed, WatchedChange
from tests.workflow.engine import AROUND_HANDLERS, REGION, FunctionEnded, scaled_time, service_client

CLIENTS = ("describe_addresses", "describe_restored", "check_servers", "disassociate_address", "associate_address")
THIS = "this execution"
SERVICES = ("dynamodb", "sns", "events")
ENDPOINT = "https://ec2.us-east-1.amazonaws.com/"
CODES: dict[str, Kind] = {code: kind for kind, (code, _) in ERRORS.items()}
Answer = tuple[SimpleNamespace, dict[str, Any]] | None


ENDS: dict[Kind, str] = {
    "crashed-before": "Runtime.ExitError",
    "crashed-after": "Runtime.ExitError",
    "timed-out-before": "Sandbox.Timedout",
    "timed-out-after": "Sandbox.Timedout",
}


@dataclass(frozen=True)
class Call:
    """One call: the state that made it (empty for a service's), its action, and which of that action's calls it is."""

    state: str
    action: str
    nth: int


@dataclass
class EC2Calls:
    """`made` are the calls to EC2 in order, as `action` or `action (dry run)`; `everything` has the others, too.

    `events` are for the checker of the guarantees, at the time of Systems Manager's clock. Those of the execution that
    is watched have THIS as its ARN, which is not known before it has begun.
    """

    production: str
    staging: str
    made: list[str] = field(default_factory=list)
    everything: list[Call] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    struck: list[Fault] = field(default_factory=list)
    after_the_first: Callable[[], None] = lambda: None
    on_call: Callable[[str, dict[str, Any]], None] = lambda _action, _parameters: None
    faults: Faults = field(default_factory=Faults)
    _acts: list[tuple[str, int, Callable[[], None]]] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _past: dict[str, dict[str, Any]] = field(default_factory=dict)
    _late: list[Callable[[], None]] = field(default_factory=list)
    _holder: str | None = None
    _state: threading.local = field(default_factory=threading.local)

    def inject(self, fault: Fault) -> None:
        self.faults.inject(fault)

    def fail(self, action: str, code: str, *, nth: int = 1, times: int = 1) -> None:
        """The n-th call of an action from now on, and the `times - 1` after it, fail with a code."""
        self.inject(_failing(action, code, nth=nth, times=times))

    def fail_from_now_on(self, action: str, code: str) -> None:
        """Every further call of an action fails with a code."""
        self.inject(_failing(action, code, nth=1, times=None))

    def before(self, action: str, act: Callable[[], None], *, nth: int = 1) -> None:
        """Something else happens just before the n-th call of an action."""
        self._acts.append((action, nth, act))

    @property
    def changes(self) -> list[str]:
        return [call for call in self.made if call in ("AssociateAddress", "DisassociateAddress")]

    def tell(self, event: Callable[..., Event], *values: Any, **more: Any) -> None:
        self.events.append(event(scaled_time(), *values, **more))

    def _disturb(self, fault: Fault | None) -> None:
        if fault:
            self.tell(Disturbed)

    def _places(self, described: dict[str, dict[str, Any]]) -> Places:
        held = (described.get(each, {}) for each in (self.production, self.staging))
        return Places(*(each.get("InstanceId") or each.get("NetworkInterfaceId") for each in held))

    def _count(self, action: str) -> None:
        self._counts[action] += 1
        self.everything.append(Call(getattr(self._state, "name", ""), action, self._counts[action]))

    # EC2.

    def _parameters(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["parameters"] = dict(params)

    def _called(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> Answer:
        action = model.name + (" (dry run)" if params["body"].get("DryRun") == "true" else "")
        self.made.append(action)
        self.on_call(action, context["parameters"])
        self._count(action)
        for each, nth, act in self._acts:
            if (each, nth) == (action, self._counts[action]):
                act()
        fault = self.faults.meet(action)
        self.tell(Seen, self._places(_described()))
        self._disturb(fault)
        if fault and fault.kind in STRIKES:
            self._strike(fault, params["body"])
        context.update(before=_described(), changes=action in ("AssociateAddress", "DisassociateAddress"))
        context["by"] = {name: getattr(self._state, name, None) for name in ("name", "described")}
        context["call"] = (model.name, context["parameters"], allocation_of(_backend(), params["body"]))
        return None if fault is None else self._suffered(fault, context)

    def _suffered(self, fault: Fault, context: dict[str, Any]) -> Answer:
        match fault.kind:
            case "reset" if fault.attempts is None:
                raise ConnectionClosedError(endpoint_url=ENDPOINT)
            case "answer-lost":
                if fault.attempts is None:
                    context["lost"] = True
                else:
                    self._again(context)
                    context["before"] = _described()
            case "slow":
                context["late"] = True
                return _error("RequestLimitExceeded", 503)  # never seen: `_answered` raises
            case "stale" if self._past:
                return self._stale(context)
            case _ if fault.error and fault.attempts is None:
                return _error(*fault.error)
        return None

    def _again(self, context: dict[str, Any]) -> None:
        """The call takes effect, whatever comes of it."""
        name, parameters, allocation_id = context["call"]
        before = _described()
        with suppress(ClientError):
            getattr(_side(), xform_name(name))(**parameters)
        if context["changes"]:
            self._changed(name, allocation_id, parameters, before, context["by"])

    def _stale(self, context: dict[str, Any]) -> Answer:
        ids = context["call"][1]["AllocationIds"]
        shown = [self._past.get(each) or _described()[each] for each in ids]
        metadata = {"HTTPStatusCode": 200, "RequestId": "stale"}
        return SimpleNamespace(status_code=200), {"Addresses": shown, "ResponseMetadata": metadata}

    def _answered(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        late, self._late = self._late, []
        name, parameters, allocation_id = context["call"]
        if context["changes"] and not context.get("late"):
            self._changed(name, allocation_id, parameters, context["before"], context["by"])
        elif name == "DescribeAddresses" and "Addresses" in parsed:
            self._state.described = self._places({each["AllocationId"]: each for each in parsed["Addresses"]})
        self.after_the_first()
        self.after_the_first = lambda: None
        for act in late:
            act()
        if context.get("late"):
            self._late.append(partial(self._again, context))
        if context.get("late") or context.get("lost"):
            raise ReadTimeoutError(endpoint_url=ENDPOINT)

    def _changed(
        self,
        action: str,
        allocation_id: str | None,
        parameters: dict[str, Any],
        before: dict[str, Any],
        by: dict[str, Any] | None = None,
    ) -> None:
        """By a state of this execution, or by someone else. EC2 has refused it if there is no such association."""
        if by and allocation_id is None:
            return
        after, to = _described(), parameters.get("InstanceId") or parameters.get("NetworkInterfaceId")
        if after != before:
            self._past = before
        parted = [each for each in before if "AssociationId" in before[each] and "AssociationId" not in after[each]]
        more = {"displaced": tuple(each for each in parted if each != allocation_id), **_who(by)}
        places = self._places(before), self._places(after)
        self.tell(WatchedChange, THIS if by else None, action, allocation_id, to, *places, **more)

    def _strike(self, fault: Fault, parameters: dict[str, Any]) -> None:
        before = _described()
        strike(_backend(), fault, parameters)
        self.struck.append(fault)
        allocation_id = fault.allocation_id or allocation_of(_backend(), parameters)
        moved = allocation_id if fault.kind == "moved" else None
        self._changed(fault.kind, moved, {"InstanceId": fault.instance_id}, before)

    # Functions and services.

    def _around(self, state: str, run: Callable[[], Any]) -> Any:
        action = f"function {state}"
        self._state.name, self._state.described = state, None
        self._count(action)
        self.tell(Entered, THIS, state)
        fault = self.faults.meet(action)
        if fault is None:
            result = run()
            self.tell(Passed, THIS, state, result)
            return result
        self._disturb(fault)
        if fault.kind == "throttled":
            raise ClientError(_error("TooManyRequestsException", 429)[1], "Invoke")  # type: ignore[index,arg-type]
        if fault.kind.endswith("-after"):
            run()
        raise FunctionEnded(ENDS[fault.kind])

    def _service_called(
        self, service: str, model: Any, context: dict[str, Any], *, by_a_function: bool = False, **_: Any
    ) -> Answer:
        action = f"{service} {model.name}"
        if not by_a_function:
            self._state.name = ""
        self._count(action)
        fault = self.faults.meet(action)
        if fault is None:
            return None
        self._disturb(fault)
        if fault.kind == "answer-lost":
            context["lost"] = True
            return None
        return _error("ThrottlingException", 400)

    def _service_answered(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        if model.name == "UpdateItem":
            self._see_the_lock()
        if context.get("lost"):  # what Step Functions says when its own SDK gets no answer
            raise ClientError(_error("SdkClientException", 500)[1], model.name)  # type: ignore[index,arg-type]

    def _see_the_lock(self) -> None:
        item = next((item for item in _table() if item["pair"]["S"] == "web"), {})
        holder = item.get("execution", {}).get("S")
        if self._holder not in (None, holder):
            self.tell(Unlocked, self._holder, record=Record.from_item(item))
        if holder not in (None, self._holder):
            self.tell(Locked, holder)
        self._holder = holder


def _who(by: dict[str, Any] | None) -> dict[str, Any]:
    return {"state": by["name"], "described": by["described"]} if by else {}


def _table() -> list[dict[str, Any]]:
    """The items of the only table."""
    tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables.values()
    return [item.to_json()["Attributes"] for table in tables for item in table.all_items()]


def _failing(action: str, code: str, *, nth: int, times: int | None) -> Fault:
    kind = CODES.get(code, "refused")
    return Fault(action=action, kind=kind, nth=nth, times=times, code=code if kind == "refused" else None)


def _error(code: str, status: int) -> Answer:
    parsed = {
        "Error": {"Code": code, "Message": f"A test says {code}."},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "test"},
    }
    return SimpleNamespace(status_code=status), parsed


def _backend() -> Any:
    return ec2_backends[DEFAULT_ACCOUNT_ID][REGION]


def _described() -> dict[str, dict[str, Any]]:
    return descriptions(_backend())


@cache
def _side() -> Any:
    """A client whose calls nobody sees."""
    return boto3.client("ec2", REGION)


@contextmanager
def watched(production: str, staging: str) -> Iterator[EC2Calls]:
    """All calls of one execution after the other on the pair with these two addresses."""
    calls = EC2Calls(production, staging)
    listeners: list[tuple[Any, str, Any]] = []
    clients = [importlib.import_module(module).ec2 for module in CLIENTS]
    for client in (*clients, aws_client("ec2", ONCE)):
        events = client.meta.events
        listeners.append((events, "before-parameter-build.ec2", calls._parameters))
        listeners.append((events, "before-call.ec2", calls._called))
        listeners.append((events, "after-call.ec2", calls._answered))
    of_functions = (
        ("dynamodb", aws_client("dynamodb")),
        ("dynamodb", aws_client("dynamodb", ONCE)),
        ("ssm", aws_client("ssm", ONCE)),
    )
    for service, client in of_functions:
        events = client.meta.events
        called = partial(calls._service_called, service, by_a_function=True)
        listeners.append((events, f"before-call.{service}", called))
        listeners.append((events, f"after-call.{service}", calls._service_answered))
    for service in SERVICES:
        events = service_client(service).meta.events
        listeners.append((events, f"before-call.{service}", partial(calls._service_called, service)))
        listeners.append((events, f"after-call.{service}", calls._service_answered))
    for events, name, listener in listeners:
        events.register(name, listener, unique_id=f"calls {name}")
    AROUND_HANDLERS.append(calls._around)
    try:
        yield calls
    finally:
        AROUND_HANDLERS.remove(calls._around)
        for events, name, _ in listeners:
            events.unregister(name, unique_id=f"calls {name}")
