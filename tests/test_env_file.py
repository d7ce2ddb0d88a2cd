"""`.env` as editors save it, through the real command line."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest
from conftest import DOCUMENTED_ID, KEY

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

    from connector.sandbox import Sandbox

# Beyond ASCII, so that encodings differ.
TEXT = f"# clé du café\nLUMAAI_API_KEY={KEY}\nLUMA_BASE_URL={{}}\n"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Without what `.env` is to tell."""
    return {k: v for k, v in environment.items() if k not in {"LUMAAI_API_KEY", "LUMA_BASE_URL"}}


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        # The key first: it is what a mark would hide.
        TEXT.partition("\n")[2].encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.replace("\n", "\r\n").encode("utf-16-be"),
    ],
)
def test_it_is_read_in_the_encodings_that_editors_save(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path, content: bytes
) -> None:
    holder = b"{}" if b"{}" in content else "{}".encode(_wide(content))
    url = sandbox.base_url.encode("utf-8" if holder == b"{}" else _wide(content))
    (tmp_path / ".env").write_bytes(content.replace(holder, url))
    done = cli("ingest", DOCUMENTED_ID)
    assert done.returncode == 0, done.stderr
    assert sandbox.stats()["requests"] == 1


def _wide(content: bytes) -> str:
    return "utf-16-be" if content.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"


@pytest.mark.parametrize(
    ("encoding", "command"),
    [
        ("latin-1", ("ingest", DOCUMENTED_ID)),
        ("cp1252", ("ingest", DOCUMENTED_ID)),
        ("utf-16-le", ("ingest", DOCUMENTED_ID)),
        ("utf-16-be", ("ingest", DOCUMENTED_ID)),
        ("latin-1", ("check",)),
        ("utf-16-le", ("show",)),
    ],
)
def test_another_encoding_is_told_in_one_line_that_shows_none_of_it(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path, encoding: str, command: tuple[str, ...]
) -> None:
    (tmp_path / ".env").write_bytes(TEXT.format(sandbox.base_url).encode(encoding))
    done = cli(*command)
    assert done.returncode == 2
    (told,) = (done.stderr + done.stdout).strip().splitlines()
    assert told.endswith(".env is not UTF-8: save it as UTF-8")
    assert sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("line", ['LUMA_BASE_URL="{}', "export LUMA_BASE_URL: {}"])
def test_a_setting_that_cannot_be_read_is_an_error_and_sends_the_key_nowhere(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path, line: str
) -> None:
    text = f"other tool's line\nLUMAAI_API_KEY={KEY}\n{line.format(sandbox.base_url)}\n"
    (tmp_path / ".env").write_text(text)
    done = cli("ingest", DOCUMENTED_ID)
    assert done.returncode == 2, done.stderr
    assert "line 3 of .env, which sets LUMA_BASE_URL, cannot be read" in done.stderr
