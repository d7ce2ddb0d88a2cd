"""Copies of tables in a database, a CSV file or an Excel file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import UsageError
from connector.export.csv_file import write_csv
from connector.export.xlsx_file import write_xlsx
from connector.record.schema import ANSWERS, GENERATIONS, MARTS, TABLES
from connector.storage.address import is_object_store
from connector.storage.file_url import path_of
from connector.warehouse import refresh as marts
from connector.warehouse.files import files_of
from connector.warehouse.given import as_found
from connector.warehouse.reading import retried, table_named
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.export.cells import Exported
    from connector.record.column import Table
    from connector.storage.storage import Address, Storage


def export_tables(
    warehouse: Address, to: str, tables: Sequence[str] = (), *, schema: str | None = None
) -> list[Exported]:
    """Copy tables to a database or a file, replacing an earlier export.

    Args:
        warehouse: Address of the warehouse.
        to: A SQLAlchemy URL, or a file that ends in `.csv` (one table) or `.xlsx`.
        tables: Names of tables. Default: `generations` for CSV, otherwise every existing table
            except `answers`.
        schema: Schema of the database, created if missing.

    Raises:
        UsageError: The export is impossible as requested; the message says why and shows no secret.
        WarehouseError: The warehouse does not exist, or a file of it is damaged.
    """
    storage = Warehouse.existing(warehouse).storage
    named = [as_found(storage, table_named(name)) for name in dict.fromkeys(tables)]
    if is_object_store(to) or to.lower().startswith(("http://", "https://")):
        raise UsageError(f"cannot export to {to}: export to a file on this machine, then copy it")
    to = path_of(to)
    if "://" in to:
        # Importing SQLAlchemy takes longer than writing a small file.
        from connector.export.database import export_to_database  # noqa: PLC0415

        return export_to_database(storage, named or _present(storage), to, schema)
    if schema:
        raise UsageError("only a database has schemas: omit --schema for a file")
    target = Path(to)
    if target.suffix.lower() == ".csv":
        return [_to_csv(storage, named or [GENERATIONS], target)]
    if target.suffix.lower() == ".xlsx":
        return retried(lambda: write_xlsx(storage, named or _present(storage), target))
    raise UsageError(
        f"unknown format of {to}: name a file that ends in .csv or .xlsx, or a database such as"
        " postgresql://user@host/database"
    )


def _present(storage: Storage) -> list[Table]:
    present = [
        as_found(storage, table)
        for table in TABLES.values()
        if table is not ANSWERS and _is_present(storage, table)
    ]
    if not present:
        raise UsageError(f"{storage.address} holds no table yet: run `ingest` first")
    return present


def _is_present(storage: Storage, table: Table) -> bool:
    if table in MARTS and marts.was_left_out(storage, table):
        return False
    return bool(files_of(storage, table))


def _to_csv(storage: Storage, tables: Sequence[Table], target: Path) -> Exported:
    if len(tables) > 1:
        raise UsageError(
            f"a CSV file holds one table, not {len(tables)}: use .xlsx or several files"
        )
    return retried(lambda: write_csv(storage, tables[0], target))
