"""Warehouses that earlier releases wrote: read as they are, and gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest
from case_gateway import TASK_IDS, CaseGateway, examples, expected

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

    from conftest import CommandLine

WAREHOUSES = Path(__file__).parent / "warehouses"
ALL = sorted(
    path.relative_to(WAREHOUSES).as_posix()
    for path in WAREHOUSES.glob("*/*")
    if (path / "warehouse.json").exists()
)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A copy of the warehouses, to be changed."""
    return Path(shutil.copytree(WAREHOUSES, tmp_path / "released"))


def ingest(
    cli: CommandLine, root: Path, gateway: CaseGateway, given: Iterable[str]
) -> subprocess.CompletedProcess[str]:
    """Run the command line over a warehouse, against a gateway at another address."""
    arguments = ("ingest", "-", "--warehouse", root, "--base-url", gateway.base_url)
    return cli(*arguments, stdin="\n".join(given))


def test_there_are_some() -> None:
    assert "0.1.0/mixed" in ALL


@pytest.mark.parametrize("name", ALL)
def test_an_earlier_releases_warehouse_is_gone_on_with(
    released: Path, cli: CommandLine, name: str
) -> None:
    """Nothing that was received is asked for again, and what is new comes beside it."""
    root = released / name
    known = set(pd.read_parquet(root / "answers").task_id)
    finished = pd.concat(
        rows.task_id[rows.status.isin(["completed", "failed"])]
        for rows in [pd.read_parquet(path) for path in root.glob("generations/*/*.parquet")]
        or [pd.DataFrame({"task_id": [], "status": []}, dtype=str)]
    )
    with CaseGateway() as gateway:
        gateway.tasks["new"] = gateway.tasks["example-completed"]
        result = ingest(cli, root, gateway, [*finished, "new"])
    assert result.returncode == 0, result.stderr
    assert len(gateway.asked) == 1
    rows = pd.read_parquet(root / "generations")
    assert {*finished, "new"} <= set(rows.task_id)
    assert rows.task_id.is_unique
    assert set(pd.read_parquet(root / "answers").task_id) == known | {"new"}


def cases_of_then() -> set[str]:
    """The cases that the mixed warehouse has; later ones were not known yet."""
    asked = set(pd.read_parquet(WAREHOUSES / "0.1.0/mixed/answers").task_id)
    return asked & set(expected())


def test_the_cases_of_then_are_in_the_mixed_warehouse() -> None:
    assert len(cases_of_then()) == 35


def test_a_warehouse_poisoned_by_a_wrong_address_is_healed_by_the_right_one(
    released: Path, cli: CommandLine
) -> None:
    for name in ("0.1.0/poisoned", "0.1.0/poisoned_by_pages"):
        root = released / name
        assert len(pd.read_parquet(root / "rejects")) == 40
        with CaseGateway() as gateway:
            result = ingest(cli, root, gateway, TASK_IDS)
        assert result.returncode == 0, result.stderr
        assert len(pd.read_parquet(root / "generations")) == 40
        assert len(pd.read_parquet(root / "rejects")) == 0


COMPARED = ["status", "state", "prompt", "extra", "finished_at", "failure_category", "video_width"]


@pytest.mark.parametrize("how", ["rebuild", "ingest"])
def test_tables_of_an_earlier_release_become_those_of_today(
    released: Path, tmp_path: Path, cli: CommandLine, how: str
) -> None:
    """By `rebuild`, or by the first run: as if all had been fetched by this version."""
    root, fresh = released / "0.1.0/mixed", tmp_path / "fresh"
    refused = {"stops the run", "key refused"}
    names = [name for name in cases_of_then() if expected()[name]["outcome"] not in refused]
    with CaseGateway() as gateway:
        given = "\n".join([*names, *examples()])
        cli("ingest", "-", "--warehouse", fresh, "--base-url", gateway.base_url, stdin=given)
        if how == "rebuild":
            done = cli("rebuild", "--warehouse", root)
        else:
            arguments = ("ingest", "-", "--warehouse", root, "--base-url", gateway.base_url)
            done = cli(*arguments, stdin="example-completed")
    assert done.returncode == 0, done.stderr
    assert "made by an earlier version" in done.stderr
    for table, columns in (("generations", COMPARED), ("rejects", ["reason", "concerns"])):
        old, new = (
            pd.read_parquet(path / table).set_index("task_id").sort_index()
            for path in (root, fresh)
        )
        shared = [name for name in (*names, *examples()) if name in new.index]
        assert set(shared) <= set(old.index)
        pd.testing.assert_frame_equal(old.loc[shared, columns], new.loc[shared, columns])
    # The log has the columns of this version too, for readers that take them from any file.
    schemas = {str(pq.read_schema(path).names) for path in root.glob("answers/*/*.parquet")}
    assert len(schemas) == 1
    again = cli("rebuild", "--warehouse", root)
    assert "earlier version" not in again.stderr


def test_what_a_dead_run_of_an_earlier_release_left_is_judged_as_today(
    released: Path, cli: CommandLine
) -> None:
    """Its batch waits in the inbox, and was judged by the rules of then."""
    root = released / "0.1.0/poisoned"
    (logged,) = root.glob("answers/*/*.parquet")
    (root / "inbox").mkdir(exist_ok=True)
    logged.rename(root / "inbox" / logged.name)
    with CaseGateway() as gateway:
        given = "\n".join(TASK_IDS)
        arguments = ("ingest", "-", "--warehouse", root, "--base-url", gateway.base_url)
        done = cli(*arguments, stdin=given)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_parquet(root / "generations")) == 40
    assert len({str(pq.read_schema(path).names) for path in root.glob("answers/*/*.parquet")}) == 1


def test_tables_whose_log_is_incomplete_keep_their_rows_and_get_the_columns(
    released: Path, cli: CommandLine
) -> None:
    root = released / "0.1.0/mixed"
    before = set(pd.read_parquet(root / "generations").task_id)
    for path in sorted(root.glob("answers/*/*.parquet"))[1:]:
        path.unlink()
    with CaseGateway() as gateway:
        arguments = ("ingest", "-", "--warehouse", root, "--base-url", gateway.base_url)
        done = cli(*arguments, stdin="new-to-it")
    assert "the tables stay as they are" in " ".join(done.stderr.split())
    rows = pd.read_parquet(root / "generations")
    assert before <= set(rows.task_id)
    assert "failure_category" in rows
    schemas = {str(pq.read_schema(path).names) for path in root.glob("generations/*/*.parquet")}
    assert len(schemas) == 1
