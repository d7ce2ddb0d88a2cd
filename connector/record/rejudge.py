"""Judges answers of the log again, as an earlier version may have been wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.answer import Concern, Outcome
from connector.record.judge import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.record.judge import Verdict

# The body alone does not show these outcomes.
NOT_BY_BODY: Final = (
    Outcome.TIMEOUT,
    Outcome.NETWORK,
    Outcome.TOO_LARGE,
    Outcome.REDIRECTED,
    Outcome.OTHER_TASK,
)
# A body taken for a generation is one if it has none of these.
SIGNS_OF_DOUBT: Final = '"(success|error|code|status|data)"'
JUDGED: Final = ("outcome", "status", "concerns", "message")


def rejudge(answers: pa.Table, gateways: Mapping[str, str]) -> pa.Table:
    """Judge answers again where the verdict can change.

    Args:
        answers: Rows of the `answers` table.
        gateways: Base URL by run ID, for rows without a `base_url`.

    Returns:
        The same rows in the same order.
    """
    base_urls = pc.if_else(
        pc.is_null(answers["base_url"]),
        pa.array(map(gateways.get, answers["run_id"].to_pylist()), pa.string()),
        answers["base_url"],
    )
    answers = _with(answers, {"base_url": base_urls})
    rows = pc.indices_nonzero(_doubtful(answers)).to_pylist()
    if not rows:
        return answers
    verdicts = dict(zip(rows, map(_judged, answers.take(rows).to_pylist()), strict=True))
    columns = {name: _replaced(answers[name].to_pylist(), verdicts, name) for name in JUDGED}
    return _with(answers, columns)


def _doubtful(answers: pa.Table) -> pa.ChunkedArray:
    can_be_judged = pc.and_(pc.is_valid(answers["body"]), pc.is_valid(answers["http_status"]))
    can_be_judged = pc.and_not(
        can_be_judged, pc.is_in(answers["outcome"], pa.array(NOT_BY_BODY, pa.string()))
    )
    # One pattern for all: it takes a twentieth of the time of a search for each.
    has_sign = pc.match_substring_regex(answers["body"], SIGNS_OF_DOUBT)
    is_other = pc.not_equal(answers["outcome"], Outcome.GENERATION.value)
    return pc.and_(can_be_judged, pc.or_(is_other, pc.fill_null(has_sign, False)))


def _judged(answer: dict[str, Any]) -> Verdict:
    verdict = judge(answer["http_status"], answer["body"], answer["task_id"])
    is_cleared_up = answer["concerns"] == Concern.TASK and answer["attempts"] > 1
    if verdict.concerns is Concern.UNCLEAR and is_cleared_up:
        # Other answers showed it. A version that asked only once had not looked at them.
        return verdict._replace(concerns=Concern.TASK)
    return verdict


def _replaced(values: list[Any], verdicts: Mapping[int, Verdict], name: str) -> pa.Array:
    for row, verdict in verdicts.items():
        value = getattr(verdict, name)
        # The gateway's words stay as they were recorded.
        if name != "message" or verdict.outcome is Outcome.GENERATION or values[row] is None:
            values[row] = value
    return pa.array(values, pa.string())


def _with(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    for name, values in columns.items():
        position = table.schema.get_field_index(name)
        table = table.set_column(position, table.schema.field(position), values)
    return table
