"""Answers as public reports show them, and what must come of each: by the real command line."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from raw_server import RawServer, reply

from connector.record.coerce import to_time

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable

    from conftest import CommandLine

CASES = Path(__file__).parent / "cases"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CASES / "answers.expected.json").read_text())
STOPPING = {"stops the run": 4, "key refused": 3}
REASONS = {200: "OK", 202: "Accepted", 204: "No Content"}
QUICK = {"LUMA_MAX_ATTEMPTS": "1", "LUMA_MAX_WAIT": "1"}

Answers = "Callable[[str], tuple[int, bytes]]"


def good(task_id: str) -> tuple[int, bytes]:
    body = {"id": task_id, "state": "completed", "created_at": "2025-03-01T10:00:00Z"}
    return 200, json.dumps(body).encode()


def case(name: str) -> tuple[int, bytes]:
    return EXPECTED[name]["http_status"], (CASES / "answers" / f"{name}.json").read_bytes()


def refusal(status: int, body: Any) -> tuple[int, bytes]:
    return status, body if isinstance(body, bytes) else json.dumps(body).encode()


class Gateway:
    """A server whose answers can be changed while it runs."""

    def __init__(self, answer: Answers = good, base: str = "") -> None:
        self.answer = answer
        self.asked: list[str] = []
        self._base = base

    def __call__(self, head: str, connection: socket.socket) -> None:
        path = head.split(" ")[1]
        found = re.fullmatch(rf"{self._base}/dream-machine/v1/generations/([^/?]+)", path)
        if found:
            self.asked.append(found[1])
        page = b"<!DOCTYPE html><html><title>404</title></html>"
        status, body = self.answer(found[1]) if found else (404, page)
        connection.sendall(reply(body, f"{status} {REASONS.get(status, 'Said')}"))


@pytest.fixture
def ingest(cli: CommandLine) -> Callable[..., subprocess.CompletedProcess[str]]:
    return partial(cli, "ingest", "-", "--json", **QUICK)


def table(root: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(root / "warehouse" / name).set_index("task_id")


def same(found: Any, expected: Any) -> bool:
    if expected is None:
        return bool(pd.isna(found))
    if isinstance(found, datetime):
        return found == to_time(expected)
    return bool(found == expected)


def holds(found: Any, expected: Any) -> bool:
    """Whether a JSON value holds all of another one."""
    if isinstance(expected, dict):
        return all(name in found and holds(found[name], expected[name]) for name in expected)
    return bool(found == expected)


def test_each_case_ends_as_it_must(
    ingest: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    names = [name for name, one in EXPECTED.items() if one["outcome"] not in STOPPING]
    gateway = Gateway(lambda task_id: case(task_id) if task_id in EXPECTED else good(task_id))
    with RawServer(gateway) as server:
        done = ingest(stdin="\n".join([*names, "a-good-one"]), LUMA_BASE_URL=server.base_url)
    assert done.returncode == 0, done.stderr
    rows, rejects = table(tmp_path, "generations"), table(tmp_path, "rejects")
    wrong = []
    for name in names:
        expected = EXPECTED[name]
        match expected["outcome"]:
            case "generation":
                row = rows.loc[name]
                wrong += [
                    (name, column, row[column])
                    for column, value in expected["row"].items()
                    if not same(row[column], value)
                ]
                if "extra" in expected and not holds(json.loads(row["extra"]), expected["extra"]):
                    wrong.append((name, "extra", row["extra"]))
            case "unfinished":
                is_row = name in rows.index and rows.loc[name, "status"] not in (
                    "completed",
                    "failed",
                )
                if not is_row and rejects.loc[name, "is_final"]:
                    wrong.append((name, "is_final", True))
            case reason:
                found = rejects.loc[name]
                if found["reason"] != reason or expected["is_final"] not in (
                    None,
                    bool(found["is_final"]),
                ):
                    wrong.append((name, found["reason"], found["is_final"]))
    assert not wrong


def test_what_gateways_have_names_of_their_own_for_is_in_its_columns(
    ingest: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """In `gateways.json`, `x` is the task ID."""
    cases: dict[str, dict[str, Any]] = json.loads((CASES / "gateways.json").read_text())
    bodies = {
        name: json.dumps(one["body"]).replace('x\\"', f'{name}\\"').replace('"x"', f'"{name}"')
        for name, one in cases.items()
    }
    with RawServer(Gateway(lambda task_id: (200, bodies[task_id].encode()))) as server:
        done = ingest(stdin="\n".join(cases), LUMA_BASE_URL=server.base_url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"] == len(cases)
    rows = table(tmp_path, "generations")
    wrong = [
        (name, column, rows.loc[name, column])
        for name, one in cases.items()
        for column, value in one["row"].items()
        if not same(rows.loc[name, column], value)
    ]
    assert not wrong


@pytest.mark.parametrize(
    "name", [name for name, one in EXPECTED.items() if one["outcome"] in STOPPING]
)
@pytest.mark.parametrize("known", [False, True], ids=["unknown-gateway", "known-gateway"])
def test_what_is_true_of_every_task_stops_the_run_and_settles_none(
    name: str,
    known: bool,
    ingest: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    ids = [f"task-{number}" for number in range(80)]
    gateway = Gateway()
    with RawServer(gateway) as server:
        if known:
            assert ingest(stdin="before", LUMA_BASE_URL=server.base_url).returncode == 0
        gateway.answer = lambda _: case(name)
        stopped = ingest(stdin="\n".join(ids), LUMA_BASE_URL=server.base_url)
        assert stopped.returncode == STOPPING[EXPECTED[name]["outcome"]], stopped.stderr
        summary = json.loads(stopped.stdout)
        assert summary["outcome"] == "stopped"
        assert server.base_url in summary["message"]
        assert summary["message"].rstrip(".").count(".") > 1, "it says what to do"
        gateway.answer = good
        mended = ingest(stdin="\n".join(ids), LUMA_BASE_URL=server.base_url)
    assert mended.returncode == 0, mended.stderr
    assert json.loads(mended.stdout)["fetched"] == 80
    assert len(table(tmp_path, "rejects")) == 0


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(404, b"<html><title>404 Not Found</title></html>"), id="page"),
        pytest.param(refusal(404, {"detail": "Not Found"}), id="json"),
        pytest.param(refusal(404, {"detail": "Generation not found"}), id="json-of-a-task"),
        pytest.param(refusal(200, b"<html><div id=root></div></html>"), id="web-ui"),
        pytest.param(refusal(405, {"detail": "Method Not Allowed"}), id="405"),
    ],
)
def test_a_wrong_address_gives_up_nothing_and_is_named(
    answer: tuple[int, bytes],
    ingest: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    ids = [f"task-{number}" for number in range(40)]
    with RawServer(Gateway(lambda _: answer)) as wrong, RawServer(Gateway()) as right:
        stopped = ingest(stdin="\n".join(ids), LUMA_BASE_URL=wrong.base_url)
        assert stopped.returncode == 4, stopped.stderr
        summary = json.loads(stopped.stdout)
        assert wrong.base_url in summary["message"]
        assert "made-up task ID" in summary["message"]
        assert not table(tmp_path, "rejects").is_final.any()
        few = ingest(stdin="\n".join(ids[:3]), LUMA_BASE_URL=wrong.base_url)
        assert few.returncode == 4
        assert wrong.base_url in json.loads(few.stdout)["message"]
        healed = ingest(stdin="\n".join(ids), LUMA_BASE_URL=right.base_url)
    assert healed.returncode == 0, healed.stderr
    assert json.loads(healed.stdout)["fetched"] == 40
    assert len(table(tmp_path, "rejects")) == 0


def test_tasks_that_are_gone_are_given_up_at_a_gateway_known_to_work(
    ingest: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    gone = [f"gone-{number}" for number in range(40)]
    gateway = Gateway(
        lambda task_id: (
            refusal(404, {"detail": "Generation not found"})
            if task_id.startswith("gone")
            else good(task_id)
        )
    )
    with RawServer(gateway) as server, RawServer(Gateway()) as other:
        assert ingest(stdin="here", LUMA_BASE_URL=server.base_url).returncode == 0
        done = ingest(stdin="\n".join(gone), LUMA_BASE_URL=server.base_url)
        assert done.returncode == 0, done.stdout
        assert json.loads(done.stdout)["rejected"] == 40
        assert table(tmp_path, "rejects").is_final.all()
        asked = len(gateway.asked)
        again = ingest(stdin="\n".join(gone), LUMA_BASE_URL=server.base_url)
        assert (json.loads(again.stdout)["already_terminal"], len(gateway.asked)) == (40, asked)
        # What one gateway does not have, another may.
        elsewhere = ingest(stdin="\n".join(gone), LUMA_BASE_URL=other.base_url)
    assert json.loads(elsewhere.stdout)["fetched"] == 40


def test_a_generation_in_the_same_run_shows_that_the_address_is_right(
    ingest: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    gateway = Gateway(
        lambda task_id: (
            refusal(404, {"detail": "Generation not found"}) if "gone" in task_id else good(task_id)
        )
    )
    with RawServer(gateway) as server:
        done = ingest(stdin="gone-1\nhere\ngone-2", LUMA_BASE_URL=server.base_url)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path, "rejects").is_final.all()


def test_more_rejects_than_allowed_are_an_error_as_in_the_flow(
    ingest: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    gateway = Gateway(
        lambda task_id: (
            refusal(404, {"detail": "Generation not found"}) if "gone" in task_id else good(task_id)
        )
    )
    ids = "here-1\nhere-2\nhere-3\ngone"
    with RawServer(gateway) as server:
        few = ingest("--rejects-allowed", "25", stdin=ids, LUMA_BASE_URL=server.base_url)
        assert few.returncode == 0, few.stderr
        options = ("--rejects-allowed", "24.9", "--refresh", "--retry-rejected")
        many = ingest(*options, stdin=ids, LUMA_BASE_URL=server.base_url)
        assert many.returncode == 4
        assert "25.0% rejected, more than the 24.9% allowed" in many.stderr
        assert ingest("--rejects-allowed", "101", stdin=ids).returncode == 2


@pytest.mark.parametrize("known", [False, True])
def test_a_run_without_one_answer_worth_keeping_is_no_success(
    known: bool, ingest: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    gateway = Gateway()
    with RawServer(gateway) as server:
        if known:
            assert ingest(stdin="before", LUMA_BASE_URL=server.base_url).returncode == 0
        gateway.answer = lambda _: refusal(200, {"code": 503, "message": "try later"})
        done = ingest(stdin="a\nb", LUMA_BASE_URL=server.base_url)
        assert done.returncode == 4
        assert "No task is given up" in json.loads(done.stdout)["message"]
        gateway.answer = good
        again = ingest(stdin="a\nb", LUMA_BASE_URL=server.base_url)
    assert (again.returncode, json.loads(again.stdout)["fetched"]) == (0, 2)
