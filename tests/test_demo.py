"""`make run`, and the local server that it brings along."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import requests
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.local import ServerNotStarted, prefect_api

if TYPE_CHECKING:
    from prefect_harness import Prefect

pytestmark = pytest.mark.prefect

TASKS_THAT_THE_DEMO_MISSES = 3

SERVE = textwrap.dedent("""
    import time
    from flows.local import prefect_api
    with prefect_api(lambda _: None) as url:
        print(url, flush=True)
        time.sleep(600)
""")


def demo(clone: Path, environment: dict[str, str]) -> list[str]:
    """Run the demo; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.demo"],
        cwd=clone,
        env={**environment, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


def test_the_demo_fetches_once_and_then_has_nothing_to_fetch(prefect: Prefect, clone: Path) -> None:
    first = demo(clone, prefect.environment(LUMAAI_API_KEY="a real one"))
    generations = pd.read_parquet(clone / "data/warehouse/generations")
    assert len(generations) == 500 - TASKS_THAT_THE_DEMO_MISSES
    assert any(line.startswith("497 generations: 497 new") for line in first)
    assert 'generations = pd.read_parquet("data/warehouse/generations")' in first
    assert not [line for line in first if "Traceback" in line or "flow run" in line.lower()]

    second = demo(clone, prefect.environment())
    assert any(line.startswith("Nothing to fetch") for line in second)


def test_the_documented_example_arrives_byte_for_byte(clone: Path) -> None:
    """What the demo's gateway answers is what the tests take from the documentation."""
    examples = Path(__file__).parent / "examples"
    kept = (clone / "data/examples/completed.json").read_bytes()
    assert kept == (examples / "completed.json").read_bytes()


def test_a_local_server_does_not_outlive_its_owner(prefect: Prefect, tmp_path: Path) -> None:
    """Not even if the owner is killed and can clean up nothing."""
    with sqlite3.connect(prefect.home / "prefect.db") as source:  # saves the migration
        source.backup(sqlite3.connect(tmp_path / "prefect.db"))
    owner = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env={**os.environ, "PREFECT_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout
    url = owner.stdout.readline().strip()
    port = url.split(":")[2].partition("/")[0]
    assert requests.get(f"{url}/health", timeout=60).json() is True
    assert f"--port {port}" in processes()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 60
    while f"--port {port}" in processes():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes() -> str:
    return subprocess.check_output(["ps", "-A", "-ww", "-o", "args="], text=True)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prefect.db").mkdir()  # where the database should be
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    without_server = temporary_settings(
        {PREFECT_HOME: str(tmp_path)}, restore_defaults={PREFECT_API_URL}
    )
    with without_server, pytest.raises(ServerNotStarted) as failure, prefect_api(print):
        pytest.fail("there can be no server")
    assert f"the end of its log {tmp_path / 'local-server.log'}:" in str(failure.value)
    assert "unable to open database file" in str(failure.value)
