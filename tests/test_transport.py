"""What goes over the wire: paths, headers, proxies, TLS, and the bounds of one request."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from clients import ask, make_client
from conftest import KEY
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from raw_server import GENERATION, RawServer, always, reply

from connector.errors import SettingsError
from connector.gateway.client import Client
from connector.gateway.fetch import fetch
from connector.record.answer import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.gateway.inquiry import Inquiry
    from connector.record.answer import Answer
    from connector.sandbox import Sandbox

PATH = "/dream-machine/v1/generations/"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, *map(str.lower, PROXY_VARIABLES)):
        monkeypatch.delenv(name, raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


# --- The request ---------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/", "/luma", "/luma/v 2/"])
def test_the_path_follows_that_of_the_base_url(prefix: str) -> None:
    with RawServer(always(reply())) as server:
        ask(server.base_url + prefix, "task_1")
    assert server.targets == [quote(prefix.rstrip("/")) + PATH + "task_1"]


@pytest.mark.parametrize(
    ("task_id", "segment"),
    [
        ("4b3c464e-94f6_~.1", "4b3c464e-94f6_~.1"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("ä é", "%C3%A4%20%C3%A9"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("%2e%2e", "%252e%252e"),
        ("a+b", "a%2Bb"),
        ("..a", "..a"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("//evil.example/x", "%2F%2Fevil.example%2Fx"),
        ("http://evil.example/", "http%3A%2F%2Fevil.example%2F"),
        ("a\r\nX-Injected: 1", "a%0D%0AX-Injected%3A%201"),
        ("…🎬", "%E2%80%A6%F0%9F%8E%AC"),
    ],
)
def test_a_task_id_arrives_as_one_path_segment_whatever_is_in_it(
    task_id: str, segment: str
) -> None:
    with RawServer(always(reply())) as server:
        ask(server.base_url, task_id)
    assert server.targets == [PATH + segment]
    assert server.headers("X-Injected") == []


def test_the_request_names_itself_and_asks_for_what_can_be_read() -> None:
    with RawServer(always(reply())) as server:
        ask(server.base_url, user_agent="tester/1")
    assert server.headers("Authorization") == [f"Bearer {KEY}"]
    assert server.headers("Accept-Encoding") == ["gzip"]
    assert server.headers("User-Agent") == ["tester/1"]


def test_a_netrc_entry_for_the_host_does_not_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(always(reply())) as server:
        ask(server.base_url)
    assert server.headers("Authorization") == [f"Bearer {KEY}"]


def test_cookies_are_not_kept() -> None:
    answers = always(reply(GENERATION, "200 OK", "Set-Cookie: who=you; Path=/"))
    with RawServer(answers) as server, make_client(server.base_url) as client:
        for task_id in ("a", "b"):
            client.fetch(task_id, threading.Event())
    assert len(server.heads) == 2
    assert server.headers("Cookie") == []


def test_requests_share_a_connection(sandbox: Sandbox) -> None:
    with make_client(sandbox.base_url) as client:
        for task_id in ("a", "bad-not-found-1", "bad-redirect-same-host-1", "b"):
            client.fetch(task_id, threading.Event())
    assert sandbox.stats()["connections"] == 1


# --- Redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["/elsewhere?x=1", "http://{address}/elsewhere?x=1"])
def test_a_redirect_on_the_same_host_is_followed_with_the_key(location: str) -> None:
    def answer(head: str, connection: socket.socket) -> None:
        target = location.format(address=server.address)
        moved = reply(b"", "307 Moved", f"Location: {target}")
        connection.sendall(reply() if "/elsewhere" in head else moved)

    with RawServer(answer) as server:
        assert ask(server.base_url).outcome is Outcome.GENERATION
    assert server.targets[1] == "/elsewhere?x=1"
    assert server.headers("Authorization") == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize(
    "location",
    ["http://{other}/x", "//{other}/x", "https://{address}/x", "http://{address}@{other}/x"],
)
def test_no_request_follows_a_redirect_to_another_host_port_or_scheme(location: str) -> None:
    with RawServer(always(reply())) as other:

        def answer(_: str, connection: socket.socket) -> None:
            target = location.format(other=other.address, address=server.address)
            connection.sendall(reply(b"", "302 Found", f"Location: {target}"))

        with RawServer(answer) as server:
            answered = ask(server.base_url)
    assert (answered.outcome, answered.attempts) == (Outcome.REDIRECTED, 1)
    assert (len(server.heads), other.heads) == (1, [])


def test_a_redirect_astray_carries_no_key_there(sandbox: Sandbox) -> None:
    assert ask(sandbox.base_url, "bad-redirect-other-host-1").outcome is Outcome.REDIRECTED
    stats = sandbox.stats()
    assert (stats["elsewhere"], stats["elsewhere_with_key"]) == (0, 0)


# --- Bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drip", "drip-head", "hang", "hang-in-body"])
def test_no_answer_holds_a_thread_for_longer_than_its_time(sandbox: Sandbox, kind: str) -> None:
    started = time.monotonic()
    answer = ask(
        sandbox.base_url, f"bad-{kind}-1", max_attempts=1, read_timeout=200.0, total_timeout=0.5
    )
    assert answer.outcome is Outcome.TIMEOUT
    assert answer.message == "the answer was not complete after 0.5 s"
    assert 0.5 <= time.monotonic() - started < 60


def test_silence_ends_an_attempt_before_its_time_is_over(sandbox: Sandbox) -> None:
    started = time.monotonic()
    answer = ask(
        sandbox.base_url, "bad-hang-1", max_attempts=1, read_timeout=0.2, total_timeout=200.0
    )
    assert answer.outcome is Outcome.TIMEOUT
    assert time.monotonic() - started < 60


def test_an_answer_whose_bytes_never_pause_is_bounded_too() -> None:
    def drip(_: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.0005)

    with RawServer(drip) as server:
        answer = ask(server.base_url, max_attempts=1, total_timeout=0.2)
    assert (answer.outcome, answer.message) == (
        Outcome.TIMEOUT,
        "the answer was not complete after 0.2 s",
    )


def test_a_proxy_that_drips_its_answer_to_connect_is_bounded_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drip(_: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(2000):
            connection.sendall(b"X-Wait: a little\r\n")
            time.sleep(0.1)

    with RawServer(drip) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        started = time.monotonic()
        answer = ask("https://gw.example", max_attempts=1, total_timeout=0.4)
    assert answer.outcome is Outcome.TIMEOUT
    assert time.monotonic() - started < 60


def test_a_chunk_of_negative_size_does_not_read_for_ever() -> None:
    sent = 0

    def pour(_: str, connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        while True:
            sent += connection.send(b" " * 65536)

    with RawServer(pour) as server:
        answer = ask(server.base_url, max_attempts=1, max_body_bytes=100_000)
    assert answer.outcome is Outcome.NETWORK
    assert sent < 30_000_000


MEASURE = """
import resource, sys
from clients import ask
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
sandbox, bomb = sys.argv[1:]
ask(sandbox, "warm-up")
before = peak()
for url, task_id in (
    (sandbox, "bad-gzip-bomb-1"),
    (sandbox, "bad-endless-chunked-1"),
    (sandbox, "bad-endless-plain-1"),
    (bomb, "a"),
):
    print(ask(url, task_id, max_attempts=1, total_timeout=20).outcome)
print(peak() - before)
"""


def test_bodies_without_end_take_little_memory(sandbox: Sandbox) -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    bomb = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(100)) + deflate.flush()
    with RawServer(always(reply(bomb, "200 OK", "Content-Encoding: gzip"))) as server:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, sandbox.base_url, server.base_url],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    *outcomes, grown_mib = done.stdout.split()
    assert outcomes == ["too_large"] * 4
    assert int(grown_mib) < 40


def test_a_body_in_several_gzip_members_is_read_whole() -> None:
    members = gzip.compress(GENERATION[:9]) + gzip.compress(GENERATION[9:])
    with RawServer(always(reply(members, "200 OK", "Content-Encoding: gzip"))) as server:
        assert ask(server.base_url).body == GENERATION


def test_an_answer_that_comes_long_after_an_early_hint_is_waited_for() -> None:
    def answer(head: str, connection: socket.socket) -> None:
        task_id = head.split(" ")[1].rpartition("/")[2]
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        time.sleep(0.2)
        connection.sendall(reply(f'{{"id":"{task_id}"}}'.encode()))

    with RawServer(answer) as server, make_client(server.base_url) as client:
        answers = [client.fetch(name, threading.Event()) for name in ("first", "second")]
    assert [one and one.body for one in answers] == [b'{"id":"first"}', b'{"id":"second"}']


def test_the_rest_of_a_body_that_is_too_large_is_not_taken_for_the_next_answer() -> None:
    given_up = threading.Event()

    def answer(head: str, connection: socket.socket) -> None:
        if "/large " in head:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 70_000)
            given_up.wait(2)
            connection.sendall(b"x" * 130_000)
        else:
            connection.sendall(reply())

    with RawServer(answer) as server, make_client(server.base_url, max_body_bytes=10_000) as client:
        large = client.fetch("large", threading.Event())
        given_up.set()
        small = client.fetch("small", threading.Event())
    assert large is not None
    assert large.outcome is Outcome.TOO_LARGE
    assert small is not None
    assert (small.outcome, small.attempts) == (Outcome.GENERATION, 1)


@pytest.mark.parametrize("status", ["100 Continue", "102 Processing", "103 Early Hints"])
@pytest.mark.parametrize("times", [1, 3])
def test_interim_answers_come_before_the_one_that_counts(status: str, times: int) -> None:
    interim = f"HTTP/1.1 {status}\r\nLink: </style.css>\r\n\r\n".encode() * times
    with RawServer(always(interim + reply())) as server:
        answer = ask(server.base_url)
    assert (answer.outcome, answer.http_status, answer.attempts) == (Outcome.GENERATION, 200, 1)


# --- TLS and proxies -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with RawServer(always(reply()), context) as server:
        yield server


def tunnel(head: str, connection: socket.socket) -> None:
    """What a forward proxy does: connect, or pass on what it is asked for."""
    method, target, _ = head.split(" ", 2)
    if method != "CONNECT":
        connection.sendall(reply())
        return
    host, _, port = target.partition(":")
    with socket.create_connection((host, int(port))) as onward:
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
        back.start()
        pump(connection, onward)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # the other side ended it
        while data := source.recv(65536):
            sink.sendall(data)


def test_an_own_ca_is_trusted_where_requests_ca_bundle_names_it(
    tls_server: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert ask(tls_server.base_url).outcome is Outcome.GENERATION


def test_an_unknown_certificate_is_not_tried_twice_and_gets_no_key(tls_server: RawServer) -> None:
    answer = ask(tls_server.base_url)
    assert (answer.outcome, answer.attempts) == (Outcome.NETWORK, 1)
    assert answer.message is not None
    assert "self-signed certificate" in answer.message
    assert "REQUESTS_CA_BUNDLE" in answer.message
    assert tls_server.heads == []


def test_https_to_a_port_that_speaks_http_says_so() -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        answer = ask(f"https://{address}", max_attempts=1)
    assert answer.outcome is Outcome.NETWORK
    assert answer.message is not None
    assert answer.message.startswith(f"TLS with {address} fails")


def test_a_ca_file_that_is_not_there_is_told_of_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    with pytest.raises(SettingsError, match=r"/no/such/file.pem.*REQUESTS_CA_BUNDLE"):
        make_client("https://gw.example")


def test_https_goes_through_a_tunnel_and_the_proxy_sees_no_key(
    tls_server: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        assert ask(tls_server.base_url).outcome is Outcome.GENERATION
    assert proxy.targets == [tls_server.address]
    assert proxy.headers("Authorization") == []
    assert tls_server.headers("Authorization") == [f"Bearer {KEY}"]


def test_http_goes_through_a_proxy_with_the_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        assert ask("http://gw.example/luma", "..a/b").outcome is Outcome.GENERATION
    assert proxy.targets == [f"http://gw.example/luma{PATH}..a%2Fb"]


def test_a_forward_proxy_gets_its_password_with_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://someone:secret@{proxy.address}")
        with make_client("http://gw.example") as client:
            for task_id in "ab":
                client.fetch(task_id, threading.Event())
    assert proxy.headers("Proxy-Authorization") == ["Basic c29tZW9uZTpzZWNyZXQ="] * 2
    assert proxy.headers("Host") == ["gw.example"] * 2


class SocksProxy:
    """As much of SOCKS 5 as one connection needs: no password, a host by name or address."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(2 + connection.recv(2)[1])
            connection.sendall(b"\x05\x00")
            kind = connection.recv(4)[3]
            is_name = kind == 3
            host = connection.recv(connection.recv(1)[0] if is_name else 4)
            port = int.from_bytes(connection.recv(2), "big")
            name = host.decode() if is_name else socket.inet_ntoa(host)
            self.targets.append(f"{name}:{port}")
            connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
            with socket.create_connection(("127.0.0.1", port)) as onward:
                threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
                pump(connection, onward)


@pytest.mark.parametrize(("scheme", "name"), [("socks5", "127.0.0.1"), ("socks5h", "localhost")])
def test_requests_go_through_a_socks_proxy(
    scheme: str,
    name: str,
    tls_server: RawServer,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("socks", reason="requests[socks] is not installed")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    port = tls_server.address.rpartition(":")[2]
    with RawServer(always(reply())) as plain:
        for server, base_url in (
            (plain, plain.base_url.replace("127.0.0.1", name)),
            (tls_server, f"https://127.0.0.1:{port}"),
        ):
            proxy = SocksProxy()
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://{proxy.address}")
            with make_client(base_url) as client:
                answers = [client.fetch(task_id, threading.Event()) for task_id in "ab"]
            assert [one and one.outcome for one in answers] == [Outcome.GENERATION] * 2
            assert proxy.targets == [base_url.partition("//")[2]]
            assert len(server.heads) == 2


def test_one_thread_takes_in_answers_over_tls_in_records_of_any_size(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(head: str, connection: socket.socket) -> None:
        whole = reply(long) if "/long" in head else reply()
        size = max(60, len(whole) // 3)
        for start in range(0, len(whole), size):
            connection.sendall(whole[start : start + size])
            time.sleep(0.01)

    def step(self: Client, inquiry: Inquiry) -> Answer | None:
        if threading.current_thread().name != "fetch-0":
            helped.append(inquiry.question.name)
        return step_as_usual(self, inquiry)

    helped: list[str] = []
    step_as_usual = Client.step
    monkeypatch.setattr(Client, "step", step)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    long = b'{"state":"completed","prompt":"%s"}' % (b"x" * 200_000)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names = ["warm", "short-1", "long-1", "long-2", "short-2"]
    with RawServer(answer, context) as server, make_client(server.base_url) as client:
        answers = fetch(names, client, threads=1, stop=threading.Event())
        bodies = {one.task_id: one.body for one in answers}
    assert bodies == {name: long if "long" in name else GENERATION for name in names}
    assert helped == []
    assert len(server._connections) == 1


def test_tls_keeps_its_connection_beside_session_tickets(
    tls_server: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They arrive unasked too, but are not an answer."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with make_client(tls_server.base_url) as client:
        for task_id in "abcd":
            client.fetch(task_id, threading.Event())
    assert len(tls_server.heads) == 4
    assert len(tls_server._connections) == 1


def test_no_proxy_leaves_the_proxy_out(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        assert ask(sandbox.base_url).outcome is Outcome.GENERATION
    assert proxy.heads == []


def test_a_proxy_that_wants_a_password_is_a_network_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = always(reply(b"", "407 Proxy Authentication Required"))
    with RawServer(refusal) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url)
        for base_url in ("http://gw.example", "https://gw.example"):
            answer = ask(base_url)
            assert answer.outcome is Outcome.NETWORK
            assert answer.message is not None
            assert "407 Proxy Authentication Required" in answer.message.replace(":", "")


def test_a_proxy_that_is_not_there_is_named_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(tunnel) as proxy:
        pass
    monkeypatch.setenv("HTTPS_PROXY", f"http://someone:secret@{proxy.address}")
    answer = ask("https://gw.example")
    assert answer.message is not None
    assert "the proxy to gw.example fails (Connection refused)" in answer.message
    assert "secret" not in answer.message


def test_a_proxy_address_that_makes_no_sense_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:secret@:port/[")
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        make_client("https://gw.example")
    assert "secret" not in str(caught.value)
