"""What EC2 does at its worst, defined once: for the local EC2, where it happens on the wire, and for tests in process.

    python -m local.faults AssociateAddress --nth 2 --kind answer-lost

in a shell with the exports of `.local/env` (`make aws`) makes the second AssociateAddress from now on take effect and
lose its answer. A *call* is what a program makes through its AWS SDK: the SDK tries it up to three times, and every
try of a call that meets a fault meets it, so that the SDK's own retries hide nothing. `--attempts 1` is for the fault
that they are made for: the first try fails, the second gets through.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

PATH = "/_faults"
"""Of the local EC2's endpoint, and of no EC2: POST injects, DELETE clears, GET lists."""

Kind = Literal[
    "throttled", "internal-error", "denied", "refused", "reset", "answer-lost", "slow", "stale", "terminated",
    "stopped", "moved", "crashed-before", "crashed-after", "timed-out-before", "timed-out-after",
]  # fmt: skip
"""The last four happen to functions, in tests in process only: a function is no call to EC2."""
KINDS: dict[Kind, str] = {
    "throttled": "answered with RequestLimitExceeded",
    "internal-error": "answered with InternalError",
    "denied": "answered with UnauthorizedOperation",
    "refused": "answered with OperationNotPermitted, or --code",
    "reset": "the connection is reset before the call takes effect",
    "answer-lost": "the call takes effect, and the connection is reset instead of an answer",
    "slow": "the call takes effect and is answered --seconds later",
    "stale": "addresses are shown as they stood before their last change, for --times calls or --seconds",
    "terminated": "just before it, the instance that it names (or --instance-id) is terminated",
    "stopped": "just before it, the instance that it names (or --instance-id) is stopped",
    "moved": "just before it, somebody moves the address that it names (or --allocation-id) to --instance-id",
}
ERRORS: dict[Kind, tuple[str, int]] = {
    "throttled": ("RequestLimitExceeded", 503),
    "internal-error": ("InternalError", 500),
    "denied": ("UnauthorizedOperation", 403),
    "refused": ("OperationNotPermitted", 400),
}
STRIKES: tuple[Kind, ...] = ("terminated", "stopped", "moved")
ACTIONS = (
    "DescribeAddresses",
    "DescribeInstances",
    "AssociateAddress",
    "AssociateAddress (dry run)",
    "DisassociateAddress",
    "DisassociateAddress (dry run)",
)


class InvalidFault(ValueError):
    """There is no such fault; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the `nth` call of `action` from its injection on, and to the `times - 1` after it.

    `times=None` is for ever. `attempts` limits it to the first tries of each of these calls. The other fields belong
    to some kinds only, as `KINDS` says. An action with `DryRun` is one of its own: `AssociateAddress (dry run)`.
    """

    action: str
    kind: Kind
    nth: int = 1
    times: int | None = 1
    attempts: int | None = None
    seconds: float | None = None
    code: str | None = None
    instance_id: str | None = None
    allocation_id: str | None = None

    @property
    def error(self) -> tuple[str, int] | None:
        """The error code and the HTTP status of the answer, None where the answer is not an error."""
        if self.kind not in ERRORS:
            return None
        code, status = ERRORS[self.kind]
        return self.code or code, status

    def __str__(self) -> str:
        others = {name: value for name, value in asdict(self).items() if name not in ("action", "kind", "nth", "times")}
        given = "".join(f", {name} {value}" for name, value in others.items() if value is not None)
        calls = f"calls {self.nth} and on" if self.times is None else f"call {self.nth}"
        if self.times is not None and self.times > 1:
            calls = f"calls {self.nth} to {self.nth + self.times - 1}"
        return f"{self.kind} at {self.action}, {calls}{given}"


def fault_from(value: object) -> Fault:
    """The fault that a JSON object describes, by the names of its fields. Raises InvalidFault."""
    known = {each.name for each in fields(Fault)}
    if not isinstance(value, Mapping) or not {"action", "kind"} <= value.keys() <= known:
        raise InvalidFault(f"a fault is an object with action, kind and, as needed, {', '.join(sorted(known))}")
    fault = Fault(**value)
    for problem, found in _problems(fault):
        if found:
            raise InvalidFault(problem)
    return fault


def _problems(fault: Fault) -> list[tuple[str, bool]]:
    """What a fault may not be, and whether this one is that."""
    wholes = {name: getattr(fault, name) for name in ("nth", "times", "attempts")}
    names_an_instance = fault.action.startswith("AssociateAddress")
    names_an_address = names_an_instance or fault.action.startswith("DisassociateAddress")
    return [
        (f"there is no action {fault.action!r}; there are {', '.join(ACTIONS)}", fault.action not in ACTIONS),
        (f"there is no kind {fault.kind!r}; there are {', '.join(KINDS)}", fault.kind not in KINDS),
        *(
            (f"{name} = {value!r} is not a whole number from 1", value is not None and not _counts(value))
            for name, value in wholes.items()
        ),
        *(
            (f"{name} = {value!r} is not a text", value is not None and not isinstance(value, str))
            for name, value in {each: getattr(fault, each) for each in ("code", "instance_id", "allocation_id")}.items()
        ),
        ("nth is missing", fault.nth is None),
        (
            f"seconds = {fault.seconds!r} is not a number above 0",
            fault.seconds is not None
            and (isinstance(fault.seconds, bool) or not isinstance(fault.seconds, int | float) or fault.seconds <= 0),
        ),
        ("slow needs seconds", fault.kind == "slow" and fault.seconds is None),
        ("seconds belong to slow and stale", fault.seconds is not None and fault.kind not in ("slow", "stale")),
        ("a code belongs to refused", fault.code is not None and fault.kind != "refused"),
        ("only DescribeAddresses can be stale", fault.kind == "stale" and fault.action != "DescribeAddresses"),
        (
            f"{fault.action} names no instance: {fault.kind} needs an instance id",
            fault.kind in ("terminated", "stopped") and not (fault.instance_id or names_an_instance),
        ),
        (
            f"{fault.action} names no address: moved needs an allocation id",
            fault.kind == "moved" and not (fault.allocation_id or names_an_address),
        ),
        ("moved needs an instance id to move the address to", fault.kind == "moved" and not fault.instance_id),
    ]


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


@dataclass
class _Injected:
    fault: Fault
    tries: dict[str, int] = field(default_factory=dict)  # of each call so far, in the order of the calls
    began: float | None = None

    def meets(self, call: str) -> bool:
        self.tries[call] = self.tries.get(call, 0) + 1
        number = list(self.tries).index(call) + 1
        fault = self.fault
        if fault.attempts is not None and self.tries[call] > fault.attempts:
            return False
        if fault.kind == "stale" and fault.seconds is not None and number >= fault.nth:
            self.began = self.began or time.monotonic()
            return time.monotonic() < self.began + fault.seconds
        return fault.nth <= number and (fault.times is None or number < fault.nth + fault.times)


class Faults:
    """The faults that are injected, and the calls that they wait for. Threads may share one."""

    def __init__(self) -> None:
        self._injected: list[_Injected] = []
        self._lock = threading.Lock()
        self._anonymous = 0

    def inject(self, fault: Fault) -> None:
        """From the next call on."""
        with self._lock:
            self._injected.append(_Injected(fault))

    def clear(self) -> None:
        with self._lock:
            self._injected.clear()

    @property
    def injected(self) -> list[Fault]:
        with self._lock:
            return [each.fault for each in self._injected]

    def meet(self, action: str, call: str | None = None) -> Fault | None:
        """Counts this try of a call of an action, and says which fault it meets: of several, the one injected first.

        `call` is the same for every try of a call; None is a call of one try.
        """
        with self._lock:
            self._anonymous += 1
            name = call or f"#{self._anonymous}"
            met = [each.fault for each in self._injected if each.fault.action == action and each.meets(name)]
            return met[0] if met else None


def main(words: list[str] | None = None) -> None:
    """Injects a fault into a running local EC2, clears all, or lists them."""
    parser = argparse.ArgumentParser(
        prog="python -m local.faults",
        description="Makes calls to the EC2 of a running `make aws` fail.",
        epilog="kinds:\n" + "\n".join(f"  {kind:15} {meaning}" for kind, meaning in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", metavar="ACTION", help=f"one of {', '.join(ACTIONS)}")
    parser.add_argument("--kind", help="what happens, see below")
    parser.add_argument("--nth", type=int, default=1, help="which call, counted from now on; the next one if left out")
    parser.add_argument("--times", type=int, default=1, help="how many calls in a row")
    parser.add_argument("--forever", action="store_true", help="every call from the n-th on")
    parser.add_argument("--attempts", type=int, help="only the first tries of each such call; else all")
    parser.add_argument("--seconds", type=float, help="of slow and stale")
    parser.add_argument("--code", help="the error code of refused")
    parser.add_argument("--instance-id", help="of terminated, stopped and moved")
    parser.add_argument("--allocation-id", help="of moved")
    parser.add_argument("--clear", action="store_true", help="forget all faults")
    parser.add_argument("--list", action="store_true", help="show them")
    asked = parser.parse_args(words)
    try:
        if asked.clear or asked.list:
            print(_ask("DELETE" if asked.clear else "GET"))
            return
        if not asked.action or not asked.kind:
            parser.error("an ACTION and its --kind are needed, or --clear, or --list")
        given = {each.name: getattr(asked, each.name) for each in fields(Fault)}
        fault = fault_from(given | ({"times": None} if asked.forever else {}))
        print(_ask("POST", asdict(fault)))
    except InvalidFault as error:
        parser.error(str(error))


def _ask(method: str, value: Mapping[str, Any] | None = None) -> str:
    """What the local EC2 of this shell answers."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_EC2", "")
    if not endpoint.startswith("http://127.0.0.1:"):
        sys.exit("AWS_ENDPOINT_URL_EC2 is not a local EC2. Start one with `make aws`, then: . .local/env")
    request = urllib.request.Request(  # noqa: S310  # it begins with http://127.0.0.1
        endpoint + PATH, method=method, data=None if value is None else json.dumps(value).encode()
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        sys.exit(error.read().decode())
    except OSError as error:
        sys.exit(f"No local EC2 answers at {endpoint} ({error}). Is `make aws` running? Then: . .local/env")


if __name__ == "__main__":
    main()
