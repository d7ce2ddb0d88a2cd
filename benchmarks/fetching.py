"""The whole pipeline from task IDs to committed Parquet, beside hand-written scripts."""

from __future__ import annotations

import importlib.util
import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import child
from benchmarks.figure import Figure, at_least, reference
from benchmarks.world import environment, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.child import Measured
    from connector.sandbox import Sandbox

GROUP: Final = "Task IDs to Parquet"
THREADS: Final = 16
PEERS: Final = {
    "loop": "`requests` in a loop, `json_normalize`",
    "threads": "the same with 32 threads",
    "dlt": "dlt, 20 parallel workers",
}


def measure_fetching(*, quick: bool) -> Iterator[Figure]:
    """Rates with a gateway without latency: medians of alternating rounds."""
    count, rounds = (1_000, 1) if quick else (4_000, 3)
    with gateway() as sandbox, tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_list(root / "ids.txt", count)
        tries: dict[str, list[Measured]] = {}
        for number in range(rounds):
            for name in ("ours", "bare", *PEERS):
                if name in PEERS and number:
                    continue
                if name == "dlt" and not importlib.util.find_spec("dlt"):
                    continue
                tries.setdefault(name, []).append(_run(name, sandbox, root, number))
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in tries.items()}
    # Without imports, as for the peers.
    elapsed = [json.loads(run.result)["elapsed_seconds"] for run in tries["ours"]]
    rates = {name: count / taken for name, taken in seconds.items()}
    rates["ours"] = count / statistics.median(elapsed)
    yield reference(
        GROUP,
        f"`ingest` of {count:,} IDs, {THREADS} in flight, committed, with marts",
        rates["ours"],
        "IDs/s",
    )
    yield reference(GROUP, "the same, including start-up", count / seconds["ours"], "IDs/s")
    yield at_least(
        GROUP,
        f"against bare `session.get` in {THREADS} threads, answers discarded",
        rates["ours"] / rates["bare"],
        1.25,
    )
    cpu = {name: min(run.cpu for run in runs) / count * 1000 for name, runs in tries.items()}
    yield reference(GROUP, "CPU time per task ID, all included", cpu["ours"], "ms")
    yield reference(GROUP, "CPU time of a bare `session.get`", cpu["bare"], "ms")
    for name, what in PEERS.items():
        if name in rates:
            yield at_least(GROUP, f"against {what}", rates["ours"] / rates[name], 1.0)


def _run(name: str, sandbox: Sandbox, root: Path, number: int) -> Measured:
    base_url, folder = sandbox.base_url, root / f"{name}-{number}"
    folder.mkdir()
    if name == "ours":
        return _ingest(sandbox, root, f"ours-{number}")
    return child.call(f"benchmarks.peers:{name}", base_url, str(root / "ids.txt"), str(folder))


def _ingest(sandbox: Sandbox, root: Path, warehouse: str) -> Measured:
    arguments = ("ingest", "ids.txt", "--warehouse", warehouse, "--json")
    limit = ("--max-concurrency", str(THREADS))
    return child.command_line(*arguments, *limit, cwd=root, **environment(sandbox))
