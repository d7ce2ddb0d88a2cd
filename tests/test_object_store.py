"""A warehouse in a bucket, on a real S3 server: the same promises, and what is different there."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest
from builders import answer, pending
from chaos.buckets import (
    PREFIX,
    STORED,
    BucketWorld,
    fail_at_random,
    kill_at_request,
    make_bucket_past,
)
from chaos.scenario import EARLIER, INGEST
from s3 import CREDENTIALS, Fault, Proxy, S3Server, nothing
from writers import (
    check_that_one_writes_at_a_time,
    check_that_the_second_is_told_who_the_first_is,
)

import connector
from connector import task_ids
from connector.errors import StorageFailed, UsageError, WarehouseError
from connector.run.save import AnswersLost, save_answers
from connector.storage import lease, owner
from connector.storage.storage import storage_of
from connector.warehouse import inbox
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3 import Request

BUCKET = "luma-tests"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketWorld]:
    """A gateway, an S3 server, and command lines that work from one to the other."""
    with BucketWorld(tmp_path_factory.mktemp("bucket") / "world") as world:
        world.server.make_bucket(BUCKET)
        yield world


@pytest.fixture
def server(world: BucketWorld, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, for this process too."""
    for name, value in world.server.environment(world.proxy.url).items():
        monkeypatch.setenv(name, value)
    world.proxy.reset()
    return world.server


@pytest.fixture
def proxy(world: BucketWorld, server: S3Server) -> Proxy:
    """The way to it."""
    assert server
    return world.proxy


@pytest.fixture
def root(server: S3Server, request: pytest.FixtureRequest) -> str:
    """Address of a place where nothing is."""
    path = f"{BUCKET}/{request.node.name.partition('[')[0]}"
    server.empty(path)
    return f"s3://{path}"


def changed(proxy: Proxy) -> list[str]:
    """What was changed, but for the lock and the objects that stand for folders."""
    names = [str(request) for request in proxy.seen if "/.lock/" not in request.target]
    return [name for name in names if not name.endswith("/")]


def test_a_run_a_second_one_and_every_command(world: BucketWorld, proxy: Proxy) -> None:
    """All of it through the command line; the tables as any reader of Parquet has them."""
    world.lay_out(None)
    world.sandbox.reset()
    first = world.run(*INGEST)
    assert first.exit_code == 0, first.stderr
    for name in ("generations", "rejects", "prompts", "resolutions", "timings"):
        puts = [str(r) for r in proxy.seen if r.method == "PUT" and f"/{name}.parquet" in r.target]
        counts = Counter(puts)
        counts.subtract(one for one in counts if "_month=" not in one or "=unknown/" in one)
        assert set(counts.values()) <= {0, 1}, "each by one PUT, once, but for one without rows"
        assert puts
    world.settle()
    rows = pd.read_parquet(f"s3://{PREFIX}/generations")
    assert rows.task_id.is_unique
    assert set(rows.status) <= {"completed", "failed"}
    assert len(pd.read_parquet(f"s3://{PREFIX}/runs")) >= 2
    proxy.reset()
    asked = world.asked()
    assert world.run(*INGEST).summary()["requests"] == 0
    assert (changed(proxy), world.asked()) == ([], asked)
    shown = json.loads(world.run("show", "--json").stdout)
    assert (shown["root"], shown["generations"]) == (f"s3://{PREFIX}", len(rows))
    read = connector.read("generations", f"s3://{PREFIX}", columns=["task_id", "status"])
    assert sorted(read.task_id) == sorted(rows.task_id)
    assert "0 files changed" in world.run("rebuild").stdout
    assert "files joined" in world.run("compact").stdout
    reported = world.run("report", "-o", f"s3://{PREFIX}/report.html")
    assert f"{len(rows)} generations" in reported.stdout, reported.stderr
    assert b"</html>" in storage_of(f"s3://{PREFIX}").read("report.html")
    checked = world.run("check", "--json")
    assert checked.exit_code == 0, checked.stdout
    exported = world.run("export", "--to", "generations.csv")
    assert f"{len(rows)} rows" in exported.stdout, exported.stderr
    refused = world.run("duckdb")
    assert (refused.exit_code, "cannot make a catalogue" in refused.stderr) == (2, True)


@pytest.mark.parametrize("name", ["later run", "rebuild"])
def test_nothing_is_lost_when_a_command_is_killed_between_requests(
    world: BucketWorld, name: str
) -> None:
    """At two of its points; `make chaos` tries each kind, and all commands."""
    past = make_bucket_past(world, STORED[name])
    points = (len(past.points) // 3, 2 * len(past.points) // 3)
    assert [lost for at in points if (lost := kill_at_request(world, past, at))] == []


def test_a_store_that_fails_and_stalls_at_random_costs_nothing(world: BucketWorld) -> None:
    past = make_bucket_past(world, STORED["first run"])
    assert fail_at_random(world, past, seed=1, share=0.1) is None


def test_a_store_that_refuses_in_mid_run_stops_it_with_what_it_has(world: BucketWorld) -> None:
    world.lay_out(None)
    world.sandbox.reset()

    def refuse(request: Request) -> Fault | None:
        is_late = "/inbox/" in request.target and len(world.proxy.seen) > 3
        return Fault(403) if is_late and request.method == "PUT" else None

    world.proxy.reset(refuse)
    ended = world.run(*INGEST)
    world.proxy.reset()
    assert ended.exit_code == 4, ended.stderr
    summary = ended.summary()
    assert "access is denied" in summary["message"]
    assert len(pd.read_parquet(world.warehouse / "answers")) == (
        summary["fetched"] + summary["rejected"]
    )
    assert not any(
        secret in ended.stdout + ended.stderr for secret in CREDENTIALS.values() if len(secret) > 15
    )
    world.settle()


def test_a_batch_is_saved_when_a_store_that_answered_nothing_is_back(
    proxy: Proxy, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even whether it holds the batch already: that must not end the tries."""
    monkeypatch.setattr("connector.storage.address.ATTEMPTS", 1)
    monkeypatch.setattr("connector.run.save.DELAYS", (0.1,))
    refused: list[str] = []

    def refuse(request: Request, times: int) -> Fault | None:
        if "inbox" not in request.target or len(refused) == times:
            return None
        refused.append(request.method)
        return Fault(503)

    with Warehouse.writing(root) as warehouse:
        proxy.reset(lambda request: refuse(request, 2))
        save_answers(warehouse, "b1", [answer("a")], "run", threading.Event())
        assert refused == ["PUT", "GET"]
        assert warehouse.has("b1")
        refused.clear()
        proxy.reset(lambda request: refuse(request, 100))
        with pytest.raises(AnswersLost):
            save_answers(warehouse, "b2", [answer("b")], "run", threading.Event())
        proxy.reset()
        assert not warehouse.has("b2")


def test_a_file_left_in_both_places_by_a_move_is_counted_once(server: S3Server, root: str) -> None:
    """A store cannot rename: who dies between copy and delete leaves the batch in inbox and log."""
    path = root.removeprefix("s3://")
    with Warehouse.writing(root) as warehouse:
        warehouse.save("b1", [pending("a"), answer("b")], "run")
    with Warehouse.writing(root) as warehouse:
        before = connector.read("generations", root)
        (logged,) = inbox.logged_files(warehouse.storage)
    server.files.copy_file(f"{path}/{logged}", f"{path}/inbox/b1.parquet")
    with Warehouse.writing(root) as warehouse:
        assert inbox.waiting_files(warehouse.storage) == []
        assert inbox.logged_files(warehouse.storage) == [logged]
        assert warehouse.rebuild().changed_files == 0
    pd.testing.assert_frame_equal(before, connector.read("generations", root))
    assert before.fetches.tolist() == [1, 1]


def test_a_writer_that_fails_leaves_the_old_file(server: S3Server, root: str) -> None:
    """Also one that has written more than goes up at once."""
    storage = storage_of(root)
    with storage.replacing("a/b.txt") as file:
        file.write(b"old")

    def write(content: bytes, failure: Exception) -> None:
        with storage.replacing("a/b.txt") as file:
            file.write(content)
            raise failure

    for content in (b"new", bytes(12 << 20)):
        with pytest.raises(RuntimeError):
            write(content, RuntimeError())
    assert storage.read("a/b.txt") == b"old"
    assert server.names(root.removeprefix("s3://")) == ["a/b.txt"]


@pytest.mark.parametrize("size", [1 << 10, 12 << 20])
def test_an_upload_that_fails_half_way_leaves_the_old_file(
    proxy: Proxy, root: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.storage.address.ATTEMPTS", 1)
    storage = storage_of(root)
    with storage.replacing("file") as file:
        file.write(bytes(size))
    requests = len(proxy.seen)
    assert requests == (1 if size < 1 << 20 else 4)
    for number in range(1, requests + 1):
        proxy.reset(lambda request, at=number: Fault(500) if request.number == at else None)
        with pytest.raises(StorageFailed), storage.replacing("file") as file:
            file.write(b"1" * size)
        proxy.reset()
        assert storage.read("file") == bytes(size)


def test_a_file_replaced_while_it_is_read_is_noticed(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader asks for a large file part by part, so it could get parts of two."""
    monkeypatch.setattr("connector.storage.objects.SMALL", 0)
    storage = storage_of(root)
    for content in (b"one", b"two"):
        with storage.replacing("file") as file:
            file.write(content)
        if content == b"one":
            reading = storage.open_file("file")
            opened = reading.__enter__()
            assert opened.read(1) == b"o"
    with pytest.raises(OSError, match="was replaced"):
        reading.__exit__(None, None, None)


def test_the_second_writer_is_told_who_the_first_is(root: str) -> None:
    check_that_the_second_is_told_who_the_first_is(root)
    with Warehouse.writing(root):
        pass


def test_of_many_that_start_at_once_one_writes_at_a_time(root: str) -> None:
    check_that_one_writes_at_a_time(root, 4)


def test_the_lock_of_a_dead_writer_ends(
    server: S3Server, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where its process number can be looked up, and when it is old elsewhere."""
    path = f"{root.removeprefix('s3://')}/.lock/dead.json"
    here = json.dumps({**owner.this_process(), "pid": 2**22 + 1})
    elsewhere = json.dumps({**owner.this_process(), "processes": "another machine"})
    for claim, wait in ((here, lease.EXPIRES), (elsewhere, -1)):
        with server.files.open_output_stream(path) as file:
            file.write(claim.encode())
        monkeypatch.setattr(lease, "EXPIRES", wait)
        with storage_of(root).locked(0):
            pass
    assert server.names(root.removeprefix("s3://")) == [".lock/writer.json"]


def test_who_has_lost_the_lock_writes_nothing_more(
    server: S3Server, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW", 0.05)
    storage = storage_of(root)
    with storage.locked(0):
        with storage.replacing("before") as file:
            file.write(b"1")
        server.empty(f"{root.removeprefix('s3://')}/.lock")

        def write_on() -> None:
            while not threading.Event().wait(0.02):
                with storage.replacing("after") as file:
                    file.write(b"1")

        with pytest.raises(StorageFailed, match="may no longer write"):
            write_on()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://no-such-bucket/wh", "bucket does not exist"),
        ("s3a://bucket/wh", "Write it as s3://"),
        ("ftp://bucket/wh", "not a supported address"),
        ("s3://key:hidden@bucket/wh", "has a secret"),
        ("s3:///wh", "names no bucket"),
    ],
)
def test_an_address_that_cannot_work_is_told_in_plain_words(
    server: S3Server, address: str, said: str
) -> None:
    assert server
    with pytest.raises(UsageError, match=said) as raised, Warehouse.writing(address):
        pass
    assert "hidden" not in str(raised.value)


def test_rights_that_are_missing_are_told_in_plain_words(proxy: Proxy, root: str) -> None:
    proxy.reset(lambda _: Fault(403))
    with pytest.raises(WarehouseError, match="access is denied") as raised:
        Warehouse.existing(root)
    assert CREDENTIALS["AWS_ACCESS_KEY_ID"] not in str(raised.value)
    with pytest.raises(WarehouseError, match="access is denied"), Warehouse.writing(root):
        pass
    proxy.reset(nothing)


def test_a_store_that_is_not_there_is_told_in_plain_words(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("connector.storage.address.ATTEMPTS", 1)
    with pytest.raises(StorageFailed, match="cannot be reached"):
        Warehouse.existing(root)


def test_task_ids_come_from_a_bucket(server: S3Server, root: str) -> None:
    path = root.removeprefix("s3://")
    pq_ids = pd.DataFrame({"task_id": EARLIER[:2]})
    files = {
        "ids.txt": b"a\n# no\nb\n",
        "more/ids.csv": b"id;x\nc;1\n",
        "more/deep/ids.csv.gz": pa.compress(b"id\nd\n", "gzip", asbytes=True),
        "table/part.parquet": pq_ids.to_parquet(),
        "table/_metadata.parquet": b"not this one",
    }
    for name, content in files.items():
        with server.files.open_output_stream(f"{path}/{name}", compression=None) as file:
            file.write(content)

    def read(source: str) -> list[str]:
        return [one for chunk in task_ids.read([source]) for one in chunk.to_pylist()]

    assert read(f"{root}/ids.txt") == ["a", "b"]
    assert read(f"{root}/more/*.csv") == ["c"]
    assert read(f"{root}/more/**/*.csv*") == ["d", "c"]
    assert read(f"{root}/table") == EARLIER[:2]
    for source, said in (
        (f"{root}/none.txt", f"There is no file {root}/none.txt"),
        (f"{root}/*.json", "No file matches"),
        (f"{root}/more", "without Parquet files"),
        ("s3://no-such-bucket/ids.txt", "no file s3://no-such-bucket"),
    ):
        with pytest.raises(connector.errors.SourceError, match=said):
            read(source)
