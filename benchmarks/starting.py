"""Start-up time of the command line."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from benchmarks import child
from benchmarks.figure import Figure, at_most

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "Start-up"
TRIES: Final = 5


def measure_starting(*, quick: bool) -> Iterator[Figure]:  # noqa: ARG001  quick anyway
    """CPU time beyond that of Python itself."""
    bare = _cpu("-c", "pass")
    for name, arguments in {
        "`--help`": ("--help",),
        "`ingest --help`": ("ingest", "--help"),
        "a misspelt option": ("ingest", "--nope"),
    }.items():
        seconds = _cpu("-m", "connector", *arguments) - bare
        yield at_most(GROUP, f"{name}: CPU time beyond `python -c pass`", seconds, 0.5, "s")


def _cpu(*arguments: str) -> float:
    return min(child.call(f"{__name__}:_python", list(arguments)).cpu for _ in range(TRIES))


def _python(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)  # noqa: S603
