"""Options that all commands have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from connector.cli.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

    from connector.settings import Settings


def _whole(type_: Any, tokens: Sequence[Token]) -> int:  # noqa: ARG001  given by position
    """Read a whole number; Cyclopts by itself rounds 1.5 to 2."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not a whole number") from None


# For options that count.
WHOLE = Parameter(converter=_whole)


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
        """Those of them that are settings."""
        return {"config": self.config, "profile": self.profile}

    def load(self, **given: Any) -> Settings:
        """All settings, those of the command line included.

        Raises:
            SettingsError: As `connector.settings.load`.
        """
        from connector.settings import load  # noqa: PLC0415  pydantic takes a tenth of a second

        settings = load(**given, **self.settings)
        Mode.key = settings.key.get_secret_value() if settings.key else ""
        return settings


NONE = Common()
