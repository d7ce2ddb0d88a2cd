"""The sandbox refuses accounts, puts off, and answers at wrong addresses, as other gateways do."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from sandbox_client import AUTHORIZED, ROOT, Client, ask, path
from steered import PLAIN, Steered

from connector.sandbox import Sandbox, SandboxError, SandboxSettings, task_ids
from connector.sandbox.choices import MissingAs, NotNow, Refusal, Wording, WrongPath
from connector.sandbox.settings import knobs

# Refused accounts

REFUSALS: dict[Refusal, tuple[int, str, Any]] = {
    Refusal.PAYMENT_402: (402, "detail", "Insufficient credits"),
    Refusal.QUOTA_403: (403, "error.code", "insufficient_user_quota"),
    Refusal.QUOTA_429: (429, "error.code", "insufficient_quota"),
    Refusal.CODE_402: (200, "code", 402),
    Refusal.CODE_401: (200, "code", 401),
    Refusal.CHALLENGE_PAGE: (403, "", b"<title>Just a moment...</title>"),
    Refusal.LOGIN_PAGE: (200, "", b'type="password"'),
}
"""Status, and what stands where in the body; a page has it anywhere."""


def _at(body: Any, names: str) -> Any:
    for name in names.split("."):
        body = body[name]
    return body


@pytest.mark.parametrize("refusal", [each for each in Refusal if each is not Refusal.NONE])
def test_a_refusal_is_for_every_id_until_it_is_turned_back(refusal: Refusal) -> None:
    status, where, what = REFUSALS[refusal]
    with Sandbox(PLAIN) as sandbox, Client(sandbox.base_url) as client:
        assert client.get(path("an-id")).status == 200
        sandbox.change(refusal=refusal)
        for target in (*map(path, task_ids(5)), path("bad-not-found-1"), ROOT):
            response = client.get(target)
            assert response.status == status
            if where:
                assert _at(response.json(), where) == what
            else:
                assert what in response.body
                assert response.headers["content-type"].startswith("text/html")
        assert sandbox.stats()["faults"] == {f"refusal {refusal}": 7}
        sandbox.change(refusal="none")
        assert client.get(path("an-id")).json()["state"] == "completed"
        assert client.get(path("bad-not-found-1")).status == 404


@pytest.mark.parametrize("wording", [each for each in Wording if each is not Wording.USUAL])
@pytest.mark.parametrize(
    "refusal",
    [Refusal.PAYMENT_402, Refusal.QUOTA_403, Refusal.QUOTA_429, Refusal.CODE_402],
)
def test_a_refusal_says_what_is_used_up(refusal: Refusal, wording: Wording) -> None:
    gateway = Steered(SandboxSettings(refusal=refusal, refusal_wording=wording))
    response, _ = gateway.get(path("an-id"))
    assert response.status == REFUSALS[refusal][0]
    assert wording.value in response.body.decode().lower()


def test_a_wrong_key_is_refused_before_the_account() -> None:
    gateway = Steered(SandboxSettings(refusal="402", key="right"))
    assert gateway.status("an-id") == 401


def test_an_account_may_run_dry_in_mid_run() -> None:
    gateway = Steered(PLAIN.changed({"refusal": "402", "refusal_after": 3}))
    assert [gateway.status(task_id) for task_id in task_ids(5)] == [200, 200, 200, 402, 402]


def test_a_refused_request_is_neither_an_attempt_nor_a_poll() -> None:
    settings = PLAIN.changed({"unfinished": 1})
    gateway = Steered(settings.changed({"refusal": "403-quota"}))
    for _ in range(3):
        assert gateway.status("an-id") == 403
        assert gateway.status("once-unavailable-1") == 403
    gateway.gateway.change(settings)
    assert gateway.generation("an-id")["state"] != "completed"
    assert gateway.status("once-unavailable-1") == 503


# Not now

PUT_OFF: dict[NotNow, tuple[int, Any]] = {
    NotNow.PENDING_202: (202, {"status": "pending"}),
    NotNow.EMPTY_202: (202, None),
    NotNow.EMPTY_204: (204, None),
    NotNow.CONFLICT_409: (409, {"detail": "the generation is being updated, retry"}),
    NotNow.LOCKED_423: (423, {"detail": "the generation is locked by another process"}),
    NotNow.EARLY_425: (425, {"detail": "too early"}),
    NotNow.CODE_429: (200, {"code": 429}),
    NotNow.CODE_500: (200, {"code": 500}),
    NotNow.CODE_503: (200, {"code": 503}),
    NotNow.UPSTREAM_BUSY: (200, {"error": {"code": "upstream_error"}}),
    NotNow.WRAPPED_429: (400, {"error": {"code": "bad_response_status_code"}}),
}


def _has(body: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(_has(body[name], value) for name, value in part.items())
    return bool(body == part)


@pytest.mark.parametrize("name", PUT_OFF)
def test_an_id_is_put_off_as_often_as_asked(name: NotNow) -> None:
    status, part = PUT_OFF[name]
    settings = PLAIN.changed({"not_now": name, "not_now_attempts": 2})
    with Sandbox(settings) as sandbox, Client(sandbox.base_url) as client:
        for task_id in task_ids(3):
            for _ in range(2):
                response = client.get(path(task_id))
                assert response.status == status
                assert response.body == b"" if part is None else _has(response.json(), part)
            assert client.get(path(task_id)).json()["state"] == "completed"
        assert sandbox.stats()["faults"] == {f"not-now {name}": 6}


def test_every_way_to_put_off_is_tested() -> None:
    assert set(PUT_OFF) == set(NotNow) - {NotNow.NONE, NotNow.MIXED}
    assert set(REFUSALS) == set(Refusal) - {Refusal.NONE}


def test_a_wrapped_429_speaks_of_429() -> None:
    gateway = Steered(SandboxSettings(not_now="400-wrapping-429"))
    assert "429" in gateway.generation("an-id")["error"]["message"]


def test_zero_attempts_put_off_for_ever_and_a_share_leaves_others_alone() -> None:
    gateway = Steered(
        PLAIN.changed({"not_now": "409", "not_now_attempts": 0, "not_now_share": 0.3})
    )
    statuses = {task_id: [gateway.status(task_id) for _ in range(5)] for task_id in task_ids(400)}
    put_off = [task_id for task_id, seen in statuses.items() if seen == [409] * 5]
    assert 80 < len(put_off) < 160
    assert all(seen == [200] * 5 for task_id, seen in statuses.items() if task_id not in put_off)


def test_mixed_puts_each_id_off_in_its_own_way() -> None:
    gateway = Steered(PLAIN.changed({"not_now": "mixed", "not_now_attempts": 0}))
    for task_id in task_ids(200):
        assert gateway.get(path(task_id))[0] == gateway.get(path(task_id))[0]
    assert set(gateway.gateway.counters.faults) == {f"not-now {name}" for name in PUT_OFF}


def test_to_be_put_off_is_no_poll_and_spares_ids_that_order() -> None:
    gateway = Steered(PLAIN.changed({"not_now": "204", "unfinished": 1}))
    assert gateway.status("an-id") == 204
    assert gateway.generation("an-id")["state"] != "completed"
    assert gateway.generation("an-id")["state"] == "completed"
    assert gateway.status("bad-gone-1") == 410


# Addresses

ELSEWHERE: dict[WrongPath, tuple[int, str, bytes]] = {
    WrongPath.HTML_404: (404, "text/html", b"404 Not Found"),
    WrongPath.JSON_404: (404, "application/json", b'{"detail":"Not Found"}'),
    WrongPath.INVALID_URL: (404, "application/json", b"Invalid URL (GET "),
    WrongPath.TEXT_404: (404, "text/plain", b"404 page not found"),
    WrongPath.WEB_PAGE: (200, "text/html", b'<div id="root">'),
}


@pytest.mark.parametrize("form", WrongPath)
def test_a_wrong_address_is_answered_as_asked(form: WrongPath) -> None:
    status, content_type, part = ELSEWHERE[form]
    with Sandbox(PLAIN.changed({"base_path": "/luma/api", "wrong_path": form})) as sandbox:
        assert sandbox.base_url.endswith("/luma/api")
        host = sandbox.base_url.removesuffix("/luma/api")
        with Client(host) as client:
            right = client.get("/luma/api" + path("an-id"))
            assert (right.status, right.json()["id"]) == (200, "an-id")
            for prefix in ("", "/luma", "/luma/api/luma/api", "/luma/api/v1"):
                wrong = client.get(prefix + path("an-id"))
                assert wrong.status == status
                assert wrong.headers["content-type"].startswith(content_type)
                assert part in wrong.body
                assert b"eneration not" not in wrong.body
        assert sandbox.stats()["by_task_id"] == {"an-id": 1}


def test_the_listing_and_redirects_are_under_the_base_path() -> None:
    with Sandbox(PLAIN.changed({"base_path": "/v2", "listing": ["one", "two"]})) as sandbox:
        host = sandbox.base_url.removesuffix("/v2")
        assert ask(host, "/v2" + ROOT).json()["count"] == 2
        redirect = ask(host, "/v2" + path("bad-redirect-same-host-1"))
        location = redirect.headers["location"]
        assert ask(host, location.removeprefix(host)).status == 200


@pytest.mark.parametrize("base_path", ["v2", "/v2/", "/a b", "/?x"])
def test_a_base_path_that_is_none_is_refused(base_path: str) -> None:
    with pytest.raises(ValueError, match="base_path begins with a slash"):
        SandboxSettings(base_path=base_path)


# Missing tasks


@pytest.mark.parametrize("form", MissingAs)
def test_a_task_that_is_gone_is_spoken_of(form: MissingAs) -> None:
    gateway = Steered(PLAIN.changed({"missing_prefix": "gone-", "missing_as": form}))
    bodies = []
    for number in range(40):
        response, _ = gateway.get(path(f"gone-{number}"))
        assert response.status == 404
        text = response.body.decode().lower()
        assert "task" in text or "generation" in text
        bodies.append(tuple(response.json()))
    assert len(set(bodies)) == (len(MissingAs) - 1 if form is MissingAs.MIXED else 1)
    assert gateway.status("not-gone") == 200


# Defaults and knobs


def test_all_of_it_is_off_by_default() -> None:
    gateway = Steered(SandboxSettings())
    assert {gateway.status(task_id) for task_id in (*task_ids(50), "gone-1")} == {200}
    assert gateway.gateway.counters.faults == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dialect": "dutch"}, "dialect is one of"),
        ({"states": "finnished"}, "states is one of"),
        ({"refusal": "500"}, "refusal is one of"),
        ({"not_now": 409}, "not_now: 409 makes no sense"),
        ({"base_path": "x"}, "base_path begins with a slash"),
        ({"live": True}, "live needs finish_after"),
    ],
)
def test_a_knob_in_mid_run_is_checked(changes: dict[str, Any], message: str) -> None:
    with Sandbox(in_thread=True) as sandbox:
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
