"""Reading task IDs: every format comes out the same, and what is wrong is said or counted."""

from __future__ import annotations

import bz2
import csv
import errno
import functools
import gzip
import io
import json
import math
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
import uuid
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather

from connector.errors import SourceError
from connector.task_ids import is_valid, read, valid_mask, why_invalid
from connector.task_ids.columns import is_header
from connector.task_ids.spelling import BLANKS, tidied

if TYPE_CHECKING:
    from collections.abc import Callable

IDS = ["4b3c464e-94f6-4e54-bc21-12f0e6da5791", "task_0123456789abcdef", "00123"]


def ids(*sources: Any, **options: Any) -> list[str]:
    return [task_id for chunk in read(sources, **options) for task_id in chunk.to_pylist()]


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        ids(source, **options)
    return str(caught.value)


def write_text(path: Path, values: list[str]) -> None:
    lines = [
        value if re.fullmatch(r"\w+([^\s,;，；、:=]*\w)?", value) else quoted(value)
        for value in values
    ]
    path.write_text("\n".join(["# IDs", *lines]), "utf-8", newline="")


def quoted(value: str) -> str:
    quote = next(quote for quote in "\"'`" if quote not in value)
    return f"{quote}{value}{quote}"


def write_csv(path: Path, values: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        rows.writerow(["prompt", "task_id"])
        rows.writerows(['a "cat",\non a chair', value] for value in values)


def write_json(path: Path, values: list[str]) -> None:
    path.write_text(json.dumps(values, indent=1))


def write_listing(path: Path, values: list[str]) -> None:
    generations = [{"state": "completed", "id": value} for value in values]
    path.write_text(json.dumps({"generations": generations, "count": 3, "has_more": False}))


def write_json_lines(path: Path, values: list[str]) -> None:
    path.write_text("".join(json.dumps({"prompt": "x", "id": v}) + "\n" for v in values))


def write_json_strings(path: Path, values: list[str]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def write_parquet(path: Path, values: list[str]) -> None:
    pq.write_table(
        pa.table({"prompt": values, "task_id": values}), path, row_group_size=len(values) // 3 + 1
    )


WRITERS: dict[str, Callable[[Path, list[str]], None]] = {
    "ids.txt": write_text,
    "ids": write_text,
    "ids.csv": write_csv,
    "ids.tsv": write_csv,
    "ids.json": write_json,
    "listing.json": write_listing,
    "lines.json": write_json_lines,
    "ids.jsonl": write_json_lines,
    "strings.ndjson": write_json_strings,
    "ids.parquet": write_parquet,
}

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": functools.partial(pa.compress, codec="zstd", asbytes=True),
}

# A valid ID that is clean already, so that it must come back as it went out.
task_ids = (
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=256)
    .map(lambda text: text.strip(BLANKS))
    .filter(lambda text: is_valid(text) and tidied(text) == text)
    .filter(lambda text: not is_header(text, None) and not {*"\"'`"} <= {*text})
)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=30, deadline=None)
@given(values=st.lists(task_ids, min_size=1, max_size=20))
def test_valid_ids_come_back_the_same_and_in_order(name: str, values: list[str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        WRITERS[name](path, values)
        assert ids(path) == values


@settings(deadline=None)
@given(st.lists(st.text() | st.text("ab.\x00\x7f\x85\u2028\ufffd", max_size=4)))
def test_the_mask_and_is_valid_are_one_rule(values: list[str]) -> None:
    values += ["a" * 256, "é" * 256, "a" * 257, "é" * 257, ".", "..", "...", ""]
    values = [value.encode("utf-8", "replace").decode() for value in values]
    mask = valid_mask(pa.array(values)).to_pylist()
    assert mask == [is_valid(value) for value in values] == [not why_invalid(v) for v in values]


@pytest.mark.parametrize(
    ("task_id", "reason"),
    [
        ("", "blank"),
        (".", "path"),
        ("..", "path"),
        ("a" * 257, "257 characters"),
        ("a\x1b[31m", "U+001B"),
        ("a\x85", "U+0085"),
        ("a\u2028b", "U+2028"),
        ("a\ud800", "U+D800"),
        ("caf\ufffd", "UTF-8"),
    ],
)
def test_an_invalid_id_is_told_without_printing_control_characters(
    task_id: str, reason: str
) -> None:
    assert not is_valid(task_id)
    assert reason in why_invalid(task_id)
    assert why_invalid(task_id).isprintable()
    assert len(why_invalid(task_id)) < 150


def test_what_only_looks_odd_is_valid() -> None:
    assert all(map(is_valid, ["...", "a b", "a/b", "é", "?x=1", "#", "%2e", "a" * 256]))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_every_format_may_be_compressed(tmp_path: Path, name: str, suffix: str) -> None:
    WRITERS[name](tmp_path / name, IDS)
    path = tmp_path / (name + suffix)
    path.write_bytes(COMPRESSIONS[suffix]((tmp_path / name).read_bytes()))
    assert ids(path) == IDS


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_standard_input_is_told_apart_by_its_content(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes]
) -> None:
    WRITERS[name](tmp_path / name, IDS)
    content = compress((tmp_path / name).read_bytes())
    assert ids("-", stdin=io.BytesIO(content)) == IDS


def test_standard_input_is_that_of_the_process_by_default() -> None:
    code = "from connector.task_ids import read; print(*list(read(['-']))[0])"
    run = subprocess.run(
        [sys.executable, "-c", code], input="a\nb\n", capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["a", "b"]


def test_a_named_pipe_is_read_though_it_cannot_be_rewound(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("task_id\na\n",))
    writer.start()
    assert ids(pipe) == ["a"]
    writer.join()


def test_a_download_that_was_decompressed_on_its_way_is_read(tmp_path: Path) -> None:
    (tmp_path / "ids.txt.gz").write_text("a\nb\n")
    assert ids(tmp_path / "ids.txt.gz") == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["ids.txt", "ids.csv", "ids.jsonl", "ids.json"])
def test_encodings_with_a_mark_and_all_line_ends_are_read(
    tmp_path: Path, name: str, end: str, encoding: str
) -> None:
    WRITERS[name](tmp_path / "ids", ["é1", "ü2"])
    text = (tmp_path / "ids").read_text("utf-8")
    (tmp_path / name).write_text(text, encoding, newline=end)
    assert ids(tmp_path / name) == ["é1", "ü2"]


def test_utf_16_without_a_mark_is_both_byte_orders_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeffé1\r\n".encode("utf-16-be"))
    assert ids(path) == ["é1"]
    path.write_bytes("e1\n".encode("utf-16-be"))
    assert "zero bytes" in refused(path)


def test_lines_are_cleaned_and_comments_left_out_but_blank_lines_counted(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(
        "# a comment\n"
        "  a\t\n\n \t \n   # another\n"
        '"b"\n \' c \' \n"#d"\n""\n'
        '"e\n\'f"\n"\n\ufeffg\u200b\n"\'h\'"\n'
    )
    assert ids(path) == ["a", "", "", "b", "c", "#d", "", '"e', "'f\"", "g", "'h'"]


def test_a_list_longer_than_a_block_is_whole(tmp_path: Path) -> None:
    many = [str(uuid.UUID(int=number)) for number in range(10_000)]
    for name in ("ids.txt", "ids.jsonl", "ids.csv", "ids.parquet"):
        WRITERS[name](tmp_path / name, many)
        assert ids(tmp_path / name) == many


def test_bytes_that_are_no_text_spoil_their_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(b"a\ncaf\xe9\nb\n")
    first, broken, last = ids(path)
    assert (first, last) == ("a", "b")
    assert not is_valid(broken)


def test_a_header_in_plain_text_is_not_taken_for_an_id(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("task_id\na\n")
    (tmp_path / "b.out").write_text("state;JOB\ndone;b\n")
    assert ids(tmp_path / "a.txt") == ["a"]
    assert ids(tmp_path / "b.out", column="job") == ["b"]


def test_ids_in_braces_are_no_json() -> None:
    braced = "{4b3c464e-94f6-4e54-bc21-12f0e6da5791}"
    assert ids("-", stdin=io.BytesIO(f"{braced}\n[x7]\n".encode())) == [braced[1:-1], "x7"]


@pytest.mark.parametrize("task_id", ["BZh9", "PAR", "{a", "ids", "a|b"])
def test_ids_that_start_like_another_format_are_text(tmp_path: Path, task_id: str) -> None:
    (tmp_path / "ids").write_text(task_id)
    assert ids(tmp_path / "ids") == [task_id]


def test_a_file_that_is_one_endless_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("x" * (1 << 24) + "xx")
    assert "one task ID a line" in refused(tmp_path / "ids.txt")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["ids.csv", "ids.tsv"])
def test_the_delimiter_is_the_one_that_gives_the_column(
    tmp_path: Path, name: str, delimiter: str
) -> None:
    rows = [["a,b;c", "task_id"], ["x", "00123"], ["y", ' "1" ']]
    with (tmp_path / name).open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    assert ids(tmp_path / name) == ["00123", "1"]


def test_ragged_rows_lose_nothing_and_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("\nprompt,task_id,n\nx,a,1\nx\n\nx,b,1,2,3\nx,,1\nx,c\n")
    assert ids(path) == ["a", "", "", "b", "", "c"]


def test_cells_beyond_the_usual_limit_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text(f"prompt,id\n{'x' * 300_000},a\n")
    assert ids(path) == ["a"]


@pytest.mark.parametrize("rest", ["", 'y,"quoted"\n'])
def test_a_quote_left_open_is_an_error_because_it_hides_rows(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "ids.csv"
    path.write_text('prompt,id\nx,a\n"5 inches,b\ny,c\n' + rest)
    assert "near line" in refused(path)


def test_a_missing_column_is_an_error_that_lists_those_found(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("job;state\na;done\n")
    (tmp_path / "ids.jsonl").write_text('{"job": "a", "state": "done"}\n')
    (tmp_path / "ids.json").write_text('[{"job": "a", "state": "done"}]')
    pq.write_table(pa.table({"job": ["a"], "state": ["done"]}), tmp_path / "ids.parquet")
    feather.write_feather(pa.table({"job": ["a"], "state": ["done"]}), tmp_path / "ids.feather")
    for path in tmp_path.iterdir():
        message = refused(path)
        assert "task_id, generation_id, id, uuid or job_id" in message
        assert "job, state" in message
        assert "`column`" in message
        assert ids(path, column="job") == ["a"]
        assert "no column nope" in refused(path, column="nope")


def test_csv_without_a_header_is_told_apart_from_a_missing_column(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("a\nb\n")
    assert ".txt" in refused(tmp_path / "ids.csv")


def test_task_id_comes_before_id_and_letter_case_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,task_id\n1,a\n")
    (tmp_path / "b.csv").write_text("ID,TASK_ID\n1,b\n")
    (tmp_path / "c.csv").write_text("Id,id\n1,c\n")
    assert ids(tmp_path / "*.csv") == ["a", "b", "c"]


def test_a_broken_line_of_json_is_counted_as_invalid_and_tells_its_number(tmp_path: Path) -> None:
    path = tmp_path / "ids.jsonl"
    path.write_text('"a"\n{"id": "b"}\n{"id": \n\n{"x": 1}\n17\n["c",2]\n{"id": null}\n{"id": "d')
    a, b, broken, blank, absent, number, array, null, cut = ids(path)
    assert [a, b, blank, absent, number, null] == ["a", "b", "", "", "17", ""]
    assert why_invalid(broken) == f"line 3 of {path} is not JSON"
    assert why_invalid(cut) == f"line 9 of {path} is not JSON"
    assert why_invalid(array) == "a list is not a task ID"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.jsonl", "a\nb\n"),
        ("ids.json", '["a", '),
        ("ids.json", '{"a": ["x"], "b": ["y"]}'),
        ("ids.json", '{"id": "x", "palette": ["red"]}'),
        ("ids.parquet", "PAR1"),
        ("ids.csv", "task_id\n\0\n"),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_an_error_that_names_it(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert name in refused(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"task_ids": ["a", "b"], "count": 2}', ["a", "b"]),
        ('{"id": "a", "video": {"url": "x"}}', ["a"]),
        ('"a"', ["a"]),
        ("[1, null, 2.0]", ["1", "", "2"]),
    ],
)
def test_json_may_be_an_object_around_an_array_or_one_generation(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    (tmp_path / "ids.json").write_text(text)
    assert ids(tmp_path / "ids.json") == expected


def test_an_integer_that_json_cannot_hold_exactly_is_refused_not_rounded(tmp_path: Path) -> None:
    (tmp_path / "ids.json").write_text("[12345678901234567890123]")
    assert not is_valid(ids(tmp_path / "ids.json")[0])


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["7", None], pa.large_string()),
        pa.array(["7", None], pa.string_view()),
        pa.array(["7", None]).dictionary_encode(),
        pa.array([b"7", None]),
        pa.array([7, None], pa.int64()),
        pa.array([7, None], pa.uint8()),
        pa.array([7.0, None]),
        pa.array([Decimal(7), None], pa.decimal128(38, 2)),
    ],
)
def test_a_column_of_any_type_that_can_hold_ids_is_read(tmp_path: Path, array: pa.Array) -> None:
    pq.write_table(pa.table({"id": array}), tmp_path / "ids.parquet")
    assert ids(tmp_path / "ids.parquet") == ["7", ""]


def test_uuid_columns_are_read_and_bytes_that_are_no_text_refused(tmp_path: Path) -> None:
    one = uuid.UUID(IDS[0])
    pq.write_table(pa.table({"id": pa.array([one], pa.uuid())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [b"a", b"\xff"]}), tmp_path / "b.parquet")
    first, second, third = ids(tmp_path / "*.parquet")
    assert (first, second, is_valid(third)) == (str(one), "a", False)


@pytest.mark.parametrize("array", [[[1]], [True], [{"a": 1}], [pd.Timestamp("2024-10-15")]])
def test_a_column_that_cannot_hold_ids_is_an_error(tmp_path: Path, array: list[Any]) -> None:
    pq.write_table(pa.table({"id": array}), tmp_path / "ids.parquet")
    assert "not task IDs" in refused(tmp_path / "ids.parquet")


def test_a_folder_of_parquet_files_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("m=2/b.parquet", "m=1/a.parquet", "_old.parquet", "m=1/.hidden.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_parquet(tmp_path / name, [name])
    assert ids(tmp_path) == ["m=1/a.parquet", "m=2/b.parquet"]


def test_sources_and_globs_are_read_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "deep/er/c.txt", "ids[1].txt"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    assert ids("b.txt", "[ab].txt", ["x"]) == ["b.txt", "a.txt", "b.txt", "x"]
    assert ids("**/c.txt") == ["deep/er/c.txt"]
    (tmp_path / "deep/loop").symlink_to(tmp_path / "deep")
    (tmp_path / "deep/c.txt").symlink_to("c.txt")
    assert ids("**/c.txt") == ["deep/er/c.txt"]
    assert ids("ids[1].txt") == ["ids[1].txt"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ids("~/a.txt") == ["a.txt"]


def test_a_missing_source_is_told_at_once_and_near_names_suggested(tmp_path: Path) -> None:
    (tmp_path / "tasks.txt").write_text("a")
    with pytest.raises(SourceError, match=r"no file .*taks\.txt.* Did you mean tasks\.txt\?"):
        read([["a"], tmp_path / "taks.txt"])
    (tmp_path / "ring.txt").symlink_to("ring.txt")
    (tmp_path / "moved.txt").symlink_to("gone.txt")
    for name, target in (("ring.txt", "ring.txt"), ("moved.txt", "gone.txt")):
        with pytest.raises(SourceError, match=rf"{name} is a link to {target}, which leads to no"):
            read([tmp_path / name])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("*.nope", "No file matches"),
        ("", "empty"),
        ("x" * 5000, "cannot be read"),
        (".", "without Parquet files"),
        ("https://example.com/ids.csv", "`query`"),
    ],
)
def test_a_source_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(source)


def test_a_compressed_file_cut_short_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "ids.txt.gz").write_bytes(gzip.compress(os.urandom(1000).hex().encode())[:-200])
    assert "ids.txt.gz cannot be read: Truncated" in refused(tmp_path / "ids.txt.gz")


def test_a_file_that_cannot_be_opened_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A socket, because nobody can open one as a file; root can open what permissions forbid.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as unopenable:
        unopenable.bind("ids.txt")
        assert "ids.txt cannot be read: No such device" in refused("ids.txt")


def test_a_folder_that_cannot_be_read_in_a_folder_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table/closed").mkdir(parents=True)
    pq.write_table(pa.table({"task_id": ["a"]}), tmp_path / "table/a.parquet")
    scanned = os.scandir

    def scan(path: Any) -> Any:
        if str(path).endswith("closed"):  # root can read what permissions forbid
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert "closed cannot be read: Permission denied" in refused(tmp_path / "table")


@pytest.mark.parametrize("text", ["", "\n \n", "# nothing\n"])
def test_a_list_without_any_id_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "ids.txt").write_text(text)
    for name in ("ids.csv", "ids.json", "ids.jsonl"):
        (tmp_path / name).write_text("")
    assert "no task ID" in refused(tmp_path / "ids.*")
    assert "no task ID" in refused([])


@pytest.mark.parametrize("kind", [list, tuple, iter, pd.Series, pa.array, pd.Index])
def test_values_in_memory_are_read(kind: Callable[[list[Any]], Any]) -> None:
    assert ids(kind([" a ", None, "b"])) == ["a", "", "b"]


def test_values_of_other_types_become_text_or_are_counted_as_invalid() -> None:
    one = uuid.UUID(int=1)
    values = ["a", 7, one, b"b", 2.0, Decimal(3), None, math.nan, pd.NA, pd.NaT]
    assert ids(values) == ["a", "7", str(one), "b", "2", "3", "", "", "", ""]
    odd: list[Any] = [True, 1.5, 2.0**60, math.inf, ["a"], "a\ud800", b"\xff"]
    read_back = ids(odd)
    assert len(read_back) == len(odd)
    assert not any(map(is_valid, read_back))
    assert all(map(str.isprintable, map(why_invalid, read_back)))


def test_a_pandas_column_of_integers_with_a_gap_keeps_its_ids() -> None:
    assert ids(pd.Series([1, None, 3])) == ["1", "", "3"]
    assert ids(pd.Series([1, "a", None], dtype=object)) == ["1", "a", ""]


def test_a_data_frame_gives_its_column_of_ids_and_not_the_names_of_its_columns() -> None:
    frame = pd.DataFrame({"prompt": ["x", "y"], "task_id": ["a", "b"]})
    assert ids(frame) == ids(pa.Table.from_pandas(frame)) == ["a", "b"]
    assert ids(frame, column="prompt") == ["x", "y"]
    assert "no column" in refused(frame.drop(columns="task_id"))


@pytest.fixture
def database(tmp_path: Path) -> str:
    connection = sqlite3.connect(tmp_path / "jobs.db")
    with connection:
        connection.execute("CREATE TABLE jobs (job TEXT, id INTEGER, note TEXT)")
        rows = ((f"job {number}", number, "50% :done") for number in range(25_000))
        connection.executemany("INSERT INTO jobs VALUES (?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{tmp_path}/jobs.db"


def test_a_query_is_read_in_order_by_the_same_rules_for_columns(database: str) -> None:
    everything = "SELECT * FROM jobs ORDER BY id"
    assert ids(database, query=everything) == [str(number) for number in range(25_000)]
    assert ids(database, query=everything, column="job")[-1] == "job 24999"
    assert ids(database, query="SELECT job FROM jobs ORDER BY id LIMIT 1") == ["job 0"]
    assert "job, note" in refused(database, query="SELECT job, note FROM jobs")


def test_percent_and_colon_in_a_query_mean_what_the_database_says(database: str) -> None:
    query = "SELECT id FROM jobs WHERE note LIKE '50% :done' LIMIT 1"
    assert ids(database, query=query) == ["0"]


def test_a_query_streams(database: str) -> None:
    sizes = [len(chunk) for chunk in read([database], query="SELECT id FROM jobs")]
    assert sizes == [10_000, 10_000, 5_000]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT id FROM nope", "no such table: nope"),
        ("DELETE FROM jobs", "no rows"),
        ("SELECT id FROM jobs WHERE id < 0", "no task ID"),
    ],
)
def test_a_query_that_gives_no_ids_is_refused_and_changes_nothing(
    database: str, query: str, message: str
) -> None:
    assert message in refused(database, query=query)
    assert len(ids(database, query="SELECT id FROM jobs")) == 25_000


def test_an_asynchronous_driver_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").touch()
    message = refused(f"sqlite+aiosqlite:///{tmp_path}/jobs.db", query="SELECT 1")
    assert "aiosqlite is an asynchronous driver" in message


def test_a_missing_database_file_is_not_made(tmp_path: Path) -> None:
    assert "no database file" in refused(f"sqlite:///{tmp_path}/nope.db", query="SELECT 1")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "nope://user:hunter2@host/db",
        "postgresql+pg8000://user:hunter2@host/db?sslpassword=hunter2",
        "postgresql://user:hunter2@host:hunter2/db",
        "postgresql://user:p@hunter2@host/db",
        "postgresql+asyncpg://user:hunter2@127.0.0.1:1/db",
        "sqlite:///nope/hunter.db?password=hunter2",
    ],
)
def test_a_password_is_in_no_error_and_in_no_traceback(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        ids(url, query="SELECT 1")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in refused(url)


def test_a_query_and_a_url_need_each_other(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a")
    assert "SQLAlchemy URL" in refused(tmp_path / "ids.txt", query="SELECT 1")
    assert "`query`" in refused("sqlite:///jobs.db")


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, connector.task_ids as t; t.is_valid('a');"
        "print({'pyarrow', 'pandas', 'sqlalchemy', 'numpy'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
