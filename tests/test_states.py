"""The words of gateways, in any case and spelling."""

from __future__ import annotations

import pytest

from connector.record.coerce import length_in_seconds
from connector.record.states import failure_category, status


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("succeeded SUCCESS Finished done COMPLETE TASK_SUCCEEDED", "completed"),
        ("failure error cancelled CANCELED Expired rejected moderated timed-out", "failed"),
        ("CREATE_TASK_FAILED generate-failed Request-Moderated nsfw 失败", "failed"),
        ("已完成 CALLBACK_FAILED", "completed"),
        ("生成中", "running"),
        ("排队中", "queued"),
        ("in_progress RUNNING generating Upscaling InProgress dreaming", "running"),
        ("submitted NOT_START staged waiting pending Queued", "queued"),
        ("ready generated MEDIA_GENERATION_STATUS_SUCCESSFUL task-completed", "completed"),
        ("MEDIA_GENERATION_STATUS_ACTIVE retrying", "running"),
        ("safety_rejected policy_violation unsuccessful Stopped", "failed"),
        ("UNKNOWN paused somersaulting ok incomplete not_completed partially_completed", "unknown"),
    ],
)
def test_a_word_is_a_status_in_any_spelling(words: str, expected: str) -> None:
    assert {word: status(word) for word in words.split()} == dict.fromkeys(words.split(), expected)


@pytest.mark.parametrize(
    ("state", "code", "reason", "category"),
    [
        ("failed", None, "Prompt was moderated", "moderation"),
        ("failed", "content_policy_violation", "no", "moderation"),
        ("failed", None, "Frame moderation failed", "moderation"),
        ("failed", "invalid_request", None, "invalid_input"),
        ("failed", None, "Unsupported aspect ratio", "invalid_input"),
        ("failed", None, "could not download the image", "invalid_input"),
        ("failed", "budget_exhausted", "x", "quota"),
        ("failed", None, "insufficient credits", "quota"),
        ("failed", "generation_failed", None, "gateway_error"),
        ("failed", None, "upstream timed out", "gateway_error"),
        ("cancelled", None, "by the user", "cancelled"),
        ("failed", None, "cancelled by user", "cancelled"),
        ("moderated", None, None, "moderation"),
        ("expired", None, None, "gateway_error"),
        ("failed", None, None, "other"),
        ("failed", None, "bad luck", "other"),
    ],
)
def test_a_failure_has_a_category(
    state: str, code: str | None, reason: str | None, category: str
) -> None:
    assert failure_category(state, code, reason) == category


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("9", 9.0),
        ("5 sec", 5.0),
        ("PT9S", 9.0),
        ("1500ms", 1.5),
        ("1 min", 60.0),
        ("PT1M5S", 65.0),
        ("1m5.5s", 65.5),
        ("00:05", 5.0),
        ("00:01:05.04", 65.04),
    ],
)
def test_a_requested_length_is_a_number(text: str, seconds: float) -> None:
    assert length_in_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", [None, "", "long", "5-9s", "s", "-5s", "PT", "16:9", "1:2:3"])
def test_what_is_no_length_is_null(text: str | None) -> None:
    assert length_in_seconds(text) is None
