"""`luma:list` leaves no gap: whatever cuts a walk short, a later one goes on until all is there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pytest
from list_gateway import ListGateway, generation, name, official

import connector
from connector.errors import RunStopped
from connector.sandbox import task_ids
from connector.storage.storage import storage_of
from connector.warehouse.walks import WALKS, read_walk, write_walk
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox
    from connector.summary import Summary

KEY = "luma-test-key-b8f1"
SIGNALS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those that are given."""
    for variable in [one for one in os.environ if one.startswith("LUMA")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gateway() -> Iterator[ListGateway]:
    with ListGateway(350) as server:
        yield server


class Walker:
    """Runs on one warehouse, in this process."""

    def __init__(self, warehouse: Path, gateway: ListGateway) -> None:
        self.warehouse = warehouse
        self.gateway = gateway

    def walk(self, source: Any = "luma:list", **options: Any) -> Summary:
        """Ingest, and return the account, of a run that stopped early too."""
        self.gateway.pages.clear()
        settings = {"key": KEY, "base_url": self.gateway.base_url, "max_attempts": 1} | options
        try:
            return connector.ingest(source, warehouse=self.warehouse, marts=False, **settings)
        except RunStopped as stopped:
            return cast("Summary", stopped.summary)

    @property
    def rows(self) -> set[str]:
        """Task IDs in the table."""
        return set(pd.read_parquet(self.warehouse / "generations").task_id)

    def check_that_all_is_there(self) -> None:
        """All that is listed is in the table, and the next run sees that in one request."""
        assert self.gateway.listed - self.rows == set()
        before = files(self.warehouse)
        assert self.walk().requests == 1
        assert files(self.warehouse) == before


@pytest.fixture
def walker(tmp_path: Path, gateway: ListGateway) -> Walker:
    return Walker(tmp_path / "warehouse", gateway)


def files(root: Path) -> dict[Path, int]:
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and not path.relative_to(root).parts[0].startswith(".")
    }


# As people run it


def test_a_failure_at_200_leaves_no_gap(cli: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    ids = task_ids(350)
    sandbox.change(listing=ids, unfinished=0, listing_fails_after=200)
    done = cli("ingest", "luma:list", "--json", LUMA_MAX_ATTEMPTS="2")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (4, "stopped")
    assert 100 <= len(pd.read_parquet(tmp_path / "warehouse/generations")) <= 200
    sandbox.change(listing_fails_after=0)
    assert cli("ingest", "luma:list").returncode == 0
    assert set(pd.read_parquet(tmp_path / "warehouse/generations").task_id) == set(ids)
    third = json.loads(cli("ingest", "luma:list", "--json").stdout)
    assert (third["requests"], third["fetched"]) == (1, 0)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("pages", [1, 3])
def test_a_process_killed_in_mid_walk_leaves_no_gap(
    cli: CommandLine,
    environment: dict[str, str],
    sandbox: Sandbox,
    tmp_path: Path,
    number: signal.Signals,
    pages: int,
) -> None:
    ids = task_ids(350)
    sandbox.change(listing=ids, unfinished=0, latency=0.5, jitter=0)
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "ingest", "luma:list"],
        cwd=tmp_path,
        env={**environment, "LUMA_BATCH_SIZE": "40"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    # With the next page asked for, the pages before it have come.
    while sandbox.stats()["requests"] <= pages and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == SIGNALS[number]
    if number is signal.SIGKILL:  # at SIGTERM the page that is in flight is waited for
        assert not (tmp_path / "warehouse" / WALKS).exists()
    sandbox.change(latency=0)
    assert cli("ingest", "luma:list").returncode == 0
    assert set(pd.read_parquet(tmp_path / "warehouse/generations").task_id) == set(ids)
    last = json.loads(cli("ingest", "luma:list", "--json").stdout)
    assert (last["requests"], last["fetched"]) == (1, 0)


# Walks that are cut short


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_walk_cut_at_any_page_is_made_up_for(
    walker: Walker, gateway: ListGateway, page: int
) -> None:
    gateway.failing = lambda number: number == page
    assert walker.walk().outcome == "stopped"
    gateway.failing = lambda _: False
    walker.walk()
    walker.check_that_all_is_there()


@pytest.mark.parametrize("page", [1, 2, 3])
def test_so_is_one_above_a_complete_walk(walker: Walker, gateway: ListGateway, page: int) -> None:
    walker.walk()
    gateway.create(250)
    gateway.failing = lambda number: number == page
    assert walker.walk().outcome == "stopped"
    gateway.failing = lambda _: False
    gateway.create(30)
    assert walker.walk().requests <= 4  # not to the end
    walker.check_that_all_is_there()


@pytest.mark.parametrize("next_limit", [None, 120])
def test_a_limit_leaves_no_gap(
    walker: Walker, gateway: ListGateway, next_limit: int | None
) -> None:
    first = walker.walk(limit=120)
    assert (first.fetched, len(walker.rows)) == (120, 120)
    runs = 1
    while gateway.listed - walker.rows:
        walker.walk(limit=next_limit)
        runs += 1
        assert runs <= 3
    walker.walk(limit=next_limit)
    walker.check_that_all_is_there()


def test_a_limit_takes_up_what_is_unfinished_too(walker: Walker, gateway: ListGateway) -> None:
    gateway.items = []
    gateway.create(150, "queued")
    walker.walk(limit=120)
    gateway.items = [item | {"state": "completed"} for item in gateway.items]
    walker.walk(limit=120)
    walker.walk(limit=120)
    assert walker.rows == gateway.listed
    assert set(pd.read_parquet(walker.warehouse / "generations").status) == {"completed"}


def test_task_ids_from_a_file_are_no_walk(walker: Walker, gateway: ListGateway) -> None:
    newest = [item["id"] for item in gateway.items[:120]]
    walker.walk(newest)
    walker.walk()
    walker.check_that_all_is_there()
    gateway.create(250)
    walker.walk([item["id"] for item in gateway.items[:120]])
    walker.walk()
    walker.check_that_all_is_there()


def test_a_warehouse_of_an_older_version_is_walked_to_the_end_once(walker: Walker) -> None:
    walker.walk()
    (walker.warehouse / WALKS).unlink()
    assert walker.walk().requests == 4
    walker.check_that_all_is_there()


def test_a_refresh_reads_all_of_the_list(walker: Walker, gateway: ListGateway) -> None:
    walker.walk()
    again = walker.walk(refresh=True)
    assert (again.fetched, again.updated, again.requests) == (350, 350, 4)
    gateway.failing = lambda number: number == 2
    walker.walk(refresh=True)
    gateway.failing = lambda _: False
    walker.check_that_all_is_there()


def test_what_was_listed_unfinished_is_updated_when_it_is_done(
    walker: Walker, gateway: ListGateway
) -> None:
    gateway.items = [item | {"state": "queued"} for item in gateway.items[:3]] + gateway.items[3:]
    queued = [item["id"] for item in gateway.items[:3]]
    assert walker.walk().unfinished == 3
    gateway.items = [item | {"state": "completed"} for item in gateway.items]
    gateway.create(210)
    walker.walk()
    status = pd.read_parquet(walker.warehouse / "generations").set_index("task_id").status
    assert set(status[queued]) == {"completed"}
    walker.check_that_all_is_there()


@pytest.mark.parametrize("seed", range(8))
def test_any_history_ends_with_all_that_is_listed(
    walker: Walker, gateway: ListGateway, seed: int
) -> None:
    """Generations come and go between runs and within them, and anything may cut a run short."""
    rng = random.Random(seed)
    gateway.most = rng.choice([100, 100, 37])

    def move(_: int) -> None:
        if rng.random() < 0.4:
            gateway.create(rng.choice([1, 7, 120]))
        if rng.random() < 0.4:
            count = min(rng.choice([1, 9, 60, 150]), len(gateway.items) - 1)
            gateway.delete(rng.sample(range(len(gateway.items)), count))

    for _ in range(6):
        move(0)
        gateway.before = move if rng.random() < 0.7 else lambda _: None
        fails_at = rng.choice([None, None, 1, 2, 3, 5])
        gateway.failing = lambda number, at=fails_at: number == at  # type: ignore[misc]
        walker.walk(limit=rng.choice([None, None, 50, 130]))
    gateway.before = lambda _: None
    gateway.failing = lambda _: False
    walker.walk()
    walker.check_that_all_is_there()


# A list that moves while it is read


@pytest.mark.parametrize("count", [1, 30, 99, 150, 250])
@pytest.mark.parametrize("page", [2, 3, 4])
def test_what_is_deleted_meanwhile_hides_nothing(
    walker: Walker, gateway: ListGateway, count: int, page: int
) -> None:
    gateway.once(page, lambda: gateway.delete(range(count)))
    assert walker.walk().outcome == "done"
    assert gateway.listed - walker.rows == set()
    walker.walk()  # to the end, if all that led the list is gone
    walker.check_that_all_is_there()


def test_deletions_alone_change_no_file(walker: Walker, gateway: ListGateway) -> None:
    walker.walk()
    gateway.delete([1, 7, *range(50, 80), 300])
    walker.check_that_all_is_there()


def test_nor_if_it_is_the_last_one_of_a_page(walker: Walker, gateway: ListGateway) -> None:
    gateway.once(2, lambda: gateway.delete([99, 300]))
    walker.walk()
    walker.check_that_all_is_there()


@pytest.mark.parametrize("count", [1, 99, 100, 150])
def test_what_is_created_meanwhile_pushes_nothing_out(
    walker: Walker, gateway: ListGateway, count: int
) -> None:
    gateway.once(2, lambda: gateway.create(count))
    assert walker.walk().outcome == "done"
    walker.walk()
    walker.check_that_all_is_there()


# Gateways that are odd


@pytest.mark.parametrize("count", [5, 60, 350])
def test_a_gateway_that_ignores_the_offset_is_told_of(
    walker: Walker, gateway: ListGateway, count: int
) -> None:
    gateway.items = [item | {"state": "queued"} for item in gateway.items[:count]]
    gateway.offset_of = lambda _: 0
    gateway.has_more = lambda _: True
    account = walker.walk()
    assert (account.outcome, account.fetched) == ("stopped", min(count, 100))
    assert "cannot be read to its end" in (account.message or "")
    assert account.requests <= 3
    gateway.items = []
    gateway.create(5)
    walker.walk()
    assert gateway.asked  # what is unfinished is asked for all the same
    assert not (walker.warehouse / WALKS).exists()


def test_a_gateway_that_goes_round_in_circles_is_left(walker: Walker, gateway: ListGateway) -> None:
    gateway.offset_of = lambda offset: offset % 250
    gateway.has_more = lambda _: True
    account = walker.walk()
    assert "cannot be read to its end" in (account.message or "")
    assert account.requests < 15


@pytest.mark.parametrize(
    "offset_of",
    [
        lambda offset: offset // 100 * 100,
        lambda offset: -(-offset // 100) * 100,
        lambda offset: None if offset % 100 else offset,
    ],
)
def test_a_gateway_that_counts_in_whole_pages_is_read_to_its_end(
    walker: Walker, gateway: ListGateway, offset_of: Callable[[int], int | None]
) -> None:
    gateway.offset_of = offset_of
    assert walker.walk().outcome == "done"
    walker.check_that_all_is_there()


def test_a_gateway_that_sends_all_at_once_is_done(walker: Walker, gateway: ListGateway) -> None:
    gateway.offset_of = lambda _: 0
    gateway.shape = lambda _, _more: gateway.items
    assert walker.walk().outcome == "done"
    walker.check_that_all_is_there()


@pytest.mark.parametrize("has_more", [lambda _: True, lambda _: None, lambda _: False])
@pytest.mark.parametrize("count", [0, 5, 100, 199, 350])
def test_what_a_page_says_of_more_need_not_be_so(
    walker: Walker, gateway: ListGateway, has_more: Callable[[bool], bool | None], count: int
) -> None:
    gateway.items = gateway.items[:count]
    gateway.has_more = has_more
    account = walker.walk()
    assert (account.outcome, account.fetched) == ("done", count)
    if count:
        walker.check_that_all_is_there()


@pytest.mark.parametrize("most", [1, 9, 10, 50])
def test_pages_may_be_smaller_than_asked_for(
    walker: Walker, gateway: ListGateway, most: int
) -> None:
    gateway.items, gateway.most = gateway.items[:60], most
    walker.walk()
    walker.check_that_all_is_there()
    gateway.create(25)
    walker.walk()
    walker.check_that_all_is_there()


def test_a_gateway_that_lists_the_oldest_first_hides_nothing(
    walker: Walker, gateway: ListGateway
) -> None:
    gateway.items.reverse()
    walker.walk()
    gateway.items += [generation(number) for number in range(350, 500)]
    walker.walk()
    assert walker.rows == gateway.listed


@pytest.mark.parametrize(
    "shape",
    [
        lambda items, more: {"data": items, "has_more": more},
        lambda items, more: {"code": "success", "message": "", "data": official(items, more)},
        lambda items, more: {"code": 200, "data": official(items, None), "has_more": more},
        lambda items, more: {"data": {"data": items, "has_more": more}},
        lambda items, _: items,
    ],
)
def test_a_list_comes_in_several_shapes(
    walker: Walker, gateway: ListGateway, shape: Callable[[list[Any], bool | None], Any]
) -> None:
    gateway.shape = shape
    assert walker.walk().fetched == 350
    walker.check_that_all_is_there()


@pytest.mark.parametrize(
    "document",
    [
        {"code": "list_failed", "message": "no more", "data": []},
        {"success": False, "message": "no more", "data": {"generations": []}},
        {"error": {"message": "no more"}, "data": []},
        ["no", "more"],
        {"data": None},
        "no more",
    ],
)
def test_an_error_is_not_the_end_of_the_list(
    walker: Walker, gateway: ListGateway, document: object
) -> None:
    gateway.shape = lambda items, more: (
        official(items, more) if len(gateway.pages) == 1 else document
    )
    account = walker.walk()
    assert account.outcome == "stopped"
    assert "the list of generations cannot be read" in (account.message or "")
    assert not (walker.warehouse / WALKS).exists()


def test_a_broken_item_costs_no_other(walker: Walker, gateway: ListGateway) -> None:
    broken = [None, 7, "text", [], {}, {"id": None}, {"id": ""}, {"state": "completed"}]
    gateway.items[40:40] = broken
    gateway.items[99:99] = broken
    gateway.items[200:200] = [{"id": "x" * 300, "state": "completed"}, {"id": ["a"]}, *broken]
    account = walker.walk()
    assert (account.outcome, account.fetched) == ("done", 350)
    assert (account.blank, account.invalid) == (24, 2)
    assert len(walker.rows) == 350
    assert walker.walk().requests == 1


def test_a_page_of_nothing_but_broken_items_is_passed(walker: Walker, gateway: ListGateway) -> None:
    gateway.items[150:150] = [None] * 150
    account = walker.walk()
    assert (account.outcome, len(walker.rows)) == ("done", 350)


def test_an_item_that_only_names_a_task_is_asked_for(walker: Walker, gateway: ListGateway) -> None:
    gateway.items[10] = {"task_id": name(9_000), "note": "is not a generation"}
    walker.walk()
    assert gateway.asked == [name(9_000)]
    assert walker.walk().requests == 4  # whether it was answered is known only now
    walker.check_that_all_is_there()


# The note


def test_a_note_counts_for_its_own_gateway(walker: Walker) -> None:
    walker.walk()
    with ListGateway(350) as other:
        elsewhere = Walker(walker.warehouse, other)
        assert elsewhere.walk().requests == 4
        elsewhere.check_that_all_is_there()
    walker.check_that_all_is_there()


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://api.example.com", "https://API.Example.com/", True),
        ("https://api.example.com", " HTTPS://api.example.com:443// ", True),
        ("https://api.example.com/a", "https://api.example.com/a/", True),
        ("https://api.example.com/a", "https://api.example.com/A", False),
        ("https://api.example.com", "http://api.example.com", False),
        ("https://api.example.com", "https://api.example.com:8443", False),
        ("https://api.example.com", "https://example.com", False),
    ],
)
def test_a_gateway_is_known_by_every_spelling_of_its_base_url(
    tmp_path: Path, one: str, other: str, is_same: bool
) -> None:
    with Warehouse.writing(tmp_path) as warehouse:
        write_walk(warehouse.storage, one, ["a"])
    assert read_walk(storage_of(tmp_path), other) == (["a"] if is_same else [])


@pytest.mark.parametrize(
    "note",
    [b"", b"{", b"[]", b"null", b"\xff\x00", b"[" * 100_000, b'{"format": 1}', b'{"format": 9}']
    + [b'{"format": 1, "walks": %s}' % walks for walks in (b"[]", b"7", b'{"http": 3}')],
)
def test_a_damaged_note_is_as_good_as_none(walker: Walker, note: bytes) -> None:
    walker.walk()
    (walker.warehouse / WALKS).write_bytes(note)
    account = walker.walk()
    assert (account.outcome, account.requests) == ("done", 4)
    walker.check_that_all_is_there()


@pytest.mark.parametrize("ids", ["null", "7", '"text"', '{"a": 1}', "[1, null, []]"])
def test_so_is_a_damaged_entry(walker: Walker, ids: str) -> None:
    walker.walk()
    path = walker.warehouse / WALKS
    (base_url,) = json.loads(path.read_text())["walks"]
    path.write_text(f'{{"format": 1, "walks": {{"{base_url}": {ids}}}}}')
    assert walker.walk().requests == 4
    walker.check_that_all_is_there()


def test_rebuild_and_compact_leave_the_note_alone(walker: Walker) -> None:
    walker.walk()
    before = (walker.warehouse / WALKS).read_bytes()
    with Warehouse.writing(walker.warehouse) as warehouse:
        warehouse.rebuild()
        warehouse.compact()
    assert (walker.warehouse / WALKS).read_bytes() == before
    walker.check_that_all_is_there()


def test_answers_that_are_set_aside_as_damaged_are_listed_again(
    walker: Walker, gateway: ListGateway
) -> None:
    walker.walk()
    gateway.create(5)
    gateway.before = lambda _: None
    walker.walk()
    log = max((walker.warehouse / "answers").rglob("*.parquet"))
    waiting = walker.warehouse / "inbox" / log.name
    waiting.parent.mkdir(exist_ok=True)
    waiting.write_bytes(log.read_bytes()[:-40])
    with Warehouse.writing(walker.warehouse):
        pass
    assert list((walker.warehouse / "damaged").iterdir())
    assert walker.walk().requests == 4
    walker.check_that_all_is_there()
