"""Columns that come with the task IDs: kept, merged, typed, and joined to the generations."""

from __future__ import annotations

import ast
import gzip
import json
import logging
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from case_gateway import TASK_IDS, Case, CaseGateway, generation
from engines import ENGINES
from s3 import S3Server

import connector
from connector.errors import SourceError, UsageError
from connector.export.catalogue import write_catalogue
from connector.export.export import export_tables
from connector.storage.storage import storage_of
from connector.warehouse import gathered as gathered_module
from connector.warehouse.gathered import Gathered
from connector.warehouse.given import read_column
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import CommandLine

A, B, C = sorted(TASK_IDS[:3])


@pytest.fixture(scope="module")
def gateway() -> Iterator[CaseGateway]:
    with CaseGateway() as running:
        yield running


@pytest.fixture
def keep(tmp_path: Path, gateway: CaseGateway) -> Callable[..., pd.DataFrame]:
    """Ingest a source and return the table `given`."""

    def run(source: Any, columns: Any = "all", **options: Any) -> pd.DataFrame:
        root = tmp_path / "warehouse"
        connector.ingest(
            source,
            keep=columns,
            warehouse=root,
            base_url=gateway.base_url,
            key="luma-key",
            marts=False,
            **options,
        )
        return connector.read("given", root).set_index("task_id")

    return run


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


FRAME = pd.DataFrame({"task_id": [A, B], "name": ["x", "y"], "n": [1, 2], "part": [0.5, 1.0]})


def in_every_format(folder: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    """The same table as all sources that can have columns."""
    frame = FRAME
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_csv(folder / "a.tsv", index=False, sep="\t")
    (folder / "a.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    frame.to_parquet(folder / "a.parquet")
    frame.to_feather(folder / "a.feather", compression="uncompressed")
    frame.to_json(folder / "a.json", orient="records")
    frame.to_json(folder / "columns.json")
    frame.set_index("task_id").to_json(folder / "index.json", orient="index")
    frame.to_json(folder / "a.jsonl", orient="records", lines=True)
    frame.to_excel(folder / "a.xlsx", index=False, engine="xlsxwriter")
    with sqlite3.connect(folder / "a.db") as database:
        frame.to_sql("ids", database, index=False)
    names = ("csv", "tsv", "csv.gz", "parquet", "feather", "json", "jsonl", "xlsx")
    files: dict[str, tuple[Any, dict[str, Any]]] = {
        name: (folder / f"a.{name}", {}) for name in names
    }
    return {
        **files,
        "JSON by columns": (folder / "columns.json", {}),
        "JSON by IDs": (folder / "index.json", {}),
        "SQL": (f"sqlite:///{folder}/a.db", {"query": "select * from ids"}),
        "pandas": (frame, {}),
        "pandas with an index": (frame.set_index("task_id"), {}),
        "Polars": (pl.from_pandas(frame), {}),
        "Polars, lazy": (pl.from_pandas(frame).lazy(), {}),
        "Arrow": (pa.Table.from_pandas(frame), {}),
        "dicts": (frame.to_dict("records"), {}),
        "columns": (frame.to_dict("list"), {}),
    }


@pytest.mark.parametrize("columns", ["all", ["N", "name"]])
def test_every_source_with_columns_gives_the_same_table(
    tmp_path: Path, keep: Callable[..., pd.DataFrame], columns: Any
) -> None:
    """Whole numbers, numbers and texts; names in any spelling; nothing that is not asked for."""
    wanted = ["name", "n", "part"] if columns == "all" else ["n", "name"]
    for name, (source, options) in in_every_format(tmp_path).items():
        found = keep(source, columns, **options)
        expected = {key: FRAME[key].tolist() for key in wanted}
        assert {key: found[key].tolist() for key in found} == expected, name
        assert [*found] == wanted, name
        assert str(found.n.dtype) == "Int64", name
        (tmp_path / "warehouse/given/given.parquet").unlink()


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-20"], "Int64", [1, -20]),
        (["1", "2.50", "1e-05"], "float64", [1.0, 2.5, 0.00001]),
        (["1", "", "NULL"], "Int64", [1, None, None]),
        (["1", "2", "3", "a total below the list"], "Int64", [1, 2, 3]),
        (["007", "1"], "str", ["007", "1"]),
        (["1234567890123456789", "1"], "str", ["1234567890123456789", "1"]),
        (["1e5", "2"], "str", ["1e5", "2"]),
        (["N/A", "x"], "str", ["N/A", "x"]),
        (["True", "false"], "boolean", [True, False]),
        (["2025-10-15", "2024-02-29"], "object", [date(2025, 10, 15), date(2024, 2, 29)]),
        (["2025-02-30", "2024-02-29"], "str", ["2025-02-30", "2024-02-29"]),
        (
            ["2025-10-15", "2025-10-15 08:00", "2025-10-15T08:00:00.123456789+02:00"],
            "datetime64[us, UTC]",
            [
                datetime(2025, 10, 15, tzinfo=UTC),
                datetime(2025, 10, 15, 8, tzinfo=UTC),
                datetime(2025, 10, 15, 6, 0, 0, 123456, tzinfo=UTC),
            ],
        ),
    ],
)
def test_a_column_of_csv_has_the_type_of_all_its_cells(
    tmp_path: Path, keep: Callable[..., pd.DataFrame], cells: list[str], dtype: str, values: Any
) -> None:
    rows = [f"{task_id},{cell}" for task_id, cell in zip((A, B, C, ""), cells, strict=False)]
    found = keep(csv(tmp_path / "a.csv", "task_id,x", *rows)).x
    assert str(found.dtype) == dtype
    assert [None if pd.isna(value) else value for value in found] == values


def test_the_type_does_not_hang_on_where_in_a_list_a_value_stands(
    tmp_path: Path, keep: Callable[..., pd.DataFrame]
) -> None:
    """A batch is 8,192 rows."""
    for odd, dtype in (("2.5", "float64"), ("x", "str"), ("NULL", "Int64")):
        for place in (0, 20_000):
            cells = ["7"] * 20_001
            cells[place] = odd
            lines = (f"{A},{cell}" for cell in cells)
            found = keep(csv(tmp_path / "a.csv", "task_id,x", *lines, f"{B},8"))
            assert str(found.x.dtype) == dtype
            (tmp_path / "warehouse/given/given.parquet").unlink()


def test_values_of_every_type_survive(keep: Callable[..., pd.DataFrame]) -> None:
    rows = {
        "task_id": pa.array([A, B]),
        "big": pa.array([2**63 - 1, -(2**63)]),
        "unsigned": pa.array([2**64 - 1, 1], pa.uint64()),
        "money": pa.array([Decimal("1.50"), Decimal("2.00")], pa.decimal128(9, 2)),
        "small": pa.array([1.1, 2.5], pa.float32()),
        "local": pa.array(
            [datetime(2025, 1, 1, 12, tzinfo=UTC)] * 2, pa.timestamp("ns", "Europe/Paris")
        ),
        "naive": pa.array([1735732800000, None], pa.timestamp("ms")),
        "day": pa.array([date(1, 1, 1), date(9999, 12, 31)]),
        "word": pa.array(["a", "b"]).dictionary_encode(),
        "nested": pa.array([[1, 2], []], pa.list_(pa.int64())),
        "raw": pa.array([b"abc", b"\xff"]),
        "nothing": pa.nulls(2),
    }
    found = keep(pa.table(rows))
    assert found.big.tolist() == [2**63 - 1, -(2**63)]
    assert found.unsigned.tolist() == ["18446744073709551615", "1"]
    assert found.money.tolist() == [1.5, 2.0]
    assert np.float32(found.small.iloc[0]) == np.float32(1.1)
    assert found.local.iloc[0] == pd.Timestamp("2025-01-01T12:00Z")
    assert found.naive.iloc[0] == pd.Timestamp("2025-01-01T12:00:00Z")
    assert pd.isna(found.naive.iloc[1])
    assert found.day.tolist() == [date(1, 1, 1), date(9999, 12, 31)]
    assert found.word.tolist() == ["a", "b"]
    assert found.nested.tolist() == ["[1,2]", "[]"]
    assert found.raw.tolist() == ["abc", "ff"]
    assert found.nothing.isna().all()


def test_json_keeps_what_each_object_has(tmp_path: Path, keep: Callable[..., pd.DataFrame]) -> None:
    lines = [
        {"task_id": A, "tags": ["é", {"a": 1}], "Team": "red", "n": 1},
        {"meta": {"who": "me"}, "data": {"id": B, "team": "blue", "n": 2.5}},
        {"task_id": C, "n": None, "ok": True},
    ]
    source = tmp_path / "a.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)))
    found = keep(source)
    assert found.tags[A] == '["é",{"a":1}]'
    assert found.Team.tolist()[:2] == ["red", "blue"]
    assert found.n.tolist()[:2] == [1.0, 2.5]
    assert found.meta[B] == '{"who":"me"}'
    assert found.ok[C]


def test_names_that_collide_get_a_clear_one(
    tmp_path: Path, keep: Callable[..., pd.DataFrame]
) -> None:
    header = "job,task_id,Team,team,,note,note,"
    source = csv(tmp_path / "a.csv", header, f"{A},x,red,blue,y,1,2,", f"{B},,,,,,,")
    found = keep(source, column="job")
    names = ["given_task_id", "Team", "team_2", "column_5", "note", "note_2"]
    assert [*found] == names
    assert found.loc[A].tolist() == ["x", "red", "blue", "y", 1, 2]
    found = keep(pd.DataFrame({"task_id": [A], 2024: ["new"], "TEAM": ["green"]}))
    assert [*found] == [*names, "2024"]
    assert found.loc[A, "Team"] == "green"
    with pytest.raises(SourceError, match="more than one column note"):
        keep(source, ["note"], column="job")


def test_the_latest_given_wins_and_a_blank_is_given_too(
    tmp_path: Path, keep: Callable[..., pd.DataFrame]
) -> None:
    keep(csv(tmp_path / "a.csv", "task_id,team,n", f"{A},red,1", f"{B},blue,2", f"{B},pink,3"))
    found = keep([{"task_id": A, "team": None}, {"task_id": C, "owner": "me"}])
    assert found.n.tolist()[:2] == [1, 3]
    assert pd.isna(found.team[A])
    assert found.team[B] == "pink"
    assert found.owner[C] == "me"


def test_a_type_that_changes_becomes_text_and_is_mentioned(
    tmp_path: Path, keep: Callable[..., pd.DataFrame], caplog: pytest.LogCaptureFixture
) -> None:
    keep(csv(tmp_path / "a.csv", "task_id,n,t", f"{A},1,2025-10-15T08:00:00Z"))
    assert keep(csv(tmp_path / "a.csv", "task_id,n", f"{B},2.5")).n.tolist() == [1.0, 2.5]
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    found = keep([{"task_id": B, "n": "two", "t": True, "mixed": 1}, {"task_id": C, "mixed": "x"}])
    assert found.n.tolist()[:2] == ["1", "two"]
    assert found.t.tolist()[:2] == ["2025-10-15T08:00:00Z", "true"]
    assert found.mixed.tolist()[1:] == ["1", "x"]
    told = caplog.text
    assert "n had numbers so far, and now has text" in told
    assert "t had times so far, and now has true or false" in told
    assert "mixed of the table has whole numbers and text" in told


@pytest.mark.parametrize(
    ("source", "columns", "message"),
    [
        ([{"task_id": A, "campaign": 1}], ["campain"], "no column campain.*did you mean campaign"),
        ("a.csv", ["team", "owner"], r"a\.csv has no column owner.*Its columns: task_id, team"),
        ("bare.csv", "all", "no header names them"),
        ("list.txt", "all", r"list\.txt has no columns.*plain list"),
        ("list.json", ["x"], r"list\.json has no columns"),
        (A, ["x"], "has no columns"),
        ([A], ["x"], "The list has no columns"),
        (pd.Series([A]), ["x"], "has no columns"),
        ("luma:list", ["x"], "luma:list has no columns"),
    ],
)
def test_what_a_source_does_not_have_is_named(
    tmp_path: Path,
    keep: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    source: Any,
    columns: Any,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    csv(tmp_path / "a.csv", "task_id,team", f"{A},red")
    csv(tmp_path / "bare.csv", f"{A},red")
    csv(tmp_path / "list.txt", A, B)
    (tmp_path / "list.json").write_text(json.dumps([A]))
    with pytest.raises(SourceError, match=message):
        keep(source, columns)


def test_the_command_line_and_the_environment(
    tmp_path: Path,
    cli: CommandLine,
    environment: dict[str, str],
    gateway: CaseGateway,
) -> None:
    csv(tmp_path / "a.csv", "task_id,team,n,secret", f"{A},red,1,x")
    environment["LUMA_BASE_URL"] = gateway.base_url
    for arguments in (
        ["ingest", "a.csv", "--keep", "team,n"],
        ["ingest", "--keep", "team", "n", "a.csv"],
    ):
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
        assert [*pd.read_parquet(tmp_path / "warehouse/given")] == ["task_id", "team", "n"]
    environment["LUMA_KEEP"] = '["secret"]'
    assert cli("ingest", "a.csv").returncode == 0
    assert [*pd.read_parquet(tmp_path / "warehouse/given")][-1] == "secret"
    refused = cli("ingest", "-", stdin=A)
    assert refused.returncode == 2
    assert "LUMA_KEEP" in refused.stderr


def files_of(root: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in root.rglob("*.*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_settled_ids_are_updated_and_equal_values_change_no_file(
    tmp_path: Path, keep: Callable[..., pd.DataFrame], gateway: CaseGateway
) -> None:
    source = csv(tmp_path / "a.csv", "task_id,team,x", f"{A},red,", f"{B},blue,", "bad\x07id,no,")
    assert [*keep(source).index] == [A, B]
    before, asked = files_of(tmp_path / "warehouse"), len(gateway.asked)
    keep(source)
    assert files_of(tmp_path / "warehouse") == before
    assert keep(csv(tmp_path / "a.csv", "task_id,team", f"{A},green")).team.tolist() == [
        "green",
        "blue",
    ]
    assert len(gateway.asked) == asked


PROMPTED = {
    "silent": Case(200, json.dumps({"id": "silent", "state": "completed"}).encode()),
    "blank": Case(200, json.dumps({"id": "blank", "state": "completed", "prompt": " "}).encode()),
    "talks": generation("talks"),
}


def test_a_kept_prompt_stands_in_for_the_gateways(tmp_path: Path) -> None:
    """Before and after the answer, by a rebuild too, until the gateway sends one."""
    root = tmp_path / "warehouse"

    def rows() -> pd.DataFrame:
        found = pd.read_parquet(root / "generations").set_index("task_id")
        assert set(pd.read_parquet(root / "prompts").prompt) == set(found.prompt.dropna())
        columns = ["prompt", "prompt_source", "prompt_id", "prompt_words", "prompt_characters"]
        return found.astype(object).where(found.notna(), None)[columns]

    with CaseGateway(dict(PROMPTED)) as gateway:

        def ingest(source: Any, **options: Any) -> None:
            connector.ingest(
                source, warehouse=root, base_url=gateway.base_url, key="luma-key", **options
            )

        ingest(["silent"])
        assert rows().prompt_source["silent"] is None
        table = [{"task_id": name, "Prompt": f"mine, {name}"} for name in PROMPTED]
        ingest(table, keep=["prompt"])
        found = rows()
        assert found.prompt.to_dict() == {
            "silent": "mine, silent",
            "blank": "mine, blank",
            "talks": "A pier, talks",
        }
        assert found.prompt_source.to_dict() == {
            "silent": "given",
            "blank": "given",
            "talks": "gateway",
        }
        assert found.loc["silent", "prompt_words"] == 2
        with Warehouse.writing(root) as warehouse:
            assert warehouse.rebuild().changed_files == 0
        pd.testing.assert_frame_equal(rows(), found)
        ingest([{"task_id": "silent", "prompt": "another"}], keep=["prompt"])
        assert rows().prompt["silent"] == "another"
        gateway.tasks["silent"] = generation("silent")
        ingest(["silent"], refresh=True)
        assert rows().loc["silent", ["prompt", "prompt_source"]].tolist() == [
            "A pier, silent",
            "gateway",
        ]
        ingest([{"task_id": "blank", "prompt": None}], keep=["prompt"])
        assert rows().prompt_source["blank"] != "given"


def test_read_and_duckdb_join_them(tmp_path: Path, keep: Callable[..., pd.DataFrame]) -> None:
    """Under their own names, but for those that `generations` or `timings` has."""
    root = tmp_path / "warehouse"
    keep(csv(tmp_path / "a.csv", "task_id,status,day,n", f"{A},mine,2025-10-15,1", f"{B},,,2"))
    rows = connector.read("generations", root, given=True).set_index("task_id")
    assert rows.loc[A, ["status", "given_status", "n"]].tolist() == ["completed", "mine", 1]
    assert str(rows.n.dtype) == "Int64"
    few = connector.read("generations", root, given=True, columns=["n", "status"])
    assert [*few] == ["n", "status"]
    with pytest.raises(UsageError, match="prompts has no task IDs"):
        connector.read("prompts", root, given=True)
    write_catalogue(root, tmp_path / "all.duckdb")
    with duckdb.connect(tmp_path / "all.duckdb") as connection:
        told = connection.sql(
            f"SELECT status, given_status, day, n FROM generations_given WHERE task_id = '{A}'"
        ).fetchall()
        assert told == [("completed", "mine", date(2025, 10, 15), 1)]
        assert connection.sql("SELECT n FROM given ORDER BY n").fetchall() == [(1,), (2,)]
    keep(csv(tmp_path / "b.csv", "task_id,new", f"{A},x"))
    assert "generations_given" in write_catalogue(root, tmp_path / "all.duckdb").views
    dictionary = connector.read("columns", root)
    kept = dictionary[dictionary.table == "given"]
    assert kept.column.tolist() == ["task_id", "status", "day", "n", "new"]
    assert kept.type.tolist()[2:4] == ["date32[day]", "int64"]


def test_no_two_joined_columns_have_one_name(
    tmp_path: Path, keep: Callable[..., pd.DataFrame]
) -> None:
    root = tmp_path / "warehouse"
    keep(csv(tmp_path / "a.csv", "task_id,prompt,given_prompt,Basis,month", f"{A},p,q,b,m"))
    rows = connector.read("generations", root, given=True)
    added = [name for name in rows.columns if name not in connector.read("generations", root)]
    assert added == ["given_given_prompt", "given_prompt", "given_Basis", "given_month"]
    assert rows.loc[rows.task_id == A, added].to_numpy().tolist() == [["p", "q", "b", "m"]]


def test_exports_have_them_and_follow_a_change(
    tmp_path: Path, keep: Callable[..., pd.DataFrame]
) -> None:
    root, address = tmp_path / "warehouse", f"sqlite:///{tmp_path}/all.db"
    for cell in ("1", "x"):
        keep(csv(tmp_path / "a.csv", "task_id,n,day", f"{A},{cell},2025-10-15"))
        export_tables(root, address)
        export_tables(root, str(tmp_path / "all.xlsx"), ["given"])
        export_tables(root, str(tmp_path / "all.csv"), ["given"])
        with sqlite3.connect(tmp_path / "all.db") as database:
            assert database.execute("select n, day from given").fetchall() == [
                (1 if cell == "1" else "x", "2025-10-15")
            ]
        assert pd.read_csv(tmp_path / "all.csv").day.tolist() == ["2025-10-15"]
        sheet = pd.read_excel(tmp_path / "all.xlsx", engine="calamine")
        assert sheet.day.tolist() == [pd.Timestamp("2025-10-15")]


PAGE = Path(__file__).parent.parent / "docs/kept-columns.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_pages_example_by_campaign(
    tmp_path: Path, gateway: CaseGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pandas and DuckDB say the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LUMA_BASE_URL", gateway.base_url)
    monkeypatch.setenv("LUMAAI_API_KEY", "luma-key")
    csv(
        tmp_path / "ids.csv", "task_id,campaign,cost", f"{A},spring,1", f"{B},spring,2.5", f"{C},,9"
    )
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [language for language, _ in blocks] == ["sh", "python", "python", "sql"]
    names: dict[str, Any] = {}
    exec(blocks[1][1], names)
    *statements, last = ast.parse(blocks[2][1]).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(statements, []), "<page>", "exec"), names)
    told = eval(compile(ast.Expression(last.value), "<page>", "eval"), names)
    assert told.reset_index().to_numpy().tolist() == [["spring", 2, 0, 3.5]]
    write_catalogue(tmp_path / "warehouse", tmp_path / "all.duckdb")
    with duckdb.connect(tmp_path / "all.duckdb") as connection:
        counted = connection.sql(blocks[3][1]).fetchall()
    assert counted == [("spring", 2, 0, 3.5), (None, 1, 0, 9.0)]


KINDS = {"task_id": "text", "t": "text", "n": "int", "f": "float", "b": "bool", "at": "time"}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_reader_reads_them(
    tmp_path: Path, keep: Callable[..., pd.DataFrame], engine: str
) -> None:
    keep(
        csv(
            tmp_path / "a.csv",
            "task_id,t,n,f,b,at,day",
            f"{A},x,1,1.5,true,2025-10-15T08:00Z,2025-10-15",
            f"{B},,,,,,",
        )
    )
    found = ENGINES[engine](tmp_path / "warehouse/given", None)
    day = "text" if engine in {"pandas", "fastparquet"} else "date"  # Python's, as objects
    assert found.kinds == {**KINDS, "day": day}
    assert found.rows == 2


def test_one_column_is_read_by_itself(tmp_path: Path, keep: Callable[..., pd.DataFrame]) -> None:
    keep(csv(tmp_path / "a.csv", "task_id,Campaign", f"{B},two", f"{A},one"))
    storage = storage_of(tmp_path / "warehouse")
    found = read_column(storage, "campaign")
    assert found.to_pydict() == {"task_id": [A, B], "value": ["one", "two"]}
    with pytest.raises(UsageError, match=r"campain.*did you mean Campaign"):
        read_column(storage, "campain")


KILLED_AT = """
import os, signal, sys
import connector
from connector.storage import local
places = iter(range(10_000))
real = local.put_in_place
def put_in_place(draft, target):
    if next(places) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(draft, target)
local.put_in_place = put_in_place
source, warehouse, base_url = sys.argv[2:]
connector.ingest(
    source, keep="all", marts=False, warehouse=warehouse, base_url=base_url, key="luma-key"
)
"""


def test_a_run_killed_at_any_write_leaves_what_another_run_completes(tmp_path: Path) -> None:
    """The tables are those of a run that was never killed."""
    names = [*PROMPTED, *TASK_IDS[:5]]
    first = csv(tmp_path / "a.csv", "task_id,prompt,n", *(f"{name},old,1" for name in names[:2]))
    second = csv(tmp_path / "b.csv", "task_id,prompt,n", *(f"{name},{name},x" for name in names))
    tasks = {**PROMPTED, **{name: generation(name) for name in TASK_IDS[:5]}}

    def tables(root: Path) -> dict[str, Any]:
        columns = ["prompt", "prompt_source", "prompt_id", "status"]
        generations = pd.read_parquet(root / "generations").set_index("task_id").sort_index()
        found = {"generations": generations[columns].to_dict()}
        return {**found, "given": pd.read_parquet(root / "given").to_dict()}

    with CaseGateway(tasks) as gateway:

        def ingest(root: Path, source: Path) -> None:
            connector.ingest(
                source,
                keep="all",
                marts=False,
                warehouse=root,
                base_url=gateway.base_url,
                key="luma-key",
            )

        before, whole = tmp_path / "before", tmp_path / "whole"
        ingest(before, first)
        shutil.copytree(before, whole)
        ingest(whole, second)
        for place in range(4):  # `given`, the prompts of before, their note, and the batch
            root = tmp_path / f"killed-{place}"
            shutil.copytree(before, root)
            code = [sys.executable, "-c", KILLED_AT, f"{place}", second, root, gateway.base_url]
            assert subprocess.run(code, check=False).returncode == -signal.SIGKILL
            ingest(root, second)
            assert tables(root) == tables(whole), place


def test_long_lists_are_merged_by_way_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In buckets, with columns that come and go, twice the same ID, and rows of before."""
    monkeypatch.setattr(gathered_module, "BUCKET_ROWS", 500)
    monkeypatch.setattr(gathered_module, "MEMORY_BYTES", 10_000)
    random = np.random.default_rng(3)
    expected: dict[str, dict[str, int]] = {}
    with Warehouse.writing(tmp_path) as warehouse:
        for _ in range(3):
            with Gathered(warehouse.storage) as gathered:
                for number in range(12):
                    ids = [f"task-{one:04}" for one in random.integers(0, 3_000, 400)]
                    names = ["a", "b"] if number % 3 else ["b", "c"]
                    columns = {name: random.integers(0, 99, 400) for name in names}
                    for place, task_id in enumerate(ids):
                        row = expected.setdefault(task_id, {})
                        row |= {name: int(values[place]) for name, values in columns.items()}
                    texts = {
                        name: gathered_module.kept.Values(
                            pa.array(map(str, values)), frozenset([pa.int64()])
                        )
                        for name, values in columns.items()
                    }
                    gathered.add("x", pa.array(ids), texts, has_types=True)
                warehouse.keep(gathered)
    found = pq.read_table(tmp_path / "given/given.parquet").to_pylist()
    assert [row["task_id"] for row in found] == sorted(expected)
    assert {
        row.pop("task_id"): {name: value for name, value in row.items() if value is not None}
        for row in found
    } == expected


def test_a_damaged_file_is_set_aside(
    tmp_path: Path, keep: Callable[..., pd.DataFrame], caplog: pytest.LogCaptureFixture
) -> None:
    source = csv(tmp_path / "a.csv", "task_id,team", f"{A},red")
    keep(source)
    (tmp_path / "warehouse/given/given.parquet").write_bytes(b"PAR1 and no more")
    assert keep(source).team.tolist() == ["red"]
    assert "give the lists again with `keep`" in caplog.text
    assert (tmp_path / "warehouse/damaged/given.parquet").exists()


def test_of_a_damaged_file_what_can_be_read_stays(tmp_path: Path) -> None:
    ids = [f"task-{number:06}" for number in range(40_000)]

    def keep(task_ids: list[str]) -> None:
        with Warehouse.writing(tmp_path) as warehouse, Gathered(warehouse.storage) as gathered:
            texts = pa.array([f"{task_id} of a team" for task_id in task_ids])
            values = gathered_module.kept.Values(texts, frozenset([pa.string()]))
            gathered.add("x", pa.array(task_ids), {"team": values}, has_types=True)
            warehouse.keep(gathered)

    keep(ids)
    path = tmp_path / "given/given.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    keep(["task-new"])
    found = pd.read_parquet(path).set_index("task_id").team
    assert 20_000 < len(found) < 40_000
    assert found["task-new"] == "task-new of a team"
    assert found["task-000000"] == "task-000000 of a team"


def test_in_a_bucket(gateway: CaseGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list and the tables; equal values change no object."""
    with S3Server() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        server.make_bucket("kept")
        storage = storage_of("s3://kept/warehouse")
        with storage_of("s3://kept").replacing("ids.csv") as file:
            file.write(f"task_id,team\n{A},red\n".encode())
        versions = []
        for _ in range(2):
            connector.ingest(
                "s3://kept/ids.csv",
                keep="team",
                warehouse="s3://kept/warehouse",
                base_url=gateway.base_url,
                key="luma-key",
            )
            versions.append(storage.versions("given"))
        assert read_column(storage, "team").to_pydict() == {"task_id": [A], "value": ["red"]}
        assert versions[0] == versions[1]


def test_standard_input_has_columns_too(cli: CommandLine, tmp_path: Path) -> None:
    done = cli("ingest", "-", "--keep", "campaign", stdin=f"task_id,campaign\n{A},spring\n")
    assert done.returncode == 0, done.stderr
    assert connector.read("given", tmp_path / "warehouse").campaign.tolist() == ["spring"]
