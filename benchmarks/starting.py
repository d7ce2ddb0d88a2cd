"""Start-up time of the command line, and of a run that finds nothing new."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import child
from benchmarks.figure import Figure, at_most, reference
from benchmarks.world import environment, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "Start-up"
TRIES: Final = 5
PAIRS: Final = 10
IDS: Final = 500

# What every program with this job imports.
IMPORTS: Final = "import pyarrow.parquet, requests"


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
    yield from _nothing_new()


def _nothing_new() -> Iterator[Figure]:
    """A run over settled task IDs; in pairs with the imports, since a busy machine slows both."""
    with tempfile.TemporaryDirectory() as folder, gateway() as sandbox:
        write_list(Path(folder, "ids.txt"), IDS)
        given = environment(sandbox)
        child.command_line("ingest", "ids.txt", cwd=Path(folder), **given)
        where = ("--warehouse", f"{folder}/warehouse")
        run = ("-m", "connector", "ingest", f"{folder}/ids.txt", *where)
        pairs = [(_one("-c", IMPORTS), _one(*run, **given)) for _ in range(PAIRS)]
    imports, ours = (min(one.cpu for one in side) for side in zip(*pairs, strict=True))
    yield reference(GROUP, f'`python -c "{IMPORTS}"`: CPU time', imports, "s")
    name = f"`ingest` of {IDS} settled task IDs: CPU time, against that"
    yield at_most(GROUP, name, ours / imports, 1.5)


def _one(*arguments: str, **environment: str) -> child.Measured:
    return child.call(f"{__name__}:_python", list(arguments), **environment)


def _cpu(*arguments: str) -> float:
    return min(child.call(f"{__name__}:_python", list(arguments)).cpu for _ in range(TRIES))


def _python(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)  # noqa: S603
