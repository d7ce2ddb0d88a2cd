"""Memory is bounded in bytes: large answers and lists, in processes that may not use more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.record.flatten import flatten
from connector.record.pieces import split
from connector.record.schema import ANSWERS
from connector.run import plan
from connector.storage import parquet
from connector.storage.local import LocalStorage
from connector.task_ids import read
from connector.warehouse import crew
from connector.warehouse.warehouse import Warehouse
from tests.builders import answer, table

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = "4b3c464e-94f6-4e54-bc21-12f0e6da57{:02}"

# Without the bounds, each of these needs several times this.
LIMIT_MIB = 650

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


def groups_of_answers() -> Iterator[pa.Table]:
    for group in range(9):
        yield table(
            answer(f"{group}-good"),
            answer(f"{group}-bad", b'{"detail": "no such task"}', status=404),
            run_id=f"run-{group}",
        )


def test_processes_flatten_as_this_process_does() -> None:
    gateways = {"run-8": "https://other.example"}
    alone = list(crew.flattened(groups_of_answers(), gateways, workers=1))
    helped = list(crew.flattened(groups_of_answers(), gateways, workers=2))
    assert len(helped) == 9
    for one, other in zip(alone, helped, strict=True):
        assert one.answers.equals(other.answers)
        assert one.rows.equals(other.rows)


def test_a_worker_that_cannot_start_or_dies_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = [flatten(group) for group in groups_of_answers()]
    for executable in ("/bin/false", "/nowhere/python"):
        monkeypatch.setattr(sys, "executable", executable)
        done = crew.flattened(groups_of_answers(), None, workers=2)
        assert [one.rows for one in done] == expected


def test_an_error_while_reading_comes_out_as_itself() -> None:
    def broken() -> Iterator[pa.Table]:
        yield from groups_of_answers()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(crew.flattened(broken(), None, workers=2))


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


def test_repeated_task_ids_are_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FRESH_BYTES", 1000)
    chunks = [pa.array([TASK.format(n), "..", TASK.format(0)]) for n in range(60)]
    made = plan.plan(chunks, None)
    assert made.task_ids.to_pylist() == [TASK.format(n) for n in range(60)]
    assert (made.given, made.duplicate, made.invalid) == (180, 60, 60)
    assert len(made.invalid_examples) == plan.EXAMPLES
    assert json.dumps(made.invalid_examples)
