"""Keeps the key out of everything stored or shown."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.gateway.connection import Reply

LONGEST_MESSAGE = 500
PLACEHOLDER = "[key]"

# A shorter key stands in other words by chance, so it is looked for just as it is.
LEAST_FOR_OTHER_FORMS: Final = 8

# A character as JSON (once the backslashes are gone) and a URL may escape it: `\u006c`, `%6c`, and
# `%256C` if it is done twice. Two patterns, each with a first letter, are faster than one.
_IN_JSON = re.compile(rb"u00([0-9a-fA-F]{2})")
_IN_URL = re.compile(rb"%(?:25)*([0-9a-fA-F]{2})")

# As a page may: `&#108;` and `&#x6c;`.
_IN_HTML = re.compile(rb"&#(?:[xX]0*([0-9a-fA-F]{2})|0*([0-9]{2,3}));?")


class Redactor:
    """Removes one key from what a gateway sends.

    It finds the key as it is, in upper and lower case, in base64, in UTF-16, in hexadecimal digits,
    and with characters escaped as in JSON, a URL or HTML.
    """

    def __init__(self, key: str) -> None:
        """Prepare for a key of ASCII characters."""
        self._key = key.encode()
        self._folded = self._key.lower()
        self._hex = key.encode().hex().encode()
        self._others: list[bytes] = []
        self._pattern = re.compile(re.escape(self._key))
        self._may_hide = re.compile(_escapes_of(self._key))
        if len(key) >= LEAST_FOR_OTHER_FORMS:
            encoded = _in_base64(self._key)
            self._others = [*encoded, key.encode("utf-16-le").strip(b"\0")]
            self._may_hide = re.compile(_escapes_of(b"".join((self._key, *encoded))))
            self._pattern = re.compile(
                b"|".join(
                    (
                        b"(?i:" + _spelled(self._key) + b")",
                        b"(?i:" + self._hex + b")",
                        *map(_spelled, encoded),
                        re.escape(self._others[-1]),
                    )
                )
            )

    def body(self, body: bytes) -> bytes:
        """A body without the key."""
        return self._pattern.sub(PLACEHOLDER.encode(), body) if self._is_in(body) else body

    def reply(self, reply: Reply) -> Reply:
        """A reply without the key in its body."""
        body = self.body(reply.body)
        return reply if body is reply.body else reply._replace(body=body)

    def message(self, text: str) -> str:
        """One line for people: without the key or control characters, and of bounded length."""
        text = self.body(text.encode(errors="backslashreplace")).decode()
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"

    def _is_in(self, body: bytes) -> bool:
        """Whether the key may be there: a search for plain texts, since `_pattern` is slow."""
        if not self._others:
            return self._key in body
        if b"\\" in body:
            body += b"\n" + _IN_JSON.sub(_unescaped, body.replace(b"\\", b""))
        # Presigned URLs are full of escapes, but of other characters than those of keys.
        if self._may_hide.search(body):
            body += b"\n" + _IN_URL.sub(_unescaped, body)
        if b"#" in body and b"&#" in body:
            body += b"\n" + _IN_HTML.sub(_of_html, body)
        lowered = body.lower()
        if self._folded in lowered or self._hex in lowered:
            return True
        for other in self._others:  # noqa: SIM110  of each answer, and `any` takes twice the time
            if other in body:
                return True
        return False


def _in_base64(key: bytes) -> list[bytes]:
    """What base64 makes of the key inside a longer text: it depends on where the key begins."""
    forms = []
    for offset in range(3):
        encoded = b64encode(b"\0" * offset + key)
        # Without the characters at either end that depend on the neighbours too.
        inner = encoded[(0, 2, 3)[offset] : (offset + len(key)) * 8 // 6]
        forms += [inner, inner.translate(bytes.maketrans(b"+/", b"-_"))]
    return list(dict.fromkeys(forms))


def _spelled(text: bytes) -> bytes:
    """A pattern for a text whose characters may be escaped."""
    first, *others = (re.escape(bytes([code])) for code in text)
    codes = [b"(?i:%02x)" % code for code in text]
    # A run of backslashes is looked at once, however long it is.
    entities = [rb"(?:&|(?<!\\)\\+u0026)#(?:0*%d|(?i:x0*%02x));?" % (code, code) for code in text]
    pattern = rb"(?:%b|(?<!\\)\\+u00%b|%%(?:25)*%b|%b)" % (first, codes[0], codes[0], entities[0])
    for other, code, entity in zip(others, codes[1:], entities[1:], strict=True):
        pattern += rb"(?:\\*%b|\\+u00%b|%%(?:25)*%b|%b)" % (other, code, code, entity)
    return pattern


def _escapes_of(text: bytes) -> bytes:
    """A pattern for an escape, as in a URL, of any of these characters in either case."""
    codes = {b"%02x" % code for code in text.lower() + text.upper()}
    return b"%%(?:25)*(?i:%b)" % b"|".join(sorted(codes))


def _unescaped(escaped: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escaped[1].decode())


def _of_html(entity: re.Match[bytes]) -> bytes:
    # Keys are ASCII: what another character becomes does not matter.
    return bytes([(int(entity[1], 16) if entity[1] else int(entity[2])) & 0x7F])
