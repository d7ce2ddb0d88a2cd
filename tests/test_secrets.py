"""The key and presigned URLs: neither stays where it should not."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from builders import answer, example, table
from conftest import DOCUMENTED_ID, KEY

from connector.record.flatten import flatten
from connector.record.signatures import strip_signatures
from connector.sandbox import KINDS, Sandbox
from connector.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine


def holding(folder: Path, secret: str) -> list[str]:
    """Files below a folder in which a text stands, as UTF-8; Parquet pages uncompressed too."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and secret.encode() in path.read_bytes():
            found.append(str(path))
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path, partitioning=None).astype(object)
            if frame.map(lambda value: secret in str(value)).to_numpy().any():
                found.append(str(path))
    return found


def test_the_key_is_nowhere_after_every_kind_of_failure(cli: CommandLine, tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if kind not in {"unauthorized", "rate-limited-forever"}]
    ids = "\n".join(f"bad-{kind}-1" for kind in kinds)
    impatient = {"LUMA_READ_TIMEOUT": "1", "LUMA_TOTAL_TIMEOUT": "2", "LUMA_MAX_ATTEMPTS": "2"}
    runs = [
        cli("ingest", "-", stdin=ids, LUMA_LOG_LEVEL="DEBUG", **impatient),
        cli("ingest", "-", stdin="bad-unauthorized-1", LUMA_LOG_LEVEL="DEBUG"),
        cli("ingest", "-", stdin="bad-rate-limited-forever-1", LUMA_LOG_LEVEL="DEBUG"),
        cli("ingest", "-", stdin="x", LUMA_BASE_URL="http://127.0.0.1:1", LUMA_MAX_ATTEMPTS="1"),
        cli("show"),
    ]
    assert [run.returncode for run in runs] == [0, 3, 4, 4, 0]
    assert "DEBUG" in runs[0].stderr
    for run in runs:
        assert KEY not in run.stdout + run.stderr
    assert not holding(tmp_path / "warehouse", KEY)


def test_a_gateway_that_echoes_the_key_does_not_get_it_into_the_tables(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    echo = json.dumps({"id": "x", "state": "completed", "prompt": f"Bearer {KEY}"}).encode()
    sandbox.change(fixtures={"echo": echo})
    assert cli("ingest", "-", stdin="echo").returncode == 0
    assert not holding(tmp_path / "warehouse", KEY)
    assert len(pd.read_parquet(tmp_path / "warehouse/generations")) == 1


def test_the_key_does_not_show_in_settings() -> None:
    settings = load(key="luma-very-secret")
    assert "very-secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_the_key_goes_to_no_other_host(cli: CommandLine, sandbox: Sandbox) -> None:
    """The sandbox itself listens where `redirect-other-host` points to, and counts who comes."""
    cli("ingest", "-", stdin="bad-redirect-other-host-1")
    assert sandbox.stats()["elsewhere"] == 0


SIGNED = json.loads(example("completed"))["video"]["download_url"]


def test_signatures_are_cut_off_and_times_are_kept(cli: CommandLine, tmp_path: Path) -> None:
    cli("ingest", "-", "--redact-signatures", stdin=DOCUMENTED_ID)
    (row,) = pd.read_parquet(tmp_path / "warehouse/generations").itertuples()
    assert "Signature" not in row.video_download_url
    assert "Credential" not in row.video_download_url
    assert row.video_download_url.startswith(SIGNED.partition("?")[0])
    assert str(row.download_url_signed_at) == "2024-10-15 08:56:53+00:00"
    assert str(row.download_url_expires_at) == "2024-10-15 09:56:53+00:00"
    assert not holding(tmp_path / "warehouse", "9b40f281fd019016625b")


def test_nothing_but_presigned_queries_changes() -> None:
    body = b'{"id":"x","prompt":"why? because & so","video":{"url":"https://a/b.mp4?width=5"}}'
    assert strip_signatures(body) == body
    escaped = SIGNED.replace("&", "\\u0026")
    flat = flatten(
        table(
            answer(
                "t",
                strip_signatures(f'{{"video":{{"download_url":"{escaped}"}},"id":"x"}}'.encode()),
            )
        )
    )
    assert flat["download_url_expires_at"][0].is_valid
    assert "Signature" not in flat["video_download_url"][0].as_py()


def test_a_body_full_of_question_marks_is_read_in_linear_time() -> None:
    started = time.process_time()
    strip_signatures(b"?" * 1_000_000)
    assert time.process_time() - started < 10, "quadratic: it would take hours"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert load(key="k", base_url=f"http://{host}:80").ready()
