"""The internet in front of the two servers: every Elastic IP answers, on loopback.

A new connection to an Elastic IP goes to the server that holds the address at that moment. An open connection stays on
its server until it ends: AWS does not move open connections either. An address that no server holds refuses
connections, because nothing listens on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Callable, Collection, Coroutine, Sequence
from types import TracebackType
from typing import Self

Endpoint = tuple[str, int]
BACKLOG = 1024
CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
PORTS_TRIED = 50


def require_addresses(ips: Sequence[str]) -> None:
    """Raise RuntimeError if this machine lacks one of these addresses. The message has the commands that add them."""
    missing = []
    for ip in ips:
        try:
            _bind(ip, 0).close()
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            missing.append(ip)
    if missing:
        commands = "\n".join(f"  sudo ifconfig lo0 alias {ip}" for ip in missing)
        raise RuntimeError(
            f"This machine has no address {', '.join(missing)}. macOS answers only on 127.0.0.1. Add the others "
            f"after every boot:\n{commands}"
        )


class Network:
    """Forwards connections to each of `ips`, on the port `port`, to `route(ip)`; refuses them if the route is None.

    `route` is called for every new connection, and by `refresh`, which starts and stops listening. Call `refresh`
    whenever a route may have become None, or may have stopped being None. `add` adds addresses.
    """

    def __init__(self, ips: Sequence[str], route: Callable[[str], Endpoint | None]) -> None:
        self._route = route
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._reserved = _bind_all(ips)
        self._listening: dict[str, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._refreshing = asyncio.Lock()
        self._open = False
        self.port: int = self._reserved[ips[0]].getsockname()[1]

    def add(self, ips: Collection[str]) -> None:
        """Have these addresses, too, from the next `refresh` until the end, so that their port stays reserved.

        Raises RuntimeError for addresses that this machine does not have, and OSError if the port is not free there.
        """
        if self._open:
            self._run(self._add(ips))

    def refresh(self) -> None:
        """Listen only on the addresses that have a route. Returns when this is done."""
        if self._open:
            self._run(self._refresh())

    def refresh_in(self, seconds: float) -> None:
        """Refresh after some seconds. Returns at once."""

        async def refresh_then() -> None:
            await asyncio.sleep(seconds)
            if self._open:
                await self._refresh()

        asyncio.run_coroutine_threadsafe(refresh_then(), self._loop)

    def __enter__(self) -> Self:
        self._thread.start()
        self._open = True
        self.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _add(self, ips: Collection[str]) -> None:
        async with self._refreshing:
            new = sorted(set(ips) - self._reserved.keys())
            require_addresses(new)
            for ip in new:
                self._reserved[ip] = _bind(ip, self.port)

    async def _refresh(self) -> None:
        async with self._refreshing:
            for ip in self._reserved:
                if self._route(ip) and ip not in self._listening:
                    listening = _listen(ip, self.port)
                    self._listening[ip] = (listening, asyncio.create_task(self._accept(ip, listening)))
                elif not self._route(ip) and ip in self._listening:
                    await self._stop_listening(ip)

    async def _stop_listening(self, ip: str) -> None:
        listening, accepting = self._listening.pop(ip)
        self._loop.remove_reader(listening)  # asyncio would still accept a connection that is waiting, and lose it
        await _cancel([accepting])

    async def _accept(self, ip: str, listening: socket.socket) -> None:
        with listening:
            while True:
                client, _ = await self._loop.sock_accept(listening)
                connection = asyncio.create_task(self._carry(ip, client))
                self._connections.add(connection)
                connection.add_done_callback(self._connections.discard)

    async def _carry(self, ip: str, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
            destination = self._route(ip)
            try:
                if not destination:
                    raise ConnectionRefusedError
                server.setblocking(False)
                await self._loop.sock_connect(server, destination)
            except OSError:
                _refuse(client)
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(self._pump(client, server), self._pump(server, client))

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Carry bytes in one direction until the sender ends, and pass the end on. The other direction may continue."""
        try:
            while data := await self._loop.sock_recv(source, CHUNK):
                await self._loop.sock_sendall(sink, data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # one side is gone: close both, which also wakes the pump of the other direction
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    async def _close(self) -> None:
        for ip in list(self._listening):
            await self._stop_listening(ip)
        await _cancel(list(self._connections))
        for bound in self._reserved.values():
            bound.close()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _refuse(client: socket.socket) -> None:
    """Reset the client's connection, so that the client never sees an empty answer."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def _bind_all(ips: Sequence[str]) -> dict[str, socket.socket]:
    """Sockets on one port that is free on all the addresses, so that several networks do not collide."""
    for _ in range(PORTS_TRIED):
        bound: dict[str, socket.socket] = {}
        try:
            for ip in ips:
                bound[ip] = _bind(ip, next(iter(bound.values())).getsockname()[1] if bound else 0)
        except OSError as error:
            for each in bound.values():
                each.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return bound
    raise OSError(errno.EADDRINUSE, f"no port is free on all of {', '.join(ips)}")


def _bind(ip: str, port: int) -> socket.socket:
    """A bound socket that never listens. It reserves the port, and the kernel refuses connections to it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.bind((ip, port))
    except OSError:
        bound.close()
        raise
    _share(bound)  # only after bind, or two networks could get the same port
    return bound


def _listen(ip: str, port: int) -> socket.socket:
    """A socket that listens on a port that is reserved here, and may still have open connections."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    _share(listening)
    listening.setblocking(False)
    listening.bind((ip, port))
    listening.listen(BACKLOG)
    return listening


def _share(bound: socket.socket) -> None:
    """Let two sockets of this process share a port. Linux needs the first option, macOS both."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
