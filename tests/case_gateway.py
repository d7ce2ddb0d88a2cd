"""A gateway on loopback that serves the cases: a body and a status for each task ID.

The sandbox answers as a gateway of one family does. The cases are what others answer.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

CASES: Final = Path(__file__).parent / "cases"
EXAMPLES: Final = Path(__file__).parent / "examples"
PATH: Final = "/dream-machine/v1/generations/"

# Below this path the gateway answers with web pages, as one does whose API is elsewhere.
WEB: Final = "/web/"

# Tasks that the gateway knows beside the cases; all are completed.
TASK_IDS: Final = tuple(str(uuid5(NAMESPACE_URL, f"task {number}")) for number in range(40))


class Case(NamedTuple):
    """What the gateway answers for a task."""

    status: int
    body: bytes


def expected() -> dict[str, dict[str, Any]]:
    """For each case, its HTTP status and what must come of it."""
    cases: dict[str, dict[str, Any]] = json.loads((CASES / "answers.expected.json").read_bytes())
    return cases


def cases() -> dict[str, Case]:
    """All cases by name, which is their task ID."""
    return {
        name: Case(case["http_status"], (CASES / f"answers/{name}.json").read_bytes())
        for name, case in expected().items()
    }


def examples() -> dict[str, Case]:
    """The documented examples, by task IDs of their own."""
    return {
        f"example-{path.stem}": Case(200, path.read_bytes())
        for path in sorted(EXAMPLES.glob("*.json"))
    }


def generation(task_id: str, state: str = "completed", created_at: str | None = None) -> Case:
    """An answer in the documented dialect."""
    body = {"id": task_id, "state": state, "prompt": f"A pier, {task_id}", "created_at": created_at}
    return Case(200, json.dumps(body).encode())


def known_tasks() -> dict[str, Case]:
    """The cases, the examples and `TASK_IDS`."""
    made = {task_id: generation(task_id, created_at="2025-06-01T08:00:00Z") for task_id in TASK_IDS}
    return {**cases(), **examples(), **made}


class CaseGateway:
    """The gateway, for the length of a `with` block.

    Attributes:
        tasks: What it answers; may be changed meanwhile. Another task ID is not found.
        asked: Paths of the requests that came.
    """

    def __init__(self, tasks: dict[str, Case] | None = None, port: int = 0) -> None:
        self.tasks = known_tasks() if tasks is None else tasks
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> Case:
        """What comes for a path."""
        self.asked.append(path)
        if path.startswith(WEB):
            return Case(404, b"<!DOCTYPE html><html><title>404 Not Found</title></html>")
        if not path.startswith(PATH):
            return Case(404, b'{"detail":"Not Found"}')
        missing = Case(404, b'{"detail":"Task not found"}')
        return self.tasks.get(unquote(path.removeprefix(PATH)), missing)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a head and a body of two packets would take 40 ms

            def do_GET(self) -> None:
                status, body = gateway.answer(urlsplit(self.path).path)
                body = b"" if status == 204 else body
                is_page = body.startswith(b"<")
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if is_page else "application/json")
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Requests are not printed."""

        return Handler
