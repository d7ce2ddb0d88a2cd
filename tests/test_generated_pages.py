"""`docs/cli.md` and `docs/settings.md` say what the code says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connector.cli.app import app
from connector.metrics.meters import ENDPOINTS
from connector.sandbox.settings import knobs
from connector.settings import Settings, variable_of
from tools import cli_page, settings_page

ROOT = Path(__file__).parent.parent
PAGES = {"cli": cli_page.page, "settings": settings_page.page}
# What the flows set for processes that they start.
NOT_FOR_USERS = {
    "PYTHONPATH",
    "PREFECT_HOME",
    "PREFECT_SERVER_ANALYTICS_ENABLED",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL",
    "DO_NOT_TRACK",
}


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_makes(name: str) -> None:
    committed = (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")
    assert committed == PAGES[name](), f"run `make docs` and commit docs/{name}.md"


@pytest.mark.parametrize("name", PAGES)
def test_the_script_writes_the_page(name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    subprocess.run([sys.executable, "-m", f"tools.{name}_page", str(page)], check=True, cwd=ROOT)
    assert page.read_text(encoding="utf-8") == PAGES[name]()


@pytest.mark.parametrize("name", PAGES)
def test_no_cell_breaks_its_row(name: str) -> None:
    for table in re.findall(r"(?:^\|.*\n?)+", PAGES[name](), re.MULTILINE):
        bars = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(bars) == 1, table


@pytest.mark.parametrize("command", [name for name in app if not name.startswith("-")])
def test_each_option_that_a_command_accepts_is_on_the_page(command: str) -> None:
    """The help prints what the parser accepts, so it is the witness."""
    printed = subprocess.run(
        [sys.executable, "-m", "connector", command, "--help"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", printed)) - {"--version"}
    section = cli_page.page().partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    missing = {flag for flag in flags if f"`{flag}`" not in section and f"`{flag} " not in section}
    assert missing <= ({"--help"} if command != "sandbox" else set())


def test_each_knob_of_the_sandbox_is_on_the_page_with_its_meaning() -> None:
    page = cli_page.page()
    for knob in knobs():
        assert f"`--{knob.name.replace('_', '-')}" in page
        assert knob.metadata["about"].split(";")[0].replace("|", "\\|") in page


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_says_what_it_means_and_counts_in_a_unit(name: str) -> None:
    field = Settings.model_fields[name]
    row = next(
        line
        for line in settings_page.page().splitlines()
        if line.startswith(f"| `{variable_of(name)}` |")
    )
    assert field.description
    assert field.description in row
    is_number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
    unit = row.split(" | ")[2].strip()
    assert unit or not is_number


def test_each_variable_that_the_code_reads_is_on_the_page() -> None:
    page = settings_page.page()
    found = {name for path in sources() for name in variables(path)}
    assert {"LUMA_LOG_LEVEL", "LUMAAI_API_KEY", "AWS_REGION"} <= found
    read = found - NOT_FOR_USERS | set(ENDPOINTS)
    assert {name for name in read if f"`{name}`" not in page} == set()


def sources() -> list[Path]:
    found = [path for folder in ("connector", "flows") for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if "environ" in path.read_text(encoding="utf-8")]


def variables(path: Path) -> set[str]:
    """Names that a module gets or sets in `os.environ`."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("os.environ."):
            found += node.args[:1]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            found.append(node.slice)
    return {name.value for name in found if isinstance(name, ast.Constant)}
