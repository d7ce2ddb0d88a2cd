"""Kept columns: what a list of task IDs has beside the IDs. Their types, and their merge.

A value travels as text until all of its column are known, because only then is its type. The text
of a value reads back as that value, and null means that the column was not given for that row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.column import TIMESTAMP, Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from connector.record.column import Table

WHOLE, NUMBER, FLAG = pa.int64(), pa.float64(), pa.bool_()
DATE, TIME, TEXT = pa.date32(), TIMESTAMP, pa.string()
NOTHING: Final = pa.null()
"""The type of a column without a value: any other takes its place."""

BLANK: Final = "\0"
"""Text of a value that was given as blank: it replaces an earlier one."""

# Types of which one holds the values of the other.
WIDER: Final = {frozenset((WHOLE, NUMBER)): NUMBER, frozenset((DATE, TIME)): TIME}

WORDS: Final = {
    WHOLE: "whole numbers",
    NUMBER: "numbers",
    FLAG: "true or false",
    DATE: "dates",
    TIME: "times",
    TEXT: "text",
}

# Which text of CSV is of a type. What would come back otherwise, such as `007`, is text.
PATTERNS: Final = {
    WHOLE: r"^(?:0|-?[1-9]\d{0,17})$",
    NUMBER: r"^-?(?:0|[1-9]\d{0,17})(?:\.\d{1,17})?(?:[eE][+-]\d{2,3})?$",
    FLAG: r"^(?i:true|false)$",
    DATE: r"^\d{4}-\d\d-\d\d$",
    TIME: (
        r"^\d{4}-\d\d-\d\d"
        r"(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)? ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?)?)?$"
    ),
}
# Which text can be read as a value of a type.
READABLE: Final = {
    **PATTERNS,
    WHOLE: r"^-?\d{1,19}$",
    NUMBER: r"^-?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|inf)$",
}

KEY: Final = "task_id"


class Values(NamedTuple):
    """Some values of a kept column.

    Attributes:
        texts: Each value as text that reads back as it; null where none is given.
        types: Those that the values have.
    """

    texts: pa.Array
    types: frozenset[pa.DataType]


def joined(types: Iterable[pa.DataType]) -> pa.DataType:
    """The type for values of all of these: the widest one, or text if none holds the others."""
    distinct = frozenset(types) - {NOTHING}
    if len(distinct) < 2:  # noqa: PLR2004  one or none
        return next(iter(distinct), NOTHING)
    return WIDER.get(distinct, TEXT)


def declare(table: Table, schema: pa.Schema) -> tuple[Column, ...]:
    """The columns of a file with kept ones: those that `table` declares come first."""
    declared = {column.name for column in table.columns}
    kept = (field for field in schema if field.name not in declared)
    return (*table.columns, *(kept_column(field.name, field.type) for field in kept))


def kept_column(name: str, type_: pa.DataType) -> Column:
    """The declaration of a kept column."""
    description = f"`{name}` in the source of the task ID: the value given last."
    return Column(name, type_, description, "UTC" if type_ == TIME else None)


def to_texts(values: pa.Array) -> pa.Array:
    """Values of a type of this module as text; null stays null, and NaN becomes null."""
    if values.type == TIME:
        texts = pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ")
        return pc.replace_substring_regex(texts, r"\.?0*Z$", "Z") if _has_parts(texts) else texts
    if values.type == NUMBER:
        values = pc.if_else(pc.is_nan(values), None, values)
    return values.cast(TEXT)


def _has_parts(texts: pa.Array) -> bool:
    """Whether times have parts of seconds, which Arrow always writes in full."""
    return bool(pc.any(pc.match_substring(texts, ".")).as_py())


def from_texts(texts: pa.Array | pa.ChunkedArray, type_: pa.DataType) -> pa.Array:
    """The values of these texts; null for what is none of the type, such as `n/a` or a blank."""
    if type_ in (TEXT, NOTHING):
        return pc.if_else(pc.equal(texts, BLANK), None, texts)
    cells = pc.utf8_trim_whitespace(texts)
    cells = pc.if_else(pc.match_substring_regex(cells, READABLE[type_]), cells, None)
    if type_ == TIME:
        return _times(cells)
    return cells.cast(type_)


def _times(cells: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Times in UTC, also those that name no zone; a date is its first moment."""
    cells = pc.replace_substring_regex(cells, r"(\.\d{6})\d+", r"\1")
    cells = pc.replace_substring_regex(cells, r" ?(?:Z|UTC)$", "")
    is_day = pc.equal(pc.utf8_length(cells), len("2025-10-15"))
    has_zone = pc.match_substring_regex(cells, r":\d\d(?:\.\d+)? ?[+-]\d\d(?::?\d\d)?$")
    cells = pc.replace_substring_regex(cells, r" ([+-])", r"\1")
    ends = pc.if_else(is_day, "T00:00:00Z", pc.if_else(has_zone, "", "Z"))
    return pc.binary_join_element_wise(cells, ends, "").cast(TIME)


def is_readable(texts: pa.Array, type_: pa.DataType) -> bool:
    """Whether all texts can be read as values of a type."""
    return bool(pc.all(pc.match_substring_regex(texts, READABLE[type_]), min_count=0).as_py())


def type_of_cells(cells: pa.Array) -> pa.DataType:
    """The type that all of these texts can be read as; text if there is none.

    What it says of a column in parts, joined, is what it says of the whole column.
    """
    if not len(cells):
        return NOTHING
    for type_, pattern in PATTERNS.items():
        # Most columns are told by their first value.
        if pc.match_substring_regex(cells[:1], pattern)[0].as_py() and _are_all(cells, type_):
            return type_
    return TEXT


def _are_all(cells: pa.Array, type_: pa.DataType) -> bool:
    if not pc.all(pc.match_substring_regex(cells, PATTERNS[type_])).as_py():
        return False
    try:
        from_texts(cells, type_)
    except pa.ArrowInvalid:  # such as the 30th of February
        return False
    return True


def latest(rows: pa.Table) -> pa.Table:
    """One row for each task ID, sorted: of each column the value that was given last."""
    names = [name for name in rows.column_names if name != KEY]
    # Without threads, which would lose the order.
    groups = rows.group_by(KEY, use_threads=False)
    last = groups.aggregate([(name, "last") for name in names]).rename_columns([KEY, *names])
    return last.sort_by(KEY)


def merged(existing: pa.Table, incoming: pa.Table, schema: pa.Schema) -> pa.Table:
    """Update kept columns by what is given now.

    Args:
        existing: Rows of the table `given`, one per task ID, of any earlier types.
        incoming: Texts, one row per task ID; null where nothing is given.
        schema: The table's, with the types that hold both.

    Returns:
        The rows of both, sorted by task ID.
    """
    ids = pa.chunked_array([*existing[KEY].chunks, *incoming[KEY].chunks], TEXT)
    ids = ids.unique()
    ids = ids.take(pc.sort_indices(ids))
    old_rows, new_rows = (pc.index_in(ids, rows[KEY]) for rows in (existing, incoming))
    columns: list[pa.Array | pa.ChunkedArray] = []
    for field in schema:
        if field.name == KEY:
            columns.append(ids)
            continue
        old = pa.nulls(len(ids), field.type)
        if field.name in existing.column_names:
            old = converted(existing[field.name], field.type).take(old_rows)
        if field.name in incoming.column_names:
            texts = incoming[field.name].take(new_rows)
            old = pc.if_else(pc.is_valid(texts), from_texts(texts, field.type), old)
        columns.append(old)
    return pa.table(columns, schema=schema)


def changed(before: pa.Table, after: pa.Table, column: str) -> pa.ChunkedArray:
    """Task IDs whose value in a column is another one after a merge."""
    old = pa.chunked_array([pa.nulls(len(after), after[column].type)])
    if column in before.column_names:
        rows = pc.index_in(after[KEY], before[KEY])
        old = converted(before[column], after[column].type).take(rows)
    new = after[column]
    differs = pc.fill_null(pc.not_equal(old, new), False)
    differs = pc.or_(differs, pc.xor(pc.is_valid(old), pc.is_valid(new)))
    return after[KEY].filter(differs)


def converted(values: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """Values of an earlier type of a column in the one that it has now."""
    if values.type == type_:
        return values
    if type_ != TEXT:
        return values.cast(type_)
    return pa.chunked_array([to_texts(chunk) for chunk in values.chunks], TEXT)


def with_prompts(rows: pa.Table, prompts: pa.Table, is_open: pa.ChunkedArray) -> pa.Table:
    """Rows of `generations` with the given prompt where the gateway sent none.

    Args:
        rows: Rows of `generations`.
        prompts: `task_id` and `prompt`, one row per task ID; others than those of `rows` are
            allowed.
        is_open: Which rows to look at: such as `lacks_prompt` is true of.
    """
    found = prompts["prompt"].take(pc.index_in(rows[KEY], prompts[KEY]))
    found = pc.if_else(pc.equal(pc.utf8_trim_whitespace(found), ""), None, found)
    # A given prompt may have been withdrawn; what the gateway sent stays as it is.
    was_given = pc.fill_null(pc.equal(rows["prompt_source"], "given"), False)
    changes = pc.and_(is_open, pc.or_(pc.is_valid(found), was_given))
    if not pc.any(changes, min_count=0).as_py():
        return rows
    from connector.record.derive import of_prompts  # noqa: PLC0415  only with prompts to put in

    source = pc.if_else(pc.is_valid(found), "given", pa.scalar(None, TEXT))
    new = {"prompt": found, "prompt_source": source}
    new |= of_prompts(pa.chunked_array(found.chunks, TEXT).combine_chunks())
    return _replaced(rows, changes, new)


def lacks_prompt(rows: pa.Table) -> pa.ChunkedArray:
    """For each row of `generations`, whether the gateway sent no prompt, or a blank one."""
    is_blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(rows["prompt"]), ""), True)
    return pc.or_(is_blank, pc.fill_null(pc.equal(rows["prompt_source"], "given"), False))


def _replaced(
    rows: pa.Table, changes: pa.ChunkedArray, new: Mapping[str, pa.Array | pa.ChunkedArray]
) -> pa.Table:
    for name, values in new.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(
            place, rows.schema.field(place), pc.if_else(changes, values, rows[name])
        )
    return rows


def same_name(name: str, names: Sequence[str]) -> str | None:
    """Which of `names` is `name`, whatever the letter case; None if none is.

    DuckDB and Spark tell no two columns apart by letter case.
    """
    return next((one for one in names if one.casefold() == name.casefold()), None)
