"""A warehouse at Google's and at Azure's, as far as servers that play them tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from clouds import ACCOUNT_KEY, azure, google
from conftest import KEY
from writers import (
    check_that_one_writes_at_a_time,
    check_that_the_second_is_told_who_the_first_is,
    check_that_two_runs_at_once_lose_nothing,
)

import connector
from connector.errors import UsageError
from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.storage import claims, owner
from connector.storage.storage import storage_of
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clouds import Store
    from conftest import CommandLine

GIVEN = [*task_ids(60), "bad-not-found-1"]


@pytest.fixture(scope="module", params=[google, azure], ids=["gs", "abfss"])
def running_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with request.param() as store:
        yield store


@pytest.fixture
def store(running_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, for this process and those that it starts."""
    for name, value in running_store.environment.items():
        monkeypatch.setenv(name, value)
    return running_store


def changed_at(store: Store, folder: str) -> dict[str, object]:
    """When each file was changed, but for the lock."""
    names = [path for path in store.names(folder) if "/.lock/" not in path]
    return {path: store.files.get_file_info(path).mtime for path in names}


def test_a_run_a_second_one_and_the_commands(store: Store, cli: CommandLine) -> None:
    """Task IDs from the store, the tables into it; nothing new means that nothing is asked."""
    store.put("lists/ids.txt", "\n".join(GIVEN).encode())
    more = {**store.environment, "LUMA_WAREHOUSE": f"{store.root}/some/where"}
    ids = f"{store.root}/lists/*.txt"
    for _ in range(3):  # until all are finished
        done = cli("ingest", ids, "--json", **more)
        assert done.returncode == 0, done.stderr
    before = changed_at(store, "some/where")
    again = cli("ingest", ids, "--json", **more)
    assert json.loads(again.stdout)["requests"] == 0
    assert changed_at(store, "some/where") == before
    shown = json.loads(cli("show", "--json", **more).stdout)
    assert (shown["root"], shown["generations"]) == (more["LUMA_WAREHOUSE"], 60)
    assert "0 files changed" in cli("rebuild", **more).stdout
    assert "files joined" in cli("compact", **more).stdout
    checked = cli("check", "--json", **more)
    assert checked.returncode == 0, checked.stdout
    assert ACCOUNT_KEY not in done.stderr + checked.stdout
    read = connector.read("generations", more["LUMA_WAREHOUSE"], columns=["task_id"])
    assert sorted(read.task_id) == sorted(GIVEN[:-1])


def test_a_killed_run_is_gone_on_with(store: Store, environment: dict[str, str]) -> None:
    """What had come into the inbox is not asked for again."""
    settings = SandboxSettings(key=KEY, unfinished=0, latency=0.2)
    root = f"{store.root}/killed"
    with Sandbox(settings) as gateway:
        env = {
            **environment,
            **store.environment,
            "LUMA_BASE_URL": gateway.base_url,
            "LUMA_WAREHOUSE": root,
            "LUMA_BATCH_SIZE": "5",
        }
        command = [sys.executable, "-m", "connector", "ingest", "-", "--max-concurrency", "1"]
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin
            process.stdin.write("\n".join(GIVEN))
            process.stdin.close()
            deadline = time.monotonic() + 120
            while not store.names("killed/inbox"):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
        inbox = store.names("killed/inbox")
        assert inbox
        saved = {
            task_id
            for path in inbox
            for task_id in pq.read_table(path, filesystem=store.files)["task_id"].to_pylist()
        }
        done = subprocess.run(
            command, env=env, input="\n".join(GIVEN), text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        asked = gateway.stats()["by_task_id"]
    assert 0 < len(saved) < len(GIVEN)
    assert {asked[task_id] for task_id in saved} == {1}
    rows = connector.read("generations", root, columns=["task_id"])
    assert sorted(rows.task_id) == sorted(GIVEN[:-1])


def test_one_writes_at_a_time(store: Store) -> None:
    check_that_the_second_is_told_who_the_first_is(f"{store.root}/one")
    check_that_one_writes_at_a_time(f"{store.root}/one", 3)


def test_two_runs_at_once_lose_nothing(store: Store, environment: dict[str, str]) -> None:
    check_that_two_runs_at_once_lose_nothing(f"{store.root}/two", environment)


def test_the_lock_of_a_dead_writer_ends(store: Store) -> None:
    claim = json.dumps({**owner.this_process(), "pid": 2**22 + 1})
    store.put("dead/.lock/dead.json", claim.encode())
    time.sleep(claims.YOUNG + 1.5)  # younger ones are not looked into, and Azure's time has seconds
    with storage_of(f"{store.root}/dead").locked(0):
        assert "dead.json" not in "".join(store.names("dead"))


def test_a_writer_that_fails_leaves_the_old_file(store: Store) -> None:
    storage = storage_of(f"{store.root}/fails")
    for content in (b"old", bytes(12 << 20)):
        with storage.replacing("file") as file:
            file.write(content)
        assert storage.read("file") == content

    def write() -> None:
        with storage.replacing("file") as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert storage.read("file") == bytes(12 << 20)


def test_a_place_with_nothing_but_folders_is_not_empty(store: Store) -> None:
    """Arrow shows no folders on the first level at Google's."""
    store.put("folders/deep/file", b"1")
    store.put("hidden/.lock/claim.json", b"1")
    assert not storage_of(f"{store.root}/folders").is_empty()
    assert storage_of(f"{store.root}/hidden").is_empty()


def test_a_bucket_that_is_not_there_is_told_in_plain_words(store: Store) -> None:
    bucket = store.root.replace("luma-tests", "no-such-bucket")
    with (
        pytest.raises(
            (UsageError, connector.errors.WarehouseError),
            match=r"does not exist|such bucket",
        ),
        Warehouse.writing(f"{bucket}/wh"),
    ):
        pass
