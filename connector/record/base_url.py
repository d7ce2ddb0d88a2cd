"""One spelling for each gateway, so that all its answers are found."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

USUAL_PORTS: Final = {"http": 80, "https": 443}


def as_base_url(text: str) -> str:
    """Return a base URL with scheme and host in lower case, without default port or final slash.

    Text that is not a URL is returned unchanged; the client rejects it.
    """
    text = text.strip()
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        return text
    if not url.scheme or not host or "@" in url.netloc:
        return text
    host = f"[{host}]" if ":" in host else host
    netloc = host if port in (None, USUAL_PORTS.get(url.scheme)) else f"{host}:{port}"
    return url._replace(netloc=netloc).geturl().rstrip("/")
