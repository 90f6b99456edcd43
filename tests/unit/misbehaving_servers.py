"""Web servers on loopback that misbehave, each in one way, for the tests of the health check.

A behaviour is what a server does with one connection; `serving(behaviour)` is a server that does so with every
connection, on a free port, until the block ends.
"""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Connection:
    """One client's connection, as the server sees it."""

    socket: socket.socket
    server: "Server"

    def read_request(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (received := self.socket.recv(4096)):
            request += received
        self.server.requests.append(request)

    def pause(self, seconds: float) -> bool:
        """Waits; false when the server is to stop."""
        return not self.server.stopped.wait(seconds)


Behaviour = Callable[[Connection], None]


@dataclass
class Server:
    ip: str
    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def serving(behaviour: Behaviour, ip: str = "127.0.0.1") -> Iterator[Server]:
    """A server on a free port; at the end of the block its port is closed and its threads have ended."""

    def accept_all() -> None:
        while True:
            accepted, peer = listener.accept()
            if peer == last.getsockname():
                accepted.close()
                return
            server.connections += 1
            threads.submit(serve, accepted)

    def serve(accepted: socket.socket) -> None:
        # The client goes when it has seen enough: that is what these tests are about.
        with accepted, contextlib.suppress(OSError):
            accepted.settimeout(5)
            behaviour(Connection(accepted, server))

    with socket.create_server((ip, 0)) as listener, socket.socket() as last, ThreadPoolExecutor(100) as threads:
        server = Server(*listener.getsockname())
        last.bind(("127.0.0.1", 0))
        accepting = threads.submit(accept_all)
        try:
            yield server
        finally:
            server.stopped.set()
            # Those that wait to be accepted are served before this one, which ends the server.
            last.connect(("127.0.0.1", server.port))
            accepting.result()


@contextlib.contextmanager
def refusing() -> Iterator[Server]:
    """A port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Server(*bound.getsockname())


@contextlib.contextmanager
def not_accepting() -> Iterator[Server]:
    """A port whose queue of connections is full: the next one gets no reply at all, as through a closed firewall."""
    with contextlib.ExitStack() as opened, socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield Server(*listener.getsockname())


def answering(*answers: bytes) -> Behaviour:
    """One answer for each connection in turn, the last one for all further connections."""
    turns = itertools.chain(answers, itertools.repeat(answers[-1]))

    def behaviour(connection: Connection) -> None:
        answer = next(turns)
        connection.read_request()
        connection.socket.sendall(answer)

    return behaviour


def status(code: int) -> bytes:
    return f"HTTP/1.1 {code} Whatever\r\nContent-Length: 0\r\n\r\n".encode()


def saying(body: bytes, *lines: bytes) -> bytes:
    """A 200 with this body, with these lines among its headers."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body), b"", body])


def chunked(*chunks: bytes) -> bytes:
    """A 200 with a body of these chunks."""
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent


def with_headers(*lines: bytes) -> bytes:
    """A 200 without a body, with these lines as its headers."""
    return saying(b"", *lines)


def beginning(head: bytes, rest: Behaviour) -> Behaviour:
    """Reads the request and sends the head at once, and then does the rest."""

    def behaviour(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(head)
        rest(connection)

    return behaviour


def hanging_after(answer: bytes = b"") -> Behaviour:
    """Sends this much, and then nothing more, with the connection open."""
    return beginning(answer, silent)


def reading(connection: Connection) -> None:
    """Reads until the client has gone; `requests` gets what it has sent, if it has not reset the connection."""
    received = b""
    while more := connection.socket.recv(4096):
        received += more
    connection.server.requests.append(received)


def dripping(answer: bytes, at_once: bytes = b"", seconds: float = 0.02) -> Behaviour:
    """Sends the answer byte by byte."""
    return beginning(at_once, lambda connection: drip(connection, answer, seconds))


def drip(connection: Connection, answer: bytes, seconds: float = 0.02) -> None:
    for byte in answer:
        connection.socket.sendall(bytes([byte]))
        if not connection.pause(seconds):
            return


def flooding(head: bytes, flood: bytes) -> Behaviour:
    """Sends the head once and the flood again and again, as fast as it goes."""

    def floods(connection: Connection) -> None:
        while not connection.server.stopped.is_set():
            connection.socket.sendall(flood * 100)

    return beginning(head, floods)


def resetting(connection: Connection) -> None:
    connection.read_request()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closing(_connection: Connection) -> None:
    """Accepts, and closes at once."""


def silent(connection: Connection) -> None:
    """Accepts, and does nothing, not even read."""
    connection.pause(5)


def closing_after_a_read(connection: Connection) -> None:
    """Accepts, reads whatever comes first, and closes."""
    connection.socket.recv(65536)


def reacting(raw: bytes) -> Behaviour:
    """Reads whatever comes first, sends these bytes, and waits until the client has gone."""

    def behaviour(connection: Connection) -> None:
        connection.socket.recv(65536)
        connection.socket.sendall(raw)
        reading(connection)

    return behaviour


def server_hello(version: bytes) -> bytes:
    """The first message of a TLS server of this version, without extensions, as servers sent it before RFC 5746."""
    hello = version + b"r" * 32 + b"\0" + b"\xc0\x2f" + b"\0"  # random bytes, no session, the cipher, no compression
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    return b"\x16" + version + len(message).to_bytes(2, "big") + message


def tls_alert(description: int) -> bytes:
    return b"\x15\x03\x01\x00\x02\x02" + bytes([description])


def following(turns: Iterator[Behaviour]) -> Behaviour:
    """The next behaviour for each connection."""

    def behaviour(connection: Connection) -> None:
        next(turns)(connection)

    return behaviour


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour for each connection in turn, and round again."""
    return following(itertools.cycle(behaviours))


def by_address(behaviours: Mapping[str, Behaviour]) -> Behaviour:
    """Another behaviour for each address that a client connects to, for a server on 0.0.0.0."""
    return lambda connection: behaviours[connection.socket.getsockname()[0]](connection)


def over_tls(context: ssl.SSLContext, behaviour: Behaviour) -> Behaviour:
    def secured(connection: Connection) -> None:
        with connection.socket.dup() as beneath:
            try:
                with context.wrap_socket(connection.socket, server_side=True) as tls:
                    behaviour(Connection(tls, connection.server))
            except ssl.SSLError:
                # A close with a request still unread would be a reset, which can overtake the alert.
                while beneath.recv(65536):
                    pass

    return secured


def dripping_tls(context: ssl.SSLContext, answer: bytes = b"") -> Behaviour:
    """A TLS server whose part of the handshake comes byte by byte.

    With an answer, it is the answer that does. It is one record, so nothing can be read before its end.
    """

    def behaviour(connection: Connection) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        steps: list[Callable[[], object]] = [tls.do_handshake, lambda: tls.read(65536), lambda: tls.write(answer)]
        while steps:
            try:
                steps[0]()
                steps.pop(0)
            except ssl.SSLWantReadError:
                if not answer and outgoing.pending:
                    break
                connection.socket.sendall(outgoing.read())
                if not incoming.write(connection.socket.recv(65536)):
                    return
        drip(connection, outgoing.read())

    return behaviour
