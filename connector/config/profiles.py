"""A file of settings with profiles, in TOML.

Settings above the first table are for all profiles; `[profiles.NAME]` has those of one. The key is
in neither: `key_variable` names the variable that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from connector.config.env_file import not_utf_8
from connector.config.origin import Origin, Place
from connector.errors import SettingsError
from connector.words import did_you_mean, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

PROFILES: Final = "profiles"

# The key, however one may write it.
KEYS: Final = frozenset({"key", "api_key", "luma_api_key", "lumaai_api_key"})


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file says, checked for unknown names.

    Attributes:
        path: As it was named.
        defaults: Settings for all profiles.
        profiles: Settings of each profile.
        is_of_folder: Whether the working directory has chosen this file.
    """

    path: Path
    defaults: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]
    is_of_folder: bool

    def layers(self, profile: str | None) -> list[tuple[Mapping[str, Any], Origin]]:
        """Settings with their origins, the first one that counts first.

        Raises:
            SettingsError: There is no such profile.
        """
        of_all = Origin(Place.CONFIG, str(self.path), self.is_of_folder)
        if profile is None:
            return [(self.defaults, of_all)]
        if profile not in self.profiles:
            names = ", ".join(map(plain, self.profiles)) or "none"
            raise SettingsError(
                f"{self.path} has no profile {profile!r}{did_you_mean(profile, self.profiles)};"
                f" there are {names}"
            )
        of_one = Origin(Place.PROFILE, f"profile {profile} of {self.path}", self.is_of_folder)
        return [(self.profiles[profile], of_one), (self.defaults, of_all)]


def read_config(path: Path, known: Collection[str], *, is_of_folder: bool) -> ConfigFile:
    """Read a file of settings, which may have these names.

    Raises:
        SettingsError: It cannot be read, is not TOML, has an unknown name, or holds a key. No
            message quotes a value.
    """
    import tomllib  # noqa: PLC0415  only with such a file

    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"the config file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise not_utf_8(path) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the config file {path} is not TOML: {error}") from None
    profiles = content.pop(PROFILES, {})
    tables = profiles.values() if isinstance(profiles, dict) else [profiles]
    if not all(isinstance(one, dict) for one in tables):
        raise SettingsError(f"{path}: write [profiles.NAME] above the settings of a profile")
    _check(content, known, str(path), PROFILES)
    for name, settings in profiles.items():
        _check(settings, known, f"profile {plain(name)} of {path}")
    return ConfigFile(path, content, profiles, is_of_folder)


def _check(settings: Mapping[str, Any], known: Collection[str], where: str, *more: str) -> None:
    for name in settings:
        if name.lower().replace("-", "_") in KEYS:
            raise SettingsError(
                f"{where} holds a key, and files are copied and shared: remove it, put the key into"
                " an environment variable, and name that: key_variable ="
                ' "LUMAAI_API_KEY"'
            )
        if name not in known:
            meant = did_you_mean(name, [*known, *more])
            raise SettingsError(f"{where}: there is no setting {name!r}{meant}")
