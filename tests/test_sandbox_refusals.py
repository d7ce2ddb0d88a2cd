"""The sandbox refuses accounts, and puts off, as other gateways do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from sandbox_client import ROOT, Client, path
from steered import PLAIN, Steered

from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.sandbox.choices import NotNow, Refusal, Wording

if TYPE_CHECKING:
    from collections.abc import Iterator

# Refused accounts

# Status, and what stands where in the body; a page has it anywhere.
REFUSALS: dict[Refusal, tuple[int, str, Any]] = {
    "402": (402, "detail", "Insufficient credits"),
    "403-quota": (403, "error.code", "insufficient_user_quota"),
    "429-quota": (429, "error.code", "insufficient_quota"),
    "200-code-402": (200, "code", 402),
    "200-code-401": (200, "code", 401),
    "403-challenge": (403, "", b"<title>Just a moment...</title>"),
    "403-forbidden": (403, "message", "Forbidden"),
    "200-login-page": (200, "", b'type="password"'),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(PLAIN) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


def _at(body: Any, names: str) -> Any:
    for name in names.split("."):
        body = body[name]
    return body


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_for_every_id_until_it_is_turned_back(
    sandbox: Sandbox, refusal: Refusal
) -> None:
    status, where, what = REFUSALS[refusal]
    with Client(sandbox.base_url) as client:
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


@pytest.mark.parametrize("wording", get_args(Wording)[1:])
@pytest.mark.parametrize(
    "refusal",
    ["402", "403-quota", "429-quota", "200-code-402"],
)
def test_a_refusal_says_what_is_used_up(refusal: Refusal, wording: Wording) -> None:
    gateway = Steered(SandboxSettings(refusal=refusal, refusal_wording=wording))
    response, _ = gateway.get(path("an-id"))
    assert response.status == REFUSALS[refusal][0]
    assert wording in response.body.decode().lower()


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
    "202-pending": (202, {"status": "pending"}),
    "202-empty": (202, None),
    "204": (204, None),
    "409": (409, {"detail": "the generation is being updated, retry"}),
    "423": (423, {"detail": "the generation is locked by another process"}),
    "425": (425, {"detail": "too early"}),
    "200-code-429": (200, {"code": 429}),
    "200-code-500": (200, {"code": 500}),
    "200-code-503": (200, {"code": 503}),
    "200-upstream-busy": (200, {"error": {"code": "upstream_error"}}),
    "400-wrapping-429": (400, {"error": {"code": "bad_response_status_code"}}),
}


def _has(body: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return all(_has(body[name], value) for name, value in part.items())
    return bool(body == part)


@pytest.mark.parametrize("name", PUT_OFF)
def test_an_id_is_put_off_as_often_as_asked(sandbox: Sandbox, name: NotNow) -> None:
    status, part = PUT_OFF[name]
    sandbox.change(not_now=name, not_now_attempts=2)
    with Client(sandbox.base_url) as client:
        for task_id in task_ids(3):
            for _ in range(2):
                response = client.get(path(task_id))
                assert response.status == status
                assert response.body == b"" if part is None else _has(response.json(), part)
            assert client.get(path(task_id)).json()["state"] == "completed"
        assert sandbox.stats()["faults"] == {f"not-now {name}": 6}


def test_every_way_to_put_off_is_tested() -> None:
    assert set(PUT_OFF) == set(get_args(NotNow)) - {"none", "mixed"}
    assert set(REFUSALS) == set(get_args(Refusal)) - {"none"}


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
