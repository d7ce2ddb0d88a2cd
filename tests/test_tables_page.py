"""`docs/tables.md` says what the declarations say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connector.record.column import TIMESTAMP
from connector.record.schema import TABLES
from connector.warehouse.since import TIME_COLUMNS
from tools.tables_page import page

PAGE = Path(__file__).parent.parent / "docs/tables.md"


def sections() -> dict[str, str]:
    return {part.partition("\n")[0]: part for part in page().split("\n## ")[1:]}


def test_the_committed_page_is_what_the_declarations_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/tables.md"


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.tables_page", str(tmp_path / "tables.md")]
    subprocess.run(command, check=True)
    assert (tmp_path / "tables.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_its_section_with_a_row_for_each_column_in_order(name: str) -> None:
    table, section = TABLES[name], sections()[name]
    assert table.description in section
    assert f"**Key:** {', '.join(f'`{key}`' for key in table.key)}\n" in section
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == table.schema.names
    for row, column in zip(rows, table.columns, strict=True):
        for text in (str(column.type), column.description, column.unit, column.example):
            assert text is None or text in row
        assert all(f"`{text}`" in row for text in (*column.paths, *column.allowed))


def test_no_cell_breaks_its_row() -> None:
    for section in sections().values():
        grid = [line for line in section.splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in grid} == {7}


def test_since_looks_at_a_time_in_every_table_that_has_one() -> None:
    for table in TABLES.values():
        times = [column.name for column in table.columns if column.type == TIMESTAMP]
        assert (table.name in TIME_COLUMNS) == bool(times)
        assert not times or TIME_COLUMNS[table.name] in times
