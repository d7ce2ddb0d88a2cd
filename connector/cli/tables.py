"""`show`, `rebuild`, `compact`, `forget`: a warehouse's own tables."""

from __future__ import annotations

import contextlib
import logging
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from connector.cli.log import say
from connector.cli.options import NONE, Common
from connector.cli.shell import console, print_json
from connector.storage.arrow import import_pyarrow
from connector.words import REPORT, plain, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connector.warehouse.warehouse import Warehouse

logger = logging.getLogger(__name__)


def show(
    *,
    warehouse: str | None = None,
    give_up_after: str | None = None,
    json: bool = False,
    common: Common = NONE,
) -> None:
    """Print what a warehouse holds.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        give_up_after: Age at which an unfinished generation counts as given up, such as 7d.
        json: Print one JSON object.
    """
    import_pyarrow()
    from connector.cli.terminal import print_overview  # noqa: PLC0415  see above
    from connector.warehouse.overview import overview  # noqa: PLC0415  see above
    from connector.warehouse.reading import retried  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    settings = common.load(warehouse=warehouse, give_up_after=give_up_after)
    # A run may replace or move a file while it is counted.
    found = retried(
        lambda: overview(Warehouse.existing(settings.warehouse), settings.give_up_after)
    )
    if json:
        print_json(asdict(found))
    else:
        print_overview(console(), found)


def rebuild(
    *,
    warehouse: str | None = None,
    may_shrink: bool = False,
    lock_timeout: str | None = None,
    common: Common = NONE,
) -> None:
    """Rebuild all tables from the log of answers, without asking the gateway.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        may_shrink: Accept tables with fewer task IDs than before, if files of the log are lost.
        lock_timeout: Longest wait, such as 5m, for another run on this warehouse. [default: 0]
    """
    with _open_to_change(warehouse, lock_timeout, common) as found:
        done = found.rebuild(may_shrink=may_shrink)
    say(
        f"{done.generations:,} generations from {done.answers:,} answers;"
        f" {done.changed_files:,} files changed",
        **done._asdict(),
    )


def compact(
    *, warehouse: str | None = None, lock_timeout: str | None = None, common: Common = NONE
) -> None:
    """Join the small files of `answers` into one per month, and those of `runs` into one.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        lock_timeout: Longest wait, such as 5m, for another run on this warehouse. [default: 0]
    """
    with _open_to_change(warehouse, lock_timeout, common) as found:
        joined = found.compact()
    say(f"{joined:,} files joined", joined=joined)


def forget(
    *sources: str,
    warehouse: str | None = None,
    column: str | None = None,
    query: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    lock_timeout: str | None = None,
    common: Common = NONE,
) -> None:
    """Remove task IDs from every table and from the log of answers, for good.

    SOURCES are as for `ingest`. No run requests these IDs again: the warehouse remembers them as
    salted hashes. A row of `runs` says how many there were. Files that you exported or backed up
    stay as they are. If it is killed, the next run or `forget` finishes it.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        column: Column of the task IDs, if not `task_id`, `generation_id`, `id`, `uuid` or `job_id`.
        query: SQL that selects the task IDs from the database.
        dry_run: Print how many of them the tables hold, and change nothing.
        yes: Do not ask for confirmation.
        lock_timeout: Longest wait, such as 5m, for another run on this warehouse. [default: 0]
    """
    from connector.errors import SourceError, UsageError  # noqa: PLC0415  see above

    if not sources:
        raise SourceError("no task IDs to forget: name a file, a task ID or `-`")
    import_pyarrow()
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    given = _read_valid(sources, column, query)
    count = plural(len(given), "task ID")
    found = Warehouse.existing(common.load(warehouse=warehouse).warehouse, look_at=())
    if dry_run:
        held = given.intersection(found.generations.known()["task_id"].to_pylist())
        held |= given.intersection(found.rejects()["task_id"].to_pylist())
        say(f"{count} given, {len(held):,} in the tables", given=len(given), held=len(held))
        return
    if not yes:
        if not sys.stdin.isatty() or "-" in sources:
            raise UsageError(f"{count} would be removed for good: confirm it with --yes")
        if input(f"Remove {count} from {found.storage.address} for good? [y/N] ").lower() != "y":
            raise UsageError("nothing was changed")
    with _open_to_change(warehouse, lock_timeout, common) as opened:
        has_page = opened.storage.exists(REPORT)
        rows = opened.forget(sorted(given))
    if has_page:
        from connector.report.page import write_report  # noqa: PLC0415  see above

        write_report(found.storage.address, f"{found.storage.address.rstrip('/')}/{REPORT}")
    say(f"{count} forgotten, {rows:,} rows removed", forgotten=len(given), rows=rows)


def _read_valid(sources: Sequence[str], column: str | None, query: str | None) -> set[str]:
    """The task IDs of some sources; a warning or an error names one that cannot be an ID."""
    from connector.errors import SourceError  # noqa: PLC0415  see above
    from connector.task_ids import is_valid, read, why_invalid  # noqa: PLC0415  see above

    given = {
        name for chunk in read(sources, column=column, query=query) for name in chunk.to_pylist()
    }
    valid = set(filter(is_valid, given))
    if invalid := sorted(given - valid - {""}):
        are = f"{plural(len(invalid), 'value')} of the list cannot be task IDs, such as"
        why = f"{are} {plain(why_invalid(invalid[0]))}"
        if not valid:
            raise SourceError(f"no task ID to forget: {why}")
        logger.warning("%s", why)
    return valid


@contextlib.contextmanager
def _open_to_change(
    address: str | None, lock_timeout: str | None, common: Common
) -> Iterator[Warehouse]:
    """Open an existing warehouse for writing."""
    import_pyarrow()
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    settings = common.load(warehouse=address, lock_timeout=lock_timeout)
    Warehouse.existing(settings.warehouse, look_at=())
    with Warehouse.writing(settings.warehouse, lock_timeout=settings.lock_timeout) as found:
        yield found
