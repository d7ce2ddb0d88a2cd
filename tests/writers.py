"""Writers who want the same warehouse: what holds for them in whatever store it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

import connector
from connector.errors import WarehouseLocked
from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.storage.storage import storage_of
from connector.warehouse.warehouse import Warehouse


def check_that_the_second_is_told_who_the_first_is(root: str) -> None:
    """Host, process and start."""
    with (
        Warehouse.writing(root),
        pytest.raises(WarehouseLocked, match=r"host .+, process \d+, since"),
        Warehouse.writing(root),
    ):
        pass


def check_that_one_writes_at_a_time(root: str, writers: int) -> None:
    """Of many that start at once, and all get their turn."""
    inside, most, done = [0], [0], []
    lock = threading.Lock()

    def write(number: int) -> None:
        with storage_of(root).locked(600):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.05)
            with lock:
                inside[0] -= 1
            done.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], sorted(done)) == (1, list(range(writers)))


def check_that_two_runs_at_once_lose_nothing(root: str, environment: dict[str, str]) -> None:
    """Two processes, some task IDs in both; each waits for the other, and the lock counts them.

    Args:
        root: A place in a bucket, where nothing is.
        environment: For the runs; the store's is that of this process.
    """
    given, settings = task_ids(90), SandboxSettings(key=environment["LUMAAI_API_KEY"], unfinished=0)
    command = [sys.executable, "-m", "connector", "ingest", "--json", "--lock-timeout", "100"]
    with Sandbox(settings) as gateway:
        env = {**environment, **os.environ, "LUMA_BASE_URL": gateway.base_url}
        env |= {"LUMAAI_API_KEY": environment["LUMAAI_API_KEY"], "LUMA_BATCH_SIZE": "10"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        runs = [
            subprocess.Popen([*command, "--warehouse", root, *part], env=env, text=True, **pipes)
            for part in (given[:60], given[30:])
        ]
        for run in runs:
            said = run.communicate(timeout=120)
            assert run.returncode == 0, said
        assert set(gateway.stats()["by_task_id"].values()) == {1}
    rows = connector.read("generations", root, columns=["task_id"])
    assert sorted(rows.task_id) == sorted(given)
    storage = storage_of(root)
    with storage.locked(0):
        assert json.loads(storage.read(".lock/writer.json"))["generation"] == 3
    assert storage.caveat == ""
