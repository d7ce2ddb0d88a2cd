"""A real Dask cluster: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import distributed

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).parent.parent
PATIENCE_SECONDS = 180.0


class DaskCluster:
    """A scheduler with workers of two threads each, for the length of a `with` block."""

    def __init__(self, folder: Path, workers: int, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._count = workers
        path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
        self._environment = {**os.environ, **environment, "PYTHONPATH": path}

    def __enter__(self) -> Self:
        file = self._folder / "scheduler.json"
        self._scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        self.address = self._await_address(file)
        self.workers = [self._start_worker(number) for number in range(self._count)]
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(self._count, timeout=PATIENCE_SECONDS)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()

    def kill(self, number: int) -> None:
        """End a worker as a power cut would."""
        self.workers[number].send_signal(signal.SIGKILL)
        self.workers[number].wait()

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        # Without a nanny, which would start another one in its place.
        options = ("--nthreads", "2", "--no-nanny", "--no-dashboard")
        local = ("--local-directory", str(folder))
        return self._start("worker", self.address, *options, *local)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def _await_address(self, file: Path) -> str:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert self._scheduler.poll() is None, (self._folder / "scheduler.log").read_text()
            assert time.monotonic() < deadline, "the scheduler does not come up"
            try:
                address: str = json.loads(file.read_text())["address"]
            except (OSError, ValueError):
                time.sleep(0.1)
            else:
                return address
