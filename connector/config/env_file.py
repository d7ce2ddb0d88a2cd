"""The file `.env` in the working directory."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from connector.errors import SettingsError

ENV_FILE: Final = Path(".env")
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_env_file(env_file: Path = ENV_FILE) -> dict[str, str]:
    """Read the variables of a file, without those that are empty; none if there is no file.

    Raises:
        SettingsError: Its encoding cannot be detected.
    """
    # Not `is_file`: some secret managers put a named pipe here.
    if not env_file.exists() or env_file.is_dir():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415  only with such a file

    try:
        found = dotenv_values(env_file, encoding=_encoding_of(env_file))
    except UnicodeDecodeError:
        raise not_utf_8(env_file) from None
    except OSError as error:
        raise SettingsError(f"{env_file} cannot be read: {error.strerror}") from None
    return {name: value for name, value in found.items() if value}


def _encoding_of(env_file: Path) -> str:
    """UTF-8, with a mark or without, or UTF-16 with one: so Windows's editors save it.

    Raises:
        SettingsError: It is in another encoding.
    """
    # A named pipe can be read once only.
    content = env_file.read_bytes() if env_file.is_file() else b""
    if content.startswith(_UTF_16_MARKS):
        return "utf-16"
    if b"\0" in content:  # UTF-16 without a mark
        raise not_utf_8(env_file)
    return "utf-8-sig"


def not_utf_8(file: Path) -> SettingsError:
    """The text shows nothing of the file: it may hold the key."""
    return SettingsError(f"{file} is not UTF-8: save it as UTF-8")
