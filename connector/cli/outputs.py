"""`report`, `duckdb`, `export`: the tables for people and for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from connector.cli.shell import console, import_pyarrow


def report(
    *,
    warehouse: str | None = None,
    output: Annotated[str, Parameter(alias="-o")] = "report.html",
) -> None:
    """Write a page on what a warehouse holds: one HTML file that opens offline.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        output: The file.
    """
    import_pyarrow()
    from connector.report import write_report  # noqa: PLC0415  takes long
    from connector.settings import load  # noqa: PLC0415  takes long

    done = write_report(load(warehouse=warehouse).warehouse, output)
    console().print(
        f"{done.path}: {done.generations:,} generations, {done.size / 1e6:.1f} MB",
        markup=False,
        highlight=False,
    )


def duckdb(
    *,
    warehouse: str | None = None,
    output: Annotated[Path, Parameter(alias="-o")] = Path("warehouse.duckdb"),
    relative: bool = False,
) -> None:
    """Write a DuckDB catalogue: a described view for each table, for any tool that speaks DuckDB.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        output: The file.
        relative: Name the Parquet files from the output's folder, not from the root of the disk.
    """
    import_pyarrow()
    from connector.export.catalogue import write_catalogue  # noqa: PLC0415  takes long
    from connector.settings import load  # noqa: PLC0415  takes long

    done = write_catalogue(load(warehouse=warehouse).warehouse, output, relative=relative)
    console().print(f"{done.target}: {', '.join(done.views)}", markup=False, highlight=False)
    if done.without_files:
        names = ", ".join(done.without_files)
        console().print(f"still without rows; write it anew once they have some: {names}")


def export(*table: str, to: str, warehouse: str | None = None, schema: str | None = None) -> None:
    """Copy tables to a database or a spreadsheet, replacing what an earlier export put there.

    Args:
        table: Their names; if none, `generations` to a CSV file, and elsewhere all but `answers`.
        to: A SQLAlchemy URL, or a file that ends in `.csv` (one table) or `.xlsx`.
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        schema: Schema of the database, made if need be.
    """
    import_pyarrow()
    from connector.export.export import export as run  # noqa: PLC0415  takes long
    from connector.settings import load  # noqa: PLC0415  takes long

    for done in run(load(warehouse=warehouse).warehouse, to, table, schema=schema):
        console().print(f"{done.table}: {done.rows:,} rows", markup=False, highlight=False)
        for note in done.notes:
            console().print(f"  {note}", markup=False, highlight=False)
