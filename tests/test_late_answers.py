"""Whenever answers are committed, and in whatever portions: the tables are those of a rebuild."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders import BASE_URL, NOON, answer, pending
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_recovery import same
from test_recovery import tables as all_of

from connector.record.answer import Answer, Outcome
from connector.warehouse import inbox, spill
from connector.warehouse.sequence import run_id_of
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

ENDS = ("completed", "failed", "pending", "not_found", "timeout")
OTHER_URL = "https://other.example"
FIRST = 1_767_000_000_000_000


def tables(root: Path) -> dict[str, pd.DataFrame]:
    """What the tables say; a task stays in its partition, from which only a rebuild moves it."""
    return {
        name: rows.drop(columns="created_month", errors="ignore")
        for name, rows in all_of(root).items()
    }


def one(task_id: str, end: str, place: int, minutes: int, base_url: str) -> Answer:
    if end in ("not_found", "timeout"):
        made = answer(task_id, {"detail": end}, outcome=Outcome(end), status=404)
    elif end == "pending":
        made = pending(task_id, created_at=f"2025-{1 + place % 3:02}-01T00:00:00Z")
    else:
        made = answer(task_id, {"id": task_id, "state": end, "created_at": "2025-03-01T00:00:00Z"})
    fetched_at = NOON + timedelta(minutes=minutes, microseconds=place)
    return made._replace(fetched_at=fetched_at, base_url=base_url)


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[int, list[Answer]]]]:
    """Commits, each of batches with their places in the log, in any order."""
    answers = st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(ENDS),
        st.integers(-5, 5),
        st.sampled_from([BASE_URL, OTHER_URL]),
    )
    batches = draw(st.lists(st.lists(answers, min_size=1, max_size=3), min_size=1, max_size=7))
    made = [
        (place, [one(*each[:2], place, *each[2:]) for each in batch])
        for place, batch in enumerate(batches)
    ]
    made = draw(st.permutations(made))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(made) - 1)), max_size=4)))
    return [made[a:b] for a, b in zip([0, *cuts], [*cuts, len(made)], strict=True) if a < b]


def save(warehouse: Warehouse, place: int, answers: list[Answer]) -> None:
    run_id = f"{run_id_of(FIRST + place)[:-6]}{place:06x}"
    inbox.save_batch(warehouse.storage, f"{run_id}-000001", answers, run_id, FIRST + place)


@given(histories(), st.booleans(), st.booleans())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_and_portions_give_the_tables_of_a_rebuild(
    commits: list[list[tuple[int, list[Answer]]]], is_cut: bool, in_pieces: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Warehouse, "refresh_marts", lambda *_, **__: None)
        if in_pieces:
            # As where a log does not fit into memory.
            patch.setattr(inbox, "GROUP_BYTES", 1)
            patch.setattr(spill, "MEMORY_BYTES", 1)
            patch.setattr(spill, "CHUNK_ROWS", 2)
        with Warehouse.writing(folder) as warehouse:
            for batches in commits:
                for place, answers in batches:
                    save(warehouse, place, answers)
                warehouse.commit()
            before = tables(Path(folder))
            warehouse.rebuild()
            same(before, tables(Path(folder)))
        # All at once is a third way.
        with tempfile.TemporaryDirectory() as other, Warehouse.writing(other) as warehouse:
            for place, answers in sorted(chain(*commits), key=itemgetter(0)):
                save(warehouse, place, answers)
                if is_cut:
                    warehouse.commit()
            warehouse.commit()
            same(before, tables(Path(other)))
