"""Who may call the servers of the local AWS: only a process with the access key of this run, and no web page.

The servers run code with the developer's rights. Every user of the machine can connect to them, and so can every web
page in a browser on the machine. A page's requests have an `Origin`. If the name of the page's own server resolves to
this machine, the requests have that name as `Host`. The access key is random. Only the run's own processes and
`.local/env` have the key, and no other user may read that file. Signatures are not checked.

The runtime client of a function sends no key, but puts a path before each of its requests: there, a random secret.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler
from typing import Any

LOOPBACK = "127.0.0.1"
REFUSED = 403
CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/")

Message = MutableMapping[str, Any]
Asgi = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def new_access_key() -> str:
    """An access key id, as random as a secret."""
    return f"LOCAL{secrets.token_hex(16).upper()}"


def authorization(access_key: str) -> dict[str, str]:
    """The header of a request that no AWS client makes."""
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/"}


def refusal_of_web_pages(headers: Mapping[str, str], *, ports: Collection[int]) -> str | None:
    """Why a request to these ports is refused for every sender. The names of `headers` are in lower case."""
    if "origin" in headers:
        return "Refused: the local AWS does not answer web pages."
    if headers.get("host") not in [f"{host}:{port}" for host in (LOOPBACK, "localhost") for port in ports]:
        return "Refused: the Host of the request is not the local AWS."
    return None


def refusal(headers: Mapping[str, str], *, ports: Collection[int], admits: Callable[[str], bool]) -> str | None:
    """Why a request to these ports is refused; None if it is allowed. The names of `headers` are in lower case."""
    if reason := refusal_of_web_pages(headers, ports=ports):
        return reason
    credential = CREDENTIAL.match(headers.get("authorization", ""))
    if not credential or not admits(credential[1]):
        return "Refused: this is not the access key of the local AWS. The current one is in .local/env."
    return None


def guarded(app: Asgi, *, ports: Collection[int], admits: Callable[[str], bool]) -> Asgi:
    """The ASGI application behind a check that refused requests do not pass."""

    async def guard(scope: Message, receive: Any, send: Any) -> None:
        headers: dict[str, str] = {}
        for name, value in scope.get("headers", ()):
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        reason = refusal(headers, ports=ports, admits=admits)
        if reason is None or scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] == "http":
            answer = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": REFUSED, "headers": answer})
            await send({"type": "http.response.body", "body": reason.encode()})
        else:  # a WebSocket that is closed before it was accepted is answered with 403
            await send({"type": "websocket.close"})

    return guard


def guard_http_servers(secret: str) -> None:
    """From now on, every `http.server` of this process answers only requests whose path begins with `/secret/`."""
    parse_request = BaseHTTPRequestHandler.parse_request

    def parse_and_check(handler: Any) -> bool:
        if not parse_request(handler):
            return False
        headers = {name.lower(): ", ".join(handler.headers.get_all(name)) for name in handler.headers}
        reason = refusal_of_web_pages(headers, ports=[handler.server.server_address[1]])
        if reason is None and compare_digest(handler.path.encode()[: len(secret) + 2], f"/{secret}/".encode()):
            return True
        handler.send_response(REFUSED)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write((reason or "Refused: only the functions of the local AWS may do this.").encode())
        return False

    BaseHTTPRequestHandler.parse_request = parse_and_check  # type: ignore[assignment,method-assign]
