"""Removes the signatures of presigned URLs, which are credentials."""

from __future__ import annotations

import re
from typing import Final

SECRET_PARTS: Final = (b"ignature=", b"redential=", b"oken=", b"-Key-", b"Key-Pair-Id=")

# When a URL was signed and for how long: not secret, and needed to rebuild.
TIMES: Final = (b"X-Amz-Date=", b"X-Amz-Expires=")

# Without a second "?", so that a body full of them is scanned once. A secret is not shorter.
_QUERY = re.compile(rb'\?[^"\s<>?]{8,}')
_SEPARATOR = re.compile(rb"&amp;|&|\\u0026")


def strip_signatures(body: bytes) -> bytes:
    """Cut the query of every presigned URL in a JSON text, except the two times."""
    return _QUERY.sub(_without_secrets, body)


def _without_secrets(query: re.Match[bytes]) -> bytes:
    text = query[0]
    if not any(part in text for part in SECRET_PARTS):
        return text
    kept = [part for part in _SEPARATOR.split(text[1:]) if part.startswith(TIMES)]
    return b"?" + b"&".join(kept) if kept else b""
