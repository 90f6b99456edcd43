"""The faults of EC2: for the local EC2, where they happen on the wire, and for tests in process.

    python -m local.faults AssociateAddress --nth 2 --kind answer-lost

Run this in a shell with the exports of `.local/env` (`make aws`). The second AssociateAddress from now on then takes
effect, and its answer is lost. A program makes a *call* through its AWS SDK, which tries the call up to three times. A
fault affects every try of a call, so that the SDK's retries do not hide it. With `--attempts 1`, it affects only the
first try.
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
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from local.access import authorization

PATH = "/_faults"
"""A path that the real EC2 does not have: POST injects, DELETE clears, GET lists."""

Kind = Literal[
    "throttled", "internal-error", "denied", "refused", "reset", "answer-lost", "slow", "stale", "terminated",
    "stopped", "moved", "crashed-before", "crashed-after", "timed-out-before", "timed-out-after",
]  # fmt: skip
"""The last four happen to functions, and only in tests in process, because a function is not a call to EC2."""
KINDS: dict[Kind, str] = {
    "throttled": "answered with RequestLimitExceeded",
    "internal-error": "answered with InternalError",
    "denied": "answered with UnauthorizedOperation",
    "refused": "answered with OperationNotPermitted, or --code",
    "reset": "the connection is reset before the call takes effect",
    "answer-lost": "the call takes effect, and the connection is reset instead of an answer",
    "slow": "the call takes effect and is answered --seconds later",
    "stale": "addresses are shown as they were before their last change, for --times calls or --seconds",
    "terminated": "just before the call, the instance that it names (or --instance-id) is terminated",
    "stopped": "just before the call, the instance that it names (or --instance-id) is stopped",
    "moved": "just before the call, someone moves the address that it names (or --allocation-id) to --instance-id",
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
    """The fault is invalid. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the `nth` call of `action` after the injection, and to the next `times - 1` calls.

    `times=None` means every call. `attempts` limits the fault to the first tries of each of these calls. The other
    fields belong only to some kinds: see `KINDS`. `AssociateAddress (dry run)`, with `DryRun`, is a separate action.
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
        """The error code and the HTTP status of the answer; None if the answer is not an error."""
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
    if problem := next((text for text, applies in _problems(fault) if applies), None):
        raise InvalidFault(problem)
    return fault


def _problems(fault: Fault) -> Iterator[tuple[str, bool]]:
    """The problems that a fault can have, each with whether this fault has it."""
    action, kind, seconds = fault.action, fault.kind, fault.seconds
    names_an_instance = action.startswith("AssociateAddress")
    names_an_address = names_an_instance or action.startswith("DisassociateAddress")
    yield f"there is no action {action!r}; there are {', '.join(ACTIONS)}", action not in ACTIONS
    yield f"there is no kind {kind!r}; there are {', '.join(KINDS)}", kind not in KINDS
    yield "nth is missing", fault.nth is None
    for name in ("nth", "times", "attempts"):
        value = getattr(fault, name)
        yield f"{name} = {value!r} is not a whole number of at least 1", value is not None and not _counts(value)
    for name in ("code", "instance_id", "allocation_id"):
        value = getattr(fault, name)
        yield f"{name} = {value!r} is not a text", value is not None and not isinstance(value, str)
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    yield f"seconds = {seconds!r} is not a number above 0", seconds is not None and not (is_number and seconds > 0)
    yield "slow needs seconds", kind == "slow" and seconds is None
    yield "only slow and stale have seconds", seconds is not None and kind not in ("slow", "stale")
    yield "only refused has a code", fault.code is not None and kind != "refused"
    yield "only DescribeAddresses can be stale", kind == "stale" and action != "DescribeAddresses"
    yield (
        f"{action} names no instance: {kind} needs an instance id",
        kind in ("terminated", "stopped") and not (fault.instance_id or names_an_instance),
    )
    yield (
        f"{action} names no address: moved needs an allocation id",
        kind == "moved" and not (fault.allocation_id or names_an_address),
    )
    yield "moved needs an instance id to move the address to", kind == "moved" and not fault.instance_id


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
    """The injected faults, and the calls that they wait for. Threads may share an instance."""

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
        """Count this try of a call. Returns the fault for it: the fault that was injected first, if there are several.

        `call` is the same for every try of a call. None means a call with a single try.
        """
        with self._lock:
            self._anonymous += 1
            name = call or f"#{self._anonymous}"
            faults = [each.fault for each in self._injected if each.fault.action == action and each.meets(name)]
            return faults[0] if faults else None


def main(words: list[str] | None = None) -> None:
    """Inject a fault into a running local EC2, clear all faults, or list them."""
    parser = argparse.ArgumentParser(
        prog="python -m local.faults",
        description="Makes calls to the EC2 of a running `make aws` fail.",
        epilog="kinds:\n" + "\n".join(f"  {kind:15} {meaning}" for kind, meaning in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", metavar="ACTION", help=f"one of {', '.join(ACTIONS)}")
    parser.add_argument("--kind", help="what happens: see below")
    parser.add_argument("--nth", type=int, default=1, help="which call, counted from now on (default: the next)")
    parser.add_argument("--times", type=int, default=1, help="how many calls in a row (default: 1)")
    parser.add_argument("--forever", action="store_true", help="every call from the n-th on")
    parser.add_argument("--attempts", type=int, help="affect only so many first tries of each call (default: all)")
    parser.add_argument("--seconds", type=float, help="for slow and stale: how long")
    parser.add_argument("--code", help="for refused: the error code")
    parser.add_argument("--instance-id", help="for terminated, stopped and moved: the instance")
    parser.add_argument("--allocation-id", help="for moved: the address")
    parser.add_argument("--clear", action="store_true", help="remove all faults")
    parser.add_argument("--list", action="store_true", help="list the faults")
    arguments = parser.parse_args(words)
    try:
        if arguments.clear or arguments.list:
            print(_ask("DELETE" if arguments.clear else "GET"))
            return
        if not arguments.action or not arguments.kind:
            parser.error("give an ACTION and a --kind, or --clear, or --list")
        given = {each.name: getattr(arguments, each.name) for each in fields(Fault)}
        fault = fault_from(given | ({"times": None} if arguments.forever else {}))
        print(_ask("POST", asdict(fault)))
    except InvalidFault as error:
        parser.error(str(error))


def _ask(method: str, value: Mapping[str, Any] | None = None) -> str:
    """The answer of the local EC2 of this shell."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_EC2", "")
    if not endpoint.startswith("http://127.0.0.1:"):
        sys.exit("AWS_ENDPOINT_URL_EC2 is not a local EC2. Start one with `make aws`, then run: . .local/env")
    request = urllib.request.Request(  # noqa: S310  # it begins with http://127.0.0.1
        endpoint + PATH,
        method=method,
        data=None if value is None else json.dumps(value).encode(),
        headers=authorization(os.environ.get("AWS_ACCESS_KEY_ID", "")),
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        sys.exit(error.read().decode())
    except OSError as error:
        sys.exit(f"No local EC2 answers at {endpoint} ({error}). Is `make aws` running? Then run: . .local/env")


if __name__ == "__main__":
    main()
