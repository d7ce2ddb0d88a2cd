"""A way to fake-gcs-server that takes Google's XML uploads as well.

The emulator has them for signed URLs only, and knows conditions on multipart uploads of the JSON
API. So an upload is passed on as such a one, with its condition; all else passes as it is. Whether
the condition holds is for the emulator to say.

Usage: google_front.py PORT EMULATOR_PORT
"""

from __future__ import annotations

import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import quote, unquote, urlsplit

BOUNDARY: Final = "part-of-an-upload"
HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Handler(BaseHTTPRequestHandler):
    """Passes requests on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        url = urlsplit(self.path)
        if self.command != "PUT" or url.query or url.path.startswith(("/upload/", "/storage/")):
            answer, content = self._ask(self.command, self.path, body, headers)
            self._answer(answer.status, answer.getheaders(), content)
            return
        bucket, _, name = unquote(url.path).lstrip("/").partition("/")
        target = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart&name={quote(name, safe='')}"
        if condition := self.headers.get("x-goog-if-generation-match"):
            target += f"&ifGenerationMatch={condition}"
        parts = (json.dumps({"name": name}).encode(), body)
        lines = (b"--%s\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n" for _ in parts)
        upload = b"".join(
            line % (BOUNDARY.encode(), part) for line, part in zip(lines, parts, strict=True)
        )
        kind = {"Content-Type": f"multipart/related; boundary={BOUNDARY}"}
        answer, content = self._ask("POST", target, upload + f"--{BOUNDARY}--\r\n".encode(), kind)
        if answer.status == http.client.OK:
            made = json.loads(content)
            tags = [("ETag", f'"{made["md5Hash"]}"'), ("x-goog-generation", made["generation"])]
            self._answer(answer.status, tags, b"")
        else:
            self._answer(answer.status, [], content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass  # noqa: N815

    def _ask(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=120)
        connection.request(method, target, body, {**headers, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP or (
                self.command == "HEAD" and name.lower() == "content-length"
            ):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
