"""Lists of task IDs as people have them: each read by itself, and each ingested."""

from __future__ import annotations

import io
import json
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xlsxwriter
from conftest import KEY

import connector
from connector.errors import SourceError
from connector.sandbox import task_ids as sandbox_ids
from connector.task_ids import read, why_invalid

if TYPE_CHECKING:
    from conftest import CommandLine

    from connector.sandbox import Sandbox

CASES = Path(__file__).parent / "cases"
EXPECTED: dict[str, Any] = json.loads((CASES / "task_ids.expected.json").read_text())
READABLE = [name for name, expected in EXPECTED.items() if "error" not in expected]
REFUSED = [name for name in EXPECTED if name not in READABLE]


def ids(*sources: Any, **options: Any) -> list[str]:
    return [task_id for chunk in read(sources, **options) for task_id in chunk.to_pylist()]


def test_every_case_is_told_what_must_come_of_it() -> None:
    assert {path.name for path in (CASES / "task_ids").iterdir()} == set(EXPECTED)
    assert READABLE
    assert REFUSED


@pytest.mark.parametrize("name", READABLE)
def test_a_list_as_people_have_it_is_read(name: str) -> None:
    expected = EXPECTED[name]
    found = ids(CASES / "task_ids" / name)
    present = [task_id for task_id in found if task_id]
    assert list(dict.fromkeys(present)) == expected["asked_for"]
    # An object without an ID is blank, which is not told of the log.
    assert found.count("") == expected.get("blank", name == "log.ndjson")
    assert len(present) - len(set(present)) == expected.get("duplicate", 0)


@pytest.mark.parametrize("name", READABLE)
def test_a_list_as_people_have_it_is_ingested(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    expected, folder = EXPECTED[name], tmp_path / "warehouse"
    list_of_ids = CASES / "task_ids" / name
    done = connector.ingest(list_of_ids, warehouse=folder, base_url=sandbox.base_url, key=KEY)
    assert done.blank == expected.get("blank", name == "log.ndjson")
    assert done.duplicate == expected.get("duplicate", 0)
    assert done.invalid == 0
    assert done.fetched == sandbox.stats()["requests"] == len(expected["asked_for"])
    rows = pd.read_parquet(tmp_path / "warehouse/generations")
    assert sorted(rows.task_id) == sorted(expected["asked_for"])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_list_is_refused_and_nothing_asked(
    cli: CommandLine, sandbox: Sandbox, name: str
) -> None:
    done = cli("ingest", CASES / "task_ids" / name)
    assert done.returncode == 2
    assert "a web page (HTML)" in done.stderr
    assert "as CSV" in " ".join(done.stderr.split())
    assert sandbox.stats()["requests"] == 0


U = [str(uuid.UUID(int=number, version=4)) for number in range(5)]


def text_of(text: str, **options: Any) -> list[str]:
    return ids("-", stdin=io.BytesIO(text.encode()), **options)


@pytest.mark.parametrize(
    "text",
    [
        "{0}, {1};{2}",
        "{0}\t{1}  {2}",
        "{0}，{1}、{2}",
        "['{0}', '{1}', '{2}']",
        '{{"{0}", "{1}", "{2}"}}',
        '["{0}", "{1}", "{2}",]',
        "({0}, {1}, {2}),",
        "task_ids = [\n    '{0}',\n    '{1}',\n    '{2}',\n]",
        "[{0},\n{1},\n{2}]",
        "[[{0}], [{1}], [{2}]]",
        "{{{0}}}\n({1})\n<{2}>",
        '"{0},{1},{2}"',
        "“{0}” «{1}»\n„{2}“",
        "`{0}`\n’{1}’\n‘{2}’",
        "- {0}\n* {1}\n3. {2}",
        'task_id: {0}\nid={1}\n"uuid": "{2}",',
        "{0} # one\n{1} // two\n{2} -- three, four",
        "{0},# it's one\n// two\n{1}\n#\n{2}",
        "Task IDs:\n{0}\n{1}\n{2}",
        "# exported\nGENERATION-ID\n{0}  # one\n{1}\n{2}",
        "https://a.example/x/{0}?a=1,2;b#c\nhttp://b.example/{1}/, HTTPS://c.example/y/{2}#end",
        "<https://a.example/{0}>,https://b.example/{1},'https://c.example/{2}'",
        "api.example/dream-machine/v1/generations/{0}\n/dream-machine/v1/generations/{1}/\n{2}",
        'urn:uuid:{0}\n\'{1}\n="{2}"',
    ],
)
def test_text_holds_ids_however_it_is_laid_out(text: str) -> None:
    assert text_of(text.format(*U)) == U[:3]
    assert text_of(text.format(*map(str.upper, U))) == U[:3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        ('"a b", c', ["a b", "c"]),
        ("a//b", ["a//b"]),
        ("a#b", ["a#b"]),
        ("id:x", ["id:x"]),
        ("=x", ["=x"]),
        ("f(x) a[0]", ["f(x)", "a[0]"]),
        ("{a", ["{a"]),
        ("'a b", ["a", "b"]),
        ('"a"b"', ['a"b']),
        ("AbC", ["AbC"]),
        (U[0].replace("-", "").upper(), [U[0].replace("-", "").upper()]),
        ("a\n\n , \nb", ["a", "", "b"]),
    ],
)
def test_an_id_that_is_none_of_the_usual_ones_stays_as_it_is(
    text: str, expected: list[str]
) -> None:
    assert text_of(text) == expected


@pytest.mark.parametrize(
    "what", ["'x ", '["', "[ '", "[", "a" + " " * 9, "- '", "{{“", "<https://", '="', "a:"]
)
def test_a_long_line_of_whatever_is_read_in_no_time(what: str) -> None:
    """None of the ways to take it apart is quadratic: those would take minutes."""
    started = time.perf_counter()
    text_of("x " + what * 100_000)
    assert time.perf_counter() - started < 10


WORDS = [
    "nan",
    "NULL",
    "None",
    "N/A",
    "#N/A",
    "NA",
    "nil",
    "-",
    "<NA>",
    "NaT",
    "undefined",
    "#REF!",
]


@pytest.mark.parametrize(
    "name", ["ids.txt", "ids.csv", "ids.json", "ids.jsonl", "ids.parquet", "list"]
)
def test_words_for_nothing_are_blank_in_every_format(tmp_path: Path, name: str) -> None:
    path, frame = tmp_path / name, pd.DataFrame({"task_id": [*WORDS, U[0]]})
    match path.suffix:
        case ".txt":
            path.write_text("\n".join(frame.task_id))
        case ".csv":
            frame.to_csv(path, index=False)
        case ".json" | ".jsonl":
            frame.to_json(path, orient="records", lines=path.suffix == ".jsonl")
        case ".parquet":
            frame.to_parquet(path)
    assert ids(list(frame.task_id) if name == "list" else path) == [*[""] * len(WORDS), U[0]]


@pytest.mark.parametrize(
    "spelling",
    [
        "https://gateway.example/luma/{}",
        "https://user@gateway.example:8443/a/b/{}/?x=/y#z",
        "http://gateway.example/{}#/x",
        "gateway.example/dream-machine/v1/generations/{}?x",
        "{{{}}}",
        "urn:uuid:{}",
        " “{}” ",
        "'{}",
        '="{}"',
        '=HYPERLINK("https://gateway.example/{}","Open")',
        "\u202a{}\u202c",
    ],
)
def test_an_address_or_a_dressed_id_is_the_id_in_every_format(
    tmp_path: Path, spelling: str
) -> None:
    value = spelling.format(U[0].upper())
    pd.DataFrame({"id": [value]}).to_csv(tmp_path / "ids.csv", index=False)
    (tmp_path / "ids.jsonl").write_text(json.dumps({"id": value}))
    pd.DataFrame({"id": [value]}).to_parquet(tmp_path / "ids.parquet")
    assert ids(tmp_path / "*", [value], pa.array(["x", value]).slice(1)) == [U[0]] * 5


def test_characters_that_nobody_sees_are_no_part_of_a_uuid() -> None:
    broken = U[0].replace("-", "\u00ad-")
    assert ids([broken], pa.array([broken]), {"task_id": [broken]}) == [U[0]] * 3
    assert text_of(broken) == [U[0]]


def test_an_address_without_an_id_is_invalid_and_one_with_escapes_is_decoded() -> None:
    found = ids(["https://gateway.example/", "https://gateway.example/v1/a%2Fb%20c"])
    assert why_invalid(found[0]) == "an address without a task ID at the end of its path"
    assert found[1] == "a/b c"


SPELLINGS = "Task ID|task-id|taskId|TASKID|task.id| Task Ids |generation_id|Generation ID"
SPELLINGS += "|ID|_id|uuid|UUID|GUID|job id|JobId"


@pytest.mark.parametrize("name", SPELLINGS.split("|"))
def test_the_column_is_found_in_any_spelling(tmp_path: Path, name: str) -> None:
    (tmp_path / "ids.csv").write_text(f"user;{name};state\nx;a;done\n")
    (tmp_path / "ids.tsv").write_text(f"{name}\na\n")
    (tmp_path / "ids.txt").write_text(f"{name}\na\n")
    (tmp_path / "ids.json").write_text(json.dumps([{"user": "x", name: "a"}]))
    assert ids(tmp_path / "*") == ["a"] * 4
    assert ids({"user": ["x"], name: ["a"]}) == ["a"]


def test_which_column_comes_first_when_several_would_do() -> None:
    columns = ["job_id", "uuid", "Id", "generationId", "Task ID"]
    while columns:
        assert ids(pd.DataFrame({name: [name] for name in columns})) == columns[-1:]
        columns.pop()


def test_a_column_is_named_loosely_unless_that_fits_two() -> None:
    frame = pd.DataFrame({"Luma Job": ["a"], "x-y": ["b"], "X Y": ["c"]})
    assert ids(frame, column="luma_job") == ["a"]
    assert ids(frame, column="x-y") == ["b"]
    with pytest.raises(SourceError, match=r"more than one column like xy: x-y, X Y"):
        ids(frame, column="xy")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['{"ts":1,"data":{"task_id":"a"}}', '{"task_id":"b"}'], ["a", "b"]),
        (['{"code":"success","data":{"id":"a","state":"x"}}'], ["a"]),
        (['{"response":{"data":{"generation":{"id":"a"}}}}'], ["a"]),
        (['{"user":{"id":"u"},"msg":"boot"}', '{"id":"a"}'], ["", "a"]),
        (['{"id":"a","request":{"task_id":"b"}}'], ["a"]),
        (['{"id":null,"x":1}', '{"generationId":"a"}', '"b"'], ["", "a", "b"]),
    ],
)
def test_each_object_says_itself_where_its_id_is(
    tmp_path: Path, lines: list[str], expected: list[str]
) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.json").write_text(f"[{','.join(lines)}]")
    assert ids(tmp_path / "*") == expected * 2
    assert ids([json.loads(line) for line in lines]) == expected


def test_objects_of_which_none_has_an_id_are_refused_with_all_their_keys(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"ts":1,"user":{"id":2}}\n{"ts":1,"msg":"x"}\n')
    with pytest.raises(SourceError, match=r"Its columns: ts, user, msg\."):
        ids(tmp_path / "a.jsonl")
    with pytest.raises(SourceError, match=r"Its columns: ts\."):
        ids([{"ts": 1}])


def test_a_listing_in_an_envelope_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"code": 0, "data": {"generations": [{"id": "a"}]}}')
    (tmp_path / "b.json").write_text('{"task_ids": ["b"], "tags": ["x"]}')
    assert ids(tmp_path / "*") == ["a", "b"]


@pytest.mark.parametrize(
    "document",
    [
        {"values": [["Prompt", "Task ID"], ["x", U[0]], ["y", U[1]]]},
        [["task_id"], [U[0]], [U[1]]],
        [[U[0]], [U[1]]],
        [U[:2]],
        {"columns": ["prompt", "task_id"], "index": [0, 1], "data": [["x", U[0]], ["y", U[1]]]},
        {"Items": [{"task_id": {"S": U[0]}}, {"task_id": {"S": U[1]}}], "Count": 2},
        [{"_id": {"$uuid": U[0]}}, {"_id": {"$uuid": U[1]}}],
        {"hits": {"hits": [{"_id": "a", "_source": {"task_id": one}} for one in U[:2]]}},
        {"documents": [{"fields": {"task_id": {"stringValue": one}}} for one in U[:2]]},
        {"page": 1, "results": {"generations": [{"id": U[0]}, {"id": U[1]}]}},
        [{"generations": [{"id": one}], "has_more": True} for one in U[:2]],
        [{"task_ids": [one], "tags": ["x"]} for one in U[:2]],
    ],
    ids=[
        "sheets",
        "header",
        "rows",
        "lists of IDs",
        "pandas",
        "dynamodb",
        "mongodb",
        "elasticsearch",
        "firestore",
        "nested",
        "pages",
        "objects with lists",
    ],
)
def test_what_databases_and_sheets_export_as_json_is_read(tmp_path: Path, document: Any) -> None:
    (tmp_path / "export.json").write_text(json.dumps(document))
    assert ids(tmp_path / "export.json") == U[:2]
    if isinstance(document, list) and document[0] != ["task_id"]:
        (tmp_path / "export.jsonl").write_text("\n".join(map(json.dumps, document)))
        assert ids(tmp_path / "export.jsonl") == U[:2]


def test_saved_pages_are_read_line_by_line_with_what_is_kept(tmp_path: Path) -> None:
    pages = [{"generations": [{"id": one, "model": "ray-2"}], "count": 1} for one in U[:2]]
    lines = [{"level": "info", "files": [{"id": "no"}]}, *pages]
    (tmp_path / "pages.jsonl").write_text("\n".join(map(json.dumps, lines)))
    kept: list[Any] = []

    def take(_where: str, task_ids: Any, columns: Any, **_types: bool) -> None:
        kept.extend(zip(task_ids.to_pylist(), columns["model"].texts.to_pylist(), strict=True))

    assert ids(tmp_path / "pages.jsonl") == ["", *U[:2]]
    assert ids(tmp_path / "pages.jsonl", keep=["model"], take=take) == ["", *U[:2]]
    assert kept == [(U[0], "ray-2"), (U[1], "ray-2")]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nprompt;task_id\nx,y;{0}\nx;{1}\n",
        '"sep=\t"\r\nprompt\tTask ID\r\nx\t{0}\r\ny\t{1}\r\n',
        "# exported today\nprompt,task_id\nx,{0}\ny,{1}\n",
        "# id, exported by Ann, today, again\nprompt,task_id\nx,{0}\ny,{1}\n",
        "# old; new\n# task_id: the job, and where; it, ran\ntask_id;prompt\n{0};x\n{1};y\n",
        "# job 3, done\n{0},x\n{1},y\n",
        "Clips,of,the,week\ntask_id,prompt\n{0},x\n{1},y\n",
        "'task_id','prompt'\n'{0}','x'\n'{1}','y'\n",
        "task_id,prompt\n{0},x\n{1},y\n(2 rows)\n",
        "task_id\n{0}\n{1}\n2 rows selected.\n",
        "#task_id,created\n{0},2025-10-15\n{1},2025-10-16\n",
        "# of,today\n#task_id,created\n{0},2025-10-15\n{1},2025-10-16\n",
        "Clips of the week,,\n,,\nNo.,Task ID,State\n1,{0},x\n2,{1},x\n",
        "x;{0}\ny;{1}\n",
        "{0}\n{1}\n",
    ],
)
def test_a_csv_is_read_with_what_stands_above_its_header_or_without_one(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "ids.csv").write_text(text.format(*U), newline="")
    assert ids(tmp_path / "ids.csv") == U[:2]
    if "sep=" in text:
        assert text_of(text.format(*U)) == U[:2]


@pytest.mark.parametrize("name", ["ids.xls", "ids.ods"])
def test_old_excel_and_libreoffice_are_read(name: str) -> None:
    """Of each, a sheet of notes comes first, and a title above the header."""
    first, *others, number = ids(CASES / "spreadsheets" / name)
    assert first == "4b3c464e-94f6-4e54-bc21-12f0e6da5700"
    assert (len(others), number) == (2, "7")


def workbook(path: Path, sheets: dict[str, list[list[Any]]], hidden: str = "") -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for position, row in enumerate(rows):
                sheet.write_row(position, 0, row)
            if name == hidden:
                sheet.hide()
            else:
                sheet.activate()
    return path


def test_the_first_visible_sheet_with_a_column_of_ids_counts(tmp_path: Path) -> None:
    sheets: dict[str, list[list[Any]]] = {
        "Old": [["task_id"], ["old"]],
        "Notes": [["Made by hand"]],
        "Clips": [
            ["Clips of the week"],
            [],
            ["Clip", "Generation ID"],
            ["a", U[0].upper()],
            ["b", None],
            [],
            ["c", 12],
            ["d", "N/A"],
            ["e", f"https://gateway.example/v1/generations/{U[1]}/?x=1"],
        ],
        "More": [["task_id"], ["more"]],
    }
    path = workbook(tmp_path / "clips.xlsx", sheets, hidden="Old")
    assert ids(path) == [U[0], "", "12", "", U[1]]
    assert ids(path, column="clip") == list("abcde")
    # A download may have lost its name.
    path.rename(tmp_path / "clips.csv")
    assert ids(tmp_path / "clips.csv")[0] == U[0]


def test_a_sheet_without_a_header_is_read_if_only_one_column_can_be_meant(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", {"S": [["x", U[0]], ["y", U[1]]]})
    assert ids(path) == U[:2]
    with pytest.raises(SourceError, match=r"no column task_id.*Its columns: job, state"):
        ids(workbook(tmp_path / "b.xlsx", {"S": [["job", "state"], ["a", "b"]]}))


def test_what_is_no_spreadsheet_in_truth_is_told(tmp_path: Path) -> None:
    (tmp_path / "cut.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(SourceError, match=r"cut\.xlsx cannot be read as a spreadsheet"):
        ids(tmp_path / "cut.xlsx")
    (tmp_path / "2003.xls").write_text('<?xml version="1.0"?><Workbook/>')
    with pytest.raises(SourceError, match=r"is XML.*save it from there as CSV"):
        ids(tmp_path / "2003.xls")
    # Many programs write tabs and call it .xls.
    (tmp_path / "tabs.xls").write_text(f"Name\tTask ID\nx\t{U[0]}\n")
    assert ids(tmp_path / "tabs.xls") == [U[0]]


def test_without_the_reader_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(SourceError, match=r"pip install 'luma-to-parquet\[xlsx\]'"):
        ids(CASES / "task_ids/sheet.xlsx")


@pytest.mark.parametrize(
    "values",
    [
        pd.DataFrame({"prompt": ["x", "y"], "Task ID": U[:2]}),
        pd.DataFrame({"prompt": ["x", "y"]}, index=pd.Index(U[:2], name="task_id")),
        pl.DataFrame({"prompt": ["x", "y"], "taskId": U[:2]}),
        pl.LazyFrame({"prompt": ["x", "y"], "taskId": U[:2]}),
        pd.Series(U[:2]),
        pl.Series(U[:2]),
        pa.table({"n": [1, 2], "generation_id": U[:2]}),
        pa.record_batch({"id": U[:2]}),
        pa.table({"id": U[:2]}).to_reader(),
        pa.chunked_array([U[:1], U[1:2]]),
        pa.array([uuid.UUID(one).bytes for one in U[:2]], pa.binary(16)),
        pa.array([uuid.UUID(one).bytes for one in U[:2]], pa.binary()),
        pa.array([uuid.UUID(one) for one in U[:2]], pa.uuid()),
        [uuid.UUID(one) for one in U[:2]],
        {"prompt": ["x", "y"], "TASK_ID": U[:2]},
        {"uuid": pd.Series(U[:2])},
        [{"id": U[0]}, {"task_id": U[1], "id": "x"}],
        {U[0]: None, U[1]: None}.keys(),
    ],
    ids=lambda values: f"{type(values).__module__}.{type(values).__name__}",
)
def test_a_notebook_gives_what_it_has(sandbox: Sandbox, tmp_path: Path, values: Any) -> None:
    done = connector.ingest(
        values, warehouse=tmp_path / "w", base_url=sandbox.base_url, key=KEY, marts=False
    )
    assert (done.given, done.fetched) == (2, 2)
    assert sorted(pd.read_parquet(tmp_path / "w/generations").task_id) == sorted(U[:2])


@pytest.mark.parametrize(
    "one",
    [
        U[0],
        U[0].upper(),
        uuid.UUID(U[0]),
        uuid.UUID(U[0]).bytes,
        {"task_id": U[0]},
        {"code": "success", "data": {"id": U[0], "state": "completed"}},
        pa.array([{"id": U[0]}]),
        f"https://gateway.example/dream-machine/v1/generations/{U[0]}",
    ],
)
def test_one_task_id_is_a_source(one: Any) -> None:
    assert ids(one) == [U[0]]


def test_a_file_comes_before_an_id_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = "task_" + "0aB" * 10 + "xy"
    assert ids(U[0], other) == [U[0], other]
    (tmp_path / U[0]).write_text("in-the-file")
    assert ids(U[0]) == ["in-the-file"]
    with pytest.raises(SourceError, match="no file task_0"):
        ids("task_0")
    assert ids(f"{U[1]}, {U[2]}\n{U[3]}") == U[1:4]
    with pytest.raises(SourceError, match="int is not a source"):
        ids(7)
    for nothing in ({}, {"task_id": None}, {"task_id": []}):
        with pytest.raises(SourceError, match="no task ID in what was given"):
            ids(nothing)


def test_arguments_may_be_task_ids(cli: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    one, two = sandbox_ids(2)
    tried = cli("ingest", one, two.upper(), one, "--dry-run", "--json")
    assert json.loads(tried.stdout)["would_ask_for"] == 2
    assert sandbox.stats()["requests"] == 0
    done = cli("ingest", one, two, "--json")
    assert json.loads(done.stdout)["fetched"] == 2
    assert set(pd.read_parquet(tmp_path / "warehouse/generations").task_id) == {one, two}
