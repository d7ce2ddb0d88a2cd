"""Further columns of a source, kept with its task IDs: which ones, and under which names.

A column keeps the name that it has in its source, with these exceptions, so that no two names in a
table differ by letter case alone: a blank name becomes `column_3`, by its position; `task_id`, if
it is not the column of the IDs, becomes `given_task_id`; and a name that is taken gets `_2`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from connector.errors import SourceError
from connector.record.kept import KEY
from connector.task_ids.columns import find_column
from connector.task_ids.spelling import BLANKS
from connector.words import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from connector.record.kept import Values

ALL: Final = "all"

# In bytes, of one value.
LONGEST_KEPT: Final = 16 << 20

_BETWEEN_WORDS = re.compile(r"\s+")
_SHOWN = 20


class Take(Protocol):
    """Receives kept columns."""

    def __call__(
        self, where: str, task_ids: pa.Array, columns: Mapping[str, Values], *, has_types: bool
    ) -> None:
        """Take the columns of some valid task IDs of a source."""


class Rows(NamedTuple):
    """Values of the column of task IDs, and those of kept columns in the same order.

    Attributes:
        has_types: Whether the values of `columns` are more than the texts of a CSV file.
    """

    values: Any
    columns: Mapping[str, Any]
    has_types: bool = True


# In the rows of a JSON object that has no such key: not a blank, which would replace a value.
NOT_GIVEN: Final = object()


@dataclass(slots=True)
class Keep:
    """Which columns to keep.

    Attributes:
        names: Their names in the sources, in any spelling; `all` for all.
        unnamed: Names that stand for a blank one, so far.
    """

    names: Sequence[str]
    unnamed: set[str] = field(default_factory=set)

    @property
    def is_all(self) -> bool:
        """Whether all columns are kept."""
        return ALL in self.names

    def choose(self, header: Sequence[object], id_index: int, where: str) -> dict[str, int]:
        """The position of each column to keep in a header, by the name that it gets.

        Raises:
            SourceError: It lacks a column that is asked for, or has it more than once.
        """
        texts = list(map(as_name, header))
        places = list(range(len(texts)))
        if not self.is_all:
            places = list(dict.fromkeys(self._find(name, texts, where) for name in self.names))
        chosen: dict[str, int] = {}
        taken = {KEY}
        for place in places:
            if place == id_index:  # it is `task_id` already
                continue
            name = texts[place] or f"column_{place + 1}"
            name = f"given_{KEY}" if name.casefold() == KEY else name
            number, free = 1, name
            while free.casefold() in taken:
                number += 1
                free = f"{name}_{number}"
            taken.add(free.casefold())
            chosen[free] = place
            if not texts[place]:
                self.unnamed.add(free)
        return chosen

    def choose_below(
        self, rows: Sequence[Sequence[object]], header: int, id_index: int, where: str
    ) -> dict[str, int]:
        """As `choose`, of rows of which one is the header; none is if its position is -1.

        Raises:
            SourceError: As `choose`, and if there is no header.
        """
        if header < 0:
            raise without_columns(where, "no header names them")
        return self.choose(rows[min(header, len(rows) - 1)], id_index, where)

    def _find(self, name: str, texts: Sequence[str], where: str) -> int:
        index = find_column(texts, name)
        if index is None:
            unnamed = re.fullmatch(r"column_(\d+)", name.strip(BLANKS), re.IGNORECASE)
            place = int(unnamed[1]) - 1 if unnamed else -1
            if 0 <= place < len(texts) and not texts[place]:
                return place
            raise missing(name, texts, where)
        if texts.count(texts[index]) > 1:
            raise SourceError(
                f"{where} has more than one column {texts[index]}: rename the one to keep, or keep"
                " all."
            )
        return index


def as_name(name: object) -> str:
    """The name of a column as text on one line; "" if it is blank."""
    if isinstance(name, float):
        name = int(name) if name.is_integer() else name
        return "" if name != name else str(name)  # noqa: PLR0124  NaN, of a spreadsheet
    text = "" if name is None else str(name)
    text = text.encode("utf-8", "replace").decode().replace("\0", "")
    return _BETWEEN_WORDS.sub(" ", text).strip(BLANKS)


def missing(name: str, names: Sequence[str], where: str) -> SourceError:
    """The error for a column that is asked for and is not there."""
    known = list(dict.fromkeys(filter(None, names)))
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    return SourceError(
        f"{where} has no column {name} to keep{did_you_mean(name, known)}. Its columns: {shown}."
    )


def without_columns(where: str, why: str) -> SourceError:
    """The error for a source that cannot have columns."""
    return SourceError(
        f"{where} has no columns to keep: {why}. Leave out `keep` and LUMA_KEEP, or give a table"
        " such as CSV."
    )
