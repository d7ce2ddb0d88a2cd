"""One folder, however it is written; and what an address may not have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import DOCUMENTED_ID

from connector.errors import SettingsError, UsageError, WarehouseLocked
from connector.settings import load
from connector.storage.address import open_place
from connector.storage.replace import replacing
from connector.storage.storage import storage_of
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from conftest import CommandLine

SPELLINGS = (
    "{}",
    "{}/",
    "{}//",
    "file:{}",
    "file://{}",
    "file://{}/",
    "file://localhost{}",
    "FILE://LOCALHOST{}",
    "File:{}",
    "file:./my%20wärehouse",
    "file:my%20w%C3%A4rehouse",
    "file://./my wärehouse",
    "./my wärehouse",
    "~/my wärehouse",
    "file:~/my%20wärehouse",
    "file://~/my%20w%c3%a4rehouse/",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "my wärehouse"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_all_spellings_are_one_folder_with_one_lock(folder: Path, spelling: str) -> None:
    address = spelling.format(folder)
    with Warehouse.writing(folder):
        for other in (address, load(warehouse=address).warehouse):
            assert Path(storage_of(other).address).resolve() == folder
            with pytest.raises(WarehouseLocked), Warehouse.writing(other):
                pass
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_home_folder_that_nobody_has_is_a_folder_of_that_name(folder: Path) -> None:
    """In a container, not even the process itself may have one."""
    with Warehouse.writing("~no-such-user/w"):
        assert (folder.parent / "~no-such-user/w").is_dir()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("file://server/share", "names the machine server: .* write file:///server/share"),
        ("file:", "names no path"),
        ("file://localhost", "names no path"),
        ("file:///a?b", "write %3F for"),
        ("file:///a#b", "write %3F for"),
    ],
)
def test_a_file_address_that_is_none(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        storage_of(address)
    with pytest.raises(SettingsError, match=message):
        load(warehouse=address)


@pytest.mark.parametrize("address", ["s3:/bucket/a", "S3:bucket/a", "gs:/bucket/a"])
def test_a_bucket_with_a_slash_too_few_is_no_folder(address: str) -> None:
    with pytest.raises(UsageError, match=r"lacks a slash: write \w+://bucket/a, or \./"):
        storage_of(address)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://bucket/a#b", "s3://bucket/a#… has a #"),
        ("s3://bucket/a?b", "s3://bucket/a… has no option 'b'"),
        (
            "s3://bucket/a?regoin=x",
            r"no option 'regoin' \(did you mean region\?\); options",
        ),
        ("s3://bucket/a?region=x&secret_key=luma-secret", "no option 'secret_key'"),
        ("s3://bucket/a?region", "no option 'region'"),
        ("gs://bucket/a?region=x", "no option 'region'; options are none"),
        ("abfss://c@a.dfs.core.windows.net/a#b", "has a #"),
    ],
)
def test_what_a_bucket_address_may_not_have(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("a…", r"a\?…")) as told:
        open_place(address)
    assert "luma-secret" not in str(told.value)


def test_task_ids_and_the_report_have_file_addresses_too(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "my ids.txt").write_text(DOCUMENTED_ID)
    warehouse = f"file://localhost{tmp_path}/w"
    done = cli("ingest", f"file://{tmp_path}/my%20ids.txt", "--warehouse", warehouse)
    assert done.returncode == 0, done.stderr
    assert f'read_parquet("{tmp_path}/w/generations")' in done.stdout
    done = cli("report", "--warehouse", "file:w", "-o", f"file://{tmp_path}/page.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my ids.txt", "page.html", "w"]


def test_drafts_of_killed_processes_are_removed_a_day_later(tmp_path: Path) -> None:
    old, young, other = (tmp_path / f".x.csv.{name}.tmp" for name in ("12", "34", "mine"))
    for path in (old, young, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (0, 0))
    with replacing(tmp_path / "x.csv") as draft:
        draft.write_text("whole")
    assert {*tmp_path.iterdir()} == {young, other, tmp_path / "x.csv"}


def test_an_output_replaces_no_device_and_no_link(tmp_path: Path) -> None:
    """As root, a rename over `/dev/full` would put a file in its place for all programs."""
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="pipe is a device or a pipe"), replacing(pipe):
        pass
    assert pipe.is_fifo()
    link.symlink_to(real.name)
    with replacing(link) as draft:
        draft.write_text("text")
    assert (link.is_symlink(), real.read_text()) == (True, "text")
