"""All places that settings come from, put into one order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connector.config.env_file import ENV_FILE, read_env_file
from connector.config.origin import ARGUMENT, Origin, Place
from connector.config.profiles import ConfigFile, read_config
from connector.errors import SettingsError
from connector.storage.file_url import expanded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

PREFIX: Final = "LUMA_"

# What a file of settings cannot hold: the key, and where the file is.
NOT_IN_A_FILE: Final = frozenset({"key", "config", "profile"})


class Found(NamedTuple):
    """A value as it was found, and where."""

    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Variables:
    """Variables of the environment or of `.env`.

    Attributes:
        values: Texts that are not empty, by name in capital letters.
        origin: Where they are.
    """

    values: Mapping[str, str]
    origin: Origin

    def find(self, name: str) -> Found | None:
        """The value of a variable."""
        if name not in self.values:
            return None
        where = f"{name} in {self.origin.text}"
        return Found(self.values[name], Origin(self.origin.place, where, self.origin.is_of_folder))


@dataclass(frozen=True, slots=True)
class Places:
    """The places as they are at the moment.

    Attributes:
        arguments: Settings of the call.
        environment: Its variables.
        env_file: Those of `.env`.
    """

    arguments: Mapping[str, Any]
    environment: Variables
    env_file: Variables

    def merge(self, names: Collection[str], key_variable: str) -> dict[str, Found]:
        """Find the value of each setting that has one, in the place that counts first.

        `key_variable` holds the key if no place names another variable.

        Raises:
            SettingsError: The file of settings cannot be read, or has not the profile.
        """
        found = {name: one for name in names if (one := self._outside_files(name))}
        config = self._config(found, names)
        if config:
            profile = found.get("profile")
            for settings, origin in config.layers(profile and str(profile.value)):
                for name, value in settings.items():
                    if name not in found or found[name].origin.place is Place.ENV_FILE:
                        found[name] = Found(value, origin)
        elif "profile" in found:
            raise SettingsError(
                f"there is no file to take profile {found['profile'].value!r} from: name it with"
                " `config` or LUMA_CONFIG"
            )
        if "key" not in found:
            variable = found["key_variable"].value if "key_variable" in found else key_variable
            if key := self._variable(str(variable)):
                found["key"] = key
        return found

    def variables(self) -> Iterator[str]:
        """Names of all variables that are set."""
        yield from self.environment.values
        yield from self.env_file.values

    def _outside_files(self, name: str) -> Found | None:
        if name in self.arguments:
            return Found(self.arguments[name], ARGUMENT)
        return None if name == "key" else self._variable(PREFIX + name.upper())

    def _variable(self, name: str) -> Found | None:
        return self.environment.find(name) or self.env_file.find(name)

    def _config(self, found: Mapping[str, Found], names: Collection[str]) -> ConfigFile | None:
        if "config" not in found:
            return None
        path, origin = expanded(found["config"].value), found["config"].origin
        # A relative path in the environment names another file in each folder.
        is_of_folder = origin.place is Place.ENV_FILE or (
            origin.place is Place.ENVIRONMENT and not path.is_absolute()
        )
        return read_config(path, {*names} - NOT_IN_A_FILE, is_of_folder=is_of_folder)


def look_up(arguments: Mapping[str, Any]) -> Places:
    """Read the environment and `.env`.

    Raises:
        SettingsError: `.env` cannot be read.
    """
    return Places(
        arguments,
        Variables(_in_capitals(os.environ), Origin(Place.ENVIRONMENT, "the environment")),
        Variables(
            _in_capitals(read_env_file()),
            Origin(Place.ENV_FILE, str(ENV_FILE), is_of_folder=True),
        ),
    )


def _in_capitals(variables: Mapping[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in variables.items() if value}
