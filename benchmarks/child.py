"""Runs a function in its own process, to measure its CPU time and peak memory alone."""

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

# As after an installation, also where Python is not to write compiled modules: else every start
# compiles our modules, and nobody else's.
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True, slots=True)
class Measured:
    """The result and cost of a function.

    Attributes:
        result: What the function returned.
        seconds: Wall time without the start of Python.
        cpu: Seconds of CPU time, likewise; includes child processes.
        peak_mib: Peak memory.
    """

    result: Any
    seconds: float
    cpu: float
    peak_mib: float


def call(function: str, *arguments: Any, **environment: str) -> Measured:
    """Call `module:function` with arguments that JSON can hold.

    Raises:
        RuntimeError: It failed; the message is the end of its stderr.
    """
    command = [sys.executable, "-m", "benchmarks.child", function, json.dumps(arguments)]
    done = subprocess.run(  # noqa: S603  our own command
        command,
        cwd=PROJECT,
        env={**os.environ, **COMPILED, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{function}: {done.stderr.strip()[-1500:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def process(function: str, *arguments: Any) -> Measured:
    """Like `call`; time and memory are of the whole process, the start of Python included."""
    return call("benchmarks.child:_process", function, list(arguments))


def _process(function: str, arguments: list[Any]) -> None:
    command = [sys.executable, "-m", "benchmarks.child", function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{function}: {done.stderr}")


def command_line(*arguments: str, cwd: Path, **environment: str) -> Measured:
    """Run `luma-to-parquet`; time and memory are of the whole process.

    Raises:
        RuntimeError: Its exit code was not 0.
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
    """Not `ru_maxrss` for this process: it starts with the value of the parent."""
    if of_children:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _cpu() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """The child process: call the function and print its cost."""
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    started, cpu = time.perf_counter(), _cpu()
    result = function(*arguments)
    run = {
        "result": result,
        "seconds": time.perf_counter() - started,
        "cpu": _cpu() - cpu,
        "peak_mib": _peak_mib(of_children=attribute in {"_command_line", "_process"}),
    }
    sys.stdout.write("\n" + json.dumps(run) + "\n")


if __name__ == "__main__":
    main()
