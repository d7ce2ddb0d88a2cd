"""A DuckDB file with a view for each table. It holds no data, so it never goes stale.

A view reads the Parquet files at query time, so it shows what the last run wrote. Only a kept
column that is new, or that is text now, needs the catalogue to be written again. DuckDB opens a
file more than once per query, so a replacement in between can make a query fail (about 1 in 300
while files are replaced without pause). It never gives a wrong answer, and a second try succeeds.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector.errors import DamagedFile, UsageError
from connector.export.views import (
    ENRICHED,
    JOINED,
    View,
    create_enriched,
    create_joined,
    literal,
    view_of,
)
from connector.record.schema import TABLES
from connector.storage.address import is_url
from connector.storage.replace import folder_beside, replacing
from connector.warehouse.files import files_of
from connector.warehouse.given import as_found, declared
from connector.warehouse.reading import retried
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

    from connector.storage.storage import Address

# An old storage version, so that the DuckDB inside an older BI tool can open the file.
STORAGE: Final = "v1.0.0"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A written catalogue.

    Attributes:
        views: Names of the views: one for each table, and that of `generations` with kept columns.
        without_files: Tables without a file so far. Their views stay empty until the catalogue is
            written again.
    """

    target: Path
    views: tuple[str, ...]
    without_files: tuple[str, ...]


def write_catalogue(warehouse: Address, target: Path, *, relative: bool = False) -> Catalogue:
    """Write a DuckDB file with a documented view for each table, replacing an earlier one.

    With `relative`, paths are stored relative to the target's folder: for tools that run there, or
    that set `file_search_path` to it.

    Raises:
        UsageError: DuckDB is not installed, the target holds anything but such views, or the
            warehouse is in a bucket.
        WarehouseError: The warehouse does not exist.
    """
    duckdb = _import_duckdb()
    found = Warehouse.existing(warehouse)
    if target.exists():
        _refuse_if_not_ours(target)
    # Absolute, but not resolved: a link may point elsewhere later.
    if is_url(found.storage.address):
        raise UsageError(
            f"cannot make a catalogue of {found.storage.address}: DuckDB reads buckets with its own"
            " extension and credentials (see docs/bi.md)"
        )
    root = Path(found.storage.address)
    folder = os.path.relpath(root, target.parent) if relative else f"{root.absolute()}"
    without_files = tuple(
        name for name, table in TABLES.items() if not files_of(found.storage, table)
    )
    try:
        with (
            replacing(target) as draft,
            folder_beside(draft) as parts,
            closing(duckdb.connect()) as connection,
        ):
            # In a folder, as DuckDB has a log beside its file.
            made = parts / "made"
            connection.execute(f"SET file_search_path = {literal(str(target.parent.absolute()))}")
            connection.execute(f"ATTACH {literal(str(made))} AS made (STORAGE_VERSION '{STORAGE}')")
            connection.execute("USE made")
            for name, table in TABLES.items():
                place = None if name in without_files else folder
                whole = as_found(found.storage, table)
                _create(view_of(whole, place, found.partition_by), connection)
            create_joined(connection, declared(found.storage))
            create_enriched(connection)
            connection.execute("USE memory")
            connection.execute("DETACH made")
            made.rename(draft)
    except duckdb.OperationalError as error:
        # What comes before the reason names the draft.
        why = str(error).rpartition(": ")[2]
        raise UsageError(f"cannot write {target}: {why}") from error
    return Catalogue(target, (*TABLES, JOINED, ENRICHED), without_files)


def _create(view: View, connection: duckdb.DuckDBPyConnection) -> None:
    import duckdb  # noqa: PLC0415  an extra

    def create() -> None:
        try:
            view.create(connection)
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise DamagedFile(f"cannot read a file of {view.table.name}: {error}") from error

    retried(create)


def _refuse_if_not_ours(target: Path) -> None:
    """Protect a DuckDB file that holds somebody's work."""
    import duckdb  # noqa: PLC0415  an extra

    try:
        with closing(duckdb.connect(target, read_only=True)) as connection:
            held = connection.execute(
                "SELECT table_name FROM duckdb_tables() UNION ALL"
                " SELECT view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
    except duckdb.Error as error:
        raise UsageError(
            f"cannot tell whether {target} may be replaced: {error}. Close it elsewhere, or name"
            " another file"
        ) from error
    others = [name for (name,) in held if name not in {*TABLES, JOINED, ENRICHED}]
    if others:
        raise UsageError(
            f"{target} also holds {', '.join(others)}, which would be lost: write to another file"
            " and ATTACH it to yours"
        )


def _import_duckdb() -> Any:
    try:
        import duckdb  # noqa: PLC0415  an extra
    except ImportError:
        raise UsageError("DuckDB is not installed: pip install 'luma-to-parquet[bi]'") from None
    return duckdb
