"""Texts that spreadsheets and databases can hold, and what an export had to change in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    Mend = Callable[[pa.ChunkedArray], pa.ChunkedArray]

# The most that a cell of Excel holds, in UTF-16 code units: most emoji are two.
CELL_UNITS: Final = 32_767

NO_CONTROL: Final = "control characters removed"

# Characters that XML cannot express; line ends and tabs are not among them.
CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"

# The start of a cell that a spreadsheet would run as a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA: Final = r"^[=+\-@\t\r\n＝＋－＠]"


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported table.

    Attributes:
        table: Name of the table.
        rows: Rows in the copy.
        notes: For people: what could not be copied unchanged.
    """

    table: str
    rows: int
    notes: tuple[str, ...] = ()


class Mended:
    """Applies changes to texts and counts them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def apply(self, mend: Mend, what: str, table: pa.Table) -> pa.Table:
        """Change the text columns of a table; each changed text counts under `what`."""
        for position, field in enumerate(table.schema):
            if field.type == pa.string():
                texts = table.column(position)
                mended = mend(texts)
                changed = pc.sum(pc.not_equal(texts, mended)).as_py()
                if changed:
                    self.counts[what] += changed
                    table = table.set_column(position, field, mended)
        return table

    @property
    def notes(self) -> tuple[str, ...]:
        """The changes with their counts, for people."""
        cells = {1: "1 cell"}
        return tuple(
            f"{what}: {cells.get(count, f'{count:,} cells')}" for what, count in self.counts.items()
        )


def without_nul(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove the character NUL."""
    return pc.replace_substring(texts, "\0", "")


def without_control(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Remove control characters except line ends and tabs."""
    return pc.replace_substring_regex(texts, CONTROL, "")


def without_formula(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put an apostrophe before what a spreadsheet would run as a formula."""
    is_formula = pc.match_substring_regex(texts, FORMULA)
    return pc.if_else(is_formula, pc.binary_join_element_wise("'", texts, ""), texts)


def shortened(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cut texts that do not fit into a cell."""
    # A character has at most two code units.
    if (pc.max(pc.utf8_length(texts)).as_py() or 0) <= CELL_UNITS // 2:
        return texts
    short = [text if text is None else _short(text) for text in texts.to_pylist()]
    return pa.chunked_array([pa.array(short, pa.string())])


def _short(text: str) -> str:
    units = text.encode("utf-16-le")[: 2 * CELL_UNITS]
    return units.decode("utf-16-le", "ignore")  # drop half of a surrogate pair


def readable(table: pa.Table) -> pa.Table:
    """Decode bytes to text; undecodable ones are replaced."""
    for position, field in enumerate(table.schema):
        if field.type == pa.binary():
            values = table.column(position).to_pylist()
            texts = [None if value is None else value.decode(errors="replace") for value in values]
            table = table.set_column(position, field.name, pa.array(texts, pa.string()))
    return table


def in_utc(table: pa.Table) -> pa.Table:
    """Convert times for spreadsheets: milliseconds without a time zone; headers say UTC."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            moments = table.column(position).cast(pa.timestamp("ms"), safe=False)
            table = table.set_column(position, f"{field.name} (UTC)", moments)
    return table
