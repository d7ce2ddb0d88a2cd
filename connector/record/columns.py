"""What a column and a table are: one declaration yields schema, file metadata and dictionary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

PANDAS_TYPES: Final = {
    pa.bool_(): ("bool", "boolean"),
    pa.int32(): ("int32", "Int32"),
    pa.int64(): ("int64", "Int64"),
}
"""Types whose nulls would turn them into floats or objects in a plain `pd.read_parquet`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table.

    Attributes:
        type: Arrow type; never nested.
        description: A sentence for the dictionary and for the file's metadata.
        unit: Of the value, such as `pixels`; None for text and counts of one.
        paths: Where it comes from in the answer's JSON, first match wins; empty if derived.
        example: From the documented answer where that has one.
        allowed: All values it can have; empty if open.
        is_often_epoch: Whether a number is as usual as text, for a time.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str | None = None
    paths: tuple[str, ...] = ()
    example: str | None = None
    allowed: tuple[str, ...] = ()
    is_often_epoch: bool = False

    @property
    def field(self) -> pa.Field:
        """The Arrow field, which carries the description into every file."""
        metadata = {
            "description": self.description,
            "unit": self.unit,
            "source": " | ".join(self.paths) or None,
        }
        return pa.field(
            self.name, self.type, metadata={key: text for key, text in metadata.items() if text}
        )


@dataclass(frozen=True)
class Table:
    """One table of the warehouse.

    Attributes:
        key: Columns that identify a row.
        sort: Columns that order the rows of a file.
        partition: Stem of the partition folders, `<partition>_month=…`; None for a plain folder.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    sort: tuple[str, ...] = ()
    partition: str | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema with all metadata."""
        return pa.schema(
            [column.field for column in self.columns],
            metadata={"description": self.description, "pandas": self._pandas_metadata()},
        )

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def _pandas_metadata(self) -> str:
        """Have `pd.read_parquet` give nullable integers and booleans, not floats and objects.

        The form is pandas' own: https://pandas.pydata.org/docs/development/developer.html
        """
        columns = [
            {
                "name": column.name,
                "field_name": column.name,
                "pandas_type": PANDAS_TYPES[column.type][0],
                "numpy_type": PANDAS_TYPES[column.type][1],
                "metadata": None,
            }
            for column in self.columns
            if column.type in PANDAS_TYPES
        ]
        return json.dumps(
            {
                "index_columns": [],
                "column_indexes": [],
                "columns": columns,
                "creator": {"library": "luma-to-parquet", "version": "1"},
                "pandas_version": "3.0.0",
            }
        )
