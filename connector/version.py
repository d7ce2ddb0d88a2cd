"""The version, as `pyproject.toml` reads it: to look up what is installed takes 20 ms."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.2.0"
