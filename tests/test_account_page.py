"""What a flow run's page in Prefect's UI says; foreign text in it stays text."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from builders import answer, ingest
from markdown_it import MarkdownIt

from flows.account import escape, fenced
from flows.chart import outcomes_chart

if TYPE_CHECKING:
    from pathlib import Path

    from connector.record.answer import Answer

HOSTILE = [
    "a `code` and ```more``` and ````` even more",
    "<script>alert(1)</script> <img src=x onerror=alert(1)>",
    "![x](https://evil.example/x.png) [link](https://evil.example) *so* _so_ ~~so~~ # so | so",
    "https://evil.example www.evil.example somebody@evil.example &amp; \\ &#60;",
]


def shown(markdown: str) -> tuple[str, set[str]]:
    """The text that a reader sees, and the tags that make it."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    root = ET.fromstring(f"<page>{page}</page>")
    return "".join(root.itertext()).strip(), {one.tag for one in root.iter()} - {"page"}


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_shown_as_it_is(text: str) -> None:
    assert shown(fenced(text)) == (text, {"pre", "code"})
    seen, tags = shown(f"- {escape(text)}")
    assert seen.replace("\u2060", "") == text
    assert tags == {"ul", "li"}
    assert not re.search(r"://|www\.|\w@", seen), "which Prefect's UI would make a link"


def generation(task_id: str, created_at: str | None, state: str = "completed") -> Answer:
    return answer(task_id, {"id": task_id, "state": state, "created_at": created_at})


def test_the_chart_draws_each_day_and_says_the_same_in_words(tmp_path: Path) -> None:
    ingest(
        tmp_path / "w",
        generation("old", "2024-01-01T00:00:00Z"),
        generation("a", "2025-10-14T12:00:00Z"),
        generation("b", "2025-10-15T12:00:00Z"),
        generation("c", "2025-10-15T12:00:00Z", "failed"),
        generation("d", "2999-01-01T00:00:00Z"),
    )
    image = outcomes_chart(str(tmp_path / "w")) or ""
    text, encoded = re.fullmatch(r"!\[(.*)\]\(data:image/svg\+xml;base64,(.*)\)", image).groups()  # type: ignore[union-attr]
    assert text.endswith("16 Sep 2025 to 15 Oct 2025: 2 completed, 1 failed, 0 unfinished")
    drawn = ET.fromstring(b64decode(encoded))
    bars = [one for one in drawn.iter() if one.get("width") == "17.4"]
    assert len(bars) == 3


def test_without_a_time_there_is_no_chart(tmp_path: Path) -> None:
    ingest(tmp_path / "w", generation("a", None))
    assert outcomes_chart(str(tmp_path / "w")) is None
