"""`prefect.yaml`, deployed from a clone and run by a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from conftest import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from prefect_harness import Prefect

    from connector.sandbox import Sandbox

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]

NAME = "ingest-generations/ingest-every-15-minutes"


def test_a_worker_runs_what_was_deployed(
    prefect: Prefect, clone: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The commands of docs/prefect.md: pool, deploy, run, worker; then there is Parquet."""
    prefect.command("work-pool", "create", "luma", "--type", "process", cwd=clone)
    prefect.command("deploy", "--all", cwd=clone)
    gateway = f"base_url={sandbox.base_url}"
    prefect.command("deployment", "run", NAME, "--param", gateway, cwd=clone)
    log = prefect.command(
        *("worker", "start", "--pool", "luma", "--run-once"), cwd=tmp_path, LUMAAI_API_KEY=KEY
    )
    assert "Finished in state Completed('500 generations" in log
    assert KEY not in log

    generations = pd.read_parquet(clone / "data/warehouse/generations")
    assert len(generations) == 500
    assert sandbox.stats()["requests"] == 500

    deployment = prefect.ask("GET", f"deployments/name/{NAME}")
    assert deployment["schedules"][0]["schedule"]["cron"] == "*/15 * * * *"
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["pull_steps"][0].popitem()[1]["directory"] == str(clone)
