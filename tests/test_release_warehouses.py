"""Warehouses that earlier releases wrote: read as they are, and gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from case_gateway import CaseGateway, expected

if TYPE_CHECKING:
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
        result = cli(
            "ingest",
            "-",
            "--warehouse",
            root,
            "--base-url",
            gateway.base_url,
            stdin="\n".join([*finished, "new"]),
        )
    assert result.returncode == 0, result.stderr
    assert len(gateway.asked) == 1
    rows = pd.read_parquet(root / "generations")
    assert {*finished, "new"} <= set(rows.task_id)
    assert rows.task_id.is_unique
    assert set(pd.read_parquet(root / "answers").task_id) == known | {"new"}


def test_each_case_is_in_the_mixed_warehouse() -> None:
    asked = set(pd.read_parquet(WAREHOUSES / "0.1.0/mixed/answers").task_id)
    assert set(expected()) < asked
