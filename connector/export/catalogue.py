"""A DuckDB file with a view for each table: no data in it, so it never goes stale.

A view looks for the Parquet files when it is asked, so it shows what the last run wrote. DuckDB
opens a file more than once while it answers, so a replacement in between can make a query fail
(about 1 in 300 while files are replaced without pause). It never answers wrongly, and a second try
succeeds.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector.errors import DamagedFile, UsageError
from connector.export.views import View, literal, view_of
from connector.record.schema import TABLES
from connector.storage.address import is_url
from connector.storage.replace import replacing
from connector.warehouse.reading import retried
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

    from connector.storage.storage import Address

# Form of the file: the DuckDB in an older BI tool could not open the newest one.
STORAGE: Final = "v1.0.0"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What was written.

    Attributes:
        views: One for each table.
        without_files: Tables that have no file yet. Their views stay empty until the catalogue is
            written anew.
    """

    target: Path
    views: tuple[str, ...]
    without_files: tuple[str, ...]


def write_catalogue(warehouse: Address, target: Path, *, relative: bool = False) -> Catalogue:
    """Write a DuckDB file with a described view for each table, replacing an earlier one.

    Args:
        warehouse: Folder of the tables.
        target: The file.
        relative: Name the Parquet files from the target's folder, not from the root of the disk:
            for tools that are started there, or that set `file_search_path` to it.

    Raises:
        UsageError: DuckDB is not installed, the target holds more than such views, or the
            warehouse is in a bucket.
        WarehouseError: There is no warehouse.
    """
    duckdb = _import_duckdb()
    found = Warehouse.existing(warehouse)
    if target.exists():
        _refuse_if_not_ours(target)
    # Absolute, but not resolved: a link may come to point elsewhere.
    if is_url(found.storage.address):
        raise UsageError(
            f"a catalogue of {found.storage.address} cannot be made here: DuckDB reads a bucket by"
            " an extension of its own, with credentials of its own (docs/bi.md tells how)"
        )
    root = Path(found.storage.address)
    folder = os.path.relpath(root, target.parent) if relative else f"{root.absolute()}"
    without_files = tuple(name for name in TABLES if not found.storage.list(name))
    with replacing(target) as draft, closing(duckdb.connect()) as connection:
        connection.execute(f"SET file_search_path = {literal(str(target.parent.absolute()))}")
        connection.execute(f"ATTACH {literal(str(draft))} AS made (STORAGE_VERSION '{STORAGE}')")
        connection.execute("USE made")
        for name, table in TABLES.items():
            place = None if name in without_files else folder
            _make(view_of(table, place, found.partition_by), connection)
        connection.execute("USE memory")
        connection.execute("DETACH made")
    return Catalogue(target, tuple(TABLES), without_files)


def _make(view: View, connection: duckdb.DuckDBPyConnection) -> None:
    import duckdb  # noqa: PLC0415  an extra

    def make() -> None:
        try:
            view.make(connection)
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise DamagedFile(f"a file of {view.table.name} cannot be read: {error}") from error

    retried(make)


def _refuse_if_not_ours(target: Path) -> None:
    """A DuckDB file may hold somebody's work."""
    import duckdb  # noqa: PLC0415  an extra

    try:
        with closing(duckdb.connect(target, read_only=True)) as connection:
            held = connection.execute(
                "SELECT table_name FROM duckdb_tables() UNION ALL"
                " SELECT view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
    except duckdb.Error as error:
        raise UsageError(
            f"{target} is there, and whether it may be replaced cannot be told: {error}"
        ) from error
    others = [name for (name,) in held if name not in TABLES]
    if others:
        raise UsageError(
            f"{target} also holds {', '.join(others)}, which would be lost: name another file, and"
            " ATTACH it to yours"
        )


def _import_duckdb() -> Any:
    try:
        import duckdb  # noqa: PLC0415  an extra
    except ImportError:
        raise UsageError("DuckDB is not installed: pip install 'luma-to-parquet[bi]'") from None
    return duckdb
