"""Memory is bounded in bytes: large answers and lists, in processes that may not use more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.errors import SourceError
from connector.record.pieces import split
from connector.record.schema import ANSWERS
from connector.run import plan
from connector.storage import parquet
from connector.storage.local import LocalStorage
from connector.task_ids import read
from connector.warehouse.warehouse import Warehouse
from tests.builders import answer, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.record.kept import Values

TASK = "4b3c464e-94f6-4e54-bc21-12f0e6da57{:02}"

# Without the bounds, each of these needs several times this.
LIMIT_MIB = 750

CHILD = """
import re, sys
{code}
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
sys.exit(f"{{peak}} MiB" if peak > {limit} else 0)
"""


def run(code: str, limit: int = LIMIT_MIB) -> None:
    """Run code in a process of its own, which fails if it uses more than this many MiB."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(code=code, limit=limit)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("field", ["extra", "prompt"])
def test_large_answers_are_committed_and_rebuilt_in_little_memory(
    tmp_path: Path, field: str
) -> None:
    run(
        f"""
from tests.builders import answer
from connector.warehouse.warehouse import Warehouse
text = "a dog and a cat " * 120_000
with Warehouse.writing({str(tmp_path)!r}) as warehouse:
    for batch in range(8):
        answers = []
        for number in range(8):
            task = str(100 + 8 * batch + number)
            long = task + text
            body = {{"id": task, "state": "completed", "created_at": "2025-10-01T00:00:00Z"}}
            body |= {{"blob": long}} if {field!r} == "extra" else {{"request": {{"prompt": long}}}}
            answers.append(answer(task, body, minutes=batch))
        warehouse.save(f"b{{batch:02}}", answers, "run")
    answers = body = None
    warehouse.commit()
    warehouse.rebuild()
"""
    )
    rows = pq.read_table(tmp_path / "generations", columns=["task_id"])
    assert len(rows) == 64


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_large_kept_columns_are_merged_in_little_memory(tmp_path: Path) -> None:
    run(
        f"""
import pyarrow as pa
from connector.record.kept import Values
from connector.warehouse.gathered import Gathered
from connector.warehouse.warehouse import Warehouse
text = "a dog and a cat " * 6_000
with Warehouse.writing({str(tmp_path)!r}) as warehouse:
    for ids in (["t000", "t999"], [f"t{{n:03}}" for n in range(220)]):
        with Gathered(warehouse.storage) as gathered:
            for place in range(0, len(ids), 5):
                some = ids[place : place + 5]
                texts = pa.array([task_id + text for task_id in some])
                columns = {{f"c{{n}}": Values(texts, frozenset([pa.string()])) for n in range(20)}}
                gathered.add("x", pa.array(some), columns, has_types=True)
            warehouse.keep(gathered)
"""
    )
    rows = pq.read_table(tmp_path / "given/given.parquet", columns=["task_id"])
    assert rows["task_id"].to_pylist() == [*(f"t{n:03}" for n in range(220)), "t999"]


def test_many_small_pieces_are_joined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Joined with all before it, each piece would cost as much as there are pieces."""
    joined, join = 0, pa.concat_tables

    def counting(tables: list[pa.Table]) -> pa.Table:
        nonlocal joined
        joined += sum(one.column(0).num_chunks for one in tables)
        return join(tables)

    one = table(answer("1", b"x"))
    monkeypatch.setattr(pa, "concat_tables", counting)
    parquet.write_table(LocalStorage(tmp_path), "a.parquet", ANSWERS, [one, one.slice(1)] * 200)
    assert joined < 500
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.num_rows == 200


def test_row_groups_are_bounded_in_bytes_and_do_not_depend_on_the_pieces(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    rows = table(*(answer(str(n), b"x" * 3_000_000, minutes=n) for n in range(60)))
    parquet.write_table(storage, "one.parquet", ANSWERS, [rows])
    parquet.write_table(storage, "other.parquet", ANSWERS, split(rows, 7, 10**9))
    groups = [
        [pq.ParquetFile(tmp_path / name).metadata.row_group(n).num_rows for n in range(3)]
        for name in ("one.parquet", "other.parquet")
    ]
    assert groups[0] == groups[1] == [22, 22, 16]
    pieces = list(parquet.read_pieces(storage, "one.parquet", ANSWERS.schema))
    assert max(piece.nbytes for piece in pieces) < 2 * parquet.PIECE_BYTES
    assert pa.concat_tables(pieces).equals(rows)


def test_a_task_keeps_one_row_when_its_time_becomes_known(tmp_path: Path) -> None:
    with Warehouse.writing(tmp_path) as warehouse:
        undated = {"id": "t", "state": "pending", "created_at": None}
        warehouse.save("a", [answer("t", undated), answer("u", undated | {"id": "u"})], "run")
        warehouse.save("b", [answer("t", minutes=5)], "run")
        warehouse.commit()
        warehouse.rebuild()
        assert sorted(warehouse.generations.files()) == ["2025-12", "unknown"]
        assert warehouse.generations.rows() == 2
    assert not list(tmp_path.glob("generations-*"))


def given(path: Path) -> tuple[int, str]:
    """How many values a list gives, and the first of them."""
    chunks = list(read([str(path)]))
    return sum(map(len, chunks)), chunks[0][0].as_py()


def test_a_large_array_is_read_item_by_item(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    items = [f'{{"id": "{TASK.format(n % 90)}", "n": {n}}}' for n in range(300_000)]
    path.write_text("[" + ", ".join([*items, " " * 2_000_000 + '"x"', "17"]) + " ]\n")
    assert path.stat().st_size > 1 << 24
    assert given(path) == (300_002, TASK.format(0))


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("", "no end"),
        (', {"id"', "is not JSON, or too large"),
        (' "x"]', "no comma"),
        ("] x", "follows"),
        (",]", "is not JSON, or too large"),
    ],
)
def test_a_large_array_that_is_broken_is_refused(tmp_path: Path, end: str, said: str) -> None:
    path = tmp_path / "ids.json"
    path.write_text('["a"' + " " * (1 << 24) + end)
    with pytest.raises(Exception, match=said):
        given(path)


def test_an_object_of_too_many_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    path.write_text('{"data": ["a"' + ",{}" * 3_000_000 + "]}")
    with pytest.raises(Exception, match=r"ids.json is too large for a JSON object"):
        given(path)


def test_a_huge_line_of_a_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text(f"task_id,x\n{TASK.format(1)},1\n" + "," * (1 << 24) + "\n")
    with pytest.raises(Exception, match=r"ids.csv: line 3 has more than"):
        given(path)


def test_a_huge_cell_of_a_parquet_file_is_an_invalid_task_id(tmp_path: Path) -> None:
    path = tmp_path / "ids.parquet"
    pq.write_table(pa.table({"task_id": [TASK.format(1), "x" * 5_000_000, TASK.format(2)]}), path)
    values = [value for chunk in read([str(path)]) for value in chunk.to_pylist()]
    assert values[::2] == [TASK.format(1), TASK.format(2)]
    assert "more than 65,536 bytes" in values[1]


def test_a_sheet_with_a_far_cell_ends_only_its_reader(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    path = tmp_path / "far.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_string(0, 0, "task_id")
        sheet.write_number(1_048_575, 16_383, 1)
    with pytest.raises(Exception, match=r"far.xlsx needs too much memory"):
        given(path)


def kept(path: Path) -> tuple[dict[str, list[str]], int]:
    """The texts of each kept column, and the most bytes that were handed on at once."""
    found: dict[str, list[str]] = {}
    most = 0

    def take(
        where: str, task_ids: pa.Array, columns: Mapping[str, Values], *, has_types: bool
    ) -> None:
        nonlocal most
        assert where == str(path)
        assert has_types == (path.suffix != ".csv")
        most = max(most, sum(values.texts.nbytes for values in columns.values()))
        for name, values in columns.items():
            assert len(values.texts) == len(task_ids)
            found.setdefault(name, []).extend(values.texts.to_pylist())

    list(read([str(path)], keep=["all"], take=take))
    return found, most


def shared(text: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv", ".json", ".jsonl"])
def test_kept_columns_come_in_pieces_of_bounded_bytes(tmp_path: Path, suffix: str) -> None:
    rows, text = 90, "x" * 700_000
    ids, path = [TASK.format(n) for n in range(rows)], tmp_path / f"ids{suffix}"
    lists = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), shared(text, rows))
    table = pa.table({"task_id": ids, "text": shared(text, rows), "list": lists})
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    elif suffix == ".csv":
        lines = (f"{task_id},{text},{text}\n" for task_id in ids)
        path.write_text("task_id,text,list\n" + "".join(lines))
    else:
        objects = [{"task_id": task_id, "text": text, "list": [text]} for task_id in ids]
        whole = json.dumps(objects)
        path.write_text(whole if suffix == ".json" else "\n".join(map(json.dumps, objects)))
    found, most = kept(path)
    assert found["text"] == [text] * rows
    assert found["list"] == [text if suffix == ".csv" else f'["{text}"]'] * rows
    assert most < 20_000_000


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_a_kept_value_beyond_the_bound_is_named_by_its_task_id(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ids{suffix}"
    rows = [{"task_id": TASK.format(n), "note": "x" * (17_000_000 * n)} for n in range(2)]
    if suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(SourceError, match=rf"ids{suffix}: the column note .*{TASK.format(1)}"):
        kept(path)


def test_kept_cells_of_a_sheet_have_their_types(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    path = tmp_path / "ids.xlsx"
    moment = datetime(2025, 10, 15, 8, 56, 19)  # noqa: DTZ001  a sheet has no zones
    cells = {
        "task_id": TASK.format(1),
        "moment": moment,
        "day": moment.date(),
        "time": moment.time(),
        "whole": 7,
        "part": 0.5,
        "flag": True,
        "text": "é, 7",
        "nothing": "",
    }
    formats = {"moment": "yyyy-mm-dd hh:mm:ss", "day": "yyyy-mm-dd", "time": "hh:mm:ss"}
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for place, (name, cell) in enumerate(cells.items()):
            sheet.write(0, place, name)
            style = book.add_format({"num_format": formats[name]}) if name in formats else None
            sheet.write(1, place, cell, style)
    types: dict[str, str] = {}
    texts: dict[str, list[str]] = {}

    def take(_: str, __: pa.Array, columns: Mapping[str, Values], *, has_types: bool) -> None:
        assert has_types
        for name, values in columns.items():
            types[name], texts[name] = " ".join(map(str, values.types)), values.texts.to_pylist()

    list(read([str(path)], keep=["all"], take=take))
    expected = {
        "moment": ("timestamp[us, tz=UTC]", "2025-10-15T08:56:19Z"),
        "day": ("date32[day]", "2025-10-15"),
        "time": ("string", "08:56:19"),
        "whole": ("int64", "7"),
        "part": ("double", "0.5"),
        "flag": ("bool", "true"),
        "text": ("string", "é, 7"),
        "nothing": ("null", "\0"),
    }
    assert {name: (types[name], texts[name][0]) for name in types} == expected


def test_repeated_task_ids_are_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FRESH_BYTES", 1000)
    chunks = [pa.array([TASK.format(n), "..", TASK.format(0)]) for n in range(60)]
    made = plan.plan(chunks, None)
    assert made.task_ids.to_pylist() == [TASK.format(n) for n in range(60)]
    assert (made.given, made.duplicate, made.invalid) == (180, 60, 60)
    assert len(made.invalid_examples) == plan.EXAMPLES
    assert json.dumps(made.invalid_examples)
