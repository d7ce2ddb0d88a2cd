"""What `since` asks for: rows of a table from a time on."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.errors import UsageError
from connector.record.column import TIMESTAMP

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from connector.record.column import Table

# What `since` looks at; the other tables have no time.
TIME_COLUMNS: Final = {
    "generations": "created_at",
    "rejects": "fetched_at",
    "answers": "fetched_at",
    "runs": "started_at",
    "prompts": "last_used_at",
    "families": "last_used_at",
    "terms": "last_used_at",
    "timings": "created_at",
}


def moment(since: datetime | date | timedelta | str) -> datetime:
    """Work out the moment that `since` stands for, in UTC.

    Raises:
        UsageError: It does not name a time.
    """
    if isinstance(since, timedelta):
        return datetime.now(UTC) - since
    if isinstance(since, str):
        try:
            since = datetime.fromisoformat(since)
        except ValueError:
            raise UsageError(
                f"since {since!r} is not a time: write 2025-10-15, 2025-10-15T08:30Z or a timedelta"
            ) from None
    if not isinstance(since, date):
        raise UsageError(f"since is a {type(since).__name__}: give a time, a day or a timedelta")
    if not isinstance(since, datetime):
        since = datetime.combine(since, time())
    return since.astimezone(UTC) if since.tzinfo else since.replace(tzinfo=UTC)


class IsRecent:
    """A filter on the time of a table's rows.

    Where such rows are is read from the column itself. Partitions do not tell: a generation stays
    in its own, even if it gets another `created_at` later. Nor do the files' statistics: another
    program may have written the file, without them or with wrong ones.
    """

    def __init__(self, table: Table, since: datetime) -> None:
        if table.name not in TIME_COLUMNS:
            raise UsageError(f"{table.name} has no time that `since` could look at")
        self.column = TIME_COLUMNS[table.name]
        self._since = since

    def is_in(self, file: pq.ParquetFile, group: int) -> bool:
        """Whether a row group holds such rows."""
        if self.column not in file.schema_arrow.names:
            return False
        times = file.read_row_group(group, columns=[self.column])
        return len(self.filter(times)) > 0

    def filter(self, rows: pa.Table) -> pa.Table:
        """The rows that are such."""
        return rows.filter(pc.greater_equal(rows[self.column], pa.scalar(self._since, TIMESTAMP)))
