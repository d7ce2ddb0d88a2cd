"""The flow on a real Dask cluster of two workers, which share with it only a bucket."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest
from conftest import KEY
from dask_cluster import DaskCluster
from s3 import S3Server
from servers import free_port
from test_flow import wait_for

from connector.sandbox import task_ids
from flows.ingest import ingest_generations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prefect_harness import Prefect

    from connector.sandbox import Sandbox

pytestmark = pytest.mark.prefect

BUCKET = "luma-dask"
IDS = task_ids(400, seed=11)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        server.make_bucket(BUCKET)
        yield server


@pytest.fixture
def cluster(
    server: S3Server, prefect: Prefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DaskCluster]:
    """A cluster with the key and the store's credentials in its environment."""
    here = {**server.environment(), "LUMAAI_API_KEY": KEY}
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    with DaskCluster(tmp_path, 2, prefect.environment(**here)) as cluster:
        yield cluster


@pytest.fixture
def run(cluster: DaskCluster, sandbox: Sandbox, request: pytest.FixtureRequest) -> Any:
    """Run the flow on the cluster, into a place of its own in the bucket."""
    warehouse = f"s3://{BUCKET}/{request.node.name}"

    def run(given: list[str], **parameters: Any) -> Any:
        return ingest_generations(
            given,
            warehouse,
            sandbox.base_url,
            runner="dask",
            dask_scheduler=cluster.address,
            return_state=True,
            **parameters,
        )

    run.warehouse = warehouse  # type: ignore[attr-defined]  # handier than a class
    return run


def saved(server: S3Server, warehouse: str) -> set[str]:
    """Task IDs in files of the inbox or the log."""
    path = warehouse.removeprefix("s3://")
    names = [n for n in server.names(path) if n.startswith(("inbox/", "answers/"))]
    tables = [pd.read_parquet(f"{path}/{name}", filesystem=server.files) for name in names]
    return {task_id for table in tables for task_id in table.task_id}


def test_a_worker_that_is_killed_in_mid_run_costs_nothing(
    run: Callable[..., Any], cluster: DaskCluster, sandbox: Sandbox, server: S3Server
) -> None:
    """Its batches are repeated by the other one, but for what they have saved."""
    kept: set[str] = set()
    threads: list[Thread] = []

    def slow_down(_: object) -> None:
        """Let what is under way once a batch has ended last until a worker was killed."""
        if not threads:
            sandbox.change(latency=2.0)
            threads.append(Thread(target=kill_one))
            threads[0].start()

    def kill_one() -> None:
        wait_for(lambda: sandbox.stats()["in_flight"] == 8)  # all batches ask
        cluster.kill(0)
        kept.update(saved(server, run.warehouse))
        sandbox.change(latency=0.0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("flows.artifacts.Progress.update", slow_down)
        state = run(IDS, batch_size=50, max_concurrency=8)
    assert state.is_completed(), state.message
    summary = state.result()
    assert (summary.fetched, summary.rejected, summary.not_reached) == (len(IDS), 0, 0)
    rows = pd.read_parquet(f"{run.warehouse}/generations")
    assert sorted(rows.task_id) == sorted(IDS)
    assert set(rows.fetches) == {1}
    asked = sandbox.stats()["by_task_id"]
    assert kept
    assert {asked[task_id] for task_id in kept} == {1}, "what was saved was asked for again"
    assert sum(asked.values()) > len(IDS), "the killed worker had nothing under way"


def test_workers_share_the_ceilings(run: Callable[..., Any], sandbox: Sandbox) -> None:
    """Together they ask no more often than one process might."""
    state = run(IDS[:300], batch_size=50, max_concurrency=8, requests_per_second=40)
    assert state.is_completed(), state.message
    stats = sandbox.stats()
    assert stats["requests"] == 300
    # Not the rate in a second, which a busy machine blurs: so many take so long at least.
    assert len(stats["per_second"]) >= 300 // 40
    assert stats["max_in_flight"] <= 8


def test_a_refused_key_stops_the_batches_of_all_workers(
    run: Callable[..., Any], sandbox: Sandbox, server: S3Server
) -> None:
    sandbox.change(latency=0.2)
    state = run(["bad-unauthorized-1", *IDS], batch_size=50, max_concurrency=8)
    assert state.name == "StoppedEarly"
    asked, kept = sandbox.stats()["requests"], saved(server, run.warehouse)
    assert asked < len(IDS)
    assert len(kept) == asked - 1, "what came is kept"
    assert len(pd.read_parquet(f"{run.warehouse}/generations")) == len(kept)


def test_processes_of_this_machine_need_no_cluster_and_end_with_the_run(
    sandbox: Sandbox, prefect: Prefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prefect
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    seen: set[psutil.Process] = set()

    def look(_: object) -> None:
        children = psutil.Process().children(recursive=True)
        # Not Python's resource tracker, which stays as long as the process that it serves.
        seen.update(child for child in children if "spawn_main" in " ".join(child.cmdline()))

    monkeypatch.setattr("flows.artifacts.Progress.update", look)
    warehouse = str(tmp_path / "warehouse")
    state = ingest_generations(
        [*IDS[:200], "bad-not-found-1"],
        warehouse,
        sandbox.base_url,
        batch_size=50,
        runner="processes",
        processes=2,
        return_state=True,
    )
    assert state.is_completed(), state.message
    summary = state.result()
    assert (summary.fetched, summary.rejected, summary.not_reached) == (200, 1, 0)
    assert sorted(pd.read_parquet(f"{warehouse}/generations").task_id) == sorted(IDS[:200])
    assert set(sandbox.stats()["by_task_id"].values()) == {1}
    assert len(seen) == 2
    assert not [child for child in seen if child.is_running()]


def test_what_a_process_logs_is_in_the_log_of_the_flow(
    prefect: Prefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    monkeypatch.setenv("LUMA_MAX_ATTEMPTS", "1")
    state = ingest_generations(
        IDS[:2],
        str(tmp_path / "warehouse"),
        f"http://127.0.0.1:{free_port()}",
        runner="processes",
        processes=1,
        return_state=True,
    )
    log = prefect.log(str(state.state_details.flow_run_id))
    assert [line for line in log if line.startswith("cannot connect to 127.0.0.1")], log
    assert "running 2 batches at once in processes of this machine" in log


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (None, "the Dask runner needs a scheduler"),
        ("tcp://127.0.0.1:9", "no Dask cluster"),
    ],
)
def test_without_a_cluster_the_run_says_so(
    sandbox: Sandbox,
    prefect: Prefect,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str | None,
    said: str,
) -> None:
    assert prefect
    monkeypatch.setenv("LUMAAI_API_KEY", KEY)
    monkeypatch.setattr("flows.dask_cluster.CONNECT_SECONDS", 0.5)
    state = ingest_generations(
        IDS[:3],
        str(tmp_path / "warehouse"),
        sandbox.base_url,
        runner="dask",
        dask_scheduler=scheduler,
        return_state=True,
    )
    assert state.is_failed()
    assert said in state.message
    assert sandbox.stats()["requests"] == 0
