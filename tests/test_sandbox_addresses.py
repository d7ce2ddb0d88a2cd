"""The sandbox at wrong addresses and for tasks that are gone; its knobs on the command line."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sandbox_client import AUTHORIZED, ROOT, Client, ask, path
from steered import PLAIN, Steered

from connector.sandbox import Sandbox, SandboxError, SandboxSettings, task_ids
from connector.sandbox.choices import MissingAs, WrongPath
from connector.sandbox.settings import knobs

if TYPE_CHECKING:
    from collections.abc import Iterator

# Addresses

ELSEWHERE: dict[WrongPath, tuple[int, str, bytes]] = {
    "html-404": (404, "text/html", b"404 Not Found"),
    "json-404": (404, "application/json", b'{"detail":"Not Found"}'),
    "json-404-url": (404, "application/json", b"Invalid URL (GET "),
    "text-404": (404, "text/plain", b"404 page not found"),
    "page-200": (200, "text/html", b'<div id="root">'),
}


@pytest.fixture(scope="module")
def below() -> Iterator[Sandbox]:
    """A sandbox with a base path."""
    with Sandbox(PLAIN.changed({"base_path": "/luma/api"})) as sandbox:
        yield sandbox


@pytest.mark.parametrize("form", ELSEWHERE)
def test_a_wrong_address_is_answered_as_asked(below: Sandbox, form: WrongPath) -> None:
    status, content_type, part = ELSEWHERE[form]
    below.reset()
    below.change(wrong_path=form)
    assert below.base_url.endswith("/luma/api")
    with Client(below.base_url.removesuffix("/luma/api")) as client:
        right = client.get("/luma/api" + path("an-id"))
        assert (right.status, right.json()["id"]) == (200, "an-id")
        for prefix in ("", "/luma", "/luma/api/luma/api", "/luma/api/v1"):
            wrong = client.get(prefix + path("an-id"))
            assert wrong.status == status
            assert wrong.headers["content-type"].startswith(content_type)
            assert part in wrong.body
            assert b"eneration not" not in wrong.body
    assert below.stats()["by_task_id"] == {"an-id": 1}


def test_the_listing_and_redirects_are_under_the_base_path() -> None:
    with Sandbox(PLAIN.changed({"base_path": "/v2", "listing": ["one", "two"]})) as sandbox:
        host = sandbox.base_url.removesuffix("/v2")
        assert ask(host, "/v2" + ROOT).json()["count"] == 2
        redirect = ask(host, "/v2" + path("bad-redirect-same-host-1"))
        location = redirect.headers["location"]
        assert ask(host, location.removeprefix(host)).status == 200


@pytest.mark.parametrize("base_path", ["v2", "/v2/", "/a b", "/?x"])
def test_a_base_path_that_is_none_is_refused(base_path: str) -> None:
    with pytest.raises(ValueError, match="base_path must start with a slash"):
        SandboxSettings(base_path=base_path)


# Missing tasks


@pytest.mark.parametrize("form", get_args(MissingAs))
def test_a_task_that_is_gone_is_spoken_of(form: MissingAs) -> None:
    gateway = Steered(PLAIN.changed({"missing_prefix": "gone-", "missing_as": form}))
    bodies = []
    for number in range(40):
        response, _ = gateway.get(path(f"gone-{number}"))
        assert response.status == 404
        text = response.body.decode().lower()
        assert "task" in text or "generation" in text
        bodies.append(tuple(response.json()))
    assert len(set(bodies)) == (len(get_args(MissingAs)) - 1 if form == "mixed" else 1)
    assert gateway.status("not-gone") == 200


# Defaults and knobs


def test_all_of_it_is_off_by_default() -> None:
    gateway = Steered(SandboxSettings())
    assert {gateway.status(task_id) for task_id in (*task_ids(50), "gone-1")} == {200}
    assert gateway.gateway.counters.faults == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dialect": "dutch"}, "dialect must be one of"),
        ({"states": "finnished"}, "states must be one of"),
        ({"refusal": "500"}, "refusal must be one of"),
        ({"not_now": 409}, "not_now: 409 is not a str"),
        ({"base_path": "x"}, "base_path must start with a slash"),
        ({"live": True}, "live needs finish_after"),
    ],
)
def test_a_knob_in_mid_run_is_checked(changes: dict[str, Any], message: str) -> None:
    with Sandbox() as sandbox:
        with pytest.raises(SandboxError, match=message):
            sandbox.change(**changes)
        assert ask(sandbox.base_url, path("an-id")).status == 200


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "connector", "sandbox", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_every_knob_and_every_word_it_takes() -> None:
    ended = _run("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = "".join(ended.stdout.split())
    for knob in knobs():
        assert f"--{knob.name.replace('_', '-')}" in shown
        for word in knob.metadata.get("choices", ()):
            assert str(word) in shown
    assert "so many" not in ended.stdout


def test_a_wrong_option_ends_the_command_with_an_error() -> None:
    ended = _run("--dialect", "dutch")
    assert ended.returncode == 2
    assert "invalid choice: 'dutch'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_options_on_the_command_line_reach_the_gateway() -> None:
    arguments = ["--refusal", "402", "--refusal-wording", "billing", "--base-path", "/p"]
    with subprocess.Popen(
        [sys.executable, "-m", "connector", "sandbox", *arguments, "--announce"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        base_url = process.stdout.readline().strip()
        with Client(base_url) as client:
            refused = client.get("/p" + path("an-id"))
            shown = client.get("/_sandbox/settings").json()
            topped_up = client.request(
                "POST", "/_sandbox/settings", AUTHORIZED, b'{"refusal": "none"}'
            )
            answered = client.get("/p" + path("an-id"))
        process.communicate(timeout=60)
    assert base_url.endswith("/p")
    assert (refused.status, "Billing" in refused.json()["detail"]) == (402, True)
    assert (shown["refusal"], topped_up.status, answered.status) == ("402", 200, 200)
