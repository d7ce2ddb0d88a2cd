"""`report`, `duckdb`, `export`: the tables, for people and other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from connector.cli.log import say
from connector.cli.options import NONE, Common
from connector.cli.shell import console
from connector.storage.arrow import import_pyarrow
from connector.words import REPORT, plural


def report(
    *,
    warehouse: str | None = None,
    output: Annotated[str, Parameter(alias="-o")] = REPORT,
    by: str | None = None,
    thumbnails: bool = False,
    common: Common = NONE,
) -> None:
    """Write a report on a warehouse: one HTML file that opens offline.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        output: The file.
        by: One more column to break figures down by: of `generations`, or kept with `--keep`.
        thumbnails: Show thumbnails in lists of task IDs; they load from the gateway's storage.
    """
    import_pyarrow()
    from connector.report import write_report  # noqa: PLC0415  takes long

    address = common.load(warehouse=warehouse).warehouse
    done = write_report(address, output, by=by, thumbnails=thumbnails)
    say(
        f"{done.path}: {plural(done.generations, 'generation')}, {done.size / 1e6:.1f} MB",
        path=done.path,
        generations=done.generations,
        bytes=done.size,
    )


def duckdb(
    *,
    warehouse: str | None = None,
    output: Annotated[Path, Parameter(alias="-o")] = Path("warehouse.duckdb"),
    relative: bool = False,
    common: Common = NONE,
) -> None:
    """Write a DuckDB file with a documented view of each table.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        output: The file.
        relative: Write paths of Parquet files relative to the output's folder.
    """
    import_pyarrow()
    from connector.export.catalogue import write_catalogue  # noqa: PLC0415  takes long

    done = write_catalogue(common.load(warehouse=warehouse).warehouse, output, relative=relative)
    say(f"{done.target}: {', '.join(done.views)}", target=done.target, views=done.views)
    if done.without_files:
        names = ", ".join(done.without_files)
        say(f"no rows yet in {names}: run this again once they have some")


def export(
    *table: str,
    to: str,
    warehouse: str | None = None,
    schema: str | None = None,
    common: Common = NONE,
) -> None:
    """Copy tables to a database or a spreadsheet, replacing an earlier export.

    Args:
        table: Names of tables; if none, `generations` for a CSV file, else all but `answers`.
        to: A SQLAlchemy URL, or a file that ends in `.csv` (one table) or `.xlsx`.
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        schema: Schema of the database; created if it is missing.
    """
    import_pyarrow()
    from connector.export.export import export_tables  # noqa: PLC0415  takes long

    for done in export_tables(common.load(warehouse=warehouse).warehouse, to, table, schema=schema):
        say(f"{done.table}: {plural(done.rows, 'row')}", table=done.table, rows=done.rows)
        for note in done.notes:
            console().print(f"  {note}", markup=False, highlight=False)
