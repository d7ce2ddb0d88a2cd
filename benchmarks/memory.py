"""Memory of the command line with a long list."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import child
from benchmarks.figure import Figure, at_most, reference
from benchmarks.world import environment, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "Memory of the command line"


def measure_memory(*, quick: bool) -> Iterator[Figure]:
    """Peak resident memory with a fifth of the answers and with all."""
    given, most = (100_000, 10_000) if quick else (1_000_000, 100_000)
    with gateway() as sandbox, tempfile.TemporaryDirectory() as folder:
        write_list(Path(folder, "ids.txt"), given)
        peaks = {}
        for count in (most // 5, most):
            arguments = ("ingest", "ids.txt", "--limit", str(count), "--warehouse", f"w{count}")
            run = child.command_line(*arguments, cwd=Path(folder), **environment(sandbox))
            peaks[count] = run.peak_mib
    few, many = peaks.values()
    of = f"{given:,} task IDs given"
    yield reference(GROUP, f"{of}, {most // 5:,} fetched", few, "MiB")
    yield at_most(GROUP, f"{of}, {most:,} fetched", many, 350, "MiB")
    yield at_most(GROUP, f"{most:,} fetched against {most // 5:,}", many / few, 1.15)
