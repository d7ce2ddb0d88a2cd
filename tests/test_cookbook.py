"""The questions of `docs/cookbook.md`: three engines, one answer."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pytest
from builders import answer

import connector
from connector.export.catalogue import write_catalogue
from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.answer import Answer

pytest.importorskip("duckdb", reason="DuckDB is not installed (extra bi)")
pl = pytest.importorskip("polars", reason="Polars is not installed (extra test)")

PAGE = (Path(__file__).parent.parent / "docs/cookbook.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ENGINES = ["pandas", "DuckDB", "Polars"]


# Kinds of bad answers, and how many of each.
BAD = {
    "not-found": 3,
    "forbidden": 2,
    "server-error": 2,
    "html-200": 1,
    "closed": 1,
    "script-prompt": 1,
    "nul-character": 1,
}


class Question(NamedTuple):
    """A section of the page."""

    title: str
    text: str

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and code of each."""
        return BLOCK.findall(self.text)


SECTIONS = [Question(*part.split("\n", 1)) for part in PAGE.split("\n## ")[1:]]
SETUP, QUESTIONS = SECTIONS[0], SECTIONS[1:]


def long_ago(number: int) -> Answer:
    """A generation seen four days ago, in every status; some never finish, some have no time.

    Every other one tells when it was begun and finished.
    """
    state = ("completed", "failed", "processing", "queued", "mysterious")[number % 5]
    seen_at = datetime.now(UTC) - timedelta(days=4, minutes=number)
    created_at = seen_at - timedelta(hours=number)
    started_at = created_at + timedelta(seconds=number)
    is_over, tells = state in {"completed", "failed"}, number % 2 == 0
    body = {
        "id": f"old-{number}",
        "state": state,
        "prompt": ("a cat", "a dog", "=1+1", "", None)[number % 3 + number % 2],
        "failure_reason": ("moderated", "no image")[number % 2] if state == "failed" else None,
        "created_at": created_at.isoformat() if number % 7 else None,
        "started_at": started_at.isoformat() if tells else None,
        "finished_at": (started_at + timedelta(minutes=3)).isoformat() if tells and is_over else 0,
        "model": ("ray-2", "ray-flash-2", None)[number % 3],
        "request": {"duration": ("5s", "9s", None)[number % 3]},
        "video": {"width": 752, "height": 1360, "duration": (5.04, 8.96)[number % 4 == 1]}
        if state == "completed" and number % 2
        else None,
    }
    return answer(f"old-{number}", body)._replace(fetched_at=seen_at)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a reader has after the first section, in the folder with warehouse and catalogue."""
    if (datetime.now(UTC) + timedelta(minutes=1)).date() != datetime.now(UTC).date():
        pytest.skip("midnight (UTC) is about to come, and may come between two engines")
    folder = tmp_path_factory.mktemp("cookbook")
    root = folder / "warehouse"
    with Warehouse.writing(root) as warehouse:
        warehouse.save("old", [long_ago(number) for number in range(60)], "run")
        warehouse.commit()
    # Nothing changes its side between two engines' `now`: what is true of an ID hangs on `now`.
    settings = SandboxSettings(now=datetime.now(UTC), days=4, unfinished=0.2, failed=0.15, polls=3)
    with Sandbox(settings) as sandbox:
        ids = [*task_ids(500), *(f"bad-{kind}-{n}" for kind in BAD for n in range(BAD[kind]))]
        rows = [
            {"task_id": one, "campaign": ("spring", "autumn")[n % 2]} for n, one in enumerate(ids)
        ]
        for _ in range(2):
            connector.ingest(
                pd.DataFrame(rows),
                keep="campaign",
                warehouse=root,
                base_url=sandbox.base_url,
                key="luma-key-13",
                max_attempts=1,
            )
    write_catalogue(root, folder / "warehouse.duckdb")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names: dict[str, Any] = {}
        for _, code in SETUP.blocks:
            exec(code, names)
        yield names


def value_of(names: dict[str, Any], code: str) -> Any:
    """Run code as a notebook does: the last expression is its value."""
    *statements, last = ast.parse(code).body
    assert isinstance(last, ast.Expr), "the block does not end with its answer"
    names = dict(names)
    exec(compile(ast.Module(statements, []), "<cookbook>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cookbook>", "eval"), names)


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """The rows of an answer, in order, with values that are equal if they mean the same."""
    if isinstance(frame, pd.DataFrame):
        rows = frame.to_dict("records")
    elif isinstance(frame, pl.DataFrame):
        rows = frame.to_dicts()
    else:
        rows = [dict(zip(frame.columns, row, strict=True)) for row in frame.fetchall()]
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def plain(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124  NaN
        return None
    if isinstance(value, datetime):
        return pd.Timestamp(value).tz_convert("UTC").to_pydatetime()
    assert isinstance(value, date | str | bool | int | float), type(value)
    return value


def test_the_page_has_questions_each_answered_by_three_engines() -> None:
    assert [q.title.partition(".")[0] for q in QUESTIONS] == [str(n) for n in range(1, 20)]
    for question in QUESTIONS:
        assert [language for language, _ in question.blocks] == ["python", "sql", "python"]
        assert re.findall(r"^(\w+)\n\n```", question.text, re.MULTILINE) == ENGINES


@pytest.mark.parametrize("question", QUESTIONS, ids=[q.title for q in QUESTIONS])
def test_three_engines_give_one_answer(question: Question, notebook: dict[str, Any]) -> None:
    in_pandas, in_sql, in_polars = (code for _, code in question.blocks)
    answers = {
        "pandas": rows_of(value_of(notebook, in_pandas)),
        "DuckDB": rows_of(notebook["con"].sql(in_sql)),
        "Polars": rows_of(value_of(notebook, in_polars)),
    }
    # As text, for 1 is not 1.0 and not True.
    assert repr(answers["pandas"]) == repr(answers["DuckDB"])
    assert repr(answers["pandas"]) == repr(answers["Polars"])
    assert len(answers["pandas"]) > 1
    assert [*answers["pandas"][0]] == [*answers["DuckDB"][0]] == [*answers["Polars"][0]]


def test_the_answers_are_about_something(notebook: dict[str, Any]) -> None:
    """Questions on what is new, old, slow or broken have both kinds of rows to tell apart."""
    changed = rows_of(value_of(notebook, QUESTIONS[9].blocks[0][1]))
    generations = len(notebook["read"]("generations", "warehouse"))
    assert 0 < sum(row["new"] for row in changed) < generations
    by_model = rows_of(value_of(notebook, QUESTIONS[3].blocks[0][1]))
    assert {row["basis"] for row in by_model} == {"reported", "observed", "signed"}
    assert any(row["model"] is None for row in by_model)
    reasons = rows_of(value_of(notebook, QUESTIONS[6].blocks[0][1]))
    assert any(row["http_status"] is None for row in reasons)
    assert {row["is_final"] for row in reasons} == {True, False}
    assert sum(row["size"] for row in reasons) == 9
    stages = rows_of(value_of(notebook, QUESTIONS[10].blocks[0][1]))
    assert all(row["waited"] >= row["worked_on"] > 0 for row in stages)
    kinds = rows_of(value_of(notebook, QUESTIONS[11].blocks[0][1]))
    assert {"moderation", "other"} <= {row["failure_category"] for row in kinds}
    lengths = rows_of(value_of(notebook, QUESTIONS[12].blocks[0][1]))
    assert any(0 < row["as_asked"] < row["videos"] for row in lengths)
