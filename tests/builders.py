"""Answers, as the tests need them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from connector.record.answer import Answer, Outcome, usual_concern
from connector.record.judge import judge
from connector.record.schema import ANSWERS
from connector.warehouse.warehouse import Warehouse

EXAMPLES = Path(__file__).parent / "examples"
BASE_URL = "https://gateway.example"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def example(name: str) -> bytes:
    """A body from the documentation, byte for byte."""
    return (EXAMPLES / f"{name}.json").read_bytes()


def answer(
    task_id: str = "t",
    body: Any = None,
    *,
    minutes: float = 0,
    outcome: Outcome = Outcome.GENERATION,
    status: int | None = 200,
) -> Answer:
    """An answer received some minutes after noon; a body that is not bytes is written as JSON."""
    if body is None:
        body = {"id": task_id, "state": "completed", "created_at": "2025-12-31T08:00:00Z"}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    is_generation = outcome is Outcome.GENERATION
    return Answer(
        task_id=task_id,
        outcome=outcome,
        http_status=status,
        attempts=1,
        elapsed_seconds=0.25,
        fetched_at=NOON + timedelta(minutes=minutes),
        body=raw,
        message=None if is_generation else f"it was {outcome}",
        status=judge(200, raw, task_id).status if is_generation else None,
        concerns=usual_concern(outcome),
        base_url=BASE_URL,
    )


def pending(task_id: str = "t", *, minutes: float = 0, created_at: str | None = None) -> Answer:
    """An answer that is not finished yet."""
    body = {"id": task_id, "state": "pending", "created_at": created_at}
    return answer(task_id, body, minutes=minutes)


def table(*answers: Answer, run_id: str = "run") -> pa.Table:
    """Answers as rows of the `answers` table."""
    rows = [
        {name: getattr(one, name) for name in ANSWERS.schema.names if name != "run_id"}
        | {"run_id": run_id}
        for one in answers
    ]
    return pa.Table.from_pylist(rows, schema=ANSWERS.schema)


def ingest(root: Path, *answers: Answer, batch: str = "batch") -> None:
    """Have answers committed to a warehouse, as one batch, and its marts brought up to date."""
    with Warehouse.writing(root) as warehouse:
        warehouse.save(batch, answers, "run")
        warehouse.commit()
        warehouse.refresh_marts()
