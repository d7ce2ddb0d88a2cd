"""States and times of the sandbox, spelled as other gateways spell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from sandbox_client import ROOT
from shapes import (
    DOCUMENTED_STATES,
    LIVE,
    SECOND,
    STATE_OF,
    moment,
    told,
)
from steered import PLAIN, Steered

from connector.sandbox import SandboxSettings, task_ids
from connector.sandbox.choices import STATE_WORDS, STATES, Shape, TimeForm
from connector.sandbox.tasks import Phase

# States


@pytest.mark.parametrize("word", STATES[2:])
@pytest.mark.parametrize("dialect", ["documented", "official", "bare-record", "status"])
def test_one_word_stands_for_its_phase_only(word: str, dialect: Shape) -> None:
    phase = next(phase for phase, words in STATE_WORDS.items() if word in words)
    has_failed = int(phase == Phase.FAILED)
    gateway = Steered(LIVE.changed({"states": word, "dialect": dialect, "failed": has_failed}))
    seen = {"queued": STATE_OF[dialect](gateway.generation("an-id"))}
    started, finished = (
        datetime.fromisoformat(gateway.gateway.truth("an-id")[name]).timestamp() - 1_750_000_000
        for name in ("started_at", "finished_at")
    )
    for name, at in (("running", started), ("ended", finished)):
        gateway.now = at + 1
        seen[name] = STATE_OF[dialect](gateway.generation("an-id"))
    own = {Phase.QUEUED: "queued", Phase.RUNNING: "running"}.get(phase, "ended")
    assert seen.pop(own) == word
    assert all(state in DOCUMENTED_STATES[name] for name, state in seen.items())


def test_mixed_states_use_every_word_of_a_phase_and_no_other() -> None:
    ids = task_ids(400)
    for phase, changes in (
        (Phase.QUEUED, {"unfinished": 1, "finish_after": 60.0}),
        (Phase.COMPLETED, {}),
        (Phase.FAILED, {"failed": 1}),
    ):
        gateway = Steered(PLAIN.changed({**changes, "states": "mixed"}))
        assert {gateway.generation(task_id)["state"] for task_id in ids} == set(STATE_WORDS[phase])


# Times


@pytest.mark.parametrize("form", [form for form in get_args(TimeForm) if form != "mixed"])
@pytest.mark.parametrize("dialect", ["documented", "official", "status"])
def test_each_form_of_time_tells_the_truth(form: TimeForm, dialect: Shape) -> None:
    gateway = Steered(SandboxSettings(time_form=form, dialect=dialect, unfinished=0))
    for task_id in task_ids(20):
        at = moment(gateway.generation(task_id)["created_at"])
        assert at
        truth = datetime.fromisoformat(gateway.gateway.truth(task_id)["submitted_at"])
        assert timedelta(0) <= truth - at < SECOND


def test_forms_of_time_are_written_as_named() -> None:
    written = {
        form: told(PLAIN.changed({"time_form": form}))["created_at"] for form in get_args(TimeForm)
    }
    microseconds = written["epoch-microseconds"]
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert written["epoch-milliseconds"] == microseconds // 1000
    assert written["epoch-seconds"] == microseconds // 10**6
    assert written["rfc822"] == f"{at:%a, %d %b %Y %H:%M:%S} GMT"
    assert written["slashes"] == f"{at:%Y/%m/%d %H:%M:%S}"
    assert written["zone-in-brackets"] == f"{at:%Y-%m-%dT%H:%M:%S}.{at:%f}"[:-3] + "Z[UTC]"


def test_mixed_forms_of_time_are_all_there() -> None:
    gateway = Steered(PLAIN.changed({"time_form": "mixed"}))
    values = [gateway.generation(task_id)["created_at"] for task_id in task_ids(100)]
    lengths = {len(str(value)) for value in values if isinstance(value, int)}
    assert lengths == {10, 13, 16}
    texts = [value for value in values if isinstance(value, str)]
    for mark in ("GMT", "[UTC]", "/"):
        assert any(mark in text for text in texts)


def test_the_listing_spells_as_asked() -> None:
    ids = task_ids(10)
    gateway = Steered(
        PLAIN.changed({"listing": ids, "states": "done", "time_form": "epoch-seconds"})
    )
    listed = gateway.get(ROOT)[0].json()["generations"]
    assert {each["state"] for each in listed} == {"done"}
    assert all(isinstance(each["created_at"], int) for each in listed)
