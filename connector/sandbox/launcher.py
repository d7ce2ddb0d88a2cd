"""A sandbox for the length of a `with` block."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from connector.sandbox.control import PREFIX
from connector.sandbox.settings import SandboxSettings, encode_fixtures

_PACKAGE_ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 10


class SandboxError(Exception):
    """The sandbox did not start, or refused a setting."""


class Sandbox:
    """A gateway on loopback, in its own process so that it does not slow down its client.

    Without settings, it is a healthy gateway. Its process ends with the block, or when this one
    dies. ::

        with Sandbox(SandboxSettings(rate_limit=50)) as sandbox:
            requests.get(f"{sandbox.base_url}/dream-machine/v1/generations/…")
            assert sandbox.stats()["by_status"] == {"200": 1}
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._settings = settings or SandboxSettings()
        self.base_url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "connector.sandbox", "--announce", "--settings", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": _python_path()},
            # Ctrl-C in a terminal must not stop it: this process may still need it.
            process_group=0,
        )
        assert self._process.stdin  # noqa: S101 -- both are pipes
        assert self._process.stdout  # noqa: S101
        # A child that cannot start says so on stderr and closes stdout.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._settings.to_json()) + "\n")
            self._process.stdin.flush()
        self.base_url = self._process.stdout.readline().strip()
        if not self.base_url:
            self._stop()
            raise SandboxError("the sandbox did not start; see its message on stderr")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def stats(self) -> dict[str, Any]:
        """Counts of requests: see `connector.sandbox.counters.Counters`."""
        return self._control("GET", "stats")

    def truth(self, task_id: str) -> dict[str, Any]:
        """The facts about a task, whatever its answers say; see `connector.sandbox.progress`."""
        return self._control("GET", f"truth/{quote(task_id, safe='')}")

    def reset(self) -> None:
        """Restore the initial settings; forget all counts and the progress of all tasks."""
        self._control("POST", "reset")

    def change(self, **changes: Any) -> None:
        """Change settings while it runs.

        Raises:
            SandboxError: Unknown setting or invalid value.
        """
        if "fixtures" in changes:
            changes["fixtures"] = encode_fixtures(changes["fixtures"])
        if "now" in changes:
            changes["now"] = changes["now"].isoformat()
        self._control("POST", "settings", json.dumps(changes).encode())

    def _control(self, method: str, name: str, body: bytes | None = None) -> dict[str, Any]:
        # Imported here because it would double this module's import time.
        from http.client import HTTPConnection  # noqa: PLC0415

        address = urlsplit(self.base_url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(method, PREFIX + name, body)
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:  # noqa: PLR2004 -- OK
            raise SandboxError(answer["detail"])
        return answer

    def _stop(self) -> None:
        # It stops when its stdin closes, so communicate() is enough.
        try:
            self._process.communicate(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _python_path() -> str:
    """A path where the child finds this package from any folder."""
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), inherited)))
