"""The faults of `local.faults`, on the wire: a real reset, a real lost answer, a real late answer."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from local.address_semantics import allocation_of, descriptions, move, showing
from local.faults import STRIKES, Fault, Faults, InvalidFault, fault_from
from local.token_buckets import REJECTED, REJECTION, TokenBuckets

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Done = TypeVar("Done")
DRY_RUN = " (dry run)"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time, so that closing resets
ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>A fault was injected: {fault}.</Message></Error></Errors>\
<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"""


@dataclass(frozen=True)
class Call:
    """One try of a call, from its arrival until its answer was ready (`time.monotonic`).

    `allocation_id` is the address that the call changed or tried to change; None for a call that only reads.
    """

    action: str
    allocation_id: str | None
    began: float
    ended: float


@dataclass(frozen=True)
class Request:
    """One try of a call, as it arrived over the wire."""

    action: str
    call: str | None
    parameters: Mapping[str, str]

    @staticmethod
    def read(environ: dict[str, Any]) -> Request:
        """The body can be read again. SDKs send the same invocation id with every try of a call."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        parameters = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        dry_run = DRY_RUN if parameters.get("DryRun") == "true" else ""
        return Request(parameters.get("Action", "") + dry_run, environ.get("HTTP_AMZ_SDK_INVOCATION_ID"), parameters)

    @property
    def changes(self) -> bool:
        return not self.action.startswith("Describe") and not self.action.endswith(DRY_RUN)


class FaultLayer:
    """Stands in front of EC2's API. `backend` returns moto's backend; `changed` is called after a change.

    With `buckets`, requests are limited as EC2 limits them, before any fault is applied.
    """

    def __init__(self, ec2: Application, *, backend: Callable[[], Any], changed: Callable[[], None]) -> None:
        self.faults = Faults()
        self.latency_seconds = 0.0
        self.calls: list[Call] = []
        self.buckets: TokenBuckets | None = None
        self._ec2 = ec2
        self._backend = backend
        self._changed = changed
        self._past: dict[str, dict[str, Any]] = {}

    def answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Every request of every client passes here."""
        began = time.monotonic()
        request = Request.read(environ)
        # Before the call, because afterwards an ended association cannot be found.
        changed = allocation_of(self._backend(), request.parameters) if request.changes else None
        time.sleep(self.latency_seconds)
        try:
            return self._meet(request, environ, start_response)
        finally:
            self.calls.append(Call(request.action, changed, began, time.monotonic()))

    def _meet(self, request: Request, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if self.buckets and not self.buckets.admits(request.action.removesuffix(DRY_RUN)):
            start_response(f"{REJECTED} Service Unavailable", [("Content-Type", "text/xml;charset=UTF-8")])
            return [REJECTION.encode()]
        fault = self.faults.meet(request.action, request.call)

        if fault is None:
            return self._call(request, environ, start_response)
        if fault.error:
            return _refusal(*fault.error, fault, start_response)
        if fault.kind == "reset":
            return _reset(environ)
        with showing(self._past if fault.kind == "stale" else {}):
            if fault.kind == "slow":
                time.sleep(fault.seconds or 0)
            if fault.kind in STRIKES:
                self._watched(lambda: strike(self._backend(), fault, request.parameters))
            answer = list(self._call(request, environ, start_response))
        return _reset(environ) if fault.kind == "answer-lost" else answer

    def _call(self, request: Request, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        call = partial(self._ec2, environ, start_response)
        return self._watched(call) if request.changes else call()

    def answer_about_faults(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The endpoint of `python -m local.faults`."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, text = "200 OK", ""
        match environ["REQUEST_METHOD"]:
            case "POST":
                try:
                    fault = fault_from(json.loads(body))
                    self.faults.inject(fault)
                    text = f"Injected: {fault}."
                except (InvalidFault, ValueError) as error:
                    status, text = "400 Bad Request", f"{error}"
            case "DELETE":
                self.faults.clear()
                text = "All faults are cleared."
            case "GET":
                text = "\n".join(map(str, self.faults.injected)) or "No faults."
            case other:
                status, text = "405 Method Not Allowed", f"{other} is not supported here"
        start_response(status, [("Content-Type", "text/plain")])
        return [text.encode()]

    def _watched(self, act: Callable[[], Done]) -> Done:
        """Keeps the state before the last change, and reports changes before the caller is answered."""
        before = descriptions(self._backend())
        answer = act()
        if descriptions(self._backend()) != before:
            self._past = before
        self._changed()
        return answer


def strike(backend: Any, fault: Fault, parameters: Mapping[str, str]) -> None:
    """Do what the fault does to an instance or an address just before a call with these parameters."""
    instance_id = fault.instance_id or parameters.get("InstanceId", "")
    match fault.kind:
        case "terminated":
            backend.terminate_instances([instance_id])
        case "stopped":
            backend.stop_instances([instance_id])
        case "moved":
            allocation_id = fault.allocation_id or allocation_of(backend, parameters)
            if allocation_id:
                move(backend, allocation_id, instance_id)


def _refusal(code: str, status: int, fault: Fault, start_response: StartResponse) -> Iterable[bytes]:
    start_response(f"{status} Fault", [("Content-Type", "text/xml;charset=UTF-8")])
    return [ERROR.format(code=escape(code), fault=escape(str(fault))).encode()]


def _reset(environ: dict[str, Any]) -> Iterable[bytes]:
    """Send RST, and leave the server with a connection that has ended."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    ended, other = socket.socketpair()
    with ended, other:
        os.dup2(ended.fileno(), connection.fileno())
    raise ConnectionResetError
