"""The whole pipeline from task IDs to committed Parquet, beside hand-written scripts."""

from __future__ import annotations

import importlib.util
import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import child
from benchmarks.fast_gateway import fast_gateway
from benchmarks.figure import Figure, at_least, reference
from benchmarks.world import KEY, environment, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.child import Measured
    from connector.sandbox import Sandbox

GROUP: Final = "Task IDs to Parquet"
THREADS: Final = 16
TASKS: Final = (32, 100)
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


def measure_processes(*, quick: bool) -> Iterator[Figure]:
    """Whole processes, in turn, beside a script with an event loop, which is the quickest peer.

    The gateway is not the sandbox, which would be the limit.
    """
    most, rounds = (2_000, 1) if quick else (10_000, 5)
    for seconds, count, what in (
        (0.0, most, "no latency"),
        (0.2, most // 5, "200 ms of latency"),  # or a round takes minutes
    ):
        with fast_gateway(seconds) as base_url, tempfile.TemporaryDirectory() as folder:
            ids = Path(folder, "ids.txt")
            write_list(ids, count)
            tries: dict[int, list[Measured]] = {}
            for number in range(rounds):
                for workers in (0, *TASKS):
                    run = _whole(base_url, ids, Path(folder, f"{workers}-{number}"), workers)
                    tries.setdefault(workers, []).append(run)
        ours, *peers = (statistics.median(run.seconds for run in runs) for runs in tries.values())
        name = f"whole process, {count:,} IDs, {what}"
        yield reference(GROUP, f"`ingest`, {name}", ours, "s")
        for workers, taken in zip(TASKS, peers, strict=True):
            peer = f"{name}: against `aiohttp` with {workers} tasks, orjson, `json_normalize`"
            yield at_least(GROUP, peer, taken / ours, 1.0)
        cpu = [min(run.cpu for run in runs) for runs in tries.values()]
        yield reference(GROUP, f"CPU time, {name}", cpu[0], "s")
        yield reference(GROUP, f"CPU time of the peer with {TASKS[0]} tasks", cpu[1], "s")


def _whole(base_url: str, ids: Path, folder: Path, workers: int) -> Measured:
    """One process: ours without workers, else the peer with this many tasks."""
    folder.mkdir()
    if not workers:
        arguments = ("ingest", str(ids), "--warehouse", str(folder / "warehouse"), "--json")
        gateway_of = {"LUMAAI_API_KEY": KEY, "LUMA_BASE_URL": base_url}
        return child.command_line(*arguments, cwd=folder, **gateway_of)
    return child.process("benchmarks.peers:tasks", base_url, str(ids), str(folder), workers)


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
