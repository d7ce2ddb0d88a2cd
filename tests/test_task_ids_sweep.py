"""Lists as programs and people write them: the right IDs, and nothing else asked for."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter

from connector.errors import SourceError
from connector.task_ids import is_valid, read, why_invalid

SHEETS = Path(__file__).parent / "cases/spreadsheets"
A, B, C = (f"4b3c464e-94f6-4e54-bc21-12f0e6da570{digit}" for digit in "012")
TASK = "task_" + "0aB1" * 8
LINE = "─" * 38

# Name of the file, content, and how many values are invalid; those that are valid are A and B.
TWO_IDS: list[tuple[str, str, int]] = [
    ("sheets.csv", f'Timestamp,Prompt,Task ID\r\n1/2/2025 10:00,"A cat, x",{A}\r\n1,x,{B}', 0),
    ("german.csv", f'\ufeffDatum;Prompt;Task-ID;Euro\r\n1.2.;Kätzchen;{A};1,5\r\n1;"x;y";{B};2', 0),
    ("airtable-links.csv", f'Name,Task ID\nclip,"{A}, {B.upper()}"\n', 0),
    ("rounded-by-excel.csv", f"task_id,x\n{A},1\n1.23457E+15,2\n{B},3\n", 1),
    ("put-together.csv", f"x,task_id\n1,{A}\nx,task_id\n2,{B}\n", 0),
    ("jq.out", json.dumps({"id": A, "x": 1}, indent=2) + "\n" + json.dumps({"id": B}, indent=2), 0),
    ("pretty.jsonl", json.dumps({"id": A}, indent=2) + "\n" + json.dumps({"id": B}, indent=2), 0),
    ("concatenated.json", f'{{"id":"{A}"}}{{"id":"{B}"}}', 0),
    ("commas.jsonl", f'{{"id":"{A}"}},\n{{"id":"{B}"}},\n', 0),
    ("arrays.json", f'["{A}"]\n["{B}"]\n', 0),
    ("bom.json", f'\ufeff["{A}", "{B}"]', 0),
    ("by-id.json", json.dumps({A: {"state": "completed"}, B: {"state": "failed"}}), 0),
    ("pandas.json", json.dumps({"n": {"0": 1, "1": 2}, "task_id": {"0": A, "1": B}}), 0),
    ("psql.out", f"  task_id | state\n----------+-------\n {A} | done\n {B} |\n(2 rows)\n", 0),
    ("psql-one.out", f"   task_id\n----------\n {A}\n {B}\n(2 rows)\n", 1),
    ("psql-expanded.out", f"-[ RECORD 1 ]-\ntask_id | {A}\nstate | done\ntask_id | {B}\n", 2),
    ("records.txt", f"task_id | {A}\nstate | done\ntask_id | {B}\n", 1),
    ("fields.txt", f"task_id   {A}\nid        {B}\n", 0),
    ("mysql.out", f"+-----+\n| task_id |\n+-----+\n| {A} |\n| {B} |\n+-----+\n", 0),
    ("duckdb.out", f"┌{LINE}┐\n│ task_id │\n├{LINE}┤\n│ {A} │\n│ {B} │\n└{LINE}┘\n", 0),
    ("sqlite.out", f"task_id  state\n-------  -----\n{A}  done\n{B}  failed\n", 0),
    ("kubectl.out", f"NAME    TASK_ID    AGE\ncat     {A}  3d\ndog x   {B}  1d\n", 0),
    ("pandas.out", f"       task_id  state\n0  {A}  done\n1  {B}  failed\n", 0),
    ("table.md", f"| Task ID | State |\n|---|:--:|\n| {A} | done |\n| `{B}` | done |\n", 0),
    ("notes.md", f"# Tasks\nHere are my tasks:\n- **Cat**: {A}\n+ [x] `{B}` — a dog\n---\n", 1),
    ("links.md", f"- [{A}](https://g.example/{A})\n- [a cat](https://g.example/x/{B})\n", 0),
    ("bold.md", f"1. **{A}**\n2. __{B}__\n", 0),
    ("list.yaml", f"---\ntasks:\n  - id: {A}\n    prompt: a cat on a chair\n  - id: {B}\n", 2),
    ("list.toml", f'task_ids = [\n  "{A}", # one\n  "{B}",\n]\n', 0),
    ("list.py", f"import os\nIDS = ['{A}', \"{B}\"]\n", 1),
    ("list.env", f"export TASK_IDS={A},{B}\n", 0),
    ("select.sql", f"SELECT * FROM jobs WHERE id IN ('{A}', '{B}');\n", 0),
    ("run.log", f"2025-01-01 10:00:00,12 INFO created task {A}\nWARN none\nid={B} in 3 s\n", 1),
    ("logfmt.log", f'level=info task_id={A} msg="new"\nlevel=info task_id={B.upper()}\n', 0),
    ("json.log", f'2025-01-01 INFO {{"task_id": "{A}"}}\n2025-01-01 INFO {{"id": "{B}"}}\n', 0),
    ("access.log", f'1.2.3.4 - - [1/1] "GET /x/{A} HTTP/1.1" 200 -\n> GET /x/{B} HTTP/1.1\n', 0),
    ("colors.log", f"\x1b[32mINFO\x1b[0m \x1b[1m{A}\x1b[0m\n\x1b[31m{B}\x1b[0m\n", 0),
    ("ls.txt", f"{A}.mp4\n/videos/{B}.json\n", 0),
    ("addresses.txt", f"https://cdn.example/{A}/video.mp4\nhttps://g.example/s?task_id={B}\n", 0),
    ("mail.txt", f"Hello Anna, here is the list.\n> {A}\n> {B}.\nBest regards, Tom\n", 2),
    ("states.txt", f"{A} completed\n{B} -> failed\n", 0),
    ("counts.txt", f"      3 {A}\n      1 {B}\n", 0),
    ("between.txt", f"{A}|{B}\n", 0),
    ("dashes.txt", f"{A.replace('-', '–')}\n{B.replace('-', chr(0x2011))}\n", 0),
    ("chinese.txt", f"任务:{A},完成\n「{B}」\n", 0),
    (
        "polars.out",
        f"┌{LINE}┐\n│ task_id {' ' * 30}│\n│ ---     │\n╞{LINE}╡\n│ {A} │\n│ {B} │\n",
        0,
    ),
    ("dump.sql", f"COPY jobs (id) FROM stdin;\n1\t{A}\n2\t{B}\n\\.\n", 1),
    ("hidden.txt", f"{A[:8]}\u200b{A[8:]}\n\u200b{B}\u200b\n", 0),
    ("redirects.txt", f"https://g.example/go?u=https%3A%2F%2Fg%2F{A}%3Fx\nhttps://g/?id={B}\n", 0),
]


def ids(source: Any) -> list[str]:
    return [task_id for chunk in read([source]) for task_id in chunk.to_pylist()]


@pytest.mark.parametrize(("name", "content", "invalid"), TWO_IDS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize(
    ("encoding", "end"), [("utf-8", "\n"), ("utf-16", "\r\n"), ("utf-8", "\r")]
)
def test_only_the_ids_are_asked_for(
    tmp_path: Path, name: str, content: str, invalid: int, encoding: str, end: str
) -> None:
    text = content.replace("\r\n", "\n").replace("\n", end)
    text = text.lstrip("\ufeff") if encoding == "utf-16" else text  # which has its own
    (tmp_path / name).write_text(text, encoding, newline="")
    found = [value for value in ids(tmp_path / name) if value]
    assert [value for value in found if is_valid(value)] == [A, B]
    reasons = [why_invalid(value) for value in found if not is_valid(value)]
    assert len(reasons) == invalid
    assert all("not a task ID" in reason or "rounded" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}, x17, job-9", [A, "x17", "job-9"]),
        (f"{A} {TASK}\n{TASK} done", [A, TASK, TASK]),
        (f"{A}\n{B[:-1]}\nand {C[:-1]} too", [A, B[:-1], C[:-1]]),
        (f"luma-{A}\ngen_{B}\n{C}_1", [f"luma-{A}", f"gen_{B}", f"{C}_1"]),
        (f"https://g.example/projects/{A}/generations/gen-001", ["gen-001"]),
        (f"{A} # in place of {B}", [A]),
        (f"{A}, null, {B}", [A, "", B]),
        ("job.1 job.2\nabc def\n00123 00124", ["job.1", "job.2", "abc", "def", "00123", "00124"]),
        ("2025-01-01 INFO created one task gen_abc123", ["gen_abc123"]),
    ],
)
def test_an_id_of_another_shape_is_not_lost(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "ids.txt").write_text(text)
    assert ids(tmp_path / "ids.txt") == expected


def test_a_sentence_is_one_invalid_value_that_quotes_it(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("This is a letter about nothing.\nIt has no IDs.\n")
    first, second = map(why_invalid, ids(tmp_path / "letter.txt"))
    assert first == "'This is a letter about nothing.' is text, not a task ID"
    assert second == "'It has no IDs.' is text, not a task ID"


def packed(content: bytes) -> bytes:
    """A tar archive with a file of this content."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("ids.txt")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.html", b"<!-- saved --><html>", "HTML"),
        ("b.txt", f"<ul>\n<li>{A}</li>\n</ul>".encode(), "HTML"),
        ("c.txt", b"%PDF-1.4\n", "a PDF document"),
        ("d.rtf", b"{\\rtf1 x}", "as plain text"),
        ("e.db", b"SQLite format 3\0", "sqlite:///"),
        ("f.txt", f"{A}\0{B}".encode(), "zero bytes"),
        ("g.7z", b"7z\xbc\xaf\x27\x1c", "Unpack it"),
        ("h.csv", b"\xfd7zXZ\0", "compressed with xz"),
        ("h.gz", gzip.compress(gzip.compress(A.encode())), "compressed twice"),
        ("h.tgz", gzip.compress(packed(A.encode())), "Unpack it"),
        ("i.csv", f"name,luma task\nx,{A}\n".encode(), "`column`"),
        ("j.json", f'[{{"id":"{A}"}},{{"id":"{B}"'.encode(), "not JSON"),
        ("k.json", f'{{"id":"{A}"}} {{"id":'.encode(), "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_no_list_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        ids(tmp_path / name)
    assert name in str(caught.value)


def test_sheets_without_cells_and_numbers_as_text(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        book.add_worksheet()
        book.add_worksheet().write_column(0, 0, ["Task ID", A, "00123", 7.0, 12345678901234567890])
    *found, rounded = ids(tmp_path / "a.xlsx")
    assert (found, is_valid(rounded)) == ([A, "00123", "7"], False)
    with xlsxwriter.Workbook(tmp_path / "b.xlsx") as book:
        book.add_worksheet()
    with pytest.raises(SourceError, match="no task ID"):
        ids(tmp_path / "b.xlsx")


def test_an_encrypted_workbook_is_refused_as_such() -> None:
    with pytest.raises(SourceError, match=r"encrypted\.xlsx is encrypted\. Save it without"):
        ids(SHEETS / "encrypted.xlsx")


def test_a_value_in_memory_may_hold_several() -> None:
    assert ids([f"{A}, {B}", "a b", C]) == [A, B, "a b", C]
    assert ids(pa.array(["x", f"{A};{TASK}"]).slice(1)) == [A, TASK]
    assert ids([f"{A},, {B},"]) == [A, B]
    assert ids(f"{A}, ") == [A]


@pytest.mark.parametrize("what", ["a|", f"{A} x ", "a-", "<a>", "**", "_", "0a ", "|  "])
def test_a_long_line_takes_no_time(tmp_path: Path, what: str) -> None:
    """A quadratic way to take it apart would need minutes."""
    (tmp_path / "ids.txt").write_text(f"x {what * 100_000}y")
    started = time.process_time()
    ids(tmp_path / "ids.txt")
    assert time.process_time() - started < 10
