"""Runs command lines in forks of a process that has imported everything: ten times as fast.

As a program, this is that process; `Forks` starts and uses it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from chaos.killer import Act, Killer, Orders

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS: Final = Path(__file__).parents[1]
PATIENCE_SECONDS: Final = 120
IMPORTED: Final = (
    "connector.cli.app",
    "connector.run.pipeline",
    "connector.settings",
    "connector.cli.progress",
    "connector.cli.terminal",
    "connector.task_ids.reading",
    "connector.task_ids.formats.text",
    "connector.warehouse.overview",
    "rich.live",
    # What a command imports when it comes to it: three quarters of a small run's time.
    "connector.gateway.fetch",
    "connector.run.receive",
    "connector.record.flatten",
    "connector.record.bodies",
    "connector.marts.curves",
    "connector.marts.near_duplicates",
    "connector.marts.prompts",
    "connector.storage.objects",
    "connector.storage.lease",
    "pyarrow.acero",
    "pydantic.dataclasses",
    "encodings.idna",
    "encodings.utf_8_sig",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A command line to run.

    Attributes:
        arguments: Of `luma-to-parquet`.
        folder: Working directory, which also gets the output.
        environment: The complete environment.
        orders: Orders for the killer, if any.
        patches: Values for constants, by `module:NAME`.
        clock_seconds: By how much its clock is ahead.
    """

    arguments: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    orders: Orders | None = None
    patches: Mapping[str, Any] = field(default_factory=dict)
    clock_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Result of a command line; a signal gives a negative exit code."""

    exit_code: int
    stdout: str
    stderr: str
    peak_mib: float

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.exit_code == -signal.SIGKILL

    @property
    def has_failed(self) -> bool:
        """Whether it failed; a run that met nothing but faults that pass did what it could."""
        met_faults_only = "No task is given up" in self.stdout + self.stderr
        return bool(self.exit_code) and not met_faults_only

    def summary(self) -> dict[str, Any]:
        """The output of `--json`."""
        summary: dict[str, Any] = json.loads(self.stdout)
        return summary


class Forks:
    """Runs command lines one after another."""

    def __enter__(self) -> Self:
        path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
            process_group=0,
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def run(self, job: Job) -> Ended:
        """Run a command line to its end; raises as `end`."""
        self.start(job)
        return self.end()

    def start(self, job: Job) -> int:
        """Start a command line, whose result `end` returns; return its process ID.

        Raises:
            RuntimeError: The parent of the forks has died.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        self._folder = job.folder
        return int(self._line())

    def end(self) -> Ended:
        """Wait for the end of the command line that was started; raises as `start`."""
        status, peak_kib = json.loads(self._line())
        return Ended(
            exit_code=os.waitstatus_to_exitcode(status),
            stdout=Path(self._folder, "stdout").read_text("utf-8", errors="replace"),
            stderr=Path(self._folder, "stderr").read_text("utf-8", errors="replace"),
            peak_mib=peak_kib / 1024,
        )

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the parent of the forks has died")
        return line


def main() -> None:
    """Fork for each job on standard input; print the result of each."""
    for name in IMPORTED:
        importlib.import_module(name)
    if threading.active_count() > 1:
        raise RuntimeError("a fork would lose threads")
    # A garbage collection in a fork would touch, and so copy, all shared memory.
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _become(json.loads(line))
        print(pid, flush=True)  # noqa: T201  the answer
        _, status, usage = os.wait4(pid, 0)
        print(json.dumps([status, usage.ru_maxrss]), flush=True)  # noqa: T201  the answer


def _become(job: dict[str, Any]) -> None:
    """Become the command line; does not return."""
    code = 1
    try:
        os.setsid()
        signal.alarm(PATIENCE_SECONDS)
        _set_up(job)
        code = _run_main(job["orders"])
    except BaseException:  # noqa: BLE001  like the interpreter
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _set_up(job: dict[str, Any]) -> None:
    """Set folder, environment, standard streams, arguments and constants."""
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        descriptor = os.open(name, flags, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = ["luma-to-parquet", *job["arguments"]]
    for place, value in job["patches"].items():
        module, _, name = place.partition(":")
        if not hasattr(importlib.import_module(module), name):
            raise AttributeError(f"{place} no longer exists")
        setattr(sys.modules[module], name, value)
    if job["clock_seconds"]:
        _set_clock(job["clock_seconds"])


def _set_clock(ahead: float) -> None:
    """Set the time of day that Python code sees."""
    real, clock, nanoseconds = dt.datetime, time.time, time.time_ns

    class OfRealOnes(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

    class Shifted(real, metaclass=OfRealOnes):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return real.now(tz) + dt.timedelta(seconds=ahead)

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "connector" and getattr(module, "datetime", None) is real:
            setattr(module, "datetime", Shifted)  # noqa: B010  no attribute that mypy knows
    dt.datetime = Shifted  # type: ignore[misc]  # for what is imported later
    time.time = lambda: clock() + ahead
    time.time_ns = lambda: nanoseconds() + int(ahead * 1e9)


def _run_main(orders: dict[str, Any] | None) -> int:
    from connector.cli.app import main as command_line  # noqa: PLC0415  imported by name above

    killer = Killer(Orders(**{**orders, "act": Act(orders["act"])})) if orders else None
    if killer:
        killer.arm()
    code: Any = 0
    try:
        command_line()
    except SystemExit as end:
        code = end.code or 0
    if killer:
        killer.report()
    return code if isinstance(code, int) else 1


if __name__ == "__main__":
    main()
