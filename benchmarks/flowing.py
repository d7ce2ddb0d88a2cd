"""The overhead of Prefect: a flow against the command line, and against an empty flow."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import child
from benchmarks.figure import Figure, at_least, at_most, reference
from benchmarks.world import environment, gateway, without_heartbeat, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP: Final = "The Prefect flow"
IDS: Final = 2_000
PAIRS: Final = 4


def measure_flowing(*, quick: bool) -> Iterator[Figure]:
    """Time of a flow with a running server, without imports."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ |= {"PREFECT_HOME": f"{folder}/prefect", "PREFECT_LOGGING_LEVEL": "WARNING"}
        os.environ |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
        # Imported here because Prefect reads the environment at import.
        from flows.local import prefect_api  # noqa: PLC0415

        with prefect_api(lambda _: None) as url, gateway() as sandbox:
            given = {"PREFECT_API_URL": url, **environment(sandbox)}
            write_list(root / "ids.txt", IDS)
            child.call("benchmarks.peers:prefect_empty", **given)  # the first run is always slow
            empty, alone, ours = map(
                min, zip(*_rounds(root, given, environment(sandbox)), strict=True)
            )
            yield at_most(
                GROUP,
                f"flow over {IDS:,} IDs, against an empty flow + 1.5 × the command line",
                ours / (empty + 1.5 * alone),
                1.0,
            )
            yield reference(GROUP, "an empty flow", empty, "s")
            yield from _nothing_new(root, given)
            yield from _cost_of_batches(root, given, quick=quick)
            if not quick:
                yield from _processes(root, given)
                each = child.call(
                    "benchmarks.peers:prefect_task_each",
                    sandbox.base_url,
                    str(root / "ids.txt"),
                    folder,
                    **given,
                )
                yield reference(
                    GROUP,
                    f"one task run per ID for {IDS:,} IDs, against this flow",
                    each.seconds / ours,
                    "×",
                )


def _rounds(
    root: Path, given: dict[str, str], without_flow: Mapping[str, str]
) -> Iterator[tuple[float, float, float]]:
    """Seconds of an empty flow, of the command line, and of the flow, in turns."""
    for number in range(PAIRS):
        empty = child.call("benchmarks.peers:prefect_empty", **given)
        to = f"alone-{number}"
        alone = child.command_line("ingest", "ids.txt", "--warehouse", to, cwd=root, **without_flow)
        run = (str(root / "ids.txt"), str(root / f"ours-{number}"), 500)
        ours = child.call(f"{__name__}:run_flow", *run, **given)
        yield empty.seconds, alone.seconds, ours.seconds


def _nothing_new(root: Path, given: dict[str, str]) -> Iterator[Figure]:
    """A run over settled task IDs, imports included, in pairs with an empty flow."""
    run = (f"{__name__}:run_flow", str(root / "ids.txt"), str(root / "ours-0"), 500)
    process = partial(child.call, "benchmarks.child:_process", **given)
    pairs = [
        (process("benchmarks.peers:prefect_empty", []), process(run[0], [*run[1:]]))
        for _ in range(PAIRS)
    ]
    empty, ours = (min(one.cpu for one in side) for side in zip(*pairs, strict=True))
    yield reference(GROUP, "an empty flow: CPU time, with Prefect's start", empty, "s")
    name = f"flow over {IDS:,} settled IDs: CPU time beyond an empty flow"
    yield at_most(GROUP, name, ours - empty, 0.5, "s")


def _cost_of_batches(root: Path, given: dict[str, str], *, quick: bool) -> Iterator[Figure]:
    """The cost of a batch as a task run, in CPU time."""
    count = 5_000 if quick else 20_000
    write_list(root / "many.txt", count, seed=1)
    small, large = (
        child.call(
            f"{__name__}:run_flow", str(root / "many.txt"), str(root / f"by-{size}"), size, **given
        )
        for size in (100, 500)
    )
    batches = count / 100 - count / 500
    cost = max(0.0, small.cpu - large.cpu) / batches
    yield reference(GROUP, "CPU time per additional batch", 1000 * cost, "ms")
    from flows.batches import size_of_batch  # noqa: PLC0415  reads the environment

    size = size_of_batch(100_000, 2_000)
    all_of_it = large.cpu * 100_000 / count
    share = cost * (100_000 / size) / (all_of_it + cost * (100_000 / size - 100_000 / 500))
    yield at_most(
        GROUP,
        f"batches of {size:,} over 100,000 IDs, from {count:,}: Prefect's share",
        share,
        0.05,
        "%",
    )


def _processes(root: Path, given: dict[str, str]) -> Iterator[Figure]:
    """Two processes against one, on the cores that the gateway also uses.

    Measures the extra time of more IDs, which excludes the start of Prefect and of the processes.
    """
    fewer, more = 5_000, 25_000
    rates, cores = {}, {}
    runners = {"one": {}, "two": {"runner": "processes", "processes": 2}}
    for name, where in runners.items():
        runs = []
        for count in (fewer, more):
            path, warehouse = root / f"{count}.txt", str(root / f"{name}-{count}")
            write_list(path, count, seed=2)
            runs.append(
                child.call(f"{__name__}:run_flow", str(path), warehouse, 2_000, where, **given)
            )
        seconds, cpu = (getattr(runs[1], n) - getattr(runs[0], n) for n in ("seconds", "cpu"))
        rates[name], cores[name] = (more - fewer) / seconds, cpu / seconds
    yield reference(GROUP, "the flow in one process: busy cores", cores["one"], "")
    yield reference(GROUP, "the flow in one process", rates["one"], "IDs/s")
    yield at_least(
        GROUP, "`runner=processes` with two, against that", rates["two"] / rates["one"], 1.7
    )


def run_flow(
    path: str, warehouse: str, batch_size: int, where: Mapping[str, Any] | None = None
) -> None:
    """Run the flow with the runner that `where` names."""
    from flows.ingest import ingest_generations  # noqa: PLC0415  reads the environment

    with without_heartbeat():
        state = ingest_generations(
            path,
            warehouse,
            batch_size=batch_size,
            key_block=None,
            return_state=True,
            **(where or {}),
        )
    if not state.is_completed():
        raise RuntimeError(state.message)
