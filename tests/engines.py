"""Readers of Parquet that people use: for each, what it makes of the folder of a table."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import SparkSession


class Found(NamedTuple):
    """What a reader finds in a table.

    Attributes:
        kinds: For each column, in one word what its type is.
        rows: How many there are.
        partitions: Values of the partition, as text, sorted; of a plain table none.
    """

    kinds: dict[str, str]
    rows: int
    partitions: list[str]


KINDS: Final = (
    ("time", r"timestamp|datetime"),
    ("date", r"^date"),
    ("bool", r"bool"),
    ("int", r"int|long"),
    ("float", r"float|double"),
    ("bytes", r"blob|binary"),
    ("text", r"str|varchar|object|category"),
)


def kind(name: object) -> str:
    """The kind that a type's name stands for."""
    return next(kind for kind, pattern in KINDS if re.search(pattern, str(name).lower()))


def declared(schema: pa.Schema) -> dict[str, str]:
    """The kinds that a table's columns are declared to have."""
    return {field.name: kind(field.type) for field in schema}


def with_pandas(folder: Path, partition: str | None) -> Found:
    """By plain `pd.read_parquet`."""
    import pandas as pd  # noqa: PLC0415  each reader for itself

    rows = pd.read_parquet(folder)
    return _of_frame(rows, partition)


def with_pyarrow(folder: Path, partition: str | None) -> Found:
    """By a dataset with Hive partitions."""
    import pyarrow.dataset as ds  # noqa: PLC0415  as above

    rows = ds.dataset(folder, partitioning="hive").to_table()
    kinds = {field.name: kind(field.type) for field in rows.schema}
    values = rows[partition].unique().to_pylist() if partition else []
    return Found(kinds, len(rows), sorted(values))


def with_duckdb(folder: Path, partition: str | None) -> Found:
    """By `FROM read_parquet(…)`."""
    import duckdb  # noqa: PLC0415  as above

    with duckdb.connect() as connection:
        rows = connection.sql(f"FROM read_parquet('{folder}/**/*.parquet')")
        kinds = {name: kind(type_) for name, type_ in zip(rows.columns, rows.types, strict=True)}
        asked = rows.project(partition).distinct().fetchall() if partition else []
        return Found(kinds, len(rows), sorted(str(value) for (value,) in asked))


def with_polars(folder: Path, partition: str | None) -> Found:
    """By `pl.read_parquet`."""
    import polars as pl  # noqa: PLC0415  as above

    rows = pl.read_parquet(folder)
    kinds = {name: kind(type_) for name, type_ in rows.schema.items()}
    return Found(kinds, len(rows), sorted(map(str, rows[partition].unique())) if partition else [])


def with_fastparquet(folder: Path, partition: str | None) -> Found:
    """By fastparquet through pandas."""
    pytest.importorskip("fastparquet", reason="fastparquet is not installed (extra test)")
    import pandas as pd  # noqa: PLC0415  as above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 4 will do without it
        rows = pd.read_parquet(folder, engine="fastparquet")
    return _of_frame(rows, partition)


_spark: list[SparkSession] = []


def with_spark(folder: Path, partition: str | None) -> Found:
    """By Spark on this machine, with the time zone UTC."""
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install pyspark")
    from pyspark.sql import SparkSession  # noqa: PLC0415  as above

    if not _spark:
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.sql.session.timeZone": "UTC",
        }
        _spark.append(SparkSession.builder.master("local[1]").config(map=settings).getOrCreate())
    rows = _spark[0].read.parquet(str(folder))
    asked = rows.select(partition).distinct().collect() if partition else []
    kinds = {name: kind(type_) for name, type_ in rows.dtypes}
    return Found(kinds, len(rows.collect()), sorted(str(value) for (value,) in asked))


def with_clickhouse(folder: Path, partition: str | None) -> Found:
    """By ClickHouse in this process, through its table function `file`."""
    chdb = pytest.importorskip("chdb", reason="chdb is not installed: pip install chdb")
    options = "SETTINGS use_hive_partitioning = 1"
    source = f"file('{folder}/**/*.parquet', Parquet)"

    def ask(query: str) -> list[list[str]]:
        lines = str(chdb.query(f"{query} {options}", "TSV")).splitlines()
        return [line.split("\t") for line in lines]

    kinds = {
        name: _kind_in_clickhouse(type_) for name, type_, *_ in ask(f"DESCRIBE TABLE {source}")
    }
    # All of all columns, for a count alone would read none.
    rows = ask(f"SELECT count(), count(ignore(*)) FROM {source}")
    values = ask(f"SELECT DISTINCT {partition} FROM {source}") if partition else []
    return Found(kinds, int(rows[0][0]), sorted(value for (value,) in values))


def _kind_in_clickhouse(type_: str) -> str:
    """It has one type for text and bytes."""
    return kind(re.sub(r"Nullable|LowCardinality", "", type_).strip("()"))


def _of_frame(rows: object, partition: str | None) -> Found:
    kinds = {name: kind(dtype) for name, dtype in rows.dtypes.items()}
    if partition:
        kinds[partition] = kind(rows[partition].cat.categories.dtype)
    values = rows[partition] if partition else ()
    found = sorted({str(value).removesuffix(" 00:00:00") for value in values})
    return Found(kinds, len(rows), found)


ENGINES: Final[dict[str, Callable[[Path, str | None], Found]]] = {
    "pandas": with_pandas,
    "pyarrow": with_pyarrow,
    "DuckDB": with_duckdb,
    "Polars": with_polars,
    "fastparquet": with_fastparquet,
    "Spark": with_spark,
    "ClickHouse": with_clickhouse,
}
