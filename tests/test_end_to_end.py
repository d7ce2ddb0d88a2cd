"""From task IDs to tables, through the import and the command line, good answers and bad."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from builders import answer as answer_of
from conftest import DOCUMENTED_ID, KEY
from raw_server import RawServer, hang, reply

import connector
from connector.errors import KeyRefused, SourceError
from connector.run import receive as receiving
from connector.run.resources import open_client
from connector.sandbox import task_ids
from connector.settings import load

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from conftest import CommandLine

    from connector.record.answer import Answer
    from connector.sandbox import Sandbox

# Kinds of the sandbox's menu, and the reason that each must end with.
BAD = {
    "not-found": "not_found",
    "not-found-400": "not_found",
    "not-found-html": "not_found",
    "gone": "not_found",
    "forbidden": "forbidden",
    "bad-request": "bad_request",
    "bad-request-400": "bad_request",
    "rate-limited": "rate_limited",
    "rate-limited-bare": "rate_limited",
    "server-error": "server_error",
    "bad-gateway": "server_error",
    "unavailable": "server_error",
    "gateway-timeout": "server_error",
    "request-timeout": "timeout",
    "hang": "timeout",
    "drip": "timeout",
    "cut": "network",
    "closed": "network",
    "gzip-broken": "network",
    "redirect-other-host": "redirected",
    "redirect-loop": "redirected",
    "html-200": "not_json",
    "empty-200": "not_json",
    "truncated-json": "not_json",
    "not-utf8": "not_json",
    "deep-nesting": "not_json",
    "code-null-200": "server_error",
    "success-false-200": "not_found",
    "object-200": "not_a_generation",
    "too-large": "too_large",
}

IMPATIENT = {
    "LUMA_READ_TIMEOUT": "3",
    "LUMA_TOTAL_TIMEOUT": "4",
    "LUMA_MAX_ATTEMPTS": "2",
}


def test_thirty_kinds_of_bad_answers_among_a_thousand_task_ids(
    cli: CommandLine, tmp_path: Path
) -> None:
    good = task_ids(1000 - len(BAD), seed=30)
    given = [*good]
    for place, kind in enumerate(BAD):
        given.insert(place * 33, f"bad-{kind}-1")
    (tmp_path / "ids.txt").write_text("\n".join(given))
    done = cli("ingest", "ids.txt", "--json", **IMPATIENT)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["given"], summary["fetched"], summary["rejected"]) == (1000, 970, 30)
    rows = pd.read_parquet(tmp_path / "warehouse/generations")
    assert sorted(rows.task_id) == sorted(good)
    rejects = pd.read_parquet(tmp_path / "warehouse/rejects").set_index("task_id")
    found = {kind: rejects.reason.get(f"bad-{kind}-1") for kind in BAD}
    assert found == BAD
    assert (rejects.message.str.len() > 10).all()
    (run,) = pd.read_parquet(tmp_path / "warehouse/runs").to_dict("records")
    assert run["given"] == run["fetched"] + run["rejected"] == 1000


def test_passing_rejects_are_asked_again_and_leave(cli: CommandLine, tmp_path: Path) -> None:
    good = task_ids(1)[0]
    ids = f"first2-server-error-1\nbad-not-found-1\n{good}"
    first = json.loads(cli("ingest", "-", "--json", stdin=ids, LUMA_MAX_ATTEMPTS="1").stdout)
    assert first["reasons"] == {"server_error": 1, "not_found": 1}
    cli("ingest", "-", "--json", stdin=ids, LUMA_MAX_ATTEMPTS="1")
    third = json.loads(cli("ingest", "-", "--json", stdin=ids, LUMA_MAX_ATTEMPTS="1").stdout)
    assert (third["fetched"], third["already_terminal"]) == (1, 2)
    rejects = pd.read_parquet(tmp_path / "warehouse/rejects")
    assert rejects.task_id.tolist() == ["bad-not-found-1"]


def test_by_import(sandbox: Sandbox, tmp_path: Path) -> None:
    ids = [DOCUMENTED_ID, *task_ids(20)]
    options = {"warehouse": tmp_path / "w", "base_url": sandbox.base_url, "key": KEY}
    summary = connector.ingest(ids, **options)
    assert (summary.fetched, summary.new) == (21, 21)
    rows = pd.read_parquet(tmp_path / "w/generations")
    assert sorted(rows.task_id) == sorted(ids)
    asked = sandbox.stats()["requests"]
    again = connector.ingest(pd.Series(ids), **options)
    assert sandbox.stats()["requests"] - asked == summary.unfinished == again.fetched


def test_errors_by_import(sandbox: Sandbox, tmp_path: Path) -> None:
    options = {"warehouse": tmp_path / "w", "base_url": sandbox.base_url}
    with pytest.raises(SourceError):
        connector.ingest([], key=KEY, **options)
    with pytest.raises(KeyRefused) as refused:
        connector.ingest(["a"], key="wrong-key-77", **options)
    assert refused.value.summary is not None
    assert refused.value.summary.not_reached == 1
    assert "wrong-key-77" not in repr(refused.value)


def test_the_dialects_arrive_in_the_same_columns(sandbox: Sandbox, tmp_path: Path) -> None:
    ids = task_ids(300, seed=5)
    connector.ingest(ids, warehouse=tmp_path / "w", base_url=sandbox.base_url, key=KEY)
    rows = pd.read_parquet(tmp_path / "w/generations")
    official = rows[rows.requested_model.notna()]
    gateway = rows[rows.requested_model.isna()]
    assert min(len(official), len(gateway)) > 30
    for dialect in (official, gateway):
        done = dialect[dialect.status == "completed"]
        assert done.video_url.notna().all()
        assert done.resolution.notna().all()
        assert done.prompt_id.notna().all()
        assert dialect.created_at.notna().all()


@pytest.mark.parametrize(
    ("size", "sizes"), [({}, [2000, 2000, 1000]), ({"batch_size": 1000}, [1000] * 5)]
)
def test_a_batch_has_as_many_answers_as_is_set(size: dict[str, int], sizes: list[int]) -> None:
    saved: list[int] = []
    batch = receiving.Batch(load(key=KEY, **size), lambda some: saved.append(len(some)))
    many = [answer_of(f"t{number}") for number in range(5_000)]
    assert list(receiving.collect(many, batch)) == many
    assert saved == sizes


def test_answers_from_before_and_after_a_freeze_are_not_of_one_batch() -> None:
    """A batch takes the place of its latest answer: older ones would come after another run's."""
    saved: list[list[str]] = []
    batch = receiving.Batch(
        load(key=KEY), lambda some: saved.append([answer.task_id for answer in some])
    )
    first = answer_of("before")
    later = first.fetched_at + timedelta(seconds=receiving.BATCH_SECONDS)
    many = [first, answer_of("still"), answer_of("after")._replace(fetched_at=later)]
    assert list(receiving.collect(many, batch)) == many
    assert saved == [["before", "still"], ["after"]]


def test_what_has_come_is_saved_while_the_rest_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kill in the pause that a gateway asks for would have it all asked for again."""
    monkeypatch.setattr(receiving, "BATCH_SECONDS", 0.2)
    limits = {"read_timeout": 200, "total_timeout": 200}
    stop, saved = threading.Event(), []

    def answer(head: str, connection: socket.socket) -> None:
        if "/hangs " in head:
            hang(head, connection)
        connection.sendall(reply())

    def save(answers: list[Answer]) -> None:
        saved.extend(answer.task_id for answer in answers)
        stop.set()

    with RawServer(answer) as server:
        settings = load(warehouse=tmp_path, base_url=server.base_url, key=KEY, **limits)
        with open_client(settings) as client:
            answers = receiving.receive(["one", "hangs"], client, settings, stop, save)
            assert [answer.task_id for answer in answers] == ["one"]
    assert saved == ["one"]
