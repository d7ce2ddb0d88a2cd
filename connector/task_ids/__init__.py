"""Reading of task IDs: files of the usual formats, globs, standard input, SQL, values in memory.

::

    sources/    what a source is: files, objects in a bucket, a query (sql), values in memory
    content     an open file: decompressed, decoded
    formats/    which format a file has, and a reader for each: add a format there
    columns     which column has the IDs;  keys: which key of a JSON object
    kept        further columns, which are kept with the IDs;  kept_values: their values
    values      values of any type as clean text, in bulk
    spelling    one ID as people write it;  validity: which texts can be IDs
    reading     all of these together: from sources to chunks of IDs

Every value that a source gives comes out once, in order: a blank one as "", one that cannot be
read, or is a sentence, as a text that is not a valid ID. So the caller can account for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from connector.task_ids.sources import Source, locate
from connector.task_ids.validity import is_valid, valid_mask, why_invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from connector.task_ids.kept import Take

__all__ = ["Source", "is_valid", "read", "valid_mask", "why_invalid"]


def read(
    sources: Sequence[Source],
    *,
    column: str | None = None,
    query: str | None = None,
    stdin: BinaryIO | None = None,
    keep: Sequence[str] = (),
    take: Take | None = None,
) -> Iterator[pa.StringArray]:
    """Yield the task IDs that `sources` give, in order, in chunks without nulls.

    IDs come without what people and programs put around them (`spelling.tidied`). A blank value,
    or a word for nothing such as `NULL`, is "". IDs may repeat, and may be invalid (`valid_mask`).

    Args:
        sources: A `str` or path names a file, a glob or a folder of Parquet files, each of them
            also at `s3://…`, `gs://…` or `abfss://…`; `-`, which is standard input; a SQLAlchemy
            URL; or, where there is no such file, a UUID or `task_` + 32 characters is an ID. Any
            other iterable holds the IDs themselves.
        column: Where the IDs are, if not in one of `columns.USUAL`. Plain text has no columns.
        query: SQL for the database of a SQLAlchemy URL.
        stdin: What `-` reads; by default standard input.
        keep: Names of further columns, in any spelling; `all` for all.
        take: Receives these columns, for the valid IDs of each chunk, before the chunk is yielded.

    Raises:
        SourceError: At once if a source is missing; on iteration if one cannot be read, lacks
            the column or one to keep, or if all of them together hold no ID.
    """
    located = locate(sources, query=query, stdin=stdin)

    # Here because pyarrow takes 0.2 s to import, and a misspelt file name needs none of it.
    from connector.task_ids import reading  # noqa: PLC0415
    from connector.task_ids.kept import Keep  # noqa: PLC0415  as above

    return reading.chunks(located, column, Keep(keep) if keep else None, take)
