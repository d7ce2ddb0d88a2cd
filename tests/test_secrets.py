"""The key and presigned URLs: neither stays where it should not."""

from __future__ import annotations

import json
import time
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd
import pytest
from builders import answer, example, table
from conftest import DOCUMENTED_ID, KEY

from connector.gateway.redact import PLACEHOLDER, Redactor
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


SECRET = "a1b2c3d4e5secret"
SIGNED_URLS = [
    f"https://a.blob.core.windows.net/c/v.mp4?sv=2023-11-03&se=2026-01-01&sp=r&sig={SECRET}%3D",
    f"https://a/v.mp4?sig={SECRET}",
    f"https://a/v#access_token={SECRET}",
    f"https://a/v?page=1#x?token={SECRET}",
    f"https://user:{SECRET}@host/v.mp4",
    f"https://{SECRET}@host/v",
    f"https://a/v?Policy=abc&Signature={SECRET}&Key-Pair-Id={SECRET}",
    f"https://a/v?X-Goog-Credential={SECRET}&X-Goog-Signature={SECRET}",
    f"https://a/v?hdnts=exp=1~acl=/*~hmac={SECRET}",
    f"https://a/v?OSSAccessKeyId={SECRET}&Expires=1",
    f"https://proxy/?u=https%3A%2F%2Fb%2Fv.mp4%3FX-Amz-Signature%3D{SECRET}%26w%3D1",
    f"https%3A%2F%2Fuser%3A{SECRET}%40b%2Fv.mp4%3Fsig%3D{SECRET}",
]


@pytest.mark.parametrize("url", SIGNED_URLS)
def test_credentials_go_however_the_url_is_written(url: str) -> None:
    plain = json.dumps({"url": url, "next": [1]})
    escaped = plain.replace("/", "\\/")
    for letter in "?&=#":
        escaped = escaped.replace(letter, f"\\u{ord(letter):04X}")
    for body in (plain, escaped, json.dumps({"inner": plain}), json.dumps({"inner": escaped})):
        stripped = strip_signatures(body.encode()).decode()
        assert SECRET not in stripped
        assert json.loads(stripped).keys() == json.loads(body).keys()


@pytest.mark.parametrize(
    "text",
    [
        "https://a/b.mp4?width=5&design=big&resize=1",
        "why? because & so, #tag = x; a #1 token = b",
        "https://a/@user/x?monkey=12345678",
        "mail me: a@b.c, ratio?signed up=1",
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    body = json.dumps({"prompt": text}).encode()
    assert strip_signatures(body) == body


LONG_RUNS = ["?", "#", "%3f", r"\u003f", "://", "://a", "\\", "?\\", "?token", "://a%25", "%25"]


@pytest.mark.parametrize("run", LONG_RUNS)
def test_a_body_full_of_one_thing_is_read_in_linear_time(run: str) -> None:
    body = run.encode() * (1_000_000 // len(run))
    started = time.process_time()
    strip_signatures(body)
    Redactor(KEY).body(body + KEY.encode())
    assert time.process_time() - started < 10, "quadratic: it would take hours"


ODD_KEY = "luma-3f9A/b+c_d-x7Yzx7Yz"
SPELLED_KEYS = {
    "as it is": ODD_KEY,
    "upper case": ODD_KEY.upper(),
    "percent": quote(ODD_KEY, safe=""),
    "percent, each character": "".join(f"%{ord(c):02x}" for c in ODD_KEY),
    "percent, twice": quote(quote(ODD_KEY, safe=""), safe=""),
    "JSON": ODD_KEY.replace("/", "\\/"),
    "JSON, each character": "".join(f"\\u{ord(c):04X}" for c in ODD_KEY),
    "JSON in JSON": "".join(f"\\\\u{ord(c):04x}" for c in ODD_KEY),
    **{
        f"base64 after {before!r}": b64encode(f"{before}{ODD_KEY}".encode()).decode()
        for before in ("", ":", "me:", "Bearer ")
    },
    "base64 for URLs": urlsafe_b64encode(f"me:{ODD_KEY}".encode()).decode(),
    "base64, percent": quote(b64encode(ODD_KEY.encode()).decode(), safe=""),
    "hexadecimal": ODD_KEY.encode().hex(),
    "hexadecimal, upper case": ODD_KEY.encode().hex().upper(),
    "HTML": "".join(f"&#{ord(character)};" for character in ODD_KEY),
    "HTML, hexadecimal": "".join(f"&#x00{ord(character):X};" for character in ODD_KEY),
    "HTML in JSON": "".join(rf"\u0026#{ord(character)};" for character in ODD_KEY),
}


@pytest.mark.parametrize("spelled", SPELLED_KEYS.values(), ids=SPELLED_KEYS)
def test_the_key_is_found_however_it_is_spelled(spelled: str) -> None:
    redactor = Redactor(ODD_KEY)
    redacted = redactor.body(f'{{"a":"x {spelled} y"}}'.encode())
    assert redacted.startswith(b'{"a":"x ')
    assert redacted.endswith(b' y"}')
    assert PLACEHOLDER.encode() in redacted
    assert ODD_KEY[5:-3].lower() not in json.dumps(json.loads(redacted)).lower()
    assert PLACEHOLDER in redactor.message(f"could not use {spelled}")


def test_the_key_is_found_in_utf_16() -> None:
    assert PLACEHOLDER.encode() in Redactor(ODD_KEY).body(f"say {ODD_KEY}".encode("utf-16"))


def test_a_short_key_leaves_other_words_alone() -> None:
    assert Redactor("KEY").body(b'{"a":"a monkey", "b":"KEY"}') == b'{"a":"a monkey", "b":"[key]"}'


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert load(key="k", base_url=f"http://{host}:80").ready()
