"""What pages say of files, errors and each other is so."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

from connector import errors
from connector.cli.ingest import ingest
from connector.cli.shell import OPTIONS
from connector.record.answer import REJECT_REASONS
from connector.run.selection import Selection
from connector.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
ERRORS = [error for error in vars(errors).values() if isinstance(error, type)]
FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:connector|flows|tests|tools|benchmarks|docs|data)/[\w./-]*)`")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", read(page))):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}"


@cache
def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", read(page)), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    explicit = re.findall(r'<a id="([^"]+)">', read(page))
    return {text.strip().replace(" ", "-") for text in plain} | set(explicit)


@pytest.mark.parametrize(
    "page", [DOCS / "architecture.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_each_file_that_is_named_exists(page: Path) -> None:
    named = PATH.findall(read(page))
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_test_that_reliability_names_exists() -> None:
    page = read(DOCS / "reliability.md")
    named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", page)
    assert len(named) > 15
    for file, name in named:
        assert f"def {name}" in read(ROOT / "tests" / file), f"{file}::{name}"


def test_the_architecture_names_each_folder() -> None:
    page = read(DOCS / "architecture.md")
    folders = {path.parent for path in (ROOT / "connector").rglob("*.py")} - {ROOT / "connector"}
    assert folders
    missing = [path for path in folders if f"`{path.relative_to(ROOT)}/`" not in page]
    assert missing == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_troubleshooting_has_a_section_for_each_error(error: type[Exception]) -> None:
    if error is errors.ConnectorError:
        assert "`ConnectorError`" in read(DOCS / "troubleshooting.md")
        return
    section = sections()[error.__name__]
    assert "| Message | What to do |" in section


def test_troubleshooting_has_each_reason_of_a_reject() -> None:
    missing = [reason for reason in REJECT_REASONS if f"`{reason}`" not in sections()["Rejects"]]
    assert missing == []


def test_each_message_in_troubleshooting_is_one_that_the_code_has() -> None:
    """Where the code's words change, so must the page; `…` stands for what differs each time."""
    quoted = [
        message
        for section in sections().values()
        for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
        for message in re.findall(r"`([^`]+)`", row)
        if message not in REJECT_REASONS
    ]
    assert len(quoted) > 50
    assert [message for message in quoted if not is_in_code(message)] == []


def is_in_code(message: str) -> bool:
    pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
    return any(map(pattern.search, texts()))


def test_a_text_names_a_setting_as_its_readers_know_it() -> None:
    """An option is the command line's, which spells it so itself; Python and the flow have none."""
    names = {*Settings.model_fields, *Selection.__slots__}
    options = "|".join(names).replace("_", "-")
    of_all = [
        path
        for path in (ROOT / "connector").rglob("*.py")
        if not {"cli", "sandbox"} & {*path.parts} and path.name != "schema.py"
    ]
    said = texts(*of_all)
    assert [text for text in said if re.search(rf"(?<!ingest )--({options})\b", text)] == []
    named = {name for text in said for name in re.findall(r"`(\w+)(?:=[^`]*)?`", text)} & names
    assert named == {*OPTIONS.split("|")}
    assert {*inspect.signature(ingest).parameters, "config"} >= named


@cache
def texts(*paths: Path) -> list[str]:
    """All texts in the code, docstrings aside, with `…` for each value that is put in."""
    found = []
    for path in paths or [*(ROOT / "connector").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]:
        tree = ast.parse(read(path))
        docstrings = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if node in docstrings:
                continue
            if isinstance(node, ast.JoinedStr):
                parts = (
                    value.value if isinstance(value, ast.Constant) else "…" for value in node.values
                )
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def sections() -> dict[str, str]:
    parts = read(DOCS / "troubleshooting.md").split("\n## ")[1:]
    return {part.partition("\n")[0]: part for part in parts}
