"""`generations` as a Prefect asset: other deployments can run when it changes.

An open-source server keeps the event and lets automations act on it; lineage and a page for each
asset are Prefect Cloud's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from prefect.assets import Asset, AssetProperties, materialize
from prefect.states import Completed

from connector.record.schema import GENERATIONS
from flows.turn import in_full

if TYPE_CHECKING:
    from prefect import State

    from connector.summary import Summary

NO_PART_OF_A_KEY: Final = re.compile(r"[^\w/:.@+-]+")


def announce(summary: Summary) -> None:
    """Tell Prefect that `generations` changed, if it did."""
    if not (summary.new or summary.updated):
        return
    generations = Asset(
        key=key_of(summary.warehouse, GENERATIONS.name),
        properties=AssetProperties(name=GENERATIONS.name, description=GENERATIONS.description),
    )

    @materialize(
        generations,
        by="luma-to-parquet",
        name="materialize",
        task_run_name=GENERATIONS.name,
        persist_result=False,
    )
    def table() -> State[None]:
        counts = {"new": summary.new, "updated": summary.updated, "run_id": summary.run_id}
        generations.add_metadata(counts)
        return Completed(message=f"{summary.new:,} new, {summary.updated:,} updated")

    table()


def key_of(warehouse: str, table: str) -> str:
    """A table's URI, such as `file:///srv/warehouse/generations`, in characters Prefect accepts."""
    address = in_full(warehouse)
    uri = address if "://" in address else f"file://{address}"
    return NO_PART_OF_A_KEY.sub("-", f"{uri.rstrip('/')}/{table}")
