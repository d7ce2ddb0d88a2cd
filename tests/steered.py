"""A sandbox gateway without a socket, at a time of the test's choosing."""

from __future__ import annotations

from typing import Any

from sandbox_client import Response, path

from connector.sandbox import SandboxSettings
from connector.sandbox.gateway import Gateway
from connector.sandbox.incoming import Request
from connector.sandbox.replies import Reply

# Every ID is a completed generation in the documented shape.
PLAIN = SandboxSettings(
    failed=0, unfinished=0, official=0, enveloped=0, extra_keys=0, vip=0, other_id=0
)


class Steered:
    """A gateway without a socket, at a time of the test's choosing."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.now = 1000.0
        self.gateway = Gateway(
            settings, clock=lambda: self.now, wall_clock=lambda: 1_750_000_000 + self.now
        )

    def get(self, target: str) -> tuple[Response, float]:
        """The answer, and the seconds it takes."""
        target_path, _, query = target.partition("?")
        answer = self.gateway.answer(
            Request("GET", target_path, query, {"authorization": "Bearer any"})
        )
        assert isinstance(answer.reply, Reply)
        assert answer.on_end
        answer.on_end()
        reply = answer.reply
        headers = {name.lower(): value for name, value in reply.headers}
        return Response(reply.status, headers, reply.body), answer.delay

    def generation(self, task_id: str) -> Any:
        """The body for a task ID, decoded."""
        return self.get(path(task_id))[0].json()

    def status(self, task_id: str) -> int:
        """The status for a task ID."""
        return self.get(path(task_id))[0].status
