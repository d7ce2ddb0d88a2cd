"""Declarations of columns and tables, which yield schema, file metadata and dictionary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

# Metadata for pandas by type: pandas' two names, and the time zone.
PANDAS_TYPES: Final = {
    # Without it, nulls turn these into floats or objects in a plain `pd.read_parquet`.
    pa.bool_(): ("bool", "boolean", None),
    pa.int32(): ("int32", "Int32", None),
    pa.int64(): ("int64", "Int64", None),
    # These are the same without it, but fastparquet fails if a column is missing.
    pa.float64(): ("float64", "float64", None),
    pa.string(): ("unicode", "object", None),
    pa.binary(): ("bytes", "object", None),
    pa.date32(): ("date", "object", None),
    TIMESTAMP: ("datetimetz", "datetime64[us]", {"timezone": "UTC"}),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table.

    Attributes:
        type: Arrow type; never nested.
        description: A sentence for the dictionary and for the file's metadata.
        unit: Unit of the value, such as `pixels`; None for text and plain counts.
        paths: Paths in the answer's JSON, first match wins; empty if derived.
        example: An example, from the documented answer where that has one.
        allowed: All possible values; empty if open.
        is_often_epoch: For a time: whether a number is as common as text.
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

        Every column is listed: fastparquet takes the list as complete. It also parses the months of
        partition folders as times, and fails at one that is not.

        The form is pandas' own: https://pandas.pydata.org/docs/development/developer.html
        """
        months = [f"{self.partition}_month"] if self.partition else []
        return json.dumps(
            {
                "index_columns": [],
                "partition_columns": [_pandas_column(name, pa.string()) for name in months],
                "column_indexes": [],
                "columns": [_pandas_column(column.name, column.type) for column in self.columns],
                "creator": {"library": "luma-to-parquet", "version": "1"},
                "pandas_version": "3.0.0",
            }
        )


def _pandas_column(name: str, type_: pa.DataType) -> dict[str, object]:
    pandas_type, numpy_type, metadata = PANDAS_TYPES[type_]
    return {
        "name": name,
        "field_name": name,
        "pandas_type": pandas_type,
        "numpy_type": numpy_type,
        "metadata": metadata,
    }
