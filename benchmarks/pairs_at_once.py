"""Several pairs cut over at once, in this process; `benchmarks.growth` runs such a process for each processor.

The workflow runs in process (`tests/workflow/engine.py`), with the real handlers and the real botocore. EC2's token
buckets reject requests below botocore, so that botocore's retries are real. Time is scaled: a wait of a second takes
`scale` seconds here, and the tokens of a second come back in this time. All reported times are AWS's.
"""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import parse_qs

import pytest
from botocore import endpoint
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.botocore_stubber import BotocoreStubber
from moto.ec2.models import ec2_backends

from local.address_semantics import allocation_of
from local.token_buckets import REJECTED, REJECTION
from stacks.workflow.retries import THROTTLED_TRIES
from tests.workflow import engine
from tests.workflow.account import Account, Aws
from tests.workflow.web import Web

AT_MOST_SECONDS = 500  # of this machine
CHANGES = ("AssociateAddress", "DisassociateAddress")


class Admitting(Protocol):
    """The token buckets, or a proxy for the buckets of another process."""

    def admits(self, action: str) -> bool:
        """Whether there is a token for a request of this API."""


@dataclass
class Requests:
    """The requests to EC2: the number that took a token, the number that were rejected, and the time of each change."""

    scale: float
    buckets: Admitting
    taken: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    changes: list[tuple[float, str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> float:
        """In AWS's seconds."""
        return time.monotonic() / self.scale

    @contextmanager
    def counted(self) -> Iterator[None]:
        """moto answers botocore's requests in `process_request`. Within this block, the requests pass here first."""
        answer = BotocoreStubber.process_request

        def admitted(stubber: Any, request: Any) -> Any:
            if "://ec2." not in request.url:
                return answer(stubber, request)
            parameters = {name: values[0] for name, values in parse_qs(_text(request.body)).items()}
            action = parameters["Action"]
            admits = self.buckets.admits(action)
            kind = action + (" (dry run)" if parameters.get("DryRun") == "true" else "")
            with self._lock:
                (self.taken if admits else self.rejected)[kind] += 1
            if not admits:
                return REJECTED, {"Content-Type": "text/xml"}, REJECTION
            allocation_id = allocation_of(_backend(), parameters) if kind in CHANGES else None
            response = answer(stubber, request)
            if allocation_id and response[0] == 200:
                self.changes.append((self.now(), action, allocation_id))
            return response

        with pytest.MonkeyPatch.context() as moto:
            moto.setattr(BotocoreStubber, "process_request", admitted)
            yield


def _text(body: Any) -> str:
    return body.decode() if isinstance(body, bytes) else str(body)


def _backend() -> Any:
    return ec2_backends[DEFAULT_ACCOUNT_ID][engine.REGION]


def cut_over(
    template: dict[str, Any], count: int, *, scale: float, buckets: Admitting, begin: Callable[[], object]
) -> dict[str, Any]:
    """Cut so many pairs over at once. Returns the measurements of this process. `begin` returns when they may start."""
    if count == 0:
        begin()
        return {}
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory() as folder,
        Web() as web,
        engine.corrected_engine(),
    ):
        tries: Counter[tuple[str, threading.Thread]] = Counter()

        def counted(state: str, run: Any) -> Any:
            tries[state, threading.current_thread()] += 1
            return run()

        patch.setattr(engine, "TIME_SCALE", scale)
        patch.setattr(engine, "AROUND_HANDLERS", [counted])
        patch.setattr(endpoint, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * scale)))
        account = Account(template, throttled_tries=THROTTLED_TRIES)
        aws = Aws(account, Path(folder), patch, (web.production_ip, web.staging_ip))
        web.serve(aws)
        pairs = aws.configure_many(count, port=web.port, timeoutSeconds=30, deadlineSeconds=300)
        aws.execute({"pair": next(iter(pairs)), "dryRun": True})  # loads modules and files, which is not growth
        tries.clear()
        requests = Requests(scale, buckets)
        with requests.counted():
            begin()
            began, cpu = requests.now(), time.process_time()
            arns = [aws.start({"pair": name}) for name in pairs]
            ended = _ended(aws, arns, requests)
            cpu = time.process_time() - cpu
        outcomes = {name: aws.wait(arn).outcome for name, arn in zip(pairs, arns, strict=True)}
        return {
            "began": began,
            "ended": ended,
            "cpu": cpu,
            "taken": requests.taken,
            "rejected": requests.rejected,
            "outcomes": Counter(outcomes.values()),
            "wrong": [name for name in pairs if outcomes[name] == "CUT_OVER" and not _swapped(aws, pairs[name])],
            "unassociated": _unassociated(requests.changes, pairs),
            "tries": _most_tries(tries),
        }


def _ended(aws: Aws, arns: list[str], requests: Requests) -> float:
    """When the last execution had ended."""
    deadline = time.monotonic() + AT_MOST_SECONDS
    while any(aws.status(arn) == "RUNNING" for arn in arns):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not over after {AT_MOST_SECONDS} s")
        time.sleep(0.02)
    return requests.now()


def _swapped(aws: Aws, pair: dict[str, Any]) -> bool:
    live_before, idle_before = pair["servers"].values()
    return (aws.holder(pair["production"]), aws.holder(pair["staging"])) == (idle_before, live_before)


def _unassociated(changes: list[tuple[float, str, str]], pairs: dict[str, Any]) -> list[float]:
    """The seconds that each pair's staging address was on no server, in order."""
    seconds = []
    for pair in pairs.values():
        moments = [(at, action) for at, action, allocation_id in changes if allocation_id == pair["staging"]]
        off = next((at for at, action in moments if action == "DisassociateAddress"), None)
        on = next((at for at, action in reversed(moments) if action == "AssociateAddress"), None)
        if off is not None and on is not None:
            seconds.append(on - off)
    return sorted(seconds)


def _most_tries(tries: Counter[tuple[str, threading.Thread]]) -> Counter[str]:
    """The most tries of a state in any execution: every execution and every branch has its own thread."""
    most: Counter[str] = Counter()
    for (state, _), count in tries.items():
        most[state] = max(most[state], count)
    return most
