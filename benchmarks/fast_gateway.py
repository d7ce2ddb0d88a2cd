"""A gateway that is not the limit: a process of its own, which does nothing but answer.

The sandbox makes up each answer, at several times the cost of fetching it.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE: Final = Path(__file__).parents[1] / "data/examples/completed.json"
TARGET: Final = re.compile(rb"GET \S*/([^/ ?]+) HTTP")


class Connection(asyncio.Protocol):
    """Answers each request with the documented example, under the ID that was asked for."""

    def __init__(self, shapes: list[tuple[bytes, bytes]], seconds: float) -> None:
        self._shapes = shapes
        self._seconds = seconds
        self._unread = b""

    def connection_made(self, transport: Any) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer all requests that are there."""
        *requests, self._unread = (self._unread + data).split(b"\r\n\r\n")
        for request in requests:
            found = TARGET.match(request)
            task_id = found[1] if found else b"unknown"
            before, after = self._shapes[task_id[-1] % len(self._shapes)]
            body = before + task_id + after
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            answer = head % len(body) + body
            if self._seconds:
                asyncio.get_running_loop().call_later(self._seconds, self._transport.write, answer)
            else:
                self._transport.write(answer)


def shapes_of(example: dict[str, Any], *, mixed: bool) -> list[tuple[bytes, bytes]]:
    """Answers, cut where the ID goes; if mixed, one in eight enveloped and one with artifact."""
    example = {**example, "id": "@@"}
    plain = json.dumps(example)
    if not mixed:
        return [_cut(plain)]
    media = {name: example.pop(name) for name in ("video", "thumbnail", "last_frame")}
    with_artifact = json.dumps({**example, "artifact": media})
    enveloped = json.dumps({"code": "success", "message": "", "data": json.loads(plain)})
    return [_cut(one) for one in (enveloped, with_artifact, *[plain] * 6)]


def _cut(text: str) -> tuple[bytes, bytes]:
    before, _, after = text.partition("@@")
    return before.encode(), after.encode()


async def serve(seconds: float, *, mixed: bool) -> None:
    """Print the base URL, and answer after this many seconds until it is killed."""
    shapes = shapes_of(json.loads(EXAMPLE.read_bytes()), mixed=mixed)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shapes, seconds), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def fast_gateway(seconds: float = 0.0, *, mixed: bool = False) -> Iterator[str]:
    """The base URL of a gateway in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.fast_gateway", str(seconds), str(int(mixed))]
    with subprocess.Popen(  # noqa: S603  our own command
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101  a pipe was asked for
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), mixed=sys.argv[2] == "1"))
