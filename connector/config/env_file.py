"""The file `.env` in the working directory."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path
from typing import Final

from connector.errors import SettingsError

ENV_FILE: Final = Path(".env")
_OURS: Final = re.compile(r"\s*(?:export\s+)?(LUMA\w*)")
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_env_file(env_file: Path = ENV_FILE) -> dict[str, str]:
    """Read the variables of a file, without those that are empty; none if there is no file.

    Raises:
        SettingsError: Its encoding cannot be detected, or a line of a setting cannot be read.
    """
    # Not `is_file`: some secret managers put a named pipe here.
    if not env_file.exists() or env_file.is_dir():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415  only with such a file

    try:
        content = env_file.read_bytes()
        text = content.decode(_encoding_of(content, env_file))
    except UnicodeDecodeError:
        raise not_utf_8(env_file) from None
    except OSError as error:
        raise SettingsError(f"{env_file} cannot be read: {error.strerror}") from None
    _check_lines(text, env_file)
    found = dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in found.items() if value}


def _check_lines(text: str, env_file: Path) -> None:
    """Refuse a line of a setting that cannot be read: without it, the key might go elsewhere."""
    from dotenv.parser import parse_stream  # noqa: PLC0415  only with such a file

    for binding in parse_stream(io.StringIO(text)):
        if binding.error and (named := _OURS.match(binding.original.string)):
            raise SettingsError(
                f"line {binding.original.line} of {env_file}, which sets {named[1]}, cannot be"
                f" read: write it as {named[1]}=value, with a quote at both ends or at none"
            )


def _encoding_of(content: bytes, env_file: Path) -> str:
    """UTF-8, with a mark or without, or UTF-16 with one: so Windows's editors save it.

    Raises:
        SettingsError: It is in another encoding.
    """
    if content.startswith(_UTF_16_MARKS):
        return "utf-16"
    if b"\0" in content:  # UTF-16 without a mark
        raise not_utf_8(env_file)
    return "utf-8-sig"


def not_utf_8(file: Path) -> SettingsError:
    """The text shows nothing of the file: it may hold the key."""
    return SettingsError(f"{file} is not UTF-8: save it as UTF-8")
