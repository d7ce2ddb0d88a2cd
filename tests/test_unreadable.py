"""A storage that cannot be read for a moment is no reason to take a file for damaged."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path  # noqa: TC003  pytest resolves a fixture's annotation
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from builders import answer

import connector
from connector.errors import DamagedFile, StorageFailed, WarehouseError
from connector.export.export import export_tables
from connector.record.schema import ANSWERS
from connector.storage import parquet
from connector.storage.local import LocalStorage
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from conftest import CommandLine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A warehouse with two files in its log."""
    root = tmp_path / "warehouse"
    with Warehouse.writing(root) as warehouse:
        for batch in ("one", "two"):
            warehouse.save(batch, [answer(f"{batch}-{n}") for n in range(50)], "run")
            warehouse.commit()
    return root


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*.parquet"))
        if ".rebuild" not in path.parts
    }


@pytest.mark.parametrize("folder", ["answers", "inbox"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(
    root: Path, folder: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers would leave the tables, or be asked for again."""
    scanned = os.scandir

    def fail(path: Any) -> Any:
        if str(path).startswith(str(root / folder)):
            raise OSError(number, "the storage does not answer", str(path))
        return scanned(path)

    with Warehouse.writing(root) as warehouse:
        warehouse.save("three", [answer("three")], "run")
        before = files_of(root)
        with monkeypatch.context() as patched:
            patched.setattr(os, "scandir", fail)
            with pytest.raises(StorageFailed, match=rf"{folder}.*\. Nothing was changed"):
                warehouse.commit() if folder == "inbox" else warehouse.rebuild(may_shrink=True)
        assert files_of(root) == before


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ENOENT])
def test_an_error_of_the_storage_stops_a_rebuild_and_changes_nothing(
    root: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(root)
    opened = LocalStorage.open_file

    def fail_once(storage: LocalStorage, name: str) -> Any:
        if name.endswith("two.parquet"):
            raise OSError(number, "the storage does not answer")
        return opened(storage, name)

    with Warehouse.writing(root) as warehouse:
        monkeypatch.setattr(LocalStorage, "open_file", fail_once)
        with pytest.raises(StorageFailed, match="Nothing was changed"):
            warehouse.rebuild()
    monkeypatch.undo()
    assert files_of(root) == before
    assert not (root / "damaged").exists()
    with Warehouse.writing(root) as warehouse:
        assert warehouse.rebuild().generations == 100


@pytest.mark.parametrize("name", ["warehouse.json", "tables.json", "clocks.json", "marts.json"])
def test_a_note_that_the_storage_does_not_give_is_not_a_missing_one(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `clocks.json`, times would be wrong in the tables."""
    read_soundly = LocalStorage.read

    def fail(storage: LocalStorage, asked: str) -> bytes:
        if asked == name:
            raise OSError(errno.EIO, "Input/output error", storage.where(name))
        return read_soundly(storage, asked)

    monkeypatch.setattr(LocalStorage, "read", fail)
    with (
        pytest.raises(StorageFailed, match=rf"{name}: Input/output error. Nothing was changed"),
        Warehouse.writing(root) as warehouse,
    ):
        warehouse.rebuild()


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    for folder in (link, link / "warehouse"):
        with (
            pytest.raises(WarehouseError, match="link is a link to nowhere, which does not exist"),
            Warehouse.writing(folder),
        ):
            raise AssertionError


def test_a_reader_calls_no_file_damaged_that_the_storage_does_not_give(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(storage: LocalStorage, name: str) -> Any:
        raise OSError(errno.EIO, "Input/output error", storage.where(name))

    monkeypatch.setattr(LocalStorage, "open_file", fail)
    with pytest.raises(StorageFailed, match="Start again when the storage can be read"):
        connector.read("generations", root)
    with pytest.raises(StorageFailed, match="Start again when the storage can be read"):
        export_tables(root, str(root.parent / "g.csv"))


def test_half_a_file_that_is_whole_the_next_time_is_not_damaged(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object store's answer may break off without an error."""
    before = files_of(root)
    opened = LocalStorage.open_file

    def halve(storage: LocalStorage, name: str) -> Any:
        if name.endswith("two.parquet"):
            content = storage.read(name)
            return pa.BufferReader(content[: len(content) // 2])
        return opened(storage, name)

    with Warehouse.writing(root) as warehouse:
        monkeypatch.setattr(LocalStorage, "open_file", halve)
        with pytest.raises(StorageFailed):
            warehouse.rebuild()
    assert files_of(root) == before


def test_a_file_that_is_cut_short_is_damaged(root: Path) -> None:
    path = next(root.glob("answers/*/two.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    storage = LocalStorage(root)
    with pytest.raises(DamagedFile):
        parquet.read_table(storage, str(path.relative_to(root)), ANSWERS.schema)


def test_a_rebuild_that_would_lose_rows_needs_a_word(root: Path, cli: CommandLine) -> None:
    """A file of the log that is gone must not take sound rows with it."""
    lost = next(root.glob("answers/*/two.parquet"))
    kept = shutil.move(lost, root.parent / "kept.parquet")
    with Warehouse.writing(root) as warehouse, pytest.raises(WarehouseError, match="50 task IDs"):
        warehouse.rebuild()
    refused = cli("rebuild", "--warehouse", root)
    assert refused.returncode == 2
    assert "--may-shrink" in refused.stderr
    shutil.copy(kept, lost)
    with Warehouse.writing(root) as warehouse:
        assert warehouse.rebuild().generations == 100
    lost.unlink()
    allowed = cli("rebuild", "--warehouse", root, "--may-shrink")
    assert allowed.returncode == 0
    assert "50 generations" in allowed.stdout
