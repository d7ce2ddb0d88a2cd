"""Keeps the key out of everything stored or shown."""

from __future__ import annotations

LONGEST_MESSAGE = 500
PLACEHOLDER = "[key]"


class Redactor:
    """Removes one key from what a gateway sends."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._key_bytes = key.encode()

    def body(self, body: bytes) -> bytes:
        """A body without the key."""
        if self._key_bytes in body:
            return body.replace(self._key_bytes, PLACEHOLDER.encode())
        return body

    def message(self, text: str) -> str:
        """One line for people: without the key or control characters, and of bounded length."""
        text = text.replace(self._key, PLACEHOLDER)
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"
