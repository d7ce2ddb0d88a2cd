"""Spellings of states and times: documented, or as in other gateways."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from connector.sandbox.choices import STATE_WORDS
from connector.sandbox.draws import pick
from connector.sandbox.replies import http_date
from connector.sandbox.tasks import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connector.sandbox.choices import TimeForm
    from connector.sandbox.settings import SandboxSettings

# Means "no time".
ZERO_TIME = "0001-01-01T00:00:00Z"

# The phases' own names.
OWN_WORDS: Mapping[Phase, Sequence[str]] = {phase: (phase.value,) for phase in Phase}

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
_CHINA = timezone(timedelta(hours=8))


def epoch_seconds(moment: datetime) -> int:
    """Whole seconds since 1970, rounded down."""
    return (moment - _EPOCH) // timedelta(seconds=1)


_FORMS: Mapping[TimeForm, Callable[[datetime], str | int]] = {
    "rfc822": lambda moment: http_date(epoch_seconds(moment)),
    "zone-in-brackets": lambda moment: f"{_iso(moment, 'milliseconds')}[UTC]",
    "slashes": lambda moment: f"{moment:%Y/%m/%d %H:%M:%S}",
    "epoch-seconds": epoch_seconds,
    "epoch-milliseconds": lambda moment: (moment - _EPOCH) // timedelta(milliseconds=1),
    "epoch-microseconds": lambda moment: (moment - _EPOCH) // timedelta(microseconds=1),
}


class Spelling(NamedTuple):
    """Spellings of states and times, as in the settings of the same names."""

    states: str = "documented"
    time_form: TimeForm = "documented"

    def state(self, phase: Phase, documented: Sequence[str], share: float) -> str:
        """The word for a phase; `documented` are the dialect's own words."""
        if self.states == "mixed":
            return pick(STATE_WORDS[phase], share)
        return self.states if self.states in STATE_WORDS[phase] else pick(documented, share)

    def moment(self, moment: datetime, share: float) -> str | int:
        """A UTC time in text or numbers; the share chooses among several forms."""
        if self.time_form == "documented":
            return _documented(moment, share)
        form = pick(tuple(_FORMS), share) if self.time_form == "mixed" else self.time_form
        return _FORMS[form](moment)


def spelling(settings: SandboxSettings) -> Spelling:
    """The spelling in the settings."""
    return Spelling(settings.states, settings.time_form)


def _documented(moment: datetime, share: float) -> str:
    """One of the usual forms: 80% have milliseconds and `Z`."""
    if share < 0.80:  # noqa: PLR2004 -- the docstring's share, and the rest of it
        return _iso(moment, "milliseconds")
    if share < 0.90:  # noqa: PLR2004
        return _iso(moment, "microseconds")
    if share < 0.97:  # noqa: PLR2004
        return _iso(moment, "seconds")
    return moment.astimezone(_CHINA).isoformat(timespec="milliseconds")


def _iso(moment: datetime, precision: str) -> str:
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
