"""`check`: each thing that can be wrong, told apart, with the key shown nowhere."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from conftest import KEY
from raw_server import RawServer, always, reply

from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox

PAGE = b"<!doctype html><title>Welcome</title>"
NOT_FOUND = reply(b'{"detail":"not found"}', "404 Not Found")


def states(found: str) -> dict[str, str]:
    return {one["name"]: one["state"] for one in json.loads(found)["checks"]}


def test_all_is_well(cli: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    done = cli("check")
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines() if line[0] != " "]
    assert [line[:2] for line in lines] == [
        ["settings", "ok"],
        ["key", "ok"],
        ["gateway", "ok"],
        ["warehouse", "ok"],
    ]
    assert lines[1][2] == "LUMAAI_API_KEY from the environment"
    assert lines[3][2] == "can write to warehouse, which is new"
    assert sandbox.stats()["requests"] == 1
    assert KEY not in done.stdout + done.stderr
    assert not (tmp_path / "warehouse/.draft").exists()

    cli("ingest", "-", stdin="a\nb")
    (tmp_path / ".env").write_text(f"LUMAAI_API_KEY={KEY}\n")
    found = cli("check", "--json", LUMAAI_API_KEY="").stdout
    texts = {one["name"]: one["text"] for one in json.loads(found)["checks"]}
    assert texts["key"] == "LUMAAI_API_KEY from .env"
    assert texts["warehouse"] == "can write to warehouse: 2 generations by month"
    assert KEY not in found


@pytest.mark.parametrize(
    ("answer", "exit_code", "state", "text"),
    [
        (NOT_FOUND, 0, "ok", "does not refuse the key: HTTP 404"),
        (reply(b"{}", "403 Forbidden"), 0, "note", "made-up task ID only"),
        (reply(b"{}", "429 Too Many", "Retry-After: 4000"), 0, "note", "asks to wait 4,000 s"),
        (reply(b"{}", "401 Unauthorized"), 3, "failed", "refuses the key (HTTP 401)"),
        (reply(PAGE), 2, "failed", "is not a Dream Machine gateway (HTTP 200: a web page came"),
        (
            reply(PAGE, "404 Not Found"),
            2,
            "failed",
            "Dream Machine gateway (HTTP 404: a web page",
        ),
        (reply(b"", "302 Found", "Location: https://x.test/"), 2, "failed", "https://x.test"),
        (reply(b"{}", "503 Unavailable"), 4, "failed", "HTTP 503"),
    ],
)
def test_what_a_gateway_answers(
    cli: CommandLine, answer: bytes, exit_code: int, state: str, text: str
) -> None:
    with RawServer(always(answer)) as server:
        done = cli("check", "--json", "--base-url", server.base_url)
    assert done.returncode == exit_code == json.loads(done.stdout)["exit_code"]
    (gateway,) = [one for one in json.loads(done.stdout)["checks"] if one["name"] == "gateway"]
    assert gateway["state"] == state
    assert text in gateway["text"]
    assert not done.stderr
    assert len(server.heads) == 1


def test_what_is_wrong_before_the_gateway_is_asked(cli: CommandLine) -> None:
    unset = cli("check", "--json", LUMAAI_API_KEY="")
    assert unset.returncode == 2
    assert states(unset.stdout) == {"settings": "ok", "key": "failed", "warehouse": "ok"}
    assert "set LUMAAI_API_KEY" in unset.stdout
    nonsense = cli("check", LUMA_MAX_WAIT="soon")
    assert nonsense.returncode == 2
    assert nonsense.stdout.startswith("settings  failed")
    assert len(nonsense.stdout.splitlines()) == 1
    closed = cli("check", "--base-url", "http://127.0.0.1:9")
    assert closed.returncode == 4
    assert "cannot connect to 127.0.0.1:9" in closed.stdout


def test_what_a_warehouse_says(cli: CommandLine, tmp_path: Path) -> None:
    with Warehouse.writing(tmp_path / "warehouse"):
        busy = cli("check")
    assert busy.returncode == 0
    assert "warehouse note" in busy.stdout
    assert f"process {os.getpid()}, since" in busy.stdout

    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/mum.txt").write_text("Dear mum")
    taken = cli("check", "--warehouse", "letters")
    assert taken.returncode == 2
    assert "has files but is not a warehouse" in taken.stdout
    assert sorted(path.name for path in (tmp_path / "letters").iterdir()) == ["mum.txt"]

    unwritable = cli("check", "--warehouse", "/proc/warehouse")
    assert unwritable.returncode == 2
    assert "cannot write to /proc/warehouse" in unwritable.stdout
