"""The sandbox over a socket: as documented, as told, and as oddly as its menu says."""

from __future__ import annotations

import gzip
import json
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from sandbox_client import (
    AUTHORIZED,
    ROOT,
    Client,
    Wire,
    ask,
    connect,
    path,
    read_wire,
    request_bytes,
)

from connector.sandbox import KINDS, Sandbox, SandboxError, SandboxSettings, task_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.sandbox.kinds import Kind

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(slow_seconds=0.1, drip_seconds=0.01)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.reset()
    return shared


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.base_url) as client:
        yield client


# The same answers everywhere


def test_the_same_id_has_the_same_generation_in_any_process_and_order(client: Client) -> None:
    ids = task_ids(40)
    with Sandbox() as other, Client(other.base_url) as here:
        expected = {task_id: here.generation(task_id) for task_id in reversed(ids)}
    assert {task_id: client.generation(task_id) for task_id in ids} == expected


def test_by_default_a_second_run_finds_all_finished(client: Client) -> None:
    ids = task_ids(100)
    first, second = ([_state(client.generation(i)) for i in ids] for _ in range(2))
    assert {"completed", "failed"} < set(first)
    assert set(second) == {"completed", "failed"}


def _state(body: Any) -> str:
    return str(body.get("data", body)["state"])


# The HTTP side


@pytest.mark.parametrize(
    "task_id", ["a/b", "a?b=c#d", "50%", "id with blanks", "ключ-鍵-🔑", "..", "a%2Fb", "+"]
)
def test_a_percent_encoded_id_is_decoded_once(sandbox: Sandbox, task_id: str) -> None:
    sandbox.change(other_id=0)
    with Client(sandbox.base_url) as client:
        body = client.generation(task_id)
    assert body.get("data", body)["id"] == task_id
    assert sandbox.stats()["by_task_id"] == {task_id: 1}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "any"}, {"Authorization": "Basic YQ=="}])
def test_without_a_bearer_key_the_answer_is_401(client: Client, headers: dict[str, str]) -> None:
    response = client.get(path("an-id"), headers)
    assert response.status == 401
    assert response.json() == {"detail": "Not authenticated"}


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
def test_only_get_is_allowed(client: Client, method: str) -> None:
    response = client.request(method, path("an-id"), body=b"{}" if method == "POST" else b"")
    assert response.status == 405
    assert client.get(path("an-id")).status == 200


@pytest.mark.parametrize(
    "target", ["/", "/dream-machine/v1", ROOT + "/a/b", ROOT + "s", ROOT + "/"]
)
def test_an_unknown_path_is_a_404_page(client: Client, target: str) -> None:
    response = client.get(target)
    assert response.status == 404
    assert response.headers["content-type"].startswith("text/html")


def test_what_is_no_request_is_answered_400_and_ended(sandbox: Sandbox) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(b"hello\r\n\r\n")
        wire = read_wire(connection, patience=5)
    assert (wire.status, wire.end) == (400, "closed")


def test_a_request_may_arrive_in_pieces_and_with_others(sandbox: Sandbox) -> None:
    requests = request_bytes(path("one")) + request_bytes(path("two"), "Connection: close")
    with connect(sandbox.base_url) as connection:
        for start in range(0, len(requests), 7):
            connection.sendall(requests[start : start + 7])
        wire = read_wire(connection, patience=5)
    assert wire.end == "closed"
    assert wire.data.count(b"HTTP/1.1 200 OK") == 2


def test_connections_are_kept_alive_and_counted_once(sandbox: Sandbox, client: Client) -> None:
    for task_id in task_ids(5):
        client.generation(task_id)
    stats = sandbox.stats()
    assert (stats["connections"], stats["requests"]) == (1, 5)


def test_the_listing_is_paged_and_newest_first(sandbox: Sandbox, client: Client) -> None:
    ids = task_ids(25)
    sandbox.change(listing=ids)
    pages = [client.get(f"{ROOT}?limit=10&offset={n}").json() for n in (0, 10, 20)]
    assert [page["has_more"] for page in pages] == [True, True, False]
    assert [page["count"] for page in pages] == [10, 10, 5]
    listed = [generation for page in pages for generation in page["generations"]]
    assert sorted(generation["id"] for generation in listed) == sorted(ids)
    moments = [datetime.fromisoformat(generation["created_at"]) for generation in listed]
    assert all(a - b > timedelta(seconds=-1) for a, b in pairwise(moments))
    assert client.get(f"{ROOT}?limit=none").status == 422
    assert client.get(f"{ROOT}?limit=1000").status == 422


def test_the_listing_breaks_off_where_it_is_told_to(sandbox: Sandbox, client: Client) -> None:
    sandbox.change(listing=task_ids(25), listing_fails_after=20)
    pages = [client.get(f"{ROOT}?limit=10&offset={n}").status for n in (0, 10, 11, 20)]
    assert pages == [200, 200, 500, 500]


def test_a_fixture_is_served_byte_for_byte() -> None:
    example = (EXAMPLES / "completed.json").read_bytes()
    fixtures = {"documented": example, "not text": b"\xff\x00"}
    with Sandbox(SandboxSettings(fixtures=fixtures)) as sandbox:
        assert ask(sandbox.base_url, path("documented")).body == example
        assert ask(sandbox.base_url, path("not text")).body == b"\xff\x00"
        sandbox.change(fixtures={"documented": b"{}"})
        assert ask(sandbox.base_url, path("documented")).body == b"{}"


# Statistics and knobs


def test_the_statistics_tell_what_was_asked(sandbox: Sandbox, client: Client) -> None:
    for task_id in ("one", "one", "two", "bad-not-found-1"):
        client.get(path(task_id))
    stats = sandbox.stats()
    assert stats["requests"] == 4
    assert stats["by_status"] == {"200": 3, "404": 1}
    assert stats["by_task_id"] == {"one": 2, "two": 1, "bad-not-found-1": 1}
    assert stats["faults"] == {"not-found": 1}
    assert sum(stats["per_second"]) == 4
    assert stats["in_flight"] == 0


def test_a_reset_makes_it_as_it_was_at_its_start(sandbox: Sandbox, client: Client) -> None:
    assert client.get(path("once-unavailable-1")).status == 503
    assert client.get(path("once-unavailable-1")).status == 200
    sandbox.change(missing=1)
    sandbox.reset()
    assert sandbox.stats()["requests"] == 0
    assert client.get(path("once-unavailable-1")).status == 503
    assert client.get(path("an-id")).status == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": 1}, "unknown setting: speed"),
        ({"failed": 2}, "failed must be from 0 to 1"),
        ({"latency": "fast"}, "latency: 'fast' is not a float"),
        ({"retry_after": "soon"}, "retry_after must be one of"),
        ({"resign": 1}, "resign: 1 is not a bool"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    sandbox: Sandbox, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        sandbox.change(**changes)


def test_the_key_is_not_shown() -> None:
    settings = SandboxSettings(key="secret")
    with Sandbox(settings) as sandbox:
        shown = ask(sandbox.base_url, "/_sandbox/settings")
    assert shown.json()["seed"] == 0
    assert b"secret" not in shown.body
    assert "secret" not in repr(settings)


def test_the_menu_is_served(client: Client) -> None:
    assert client.get("/_sandbox/kinds").json().keys() == KINDS.keys()


# Limits


def test_a_limit_may_change_in_mid_run(sandbox: Sandbox, client: Client) -> None:
    sandbox.change(rate_limit=0.001, burst=1)
    assert [client.get(path("an-id")).status for _ in range(2)] == [200, 429]
    sandbox.change(rate_limit=0, burst=10)
    assert client.get(path("an-id")).status == 200


def test_beyond_max_concurrent_comes_a_refusal(sandbox: Sandbox, client: Client) -> None:
    sandbox.change(max_concurrent=1, latency=1.5, jitter=0)
    with connect(sandbox.base_url) as first:
        first.sendall(request_bytes(path("one"), "Connection: close"))
        while sandbox.stats()["in_flight"] == 0:
            time.sleep(0.005)
        refusal = client.get(path("two"))
        assert read_wire(first, patience=60).status == 200
    assert refusal.status == 503
    assert refusal.headers["retry-after"] == "1"
    assert sandbox.stats()["max_in_flight"] == 2


def test_an_answer_is_dropped_when_its_client_leaves(sandbox: Sandbox) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request_bytes(path("bad-hang-1")))
        while sandbox.stats()["in_flight"] == 0:
            time.sleep(0.005)
    deadline = time.monotonic() + 60
    while sandbox.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sandbox.stats()["in_flight"] == 0


# The menu


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_answers_as_declared(sandbox: Sandbox, name: str) -> None:
    kind = KINDS[name]
    with connect(sandbox.base_url) as connection:
        connection.sendall(request_bytes(path(f"bad-{name}-1"), "Connection: close"))
        wire = _read_kind(connection, kind)
    assert wire.status == kind.status
    assert (wire.end != "open") == kind.ends
    assert sandbox.stats()["by_status"] == {str(kind.status or "none"): 1}


def _read_kind(connection: socket.socket, kind: Kind) -> Wire:
    """All there is, or the start and a little more if there is no end."""
    if kind.ends:
        return read_wire(connection, patience=60)
    start = read_wire(connection, patience=60, limit=1).data if kind.status else b""
    more = read_wire(connection, patience=0.15, limit=1 << 22)
    return Wire(start + more.data, more.end)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].is_generation])
def test_a_kind_that_is_a_generation_is_one(client: Client, name: str) -> None:
    response = client.get(path(f"bad-{name}-1"))
    decode: dict[str | None, Callable[[bytes], bytes]] = {
        None: bytes,
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
    }
    body = json.loads(decode[response.headers.get("content-encoding")](response.body))
    body = body.get("data", body)
    assert isinstance(body, dict)
    assert body.get("id") or body.get("state")


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].status == 302])
def test_a_redirect_leads_where_it_says(sandbox: Sandbox, client: Client, name: str) -> None:
    task_id = f"bad-{name}-1"
    response = client.get(path(task_id))
    location = response.headers.get("location", "")
    here, elsewhere = sandbox.base_url + path(task_id), not location.startswith(sandbox.base_url)
    expected = {
        "redirect-same-host": location == here + "?redirected",
        "redirect-loop": location == here,
        "redirect-other-host": elsewhere and location.endswith(path(task_id)),
        "redirect-nowhere": location == "",
        "redirect-nonsense": elsewhere,
    }
    assert expected[name]


def test_following_to_the_same_host_brings_a_generation(client: Client) -> None:
    target = path("bad-redirect-same-host-1") + "?redirected"
    assert client.get(target).json()["id"] == "bad-redirect-same-host-1"


def test_who_follows_elsewhere_is_counted_and_so_is_a_leaked_key(
    sandbox: Sandbox, client: Client
) -> None:
    location = client.get(path("bad-redirect-other-host-1")).headers["location"]
    address = urlsplit(location)
    with Client(f"http://{address.netloc}") as elsewhere:
        assert elsewhere.get(address.path, headers={}).status == 200
        assert elsewhere.get(address.path, headers=AUTHORIZED).status == 200
    stats = sandbox.stats()
    assert (stats["elsewhere"], stats["elsewhere_with_key"], stats["requests"]) == (2, 1, 1)


def test_how_connections_end(sandbox: Sandbox) -> None:
    ends = {}
    for name in ("closed", "reset", "cut", "reset-in-body", "closes-after"):
        with connect(sandbox.base_url) as connection:
            connection.sendall(request_bytes(path(f"bad-{name}-1")))
            ends[name] = read_wire(connection, patience=5).end
    assert ends == {
        "closed": "closed",
        "reset": "reset",
        "cut": "closed",
        "reset-in-body": "reset",
        "closes-after": "closed",
    }


def test_transient_faults_are_the_same_each_time_and_a_retry_mends_them(sandbox: Sandbox) -> None:
    first, second = (_bodies_despite_faults(sandbox) for _ in range(2))
    assert first == second
    attempts, bodies = first
    assert set(attempts.values()) == {1, 2, 3}
    sandbox.reset()
    sandbox.change(unfinished=0)
    assert bodies == {task_id: ask(sandbox.base_url, path(task_id)).body for task_id in attempts}


def _bodies_despite_faults(sandbox: Sandbox) -> tuple[dict[str, int], dict[str, bytes]]:
    sandbox.reset()
    sandbox.change(fault_share=0.5, slow_seconds=0, unfinished=0)
    bodies = {}
    for task_id in task_ids(40):
        while (body := _good_body(sandbox, task_id)) is None:
            pass
        bodies[task_id] = body
    return sandbox.stats()["by_task_id"], bodies


def _good_body(sandbox: Sandbox, task_id: str) -> bytes | None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request_bytes(path(task_id), "Connection: close"))
        wire = read_wire(connection, patience=5)
    body = wire.data.partition(b"\r\n\r\n")[2]
    return body if wire.status == 200 and body.endswith(b"}") else None


def test_faults_do_not_disturb_other_connections(sandbox: Sandbox, client: Client) -> None:
    troubles = ("hang", "drip", "endless-chunked", "endless-plain", "too-large", "header-line")
    connections = [connect(sandbox.base_url) for _ in troubles for _ in range(3)]
    stop = threading.Event()
    reader = threading.Thread(target=_read_on, args=(connections[::3], stop))
    try:
        # A third of these clients read on and on, the others never.
        for number, connection in enumerate(connections):
            connection.sendall(request_bytes(path(f"bad-{troubles[number // 3]}-1")))
        reader.start()
        for task_id in task_ids(50):
            assert client.get(path(task_id)).status == 200
    finally:
        stop.set()
        reader.join()
        for connection in connections:
            connection.close()


def _read_on(connections: list[socket.socket], stop: threading.Event) -> None:
    while not stop.is_set():
        for connection in connections:
            read_wire(connection, patience=0.001, limit=1 << 16)


# Start and end


def test_it_ends_with_its_block() -> None:
    with Sandbox() as sandbox:
        assert ask(sandbox.base_url, path("an-id")).status == 200
    assert _has_ended(sandbox.base_url)


def test_a_port_that_is_taken_is_an_error(capfd: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = SandboxSettings(port=taken.getsockname()[1])
        with pytest.raises(SandboxError), Sandbox(settings):
            pass
    assert "address already in use" in capfd.readouterr().err


def test_it_dies_with_its_parent() -> None:
    script = (
        "from connector.sandbox import Sandbox\n"
        "with Sandbox() as sandbox:\n"
        "    print(sandbox.base_url, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        base_url = parent.stdout.readline().strip()
        assert ask(base_url, path("an-id")).status == 200
        parent.kill()
    assert _has_ended(base_url)


def _has_ended(base_url: str) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connect(base_url).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass  # it is ending just now
        time.sleep(0.01)
    return False


def test_ctrl_c_ends_it_cleanly_for_a_person() -> None:
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "connector.sandbox"),
            *("--failed", "1", "--unfinished", "0", "--key", "it's mine"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        welcome = process.stdout.readline() + process.stdout.readline() + process.stdout.readline()
        command = next(line for line in welcome.splitlines() if "curl" in line)
        _, _, header, url = shlex.split(command)
        body = requests.get(url, headers=dict([header.split(": ")]), timeout=30).json()
        assert _state(body) == "failed"
        age = datetime.now(UTC) - datetime.fromisoformat(body["created_at"])
        assert timedelta(0) <= age < timedelta(days=61), "its present is today's"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "stopped after 1 requests" in out


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "connector.sandbox", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_command_line_prints_task_ids() -> None:
    assert _run("--write-task-ids", "5", "--seed", "3").stdout.split() == task_ids(5, seed=3)


def test_the_command_line_reads_settings_and_files(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"failed": 1, "unfinished": 0}')
    (tmp_path / "body").write_bytes(b"\xfe")
    (tmp_path / "ids").write_text("one\ntwo\n")
    arguments = [
        *("--settings", str(tmp_path / "settings.json"), "--listing", str(tmp_path / "ids")),
        *("--fixture", f"fixed={tmp_path / 'body'}", "--announce"),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "connector.sandbox", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        base_url = process.stdout.readline().strip()
        assert ask(base_url, path("fixed")).body == b"\xfe"
        assert ask(base_url, ROOT).json()["count"] == 2
        assert _state(ask(base_url, path("an-id")).json()) == "failed"
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--failed", "3"], "failed must be from 0 to 1"),
        (["--settings", "no-such-file"], "no-such-file"),
        (["--now", "2025-01-01"], "needs a time zone"),
        (["--port", "80000"], "port must be from 0 to 65535"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments: list[str], message: str) -> None:
    ended = _run(*arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_imports_nothing_but_the_standard_library_and_orjson() -> None:
    script = (
        "import sys, connector; old = set(sys.modules); import connector.sandbox; "
        "print(*set(sys.modules) - old)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("connector.")}
    assert {name for name in ours if not name.startswith("connector.sandbox")} == set()
    others = {name.partition(".")[0] for name in loaded} - {"connector", "orjson"}
    assert others <= sys.stdlib_module_names
