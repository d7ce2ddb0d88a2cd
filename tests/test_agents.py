"""Luma's newer API: another address, another path, another dialect, the same tables."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from builders import answer, table
from conftest import KEY
from raw_server import RawServer, always, reply

import connector
from connector.errors import KeyRefused, SettingsError, SourceError
from connector.record.flatten import flatten
from connector.sandbox import task_ids
from connector.settings import AGENTS_BASE_URL, OFFICIAL_BASE_URL, load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox

VIDEO = {"type": "video", "url": "https://files.example/v.mp4", "layer": None}
IMAGE = {"type": "image", "url": "https://files.example/i.png", "layer": "background"}
SECOND = {"type": "image", "url": "https://files.example/j.png", "layer": "subject"}


def row(**fields: Any) -> dict[str, Any]:
    body = {
        "id": "t",
        "type": "video_edit",
        "state": "completed",
        "model": "ray-3.2",
        "created_at": "2026-03-01T08:00:00Z",
        "failure_code": None,
        "failure_reason": None,
        "output": [],
    } | fields
    (only,) = flatten(table(answer("t", body))).to_pylist()
    return dict(only)


def test_outputs_are_in_the_columns_of_urls() -> None:
    found = row(output=[SECOND | {"layer": None}, VIDEO])
    assert (found["video_url"], found["image_url"]) == (VIDEO["url"], SECOND["url"])
    assert (found["generation_type"], found["model"]) == ("video_edit", "ray-3.2")
    assert (found["status"], found["extra"], found["coercions"]) == ("completed", None, None)


def test_no_output_and_no_layer_is_dropped() -> None:
    found = row(output=[IMAGE, VIDEO, SECOND, {"type": "mask", "url": "https://files.example/m"}])
    assert (found["video_url"], found["image_url"]) == (VIDEO["url"], IMAGE["url"])
    assert json.loads(found["extra"]) == {
        "output": [
            {"type": "image", "layer": "background"},
            SECOND,
            {"type": "mask", "url": "https://files.example/m"},
        ]
    }


@pytest.mark.parametrize(
    "output",
    [
        ["https://files.example/v"],
        [{"type": "video", "url": 7}],
        [{"type": ["video"], "url": "https://files.example/v.mp4"}],
        [{"url": "https://files.example/v"}],
        [None, 3, {"url": None, "type": "video"}],
        {"note": "no list"},
        "none",
    ],
)
def test_outputs_of_another_form_are_kept_whole(output: Any) -> None:
    found = row(output=output)
    assert found["video_url"] is None
    assert json.loads(found["extra"])["output"] == output


def test_a_video_that_is_there_already_keeps_its_place() -> None:
    found = row(output=[VIDEO], video={"url": "https://files.example/first.mp4"})
    assert found["video_url"] == "https://files.example/first.mp4"
    assert json.loads(found["extra"]) == {"output": [VIDEO]}


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("content_moderated", "moderation"),
        ("generation_failed", "gateway_error"),
        ("budget_exhausted", "quota"),
        ("rate_limited", "quota"),
        ("invalid_request", "invalid_input"),
    ],
)
def test_failures_have_a_code_and_a_category(code: str, category: str) -> None:
    found = row(state="failed", failure_code=code, failure_reason="It went wrong")
    assert (found["status"], found["failure_code"]) == ("failed", code)
    assert (found["failure_category"], found["generation_type"]) == (category, "video_edit")


def test_one_that_is_queued_has_its_type() -> None:
    found = row(state="queued", output=None, type="image")
    assert (found["status"], found["generation_type"], found["extra"]) == ("queued", "image", None)


def test_the_default_address_is_that_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().base_url == OFFICIAL_BASE_URL
    assert load(api="agents").base_url == AGENTS_BASE_URL
    assert load(api="agents", base_url="https://gateway.example").base_url.endswith(".example")
    monkeypatch.setenv("LUMA_API", "agents")
    assert load().base_url == AGENTS_BASE_URL
    monkeypatch.setenv("LUMA_BASE_URL", "https://other.example/")
    assert load().base_url == "https://other.example"
    assert load(api="dream-machine").api == "dream-machine"


def test_what_that_api_lacks_is_a_usage_error(tmp_path: Path, cli: CommandLine) -> None:
    with pytest.raises(SettingsError, match="no request for many task IDs"):
        load(api="agents", ids_per_request=2)
    with pytest.raises(SourceError, match="agents API has no list"):
        connector.ingest("luma:list", warehouse=tmp_path / "w", key=KEY, api="agents")
    for arguments in (("--dry-run",), ()):
        done = cli("ingest", "luma:list", "--api", "agents", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "the agents API has no list of generations" in done.stderr


def test_rows_land_in_the_same_tables(cli: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    ids = task_ids(200)
    done = cli("ingest", "-", "--api", "agents", "--json", stdin="\n".join(ids))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"] == 200
    assert cli("ingest", "-", stdin="a\nb").returncode == 0
    rows = pd.read_parquet(tmp_path / "warehouse/generations")
    of_agents = rows[rows.api == "agents"]
    assert Counter(rows.api) == {"agents": 200, "dream-machine": 2}
    assert Counter(pd.read_parquet(tmp_path / "warehouse/answers").api) == Counter(rows.api)
    completed = of_agents[of_agents.status == "completed"]
    assert (completed.video_url.notna() | completed.image_url.notna()).all()
    assert set(of_agents.generation_type) == {
        "video",
        "video_edit",
        "video_reframe",
        "image",
        "image_edit",
    }
    assert of_agents.failure_code.notna().sum() == (of_agents.status == "failed").sum() > 0
    for task_id in ids[:20]:
        truth = sandbox.truth(task_id)
        row = of_agents[of_agents.task_id == task_id].iloc[0]
        is_same = row.created_at.isoformat()[:19] == truth["submitted_at"][:19]
        assert is_same or row.created_at.tzinfo is None
    before = rows.sort_values("task_id").reset_index(drop=True)
    assert cli("rebuild").returncode == 0
    after = pd.read_parquet(tmp_path / "warehouse/generations")
    pd.testing.assert_frame_equal(before, after.sort_values("task_id").reset_index(drop=True))


@pytest.mark.parametrize(
    ("key", "api", "hint"),
    [
        ("luma-api-0123456789", "dream-machine", "try `api=agents`"),
        ("luma-0123456789", "agents", "without `api=agents`"),
        ("luma-0123456789", "dream-machine", None),
        ("luma-api-0123456789", "agents", None),
    ],
)
def test_a_key_of_the_other_api_is_hinted_at(
    tmp_path: Path, cli: CommandLine, key: str, api: str, hint: str | None
) -> None:
    refused = reply(b'{"detail":"Not authenticated"}', "401 Unauthorized")
    with RawServer(always(refused)) as server:
        with pytest.raises(KeyRefused) as stopped:
            connector.ingest(["a"], warehouse=tmp_path, key=key, api=api, base_url=server.base_url)
        options = ("--api", api, "--base-url", server.base_url)
        checked = cli("check", *options, LUMAAI_API_KEY=key)
    assert checked.returncode == 3
    in_options = hint and hint.replace("`api=agents`", "--api agents")
    for text, said in ((str(stopped.value), hint), (checked.stdout, in_options)):
        assert (said in text) if said else ("Agents API" not in text)
        assert key not in text


def test_check_works_there(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.change(missing=1.0)
    done = cli("check", "--api", "agents")
    assert done.returncode == 0, done.stdout
    assert "does not refuse the key: HTTP 404" in done.stdout
