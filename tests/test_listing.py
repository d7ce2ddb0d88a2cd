"""`luma:list`: task IDs that nobody names, from the gateway's own list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from raw_server import RawServer, always, reply

from connector.sandbox import task_ids

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox

Ingest = "Callable[..., dict[str, Any]]"


@pytest.fixture
def ingest(cli: CommandLine) -> Ingest:
    """Run `ingest luma:list`; return the account."""

    def run(*options: str, **variables: str) -> dict[str, Any]:
        done = cli("ingest", "luma:list", "--json", *options, **variables)
        assert done.returncode == 0, done.stderr
        account: dict[str, Any] = json.loads(done.stdout)
        return account

    return run


def generations(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "warehouse/generations").set_index("task_id")


def listed(*task_ids: str, more: bool = False) -> bytes:
    """A page as a gateway sends it."""
    items = [{"id": task_id, "state": "completed"} for task_id in task_ids]
    return reply(json.dumps({"generations": items, "has_more": more}).encode())


def test_all_pages_are_read_and_no_task_id_is_asked_for(
    ingest: Ingest, sandbox: Sandbox, tmp_path: Path
) -> None:
    ids = task_ids(250)
    sandbox.change(listing=ids, unfinished=0)
    account = ingest()
    assert (account["given"], account["fetched"], account["new"]) == (250, 250, 250)
    assert (account["requests"], account["retries"]) == (3, 0)
    stats = sandbox.stats()
    assert (stats["requests"], stats["by_task_id"]) == (3, {})
    rows = generations(tmp_path)
    assert set(rows.index) == set(ids)
    log = pd.read_parquet(tmp_path / "warehouse/answers")
    assert (set(log.task_id), set(log.attempts)) == (set(ids), {0})


def test_rows_are_those_of_the_task_ids_asked_for_one_by_one(
    ingest: Ingest, cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    """What the two dialects and envelopes leave open apart: the list has one dialect."""
    ids = task_ids(60)
    sandbox.change(
        listing=ids, unfinished=0, official=1, enveloped=0, other_id=0, extra_keys=0, vip=0
    )
    ingest()
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    cli("ingest", "ids.txt", LUMA_WAREHOUSE="other")
    lineage = ["first_seen_at", "fetched_at", "first_finished_at", "run_id", "sequence"]
    expected = pd.read_parquet(tmp_path / "other/generations").set_index("task_id")
    found = generations(tmp_path).loc[expected.index]
    pd.testing.assert_frame_equal(found.drop(columns=lineage), expected.drop(columns=lineage))


def test_a_later_run_stops_at_what_is_known(
    ingest: Ingest, sandbox: Sandbox, tmp_path: Path
) -> None:
    ids = task_ids(350)
    sandbox.change(listing=ids[50:], unfinished=0)
    ingest()
    sandbox.change(listing=ids, unfinished=0)
    before = sandbox.stats()["requests"]
    account = ingest()
    assert account["new"] == 50
    assert account["given"] == account["already_terminal"] + 50
    # The new ones are spread over all pages, and a page without any ends it.
    assert sandbox.stats()["requests"] - before == account["requests"] <= 4
    again = ingest()
    assert (again["requests"], again["fetched"], again["already_terminal"]) == (1, 0, 100)
    assert len(generations(tmp_path)) == 350


def test_nothing_new_changes_no_file(ingest: Ingest, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.change(listing=task_ids(20), unfinished=0)
    ingest()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    ingest()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def test_unfinished_ones_that_are_not_listed_any_more_are_asked_for(
    ingest: Ingest, sandbox: Sandbox, tmp_path: Path
) -> None:
    ids = task_ids(30)
    sandbox.change(listing=ids, unfinished=1.0, polls=1)
    assert ingest()["unfinished"] == 30
    sandbox.change(listing=task_ids(5, seed=9), unfinished=0)
    account = ingest()
    assert (account["given"], account["fetched"], account["unfinished"]) == (35, 35, 0)
    assert sandbox.stats()["by_task_id"] == dict.fromkeys(ids, 1)
    assert set(generations(tmp_path).loc[ids, "fetches"]) == {2}


def test_what_is_on_two_pages_counts_once(ingest: Ingest) -> None:
    moved = [listed("a", "b", more=True), listed("b", "c")]
    with RawServer(always(*moved)) as server:
        account = ingest(LUMA_BASE_URL=server.base_url)
    counts = {name: account[name] for name in ("given", "duplicate", "fetched", "requests")}
    assert counts == {"given": 4, "duplicate": 1, "fetched": 3, "requests": 2}
    assert "offset=2" in server.heads[1]


def test_an_empty_list_is_no_error(cli: CommandLine) -> None:
    with RawServer(always(listed())) as server:
        done = cli("ingest", "luma:list", LUMA_BASE_URL=server.base_url)
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing to fetch: the gateway lists no generation")


def test_the_limit_holds(ingest: Ingest, sandbox: Sandbox) -> None:
    sandbox.change(listing=task_ids(250), unfinished=0)
    account = ingest("--limit", "30")
    assert (account["fetched"], account["not_reached"], account["requests"]) == (30, 70, 1)


def test_a_list_that_breaks_off_keeps_what_came(cli: CommandLine, tmp_path: Path) -> None:
    down = reply(b"", "500 Down")
    with RawServer(always(listed("a", "b", more=True), down)) as server:
        done = cli(
            "ingest",
            "luma:list",
            "--json",
            LUMA_BASE_URL=server.base_url,
            LUMA_MAX_ATTEMPTS="2",
        )
    account = json.loads(done.stdout)
    assert (done.returncode, account["fetched"], account["requests"]) == (4, 2, 3)
    assert "the list of generations cannot be read: HTTP 500" in account["message"]
    assert len(generations(tmp_path)) == 2


@pytest.mark.parametrize(
    ("answer", "arguments", "message"),
    [
        (reply(b"", "404 Not Found"), [], "no list of generations (HTTP 404: Not Found)"),
        (reply(b"<html>"), [], "no list of generations (HTTP 200: a web page"),
        (listed(), ["ids.txt"], "luma:list must be the only source"),
        (listed(), ["--column", "id"], "luma:list must be the only source"),
        (listed(), ["--dry-run"], "leave out --dry-run"),
    ],
)
def test_what_cannot_work_is_told_in_a_line(
    cli: CommandLine, answer: bytes, arguments: list[str], message: str
) -> None:
    with RawServer(always(answer)) as server:
        done = cli("ingest", "luma:list", *arguments, LUMA_BASE_URL=server.base_url)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
