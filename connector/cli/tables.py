"""`show`, `rebuild`, `compact`: a warehouse's own tables."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from connector.cli.log import say
from connector.cli.options import NONE, Common
from connector.cli.shell import console, import_pyarrow, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.warehouse.warehouse import Warehouse


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
    from connector.settings import load  # noqa: PLC0415  see above
    from connector.warehouse.overview import overview  # noqa: PLC0415  see above
    from connector.warehouse.reading import retried  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    settings = load(warehouse=warehouse, give_up_after=give_up_after, **common.settings)
    # A run may replace or move a file while it is counted.
    found = retried(
        lambda: overview(Warehouse.existing(settings.warehouse), settings.give_up_after)
    )
    if json:
        print_json(asdict(found))
    else:
        print_overview(console(), found)


def rebuild(
    *, warehouse: str | None = None, may_shrink: bool = False, common: Common = NONE
) -> None:
    """Rebuild all tables from the log of answers, without asking the gateway.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        may_shrink: Accept tables with fewer task IDs than before, if files of the log are lost.
    """
    with _open_to_change(warehouse, common) as found:
        done = found.rebuild(may_shrink=may_shrink)
    say(
        f"{done.generations:,} generations from {done.answers:,} answers;"
        f" {done.changed_files:,} files changed",
        **done._asdict(),
    )


def compact(*, warehouse: str | None = None, common: Common = NONE) -> None:
    """Join the small files of `answers` into one per month, and those of `runs` into one.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
    """
    with _open_to_change(warehouse, common) as found:
        joined = found.compact()
    say(f"{joined:,} files joined", joined=joined)


@contextlib.contextmanager
def _open_to_change(address: str | None, common: Common) -> Iterator[Warehouse]:
    """Open an existing warehouse for writing."""
    import_pyarrow()
    from connector.settings import load  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    settings = load(warehouse=address, **common.settings)
    Warehouse.existing(settings.warehouse, look_at=())
    with Warehouse.writing(settings.warehouse, lock_timeout=settings.lock_timeout) as found:
        yield found
