"""The tables in DuckDB, in SQL databases and in spreadsheets: whole, typed, and harmless."""

from __future__ import annotations

import csv
import gc
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from builders import answer, ingest, pending
from postgres import PASSWORD, running_postgres, why_not

from connector import task_ids
from connector.errors import StorageFailed, UsageError, WarehouseError
from connector.export.catalogue import write_catalogue
from connector.export.cells import CELL_UNITS
from connector.export.export import export_tables
from connector.export.views import ENRICHED, JOINED, SQL_TYPES
from connector.export.xlsx_file import write_xlsx
from connector.record.answer import Outcome
from connector.record.schema import GENERATIONS, TABLES
from connector.storage.storage import LocalStorage
from connector.warehouse.reading import read
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.answer import Answer

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed (extra bi)")
openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed (extra test)")

FORMULAS = {
    "equals": '=HYPERLINK("http://127.0.0.1/?"&A1,"click")',
    "plus": "+1+1",
    "minus": "-2+3",
    "at": "@SUM(1,1)",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "hidden": "\0=1+1",
    "full width": "＝1+1",
}
TEXTS = {
    "plain": "a cat, \"quoted\"; it's 5 o'clock",
    "lines": "one\ntwo\r\nthree\\n\ttabbed\\",
    "end of data": "a\n\\.\nb",
    "link": "https://example.com/?a=b",
    "number": "007",
    "null word": "\\N",
    "escape": "_x0041_",
    "script": "<script>alert(1)</script>",
    "empty": "",
    "emoji": "🐈" * 20_000,
    "bell": "ding\x07\x1b[31m",
    "nul": "a\0b",
}
PROMPTS = FORMULAS | TEXTS
CREATED = datetime(2025, 9, 15, 12, 0, 0, 123456, tzinfo=UTC)


def generation(task_id: str, prompt: str, *, minutes: float = 0) -> Answer:
    body = {
        "id": task_id,
        "state": "completed",
        "prompt": prompt,
        "created_at": CREATED.isoformat(),
        "video": {"url": "https://example.com/v.mp4", "width": 752, "height": 1360},
    }
    return answer(task_id, body, minutes=minutes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of every kind, one generation without a time, one reject."""
    root = tmp_path_factory.mktemp("built") / "warehouse"
    prompts = (generation(task_id, prompt) for task_id, prompt in PROMPTS.items())
    rejected = answer("gone", b"\xff\0=1", outcome=Outcome.NOT_FOUND, status=404)
    ingest(root, *prompts, pending("undated"), rejected)
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """That, for one test alone."""
    return shutil.copytree(built, tmp_path / "warehouse")


# DuckDB


def ask(catalogue: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(catalogue, read_only=True) as connection:
        rows: list[tuple[Any, ...]] = connection.sql(query).fetchall()
        return rows


@pytest.fixture
def catalogue(root: Path, tmp_path: Path) -> Path:
    target = tmp_path / "warehouse.duckdb"
    made = write_catalogue(root, target)
    assert made.views == (*TABLES, JOINED, ENRICHED)
    assert made.without_files == ()
    return target


@pytest.mark.parametrize("name", TABLES)
def test_each_view_has_the_columns_types_and_descriptions_declared(
    catalogue: Path, name: str
) -> None:
    table = TABLES[name]
    found = ask(
        catalogue,
        "SELECT column_name, data_type, comment FROM duckdb_columns()"
        f" WHERE table_name = '{name}' AND NOT internal ORDER BY column_index",
    )
    declared = [(column.name, SQL_TYPES[column.type]) for column in table.columns]
    partition = {"created": "created_month", "received": "received_month"}.get(table.partition)
    expected = [*declared, *([(partition, "VARCHAR")] if partition else [])]
    assert [row[:2] for row in found] == expected
    for (_, _, comment), column in zip(found, table.columns, strict=False):
        assert comment.startswith(column.description)
        assert all(word in comment for word in (column.unit or "", *column.allowed))
    (about,) = ask(
        catalogue, f"SELECT comment FROM duckdb_views() WHERE view_name = '{name}' AND NOT internal"
    )
    assert about == (table.description,)


@pytest.mark.parametrize("name", TABLES)
def test_each_view_shows_the_rows_of_its_table(catalogue: Path, root: Path, name: str) -> None:
    columns = TABLES[name].schema.names
    key = ", ".join(f'"{column}"' for column in TABLES[name].key)
    with duckdb.connect(catalogue, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = ", ".join(f'"{column}"' for column in columns)
        shown = connection.sql(f"SELECT {names} FROM {name} ORDER BY {key}").to_arrow_table()
    expected = read(name, root, columns=TABLES[name].schema.names).sort_values(
        list(TABLES[name].key)
    )
    assert shown.to_pylist() == expected.astype(object).where(expected.notna(), None).to_dict(
        "records"
    )


def test_the_enriched_view_has_each_generation_once(catalogue: Path, root: Path) -> None:
    query = "SELECT task_id, basis, family_id, month FROM generations_enriched"
    rows = {row[0]: row[1:] for row in ask(catalogue, query)}
    generations = read("generations", root)
    assert set(rows) == set(generations.task_id)
    assert ask(catalogue, "SELECT count(*) FROM generations_enriched") == [(len(generations),)]
    prompts = read("prompts", root).set_index("prompt_id").family_id
    for row in generations.itertuples():
        basis, family, month = rows[row.task_id]
        assert basis
        assert family == (prompts[row.prompt_id] if isinstance(row.prompt_id, str) else None)
        assert month == (f"{row.created_at:%Y-%m}" if row.created_at == row.created_at else None)


def test_the_measures_of_the_page_are_sql(catalogue: Path) -> None:
    page = (Path(__file__).parent.parent / "docs/bi.md").read_text(encoding="utf-8")
    section = page.partition("measures for a semantic layer")[2].partition("```")[0]
    measures = re.findall(r"^\| [^|`]+ \| `([^`]+)` \|", section, re.MULTILINE)
    assert len(measures) == 10
    for measure in measures:
        query = f"SELECT model, {measure} FROM generations_enriched GROUP BY model"
        assert ask(catalogue, query)


def test_partitions_are_text(catalogue: Path) -> None:
    months = ask(catalogue, "SELECT created_month, count(*) FROM generations GROUP BY 1 ORDER BY 1")
    assert months == [("2025-09", len(PROMPTS)), ("unknown", 1)]


def test_days_are_dates_whoever_wrote_the_folders(tmp_path: Path) -> None:
    """0.1.0 called the partition without a day `unknown`: its rows are there, without a date."""
    released = Path(__file__).parent / "warehouses/0.1.0/by_day"
    root = Path(shutil.copytree(released, tmp_path / "warehouse"))
    write_catalogue(root, tmp_path / "c.duckdb")
    days = "SELECT created_day, typeof(created_day) FROM generations ORDER BY 1"
    known = [(date(2025, 1, 31), "DATE"), (date(2025, 2, 1), "DATE")]
    assert ask(tmp_path / "c.duckdb", days) == [*known, (None, "DATE")]
    with Warehouse.writing(root) as warehouse:
        warehouse.rebuild()
    assert ask(tmp_path / "c.duckdb", days) == [(date(1970, 1, 1), "DATE"), *known]


def test_an_export_leaves_out_marts_that_were_never_made(root: Path, tmp_path: Path) -> None:
    (root / "marts.json").unlink()
    done = [one.table for one in export_tables(root, f"sqlite:///{tmp_path}/t.db")]
    assert done == ["generations", "rejects", "runs", "given", "columns"]


def test_a_view_shows_what_later_runs_write(catalogue: Path, root: Path) -> None:
    ingest(root, generation("plain", "changed", minutes=9), pending("another"), batch="later")
    rows = ask(catalogue, "SELECT prompt FROM generations WHERE task_id IN ('plain', 'another')")
    assert sorted(rows, key=str) == [("changed",), (None,)]
    assert ask(catalogue, "SELECT sum(uses) FROM resolutions") == [(len(PROMPTS) + 2,)]


def test_a_column_that_no_file_has_is_null(root: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415  for this test alone

    for path in (root / "generations").rglob("*.parquet"):
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["liked"]), path)
    write_catalogue(root, tmp_path / "c.duckdb")
    assert ask(tmp_path / "c.duckdb", "SELECT DISTINCT liked, typeof(liked) FROM generations") == [
        (None, "BOOLEAN")
    ]


def test_an_empty_warehouse_has_empty_views(tmp_path: Path) -> None:
    with Warehouse.writing(tmp_path / "new"):
        pass
    target = tmp_path / "c.duckdb"
    assert write_catalogue(tmp_path / "new", target).without_files == ()
    assert ask(target, "SELECT count(*) FROM rejects") == [(0,)]
    assert ask(target, "SELECT typeof(fetched_at) FROM rejects RIGHT JOIN (SELECT 1) ON true") == [
        ("TIMESTAMP WITH TIME ZONE",)
    ]


def test_odd_characters_in_the_path_mean_themselves(root: Path, tmp_path: Path) -> None:
    odd = tmp_path / "it's [1] * a=b"
    odd.mkdir()
    root.rename(odd / "warehouse")
    write_catalogue(odd / "warehouse", odd / "c.duckdb")
    assert ask(odd / "c.duckdb", "SELECT count(*) FROM rejects") == [(1,)]
    assert "a" not in [name for (name, *_) in ask(odd / "c.duckdb", "DESCRIBE generations")]


@pytest.mark.parametrize("released", ["mixed", "by_day"])
@pytest.mark.parametrize("relative", [False, True])
def test_folders_above_the_warehouse_are_not_data(
    released: str, relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).parent / "warehouses/0.1.0" / released
    plain = Path(shutil.copytree(source, tmp_path / "warehouse"))
    above = tmp_path / "status=failed/created_month=2020-01/created_day=2020-01-01"
    shutil.copytree(source, above / "warehouse")
    write_catalogue(plain, tmp_path / "c.duckdb", relative=relative)
    write_catalogue(above / "warehouse", above / "c.duckdb", relative=relative)
    for table in ("generations", "answers"):
        query = f"SELECT * FROM {table} ORDER BY task_id, fetched_at"
        monkeypatch.chdir(tmp_path)
        expected = ask(tmp_path / "c.duckdb", query)
        monkeypatch.chdir(above)
        assert expected == ask(above / "c.duckdb", query)
        assert expected


def test_a_condition_on_the_partition_skips_the_other_files(tmp_path: Path) -> None:
    released = Path(__file__).parent / "warehouses/0.1.0/by_day"
    write_catalogue(released, tmp_path / "c.duckdb")
    query = "EXPLAIN ANALYZE SELECT * FROM generations WHERE created_day = DATE '2025-02-01'"
    ((_, plan),) = ask(tmp_path / "c.duckdb", query)
    assert "Scanning Files: 1/3" in plan


def test_a_relative_catalogue_moves_with_its_warehouse(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_catalogue(root, tmp_path / "c.duckdb", relative=True)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("warehouse", "c.duckdb"):
        (tmp_path / name).rename(moved / name)
    monkeypatch.chdir(moved)
    assert ask(moved / "c.duckdb", "SELECT count(*) FROM rejects") == [(1,)]
    monkeypatch.chdir("/")
    with duckdb.connect(moved / "c.duckdb", read_only=True) as connection:
        connection.execute(f"SET file_search_path = '{moved}'")
        assert connection.sql("SELECT count(*) FROM rejects").fetchall() == [(1,)]


def test_a_catalogue_replaces_an_earlier_one_but_nothing_else(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "c.duckdb"
    write_catalogue(root, target)
    before = target.stat().st_ino
    write_catalogue(root, target)
    assert target.stat().st_ino != before
    with duckdb.connect(target) as connection:
        connection.sql("CREATE TABLE mine AS SELECT 1")
    with pytest.raises(UsageError, match="also holds mine"):
        write_catalogue(root, target)
    assert ask(target, "FROM mine") == [(1,)]
    text = tmp_path / "notes.txt"
    text.write_text("mine " * 1000)
    with pytest.raises(UsageError, match="cannot tell whether"):
        write_catalogue(root, text)
    assert text.read_text() == "mine " * 1000


def test_the_catalogue_is_in_the_form_that_older_duckdb_reads(catalogue: Path) -> None:
    assert int.from_bytes(catalogue.read_bytes()[12:20], "little") == 64


# Spreadsheets


def expected_text(task_id: str, *, csv_file: bool) -> str | None:
    text = PROMPTS.get(task_id)
    if text is None:
        return "" if csv_file else None
    text = text.replace("\0", "").replace("\x07", "").replace("\x1b", "")
    if csv_file:
        return f"'{text}" if task_id in FORMULAS else text
    return text[: CELL_UNITS // 2] if task_id == "emoji" else text


def test_csv_holds_every_cell_and_no_formula(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "generations.csv"
    (done,) = export_tables(root, str(target))
    assert (done.table, done.rows) == ("generations", len(PROMPTS) + 1)
    assert done.notes == (
        "control characters removed: 3 cells",
        f"apostrophe added before a formula: {len(FORMULAS)} cells",
    )
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    with target.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["task_id"]: row for row in csv.DictReader(file)}
    assert {*rows} == {*PROMPTS, "undated"}
    for task_id, row in rows.items():
        assert row["prompt"] == expected_text(task_id, csv_file=True), task_id
        assert all(not value.startswith(tuple("=+-@\t\r")) for value in row.values())
    assert rows["plain"]["created_at (UTC)"] == "2025-09-15 12:00:00.123"
    assert rows["plain"]["video_width"] == "752"
    assert rows["undated"]["video_width"] == ""


def test_csv_of_every_table(root: Path, tmp_path: Path) -> None:
    csv.field_size_limit(sys.maxsize)
    for name in TABLES:
        (done,) = export_tables(root, str(tmp_path / "t.csv"), [name])
        with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
            assert len([*csv.reader(file)]) == done.rows + 1 == len(read(name, root)) + 1


def test_xlsx_holds_texts_as_texts_and_times_as_times(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.xlsx"
    done = {one.table: one for one in export_tables(root, str(target))}
    assert [*done] == [name for name in TABLES if name != "answers"]
    assert done["generations"].notes == (
        "control characters removed: 3 cells",
        "text cut at 32,767 characters: 1 cell",
    )
    book = openpyxl.load_workbook(target)
    assert book.sheetnames == [*done]
    head, *rows = book["generations"].iter_rows()
    names = [cell.value for cell in head]
    assert "created_at (UTC)" in names
    for row in rows:
        cells = dict(zip(names, row, strict=True))
        prompt = cells["prompt"]
        expected = expected_text(cells["task_id"].value, csv_file=False)
        # The reader shows an empty text as none, and line ends as XML has them.
        read_back = (prompt.value or "").replace("_x000D_", "\r").replace("_x005F_", "_")
        assert read_back == (expected or "")
        assert prompt.data_type == ("s" if cells["task_id"].value in PROMPTS else "n")
        if cells["task_id"].value == "plain":
            assert cells["created_at (UTC)"].value == CREATED.replace(
                tzinfo=None, microsecond=123000
            )
            assert cells["video_width"].value == 752
            assert cells["watermarked"].value is False
    assert not [*book["generations"]._hyperlinks]


def test_xlsx_says_which_rows_do_not_fit(root: Path, tmp_path: Path) -> None:
    storage, target = LocalStorage(root), tmp_path / "short.xlsx"
    (done,) = write_xlsx(storage, [GENERATIONS], target, sheet_rows=6)
    total = len(PROMPTS) + 1
    assert done.rows == 5
    assert f"only the first 5 of {total} rows fit on a sheet" in done.notes
    assert openpyxl.load_workbook(target)["generations"].max_row == 6


def test_a_column_of_a_sheet_is_as_wide_as_its_content(tmp_path: Path) -> None:
    ingest(tmp_path / "w", answer("t" * 33), answer("short", {"state": "x", "prompt": "p" * 500}))
    export_tables(tmp_path / "w", str(tmp_path / "w.xlsx"), ["generations"])
    sheet = openpyxl.load_workbook(tmp_path / "w.xlsx")["generations"]
    headers = [cell.value for cell in sheet[1]]
    widths = {
        headers[position - 1]: group.width
        for group in sheet.column_dimensions.values()
        for position in range(group.min, group.max + 1)
    }
    assert [*map(round, (widths["task_id"], widths["prompt"]))] == [35, 61]
    assert round(widths["created_at (UTC)"]) == 24  # 2025-12-31 08:00:00.000
    assert widths["state"] < 14 < widths["video_duration_seconds"]
    assert min(widths[name] - len(name) for name in headers if len(name) < 50) > 0


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx", "t.duckdb"])
def test_a_file_is_replaced_whole_or_left_as_it_was(root: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write = write_catalogue if name == "t.duckdb" else lambda root, to: export_tables(root, str(to))
    write(root, folder / name)
    before = (folder / name).read_bytes()
    damaged = root / "generations/created_month=unknown/generations.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(WarehouseError):
        write(root, folder / name)
    assert (folder / name).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx", "t.duckdb"])
@pytest.mark.parametrize("kilobytes", [4, 100])
def test_a_full_disk_is_named_and_keeps_nothing(
    root: Path, tmp_path: Path, name: str, kilobytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = write_catalogue if name == "t.duckdb" else lambda root, to: export_tables(root, str(to))
    many = [answer(f"many-{i}", {"id": f"many-{i}", "state": "completed"}) for i in range(2000)]
    ingest(root, *many, batch="many")
    folder = tmp_path / "out"
    folder.mkdir()
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, limits[1]))
    try:
        with pytest.raises(UsageError, match=rf"cannot write {folder / name}: File too large$"):
            write(root, folder / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    gc.collect()
    assert (ignored, list(folder.iterdir())) == ([], [])


@pytest.mark.parametrize(
    ("to", "tables", "told"),
    [
        ("no/such/folder/t.csv", [], "cannot write no/such/folder/t.csv"),
        ("no/such/folder/t.xlsx", [], "cannot write no/such/folder/t.xlsx"),
        ("t.parquet", [], "unknown format of t.parquet"),
        ("t.csv", ["prompts", "timings"], "one table, not 2"),
        ("t.csv", ["prompt"], "did you mean prompts"),
        (".", [], "unknown format"),
    ],
)
def test_what_cannot_be_exported_is_told(root: Path, to: str, tables: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        export_tables(root, to, tables)


# Databases


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if reason := why_not():
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra test)")
    with running_postgres() as url:
        yield url


@pytest.fixture
def postgres(server: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database."""
    yield server
    with sa.create_engine(driver(server)).begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/t.db"
    url: str = request.getfixturevalue("postgres")
    return url


def driver(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:")


def rows_of(url: str, query: str) -> list[dict[str, Any]]:
    with sa.create_engine(driver(url)).connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def test_a_database_gets_every_value(root: Path, database: str) -> None:
    done = {one.table: one for one in export_tables(root, database)}
    assert [*done] == [name for name in TABLES if name != "answers"]
    is_postgres = database.startswith("postgres")
    for name, one in done.items():
        table = TABLES[name]
        found = {
            tuple(row[key] for key in table.key): row
            for row in rows_of(database, f"SELECT * FROM {name}")
        }
        expected = read(name, root, columns=table.schema.names).astype(object)
        for row in expected.where(expected.notna(), None).to_dict("records"):
            for column, value in row.items():
                shown = found[tuple(row[key] for key in table.key)][column]
                assert shown == stored(value, is_postgres=is_postgres), (name, column)
        assert len(found) == one.rows == len(expected)
    removed = ("NUL characters removed: 2 cells",) if is_postgres else ()
    assert done["generations"].notes == removed


def stored(value: Any, *, is_postgres: bool) -> Any:
    """What a database gives back for a value, by plain SQL."""
    if isinstance(value, datetime):
        return value if is_postgres else f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return value.replace("\0", "") if isinstance(value, str) and is_postgres else value


def test_answers_come_only_when_named_and_with_their_bytes(root: Path, database: str) -> None:
    export_tables(root, database, ["answers"])
    (row,) = rows_of(database, "SELECT body FROM answers WHERE task_id = 'gone'")
    assert bytes(row["body"]) == b"\xff\0=1"


def test_an_export_again_replaces_the_rows(root: Path, database: str) -> None:
    export_tables(root, database, ["generations"])
    ingest(root, generation("plain", "changed", minutes=9), pending("another"), batch="later")
    (done,) = export_tables(root, database, ["generations"])
    (row,) = rows_of(database, "SELECT count(*) AS n FROM generations")
    assert row["n"] == done.rows == len(PROMPTS) + 2
    assert rows_of(database, "SELECT prompt FROM generations WHERE task_id = 'plain'") == [
        {"prompt": "changed"}
    ]


def test_an_export_that_fails_leaves_the_table_as_it_was(root: Path, database: str) -> None:
    export_tables(root, database, ["generations"])
    damaged = root / "generations/created_month=unknown/generations.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(WarehouseError):
        export_tables(root, database, ["generations"])
    (row,) = rows_of(database, "SELECT count(*) AS n FROM generations")
    assert row["n"] == len(PROMPTS) + 1


def test_a_table_of_an_earlier_version_gets_the_new_columns(root: Path, database: str) -> None:
    with sa.create_engine(driver(database)).begin() as connection:
        connection.execute(sa.text("CREATE TABLE rejects (task_id TEXT, reason TEXT)"))
        connection.execute(sa.text("INSERT INTO rejects VALUES ('old', 'old')"))
    export_tables(root, database, ["rejects"])
    (row,) = rows_of(database, "SELECT * FROM rejects")
    assert (row["task_id"], row["http_status"]) == ("gone", 404)


def test_somebody_elses_table_is_left_alone(root: Path, database: str) -> None:
    with sa.create_engine(driver(database)).begin() as connection:
        connection.execute(sa.text("CREATE TABLE runs (run_id TEXT, distance INTEGER)"))
        connection.execute(sa.text("INSERT INTO runs VALUES ('marathon', 42)"))
    with pytest.raises(UsageError, match=r"table runs that this export did not make.*distance"):
        export_tables(root, database, ["runs"])
    assert rows_of(database, "SELECT distance FROM runs") == [{"distance": 42}]


def test_views_and_readers_go_on_while_postgres_is_loaded(root: Path, postgres: str) -> None:
    export_tables(root, postgres, ["generations"])
    engine = sa.create_engine(driver(postgres))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW mine AS SELECT count(*) AS n FROM generations"))
    with engine.connect() as reader:
        assert reader.execute(sa.text("SELECT n FROM mine")).scalar() == len(PROMPTS) + 1
        # The reader's transaction is open: an exclusive lock would wait for its end.
        loader = threading.Thread(target=export_tables, args=(root, postgres, ["generations"]))
        loader.start()
        loader.join(timeout=120)
        assert not loader.is_alive()
        assert reader.execute(sa.text("SELECT n FROM mine")).scalar() == len(PROMPTS) + 1


def test_two_exports_at_once_double_nothing(root: Path, postgres: str) -> None:
    export_tables(root, postgres, ["resolutions"])
    loaders = [
        threading.Thread(target=export_tables, args=(root, postgres, ["resolutions"]))
        for _ in range(4)
    ]
    for loader in loaders:
        loader.start()
    for loader in loaders:
        loader.join(timeout=30)
    (row,) = rows_of(postgres, "SELECT sum(uses) AS n FROM resolutions")
    assert row["n"] == len(PROMPTS) + 1


@pytest.mark.parametrize("schema", [None, "made by two", "100%s"])
def test_two_first_exports_at_once_make_each_table_once(
    root: Path, postgres: str, schema: str | None
) -> None:
    with ThreadPoolExecutor(4) as pool:
        attempts = [
            pool.submit(export_tables, root, postgres, ["rejects"], schema=schema) for _ in range(8)
        ]
    assert {one.rows for attempt in attempts for one in attempt.result()} == {1}


def test_what_was_granted_and_made_on_a_table_stays_when_a_column_is_new(
    root: Path, postgres: str
) -> None:
    export_tables(root, postgres, ["generations"])
    with sa.create_engine(driver(postgres)).begin() as connection:
        for change in (
            "ALTER TABLE generations DROP COLUMN prompt",
            "CREATE VIEW mine AS SELECT task_id FROM generations",
            "CREATE INDEX mine_too ON generations (status)",
            "GRANT SELECT ON generations TO PUBLIC",
        ):
            connection.execute(sa.text(change))
    export_tables(root, postgres, ["generations"])
    (row,) = rows_of(
        postgres,
        "SELECT count(prompt) AS prompts, (SELECT count(*) FROM mine) AS rows,"
        " to_regclass('mine_too') IS NOT NULL AS index,"
        " (SELECT relacl::text FROM pg_class WHERE relname = 'generations') AS granted"
        " FROM generations",
    )
    assert (row["prompts"], row["rows"], row["index"]) == (len(PROMPTS), len(PROMPTS) + 1, True)
    assert "=r/" in row["granted"]


def test_a_kept_column_has_one_name_in_a_database_whatever_the_list_calls_it(
    root: Path, database: str
) -> None:
    """Also one that is too long for it, taken by it, or has characters that mean something."""
    names = ["c" * 70, "c" * 71, "é" * 40, "ctid", "share %", "%s", "a:b", 'a"b', "a.b", "a(b)"]
    kept = pa.table({"task_id": ["plain"], **{name: [name] for name in names}})
    for size in (5, len(names)):
        pq.write_table(kept.select(range(1 + size)), root / "given/given.parquet")
        for _ in range(2):
            (done,) = export_tables(root, database, ["given"])
        (row,) = rows_of(database, "SELECT * FROM given")
        assert [*row.values()] == ["plain", *names[:size]]
        renamed = min(size, 4) if database.startswith("postgres") else 0
        assert len(done.notes) == renamed


def test_a_view_of_the_same_name_is_left_alone(root: Path, database: str) -> None:
    with sa.create_engine(driver(database)).begin() as connection:
        connection.execute(sa.text("CREATE VIEW runs AS SELECT 'mine' AS run_id"))
    with pytest.raises(UsageError, match="a view runs that this export did not make"):
        export_tables(root, database, ["runs"])


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_the_encoding_of_a_database_changes_no_text(
    root: Path, postgres: str, encoding: str
) -> None:
    """What it cannot hold is refused."""
    engine = sa.create_engine(driver(postgres), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                f"CREATE DATABASE {encoding} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
            )
        )
    url = postgres.replace("/postgres", f"/{encoding.lower()}")
    export_tables(root, url, ["runs"])
    if encoding == "LATIN1":
        with pytest.raises(UsageError, match="has no equivalent"):
            export_tables(root, url, ["generations"])
    else:
        export_tables(root, url, ["generations"])
        query = "SELECT task_id FROM generations WHERE prompt = '＝1+1'"
        with closing(task_ids.read([url], query=query)) as chunks:
            assert next(chunks).to_pylist() == ["full width"]


def test_a_lost_connection_is_told_and_nothing_changes(root: Path, postgres: str) -> None:
    export_tables(root, postgres, ["rejects"])
    with sa.create_engine(driver(postgres)).begin() as connection:
        connection.execute(
            sa.text(
                "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'"
            )
        )
        connection.execute(
            sa.text(
                "CREATE TRIGGER leave BEFORE INSERT ON rejects"
                " FOR EACH ROW EXECUTE FUNCTION leave()"
            )
        )
    with pytest.raises(StorageFailed, match=r"lost\. The table rejects is as it was"):
        export_tables(root, postgres, ["rejects"])
    assert rows_of(postgres, "SELECT task_id FROM rejects") == [{"task_id": "gone"}]


@pytest.mark.parametrize(
    ("to", "schema", "told"),
    [
        ("sqlite://", None, "in memory"),
        ("sqlite:///:memory:", None, "in memory"),
        ("sqlite:///t.db", "luma", "SQLite has no schemas"),
        ("s3://bucket/t.csv", None, "to a file on this machine, then copy it"),
    ],
)
def test_an_export_that_nobody_could_read_is_refused(
    root: Path, to: str, schema: str | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        export_tables(root, to, ["runs"], schema=schema)


def test_postgres_knows_types_keys_and_descriptions(root: Path, postgres: str) -> None:
    export_tables(root, postgres, schema='odd "schema"')
    inspector = sa.inspect(sa.create_engine(driver(postgres)))
    columns = {c["name"]: c for c in inspector.get_columns("generations", 'odd "schema"')}
    assert columns["created_at"]["type"].timezone
    assert columns["prompt"]["comment"] == GENERATIONS["prompt"].description
    key = inspector.get_pk_constraint("generations", 'odd "schema"')
    assert key["constrained_columns"] == ["task_id"]
    assert inspector.get_columns("columns", 'odd "schema"')[0]["name"] == "table"


def test_postgres_without_psycopg_3_is_loaded_by_insert(
    root: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlalchemy.dialects.postgresql.psycopg.PGDialect_psycopg.driver", "other")
    (done,) = export_tables(root, postgres, ["generations"])
    assert done.notes == ("NUL characters removed: 2 cells",)
    rows = {row["task_id"]: row for row in rows_of(postgres, "SELECT * FROM generations")}
    assert rows["end of data"]["prompt"] == TEXTS["end of data"]
    assert rows["plain"]["created_at"] == CREATED


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((PASSWORD, f"{PASSWORD}-wrong"), "password authentication failed"),
        (("/postgres", "/none"), 'database "none" does not exist'),
        (("postgresql:", "postgresql+none:"), "does not know postgresql\\+none"),
        (("postgresql:", "postgresql+asyncpg:"), "asynchronous|not installed"),
        (("127.0.0.1", "p@127.0.0.1"), "write an @"),
        (("127.0.0.1:", "127.0.0.1:x"), "is not a URL"),
        (("/postgres", "/postgres?application_name=luma&sslmode=x-secret"), "sslmode"),
    ],
)
def test_what_goes_wrong_with_a_database_is_told_without_secrets(
    root: Path, postgres: str, change: tuple[str, str], told: str
) -> None:
    with pytest.raises(UsageError, match=told) as failed:
        export_tables(root, postgres.replace(*change), ["runs"])
    assert PASSWORD not in str(failed.value)
    assert "x-secret" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_refused_row_is_told_and_nothing_changes(root: Path, postgres: str) -> None:
    export_tables(root, postgres, ["rejects"])
    with sa.create_engine(driver(postgres)).begin() as connection:
        connection.execute(sa.text("ALTER TABLE rejects ADD CHECK (http_status <> 404) NOT VALID"))
    with pytest.raises(UsageError, match="violates check constraint"):
        export_tables(root, postgres, ["rejects"])
    assert rows_of(postgres, "SELECT task_id FROM rejects") == [{"task_id": "gone"}]


def test_a_missing_extra_is_told(root: Path, tmp_path: Path) -> None:
    """Without DuckDB and XlsxWriter the error names the extra; a CSV file needs neither."""
    code = (
        "import sys; sys.modules.update(duckdb=None, xlsxwriter=None)\n"
        "from pathlib import Path\n"
        "from connector.export.catalogue import write_catalogue\n"
        "from connector.export.export import export_tables\n"
        "from connector.errors import UsageError\n"
        "root = Path(sys.argv[1])\n"
        "export_tables(root, 'generations.csv')\n"
        "for attempt in (lambda: write_catalogue(root, Path('c.duckdb')),\n"
        "                lambda: export_tables(root, 'g.xlsx')):\n"
        "    try:\n"
        "        attempt()\n"
        "    except UsageError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, root],
        cwd=tmp_path,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "luma-to-parquet[bi]" in done.stdout
    assert "luma-to-parquet[xlsx]" in done.stdout
    assert (tmp_path / "generations.csv").exists()


def test_task_ids_stream_from_postgres(postgres: str) -> None:
    """A hundred million rows would neither fit nor come in time, if they had to come at once."""
    url = f"{postgres}?options=-c%20statement_timeout%3D10000"
    query = "SELECT 'task_' || generate_series(1, 100000000) AS task_id"
    with closing(task_ids.read([url], query=query)) as chunks:
        assert next(chunks)[:2].to_pylist() == ["task_1", "task_2"]
