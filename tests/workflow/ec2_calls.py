"""Sees every call that the handlers make to EC2, and can answer in EC2's place or act just before a call."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

CLIENTS = ("describe_addresses", "disassociate_address", "associate_address")
Answer = tuple[SimpleNamespace, dict[str, Any]] | None


@dataclass
class EC2Calls:
    """`made` are the calls in order, as `action` or `action (dry run)`."""

    made: list[str] = field(default_factory=list)
    _faults: list[tuple[str, int, Callable[[], Answer]]] = field(default_factory=list)

    def fail(self, action: str, code: str, *, nth: int = 1, times: int = 1, status: int = 400) -> None:
        """The n-th call of an action that changes something, and the `times - 1` after it, fail with a code."""
        for number in range(nth, nth + times):
            self._faults.append((action, number, lambda: _error(code, status)))

    def fail_from_now_on(self, action: str, code: str) -> None:
        """Every further call of an action fails with a code."""
        self.fail(action, code, nth=self.made.count(action) + 1, times=1_000)

    def before(self, action: str, act: Callable[[], None], *, nth: int = 1) -> None:
        """Something else happens just before the n-th call of an action."""
        self._faults.append((action, nth, act))

    @property
    def changes(self) -> list[str]:
        return [call for call in self.made if call in ("AssociateAddress", "DisassociateAddress")]

    def _called(self, model: Any, params: Any, **_: Any) -> Answer:
        dry_run = " (dry run)" if params["body"].get("DryRun") == "true" else ""
        self.made.append(model.name + dry_run)
        number = self.made.count(self.made[-1])
        for action, nth, act in self._faults:
            if (action, nth) == (self.made[-1], number):
                return act()
        return None


def _error(code: str, status: int) -> Answer:
    parsed = {
        "Error": {"Code": code, "Message": f"A test says {code}."},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "test"},
    }
    return SimpleNamespace(status_code=status), parsed


@contextmanager
def watched() -> Iterator[EC2Calls]:
    calls = EC2Calls()
    events = [importlib.import_module(module).ec2.meta.events for module in CLIENTS]
    for event in events:
        event.register("before-call.ec2", calls._called, unique_id="ec2-calls")
    try:
        yield calls
    finally:
        for event in events:
            event.unregister("before-call.ec2", unique_id="ec2-calls")
