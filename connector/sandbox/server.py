"""Sockets: persistent connections, and answers that may break HTTP."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, TypeAlias, cast

from connector.sandbox.control import PREFIX, control
from connector.sandbox.gateway import Answer, Gateway
from connector.sandbox.incoming import NotHttp, take_request
from connector.sandbox.replies import End, Pause, Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.sandbox.incoming import Request
    from connector.sandbox.replies import Step
    from connector.sandbox.settings import SandboxSettings

_Handler: TypeAlias = "Callable[[Connection, Request], Answer]"

_BACKLOG = 1024
# A plain asyncio.Protocol gets a new buffer of 256 KiB for each read, which takes longer than all
# the rest of a connection; one small buffer for all reads avoids that.
_RECEIVE_BYTES = 16 * 1024
# With a linger of 0 seconds, close() sends RST instead of FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Connection(asyncio.BufferedProtocol):
    """A client's connection: one request at a time, answered before the next is read.

    Attributes:
        is_counted: Whether the counters include it.
    """

    _transport: asyncio.Transport

    def __init__(self, handle: _Handler, connections: set[Connection]) -> None:
        self._handle = handle
        self._connections = connections
        self._received = memoryview(bytearray(_RECEIVE_BYTES))
        self._buffer = bytearray()
        self._answer: Answer | None = None
        self._closes = False
        self.is_counted = False
        self._player: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Drop an unsent answer."""
        self._connections.discard(self)
        if self._player:
            self._player.cancel()
        self._end_answer()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio's signature
        """The buffer for the next bytes."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """Collect bytes; answer a complete request."""
        self._buffer += self._received[:nbytes]
        self._serve()

    def pause_writing(self) -> None:
        """Hold a script until the client has read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Continue it."""
        self._writable.set()

    def abort(self) -> None:
        """Close at once, even in the middle of an answer."""
        self._transport.abort()

    def _serve(self) -> None:
        while self._answer is None and not self._transport.is_closing():
            try:
                request = take_request(self._buffer)
            except NotHttp as exc:
                self._transport.write(json_reply(400, {"detail": str(exc)}).encode(closes=True))
                self._transport.close()
                return
            if request is None:
                return
            self._begin_answer(request)

    def _begin_answer(self, request: Request) -> None:
        self._closes = request.closes
        answer = self._answer = self._handle(self, request)
        if isinstance(answer.reply, Reply):
            is_head = request.method == "HEAD"
            whole = answer.reply.encode(closes=self._closes, without_body=is_head)
            steps: Iterator[Step] = iter((whole,))
        else:
            whole, steps = b"", answer.reply.steps
        if whole and not answer.delay:
            self._transport.write(whole)
            self._finish()
        else:
            self._player = asyncio.create_task(self._play(answer.delay, steps))

    async def _play(self, delay: float, steps: Iterator[Step]) -> None:
        await asyncio.sleep(delay)
        for step in steps:
            if isinstance(step, bytes):
                self._transport.write(step)
                await self._writable.wait()
                await asyncio.sleep(0)
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                self._end_connection(step)
                return
        self._finish()
        self._serve()

    def _finish(self) -> None:
        self._end_answer()
        if self._closes:
            self._transport.close()

    def _end_connection(self, end: End) -> None:
        if end is End.CLOSE:
            self._transport.close()
            return
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._transport.abort()

    def _end_answer(self) -> None:
        answer, self._answer = self._answer, None
        if answer and answer.on_end:
            answer.on_end()


class Server:
    """A gateway on two ports: the API, and a target for redirects that a client must not follow."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.gateway = Gateway(settings)
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []

    async def start(self) -> str:
        """Listen; return the base URL including the base path.

        Raises:
            OSError: The port is taken.
        """
        settings, gateway = self.gateway.settings, self.gateway
        gateway.url = await self._listen(self._connected, settings.host, settings.port)
        gateway.elsewhere_url = await self._listen(self._connected_elsewhere, settings.host, 0)
        return gateway.url + settings.base_path

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.abort()

    async def _listen(self, make: Callable[[], Connection], host: str, port: int) -> str:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(make, host, port, backlog=_BACKLOG)
        self._listeners.append(listener)
        host, port = listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _connected(self) -> Connection:
        return Connection(self._handle, self._connections)

    def _connected_elsewhere(self) -> Connection:
        return Connection(self._handle_elsewhere, self._connections)

    def _handle(self, connection: Connection, request: Request) -> Answer:
        if request.path.startswith(PREFIX):
            return Answer(control(self.gateway, request))
        if not connection.is_counted:
            connection.is_counted = True
            self.gateway.counters.connections += 1
        return self.gateway.answer(request)

    def _handle_elsewhere(self, _: Connection, request: Request) -> Answer:
        return self.gateway.answer_elsewhere(request)


async def serve(
    settings: SandboxSettings, stop: asyncio.Event, announce: Callable[[str], None]
) -> Server:
    """Serve until `stop` is set; call `announce` with the base URL once it listens.

    Raises:
        OSError: The port is taken.
    """
    server = Server(settings)
    announce(await server.start())
    try:
        await stop.wait()
    finally:
        await server.stop()
    return server
