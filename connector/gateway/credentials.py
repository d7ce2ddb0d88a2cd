"""Whether a key and a base URL can be used at all; light to import, since each run asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from connector.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import SecretStr

SHORTEST_KEY: Final = 8


def checked_key(secret: SecretStr, variable: str) -> str:
    """Return the key if it fits in a header; the HTTP stack's own error would show it.

    A key of a few letters would be cut out of every body in which those letters occur.
    """
    key = secret.get_secret_value()
    if key and len(key) < SHORTEST_KEY:
        raise SettingsError(
            f"the key has fewer than {SHORTEST_KEY} characters, too few for a key: set {variable}"
        )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "the key is empty, or contains a blank, a line break or another character that keys do"
            f" not have: set {variable}"
        )
    return key


def checked_base_url(text: str) -> str:
    """Return the base URL without a trailing slash; errors do not show it: it may be the key."""
    try:
        url = urlsplit(text.strip())
        is_address = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        is_address = False
    if not is_address or url.username is not None or url.query or url.fragment:
        raise SettingsError(
            "the base URL must be an http or https address without user, query or fragment, such"
            " as https://api.lumalabs.ai"
        )
    return url.geturl().rstrip("/")
