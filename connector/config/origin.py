"""The places that settings come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    """A kind of place, the first one that counts first."""

    ARGUMENT = "command line"
    ENVIRONMENT = "environment"
    PROFILE = "profile"
    CONFIG = "config file"
    ENV_FILE = ".env"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting's value comes from.

    Attributes:
        place: The kind of place.
        text: The place for people, such as `LUMA_WAREHOUSE in the environment`.
        is_of_folder: Whether the working directory has chosen the value, not the user: a folder may
            be somebody else's.
    """

    place: Place
    text: str
    is_of_folder: bool = False


DEFAULT = Origin(Place.DEFAULT, "default")
ARGUMENT = Origin(Place.ARGUMENT, "command line")
