"""A gateway whose answers about many tasks at once a test writes itself."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


def generation(task_id: str) -> dict[str, Any]:
    """What a single request gets."""
    return {"id": task_id, "state": "completed", "created_at": "2025-12-31T08:00:00Z"}


def record(task_id: str, **more: Any) -> dict[str, Any]:
    """What an answer about many has for a task."""
    return {
        "id": 7,
        "task_id": task_id,
        "status": "SUCCESS",
        "submit_time": 1_767_000_000,
        "start_time": 1_767_000_010,
        "finish_time": 1_767_000_040,
        "data": generation(task_id),
    } | more


def enveloped(items: Any) -> Answer:
    """The documented envelope."""
    return 200, {"code": "success", "message": "", "data": items}


class ManyGateway:
    """To be used in a `with` block.

    Args:
        many: From the IDs of a request to status, document (or bytes), and perhaps headers.
        one: The same for a single task ID.

    Attributes:
        batches: IDs of each request for many.
        singles: IDs that were asked for singly.
    """

    def __init__(
        self,
        many: Callable[[list[str]], Answer],
        one: Callable[[str], Answer] = lambda task_id: (200, generation(task_id)),
    ) -> None:
        self.batches: list[list[str]] = []
        self.singles: list[str] = []
        gateway, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a head and a body of two packets would take 40 ms

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                task_ids = json.loads(body)["ids"]
                with lock:
                    gateway.batches.append(task_ids)
                    answer = many(task_ids)
                self._send(*answer)

            def do_GET(self) -> None:
                task_id = unquote(self.path.rpartition("/")[2])
                with lock:
                    gateway.singles.append(task_id)
                    answer = one(task_id)
                self._send(*answer)

            def _send(self, status: int, content: Any, headers: Any = ()) -> None:
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
