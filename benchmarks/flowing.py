"""What Prefect adds to a run: a flow against the command line, and against an empty flow."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import child
from benchmarks.figure import Figure, at_least, at_most, reference
from benchmarks.world import environment, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "The Prefect flow"
IDS: Final = 2_000


def figures(*, quick: bool) -> Iterator[Figure]:
    """Of a flow on a server that runs already, Python's imports left out."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ |= {"PREFECT_HOME": f"{folder}/prefect", "PREFECT_LOGGING_LEVEL": "WARNING"}
        os.environ |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
        # Here because Prefect reads its environment when it is imported.
        from flows.local import prefect_api  # noqa: PLC0415

        with prefect_api(lambda _: None) as url, gateway() as sandbox:
            given = {"PREFECT_API_URL": url, **environment(sandbox)}
            write_list(root / "ids.txt", IDS)
            child.call("benchmarks.peers:prefect_empty", **given)  # the first is always slow
            empty = child.call("benchmarks.peers:prefect_empty", **given).seconds
            alone = child.command_line(
                "ingest", "ids.txt", "--warehouse", "alone", cwd=root, **environment(sandbox)
            ).seconds
            ours = child.call(
                f"{__name__}:run", str(root / "ids.txt"), str(root / "ours"), 500, **given
            )
            yield at_most(
                GROUP,
                f"flow over {IDS:,} IDs, against an empty flow + 1.5 × the command line",
                ours.seconds / (empty + 1.5 * alone),
                1.0,
            )
            yield reference(GROUP, "an empty flow", empty, "s")
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
                    f"a task run for each of {IDS:,} IDs, against this flow",
                    each.seconds / ours.seconds,
                    "×",
                )


def _cost_of_batches(root: Path, given: dict[str, str], *, quick: bool) -> Iterator[Figure]:
    """What a batch costs more as a task run: by CPU time, which is what lacks."""
    count = 5_000 if quick else 20_000
    write_list(root / "many.txt", count, seed=1)
    small, large = (
        child.call(
            f"{__name__}:run", str(root / "many.txt"), str(root / f"by-{size}"), size, **given
        )
        for size in (100, 500)
    )
    batches = count / 100 - count / 500
    cost = max(0.0, small.cpu - large.cpu) / batches
    yield reference(GROUP, "CPU time of one more batch", 1000 * cost, "ms")
    share = cost * (100_000 / 500) / (large.cpu * 100_000 / count)
    yield at_most(
        GROUP, f"batches of 500 over 100,000 IDs, from {count:,}: Prefect's share", share, 0.05, "%"
    )


def _processes(root: Path, given: dict[str, str]) -> Iterator[Figure]:
    """Two worker processes against one, on the cores that the gateway and the flow use as well."""
    one, two = (
        child.call(
            f"{__name__}:run_on_dask",
            str(root / "many.txt"),
            str(root / f"dask-{workers}"),
            workers,
            **given,
        ).result
        for workers in (1, 2)
    )
    yield at_least(GROUP, "batches on two worker processes (Dask) against one", one / two, 1.7)


def run_on_dask(path: str, warehouse: str, workers: int) -> float:
    """Run the flow on a Dask cluster of this machine; seconds, without the cluster's start."""
    from distributed import LocalCluster  # noqa: PLC0415  of the extra [dask]

    from flows.ingest import ingest_generations  # noqa: PLC0415  reads the environment

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        started = time.perf_counter()
        state = ingest_generations(
            path,
            warehouse,
            batch_size=1_000,
            key_block=None,
            runner="dask",
            dask_scheduler=cluster.scheduler_address,
            return_state=True,
        )
        if not state.is_completed():
            raise RuntimeError(state.message)
        return time.perf_counter() - started


def run(path: str, warehouse: str, batch_size: int) -> None:
    """Run the flow."""
    from flows.ingest import ingest_generations  # noqa: PLC0415  reads the environment

    state = ingest_generations(
        path, warehouse, batch_size=batch_size, key_block=None, return_state=True
    )
    if not state.is_completed():
        raise RuntimeError(state.message)
