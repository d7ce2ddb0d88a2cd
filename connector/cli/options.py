"""Options that all commands have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True, slots=True)
class Common:
    """Options of every command.

    Attributes:
        config: TOML file of settings, with profiles.
        profile: Profile of that file, such as `studio-a`.
        quiet: Print warnings and errors only.
        log_format: Of standard error: text, or one JSON object per line, without a bar.
    """

    config: str | None = None
    profile: str | None = None
    quiet: bool = False
    # `connector.cli.log` looks for these two before the command line is parsed.
    log_format: Literal["text", "json"] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What of these is a setting."""
        return {"config": self.config, "profile": self.profile}


NONE = Common()
