"""Removes the credentials in URLs: signatures of presigned URLs, tokens, user and password."""

from __future__ import annotations

import re
from typing import Final

# When a URL was signed and for how long: not secret, and needed to rebuild.
TIMES: Final = (b"X-Amz-Date=", b"X-Amz-Expires=")

# Within a JSON text, `&` may be `\u0026`, and within another URL `%26`. An escaped quote, blank or
# bracket ends a URL as it does unescaped.
_PUNCTUATION = rb"\\+(?:/|u00(?!2[02]|3[cCeE])[0-9a-fA-F]{2})"

# A query or a fragment, behind each form of `?` and `#`, with a text to look for first, because the
# patterns are slow. Without a second "?", so that a body full of them is scanned once.
_QUERIES: Final = tuple(
    (sign, re.compile(mark + rb"(?:[^\"\s<>?\\]++|" + _PUNCTUATION + rb")++"))
    for sign, mark in (
        (b"?", rb"\?"),
        (b"#", b"#"),
        (b"%", b"%(?:25)*+(?:3[fF]|23)"),
        (b"u003", rb"\\++u003[fF]"),
        (b"u0023", rb"\\++u0023"),
    )
)
_SEPARATOR = re.compile(rb"&amp;|&|\\+u0026|%26")

# What stands before the name of a parameter.
_BEFORE_A_NAME = re.compile(rb"(?:%(?:25)*|\\+u00)(?:3f|23|26)")

# Parameters of Amazon, CloudFront, Google, Azure (`sig`), Alibaba, Akamai and others. A short name
# must be a whole one: `design` is not secret. All in
# lower case, because a pattern that ignores case takes five times as long.
_SECRET = re.compile(
    rb"(?:signature|credential|token|secret|passw(?:or)?d|(?:api|access)[-_]?key(?:[-_]?id)?|-key-"
    rb"|key-pair-id|hdn(?:ts|ea)|hmac|(?<![a-z])(?:sig|sign|key|auth|jwt|hash|policy))[^=&%\\]{0,40}"
    rb"(?:=|%(?:25)*3d|\\+u003d)"
)

# Between the two slashes and the `@` of a URL.
_USERS: Final = tuple(
    re.compile(
        rb"(" + colon + rb"(?:/|\\+/|\\+u002[fF]|%(?:25)*2[fF]){2})"
        rb"(?:[^\"\s<>/?#@\\%]|%(?!40|25)[0-9a-fA-F]{2})+(?:@|%(?:25)*40)"
    )
    for colon in (b":", b"%(?:25)*3[aA]")
)


def strip_signatures(body: bytes) -> bytes:
    """Cut the credentials off every URL in a JSON text, which stays one.

    A query or fragment that holds one goes as a whole, except when the URL was signed and for how
    long. So do a user and a password before the host.
    """
    if b"@" in body or b"40" in body:
        for users in _USERS:
            body = users.sub(rb"\1", body)
    for sign, queries in _QUERIES:
        if sign in body:
            body = queries.sub(_without_secrets, body)
    return body


def _without_secrets(query: re.Match[bytes]) -> bytes:
    text = query[0]
    if not _SECRET.search(_BEFORE_A_NAME.sub(b"&", text.lower())):
        return text
    kept = [part for part in _SEPARATOR.split(text[1:]) if part.startswith(TIMES)]
    return b"?" + b"&".join(kept) if kept else b""
