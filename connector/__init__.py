"""luma-to-parquet: task IDs in, Parquet tables out.

In a notebook::

    import connector

    connector.ingest(["4b3c464e-…", "task_…"], warehouse="warehouse", key="luma-…")
    connector.ingest("ids.csv", warehouse="warehouse")   # the key from LUMAAI_API_KEY
    connector.ingest(frame, warehouse="warehouse")       # its column task_id, or another by column=
    connector.read("generations", "warehouse")           # a data frame
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from connector.version import VERSION

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from uuid import UUID

    from connector.run.keywords import Keywords
    from connector.summary import Summary
    from connector.warehouse.reading import read

__all__ = ["__version__", "ingest", "read"]

__version__ = VERSION


def __getattr__(name: str) -> Any:
    """Look up what takes long to import once it is asked for: `read` brings pyarrow."""
    if name == "read":
        from connector.warehouse.reading import read  # noqa: PLC0415  see above

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is there, for completion and `help`, that which is not imported yet included."""
    return sorted({*globals(), *__all__})


def ingest(
    task_ids: str | os.PathLike[str] | UUID | Iterable[object],
    *,
    column: str | None = None,
    query: str | None = None,
    limit: int | None = None,
    refresh: bool = False,
    retry_rejected: bool = False,
    **settings: Unpack[Keywords],
) -> Summary:
    """Fetch the generations of task IDs that are new or unfinished into a warehouse.

    Args:
        task_ids: A file, a glob, `-`, a SQLAlchemy URL, or `luma:list`; one task ID; or many: a
            list, a column or a table of pandas, Polars or Arrow, a dict of columns.
        column: Where the IDs are, if not in `task_id`, `generation_id`, `id`, `uuid` or `job_id`.
        query: What to ask a SQLAlchemy URL for.
        limit: Ask for no more than this many.
        refresh: Ask again for finished ones.
        retry_rejected: Ask again for finally rejected and given-up ones.
        **settings: `warehouse`, `base_url`, `key` and the rest of `connector.settings.Settings`;
            what is not given, or None, comes from the environment and `.env`.

    Raises:
        connector.errors.SettingsError: A setting is misspelt or makes no sense.
        connector.errors.UsageError: Nothing could be started.
        connector.errors.RunStopped: The run ended early; its `summary` tells how far it came.
    """
    # Imported here to keep `import connector` quick.
    from connector.run import pipeline  # noqa: PLC0415
    from connector.run.selection import Selection  # noqa: PLC0415
    from connector.settings import load  # noqa: PLC0415

    selection = Selection(
        [task_ids],
        column=column,
        query=query,
        limit=limit,
        refresh=refresh,
        retry_rejected=retry_rejected,
    )
    return pipeline.ingest(selection, load(**settings))
