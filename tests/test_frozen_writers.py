"""No writer that was frozen, however long, replaces what another has written since: in buckets."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import polars as pl
import pytest
from builders import answer, pending
from chaos import frozen
from s3 import CREDENTIALS, Proxy, S3Server
from writers import check_that_one_writes_at_a_time, check_that_two_runs_at_once_lose_nothing

from connector.errors import DamagedFile, StorageFailed, WarehouseLocked
from connector.storage import lease, owner
from connector.storage.storage import storage_of
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import CommandLine
    from s3 import Request

BUCKET = "luma-tests"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        server.make_bucket(BUCKET)
        yield server


@pytest.fixture
def proxy(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to the server, for this process."""
    with Proxy(server.url) as proxy:
        for name, value in server.environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def root(server: S3Server, proxy: Proxy, request: pytest.FixtureRequest) -> str:
    """Address of a place where nothing is."""
    assert proxy
    path = f"{BUCKET}/{request.node.name.translate(str.maketrans('[] ', '---'))}"
    server.empty(path)
    return f"s3://{path}"


@contextmanager
def request_under_way(
    proxy: Proxy, name: str, write: Callable[[], object]
) -> Iterator[list[Exception]]:
    """Within the block, a writer is replacing a file, and its request has not arrived."""
    sent, go_on, failed = threading.Event(), threading.Event(), []

    def hold(request: Request) -> None:
        if request.method == "PUT" and str(request).endswith(f"/{name}"):
            sent.set()
            go_on.wait(60)

    def run() -> None:
        try:
            write()
        except StorageFailed as error:
            failed.append(error)

    writing = threading.Thread(target=run)
    proxy.reset(hold)
    writing.start()
    try:
        assert sent.wait(60)
        yield failed
    finally:
        go_on.set()
        writing.join()


@pytest.mark.parametrize("before", [True, False], ids=["there", "not there"])
def test_a_request_that_arrives_after_another_has_taken_over_replaces_nothing(
    proxy: Proxy,
    server: S3Server,
    root: str,
    before: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even an object that the other writer has left as it was."""
    name = "generations/created_month=2026-01/generations.parquet"
    with Warehouse.writing(root) as warehouse:
        if before:
            warehouse.save("b", [answer("a")], "run")
            warehouse.commit()
            (name,) = [one for one in warehouse.storage.list("generations") if "unknown" not in one]
    monkeypatch.setattr(lease, "EXPIRES", -1)
    first = storage_of(root)

    def write() -> None:
        with first.locked(0), first.replacing(name) as file:
            file.write(b"not Parquet")

    with request_under_way(proxy, name, write) as failed:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        second = storage_of(root)
        with second.locked(0):
            pass
    assert "another process has written it since" in str(failed[0])
    rows = pd.read_parquet(f"{root}/generations")
    assert rows.task_id.tolist() == (["a"] if before else [])
    # The file has other bytes now; every reader must take it for what it was.
    path = tmp_path / "changed.parquet"
    path.write_bytes(second.read(name))
    assert len(pl.read_parquet(path)) == len(rows)
    assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(len(rows),)]


def test_a_rebuild_that_is_declared_ready_too_late_is_void(
    proxy: Proxy, server: S3Server, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would empty the partitions that have come since."""
    with Warehouse.writing(root) as warehouse:
        warehouse.save("b1", [answer("a")], "run")

    def rebuild() -> None:
        with Warehouse.writing(root) as warehouse:
            warehouse.rebuild()

    monkeypatch.setattr(lease, "EXPIRES", -1)
    with request_under_way(proxy, "ready.json", rebuild) as failed:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with Warehouse.writing(root) as second:
            second.save("b2", [pending("b", created_at="2024-02-03T08:00:00Z")], "run")
            second.commit()
    assert failed
    with Warehouse.writing(root) as third:
        assert third.generations.rows() == 2
    assert not [name for name in server.names(root.removeprefix("s3://")) if ".rebuild" in name]


def test_a_writer_that_wakes_writes_nothing_but_what_nobody_else_has(
    proxy: Proxy, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers in memory are saved under names of their own; the next run commits them."""
    assert proxy
    first = Warehouse.writing(root)
    warehouse = first.__enter__()
    warehouse.save("b1", [answer("a")], "run")
    monkeypatch.setattr(lease, "EXPIRES", -1)
    with Warehouse.writing(root) as second:
        assert second.generations.rows() == 1
    warehouse.save("b2", [answer("b")], "run")
    with pytest.raises(StorageFailed, match="may no longer write"):
        warehouse.commit()
    first.__exit__(None, None, None)
    with Warehouse.writing(root) as third:
        assert third.generations.rows() == 2


def test_frozen_with_sigstop_and_woken(tmp_path: Path) -> None:
    """At a request that is under way, with older answers yet to be saved.

    `make chaos` tries fourteen moments and more.
    """
    with frozen.FrozenWorld(tmp_path / "world") as world:
        assert frozen.freeze(world, "run", 42, is_under_way=True) is None


def test_an_older_releases_claim_is_respected_until_it_expires(
    server: S3Server, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = json.dumps({**owner.this_process(), "processes": "another machine", "host": "old"})
    path = f"{root.removeprefix('s3://')}/.lock/0123456789abcdef.json"
    with server.files.open_output_stream(path) as file:
        file.write(claim.encode())
    with pytest.raises(WarehouseLocked, match="host old"), storage_of(root).locked(0):
        pass
    monkeypatch.setattr(lease, "EXPIRES", -1)
    with storage_of(root).locked(0):
        assert server.names(f"{path.rpartition('/')[0]}") == ["writer.json"]


@pytest.mark.parametrize(
    ("hidden", "refused"),
    [({"if-match", "if-none-match"}, None), ({"if-match"}, None), ({"if-match"}, 501)],
    ids=["ignores", "ignores one", "refuses one"],
)
def test_a_store_without_conditions_is_written_by_claims_and_that_is_said_once(
    proxy: Proxy,
    root: str,
    hidden: set[str],
    refused: int | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    cli: CommandLine,
) -> None:
    monkeypatch.setattr("connector.storage.address.ATTEMPTS", 1)
    proxy.hidden, proxy.refused = hidden, refused
    with caplog.at_level(logging.WARNING), Warehouse.writing(root) as warehouse:
        warehouse.save("b", [answer("a")], "run")
        warehouse.commit()
    assert [r.message.count("conditional writes") for r in caplog.records] == [1]
    check_that_one_writes_at_a_time(root, 3)
    checked = cli("check", "--json", LUMA_WAREHOUSE=root)
    (said,) = [one for one in json.loads(checked.stdout)["checks"] if one["name"] == "warehouse"]
    assert (said["state"], checked.returncode) == ("note", 0)
    assert "1 generations" in said["text"]
    assert "frozen for minutes" in said["text"]


def test_a_profile_is_enough_for_conditions(
    proxy: Proxy, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    lines = [f"{name.lower()} = {value}" for name, value in CREDENTIALS.items() if "KEY" in name]
    (tmp_path / "credentials").write_text("\n".join(["[work]", *lines]))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    storage = storage_of(root)
    with storage.locked(0), storage.replacing("file") as file:
        file.write(b"1")
    assert (storage.read("file"), storage.caveat) == (b"1", "")


def test_two_runs_at_once_lose_nothing(
    server: S3Server, root: str, environment: dict[str, str]
) -> None:
    assert server
    check_that_two_runs_at_once_lose_nothing(root, environment)


@pytest.mark.parametrize("error", [IndexError("sizes differ"), DamagedFile("cut short")])
def test_what_a_writer_that_wakes_reads_of_another_one_is_no_fault_of_the_program(
    root: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It read some files before it was frozen, and some of those that another has written since."""
    monkeypatch.setattr(lease, "EXPIRES", -1)

    def wake() -> None:
        with Warehouse.writing(root):
            with Warehouse.writing(root):
                pass
            raise error

    with pytest.raises(StorageFailed, match="may no longer write"):
        wake()

    def fail() -> None:
        with Warehouse.writing(root):
            raise error

    with pytest.raises(type(error)):
        fail()
