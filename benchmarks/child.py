"""A function in a process of its own, so that its CPU time and its peak memory are its own."""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Run:
    """What a process needed.

    Attributes:
        result: What the function returned, if it was one.
        seconds: Of wall time, the start of Python and its imports left out for functions.
        cpu: Seconds of CPU time, likewise; of its children too.
        peak_mib: Most memory that it held at once.
    """

    result: Any
    seconds: float
    cpu: float
    peak_mib: float


def call(function: str, *arguments: Any, **environment: str) -> Run:
    """Call `module:function` with arguments that JSON can carry.

    Raises:
        RuntimeError: It failed; the text is the end of what it said.
    """
    command = [sys.executable, "-m", "benchmarks.child", function, json.dumps(arguments)]
    done = subprocess.run(  # noqa: S603  our own command
        command,
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{function}: {done.stderr.strip()[-1500:]}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def command_line(*arguments: str, cwd: Path, **environment: str) -> Run:
    """Run `luma-to-parquet`; its time and memory are those of the whole process.

    Raises:
        RuntimeError: It ended with another code than 0.
    """
    return call("benchmarks.child:_command_line", list(arguments), str(cwd), environment)


def _command_line(arguments: list[str], cwd: str, environment: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "connector", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"luma-to-parquet {arguments[0]}: {done.stderr or done.stdout}")
    return done.stdout


def _peak_mib(*, of_children: bool) -> float:
    """Not `ru_maxrss` of this process, which begins with that of the one it was forked from."""
    if of_children:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _cpu() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Be that process."""
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    started, cpu = time.perf_counter(), _cpu()
    result = function(*arguments)
    run = {
        "result": result,
        "seconds": time.perf_counter() - started,
        "cpu": _cpu() - cpu,
        "peak_mib": _peak_mib(of_children=attribute == "_command_line"),
    }
    sys.stdout.write("\n" + json.dumps(run) + "\n")


if __name__ == "__main__":
    main()
