"""Repeatable random draws: the same key and label always draw the same."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_UNPACK = struct.Struct("<16I").unpack
_SHARE_LIMIT = 2**32
_UUID_DIGITS = 32


class Draws:
    """Draws for one key.

    Labels are independent: unlike with a seeded `random.Random`, a new label does not change what
    others draw. Hashing is the cost, so a label gives many draws at once.
    """

    __slots__ = ("_root",)

    def __init__(self, seed: int, key: str) -> None:
        self._root = blake2b(f"{seed}\0{key}\0".encode())

    def shares(self, label: str) -> list[float]:
        """16 numbers from 0 up to but not including 1."""
        digest = self._root.copy()
        digest.update(label.encode())
        return [number / _SHARE_LIMIT for number in _UNPACK(digest.digest())]

    def digits(self, label: str) -> str:
        """128 hexadecimal digits."""
        digest = self._root.copy()
        digest.update(label.encode())
        return digest.hexdigest()

    def uuids(self, label: str, count: int = 1) -> list[str]:
        """Up to 4 UUIDs of version 4."""
        digits = self.digits(label)
        return [_uuid(digits[n * _UUID_DIGITS : (n + 1) * _UUID_DIGITS]) for n in range(count)]


def pick(options: Sequence[T], share: float, *, skew: float = 1.0) -> T:
    """The option at this share of the way; a `skew` above 1 favors the first ones."""
    return options[int(share**skew * len(options))]


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
