"""What follows from a generation's own fields, with numbers worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from connector.record import derive, frames


@pytest.mark.parametrize(
    ("width", "height", "resolution", "aspect_ratio", "orientation"),
    [
        (752, 1360, "720p", "9:16", "portrait"),
        (1360, 752, "720p", "16:9", "landscape"),
        (1168, 864, "720p", "4:3", "landscape"),
        (1552, 656, "720p", "21:9", "landscape"),
        (1280, 720, "720p", "16:9", "landscape"),
        (960, 540, "540p", "16:9", "landscape"),
        (1080, 1920, "1080p", "9:16", "portrait"),
        (3840, 2160, "4k", "16:9", "landscape"),
        (720, 720, "540p", "1:1", "square"),
        (1000, 800, "720p", "5:4", "landscape"),
        (100, 50, "50p", "2:1", "landscape"),
        (7680, 4320, "4320p", "16:9", "landscape"),
    ],
)
def test_a_size_is_named(
    width: int, height: int, resolution: str, aspect_ratio: str, orientation: str
) -> None:
    frame = frames.frame(width, height)
    assert frame == (resolution, aspect_ratio, orientation, width * height / 1e6)


@pytest.mark.parametrize(("width", "height"), [(None, 720), (720, None), (0, 720), (-1, -1)])
def test_an_impossible_size_has_no_name(width: int | None, height: int | None) -> None:
    assert frames.frame(width, height) == frames.NO_FRAME


def test_a_request_names_what_no_size_does() -> None:
    assert frames.requested_frame("1080P", "9:16") == ("1080p", "9:16", "portrait", None)
    assert frames.requested_frame("1920x1080", None) == frames.frame(1920, 1080)
    assert frames.requested_frame("720 * 1280", "16:9") == frames.frame(720, 1280)
    assert frames.requested_frame("720", None).resolution == "720p"
    assert frames.requested_frame(None, "0:0") == frames.NO_FRAME
    assert frames.requested_frame("", "wide") == frames.NO_FRAME


URL = "https://bucket.example/a.mp4?X-Amz-Date={}&X-Amz-Expires={}&X-Amz-Signature=1"
SIGNED = datetime(2024, 10, 15, 8, 56, 53, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "expires", "times"),
    [
        ("20241015T085653Z", "3600", (SIGNED, SIGNED + timedelta(hours=1))),
        ("20241015T085653Z", "", (SIGNED, None)),
        ("20241015T085653Z", "-1", (SIGNED, None)),
        ("20241015T085653Z", "9" * 30, (SIGNED, None)),
        ("20241315T085653Z", "3600", (None, None)),
        ("20240231T085653Z", "3600", (None, None)),
        ("2024-10-15", "3600", (None, None)),
    ],
)
def test_times_of_a_signature(
    date: str, expires: str, times: tuple[datetime | None, datetime | None]
) -> None:
    """A URL beside it, whatever it says, does not matter."""
    urls = pa.array([None, URL.format("20241015T085653Z", "3600"), URL.format(date, expires)])
    signed_at, expires_at = derive.signature_times(urls)
    assert (signed_at[0].as_py(), expires_at[0].as_py()) == (None, None)
    assert (signed_at[1].as_py(), expires_at[1].as_py()) == (SIGNED, SIGNED + timedelta(hours=1))
    assert (signed_at[2].as_py(), expires_at[2].as_py()) == times


def test_a_url_without_a_signature_has_no_times() -> None:
    times = derive.signature_times(pa.array(["https://cdn.example/a.mp4"]))
    assert [column.to_pylist() for column in times] == [[None], [None]]


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://storage.example/lit_lite_v1.6/id/video.mp4", "lit_lite_v1.6"),
        ("https://storage.example/dream_machine/id/video.mp4", None),
        ("https://storage.example//video.mp4", None),
        ("https://storage.example/video.mp4", None),
        ("not a url", None),
        (None, None),
    ],
)
def test_the_storage_model(url: str | None, model: str | None) -> None:
    assert derive.storage_model(pa.array([url], pa.string())).to_pylist() == [model]


@pytest.mark.parametrize(
    ("url", "is_marked"),
    [
        ("https://s.example/m/1_watermarked_2.mp4", True),
        ("1_watermarked_2.mp4?x=1", True),
        ("https://s.example/a_watermarked_b/video.mp4?x=_watermarked_", False),
        ("https://s.example/m/1.mp4?x=/_watermarked_", False),
        ("", False),
        (None, None),
    ],
)
def test_a_watermark_is_told_by_the_file_name_alone(
    url: str | None, is_marked: bool | None
) -> None:
    assert derive.watermarked(pa.array([url], pa.string())).to_pylist() == [is_marked]


def test_blanks_around_a_prompt_make_no_other_prompt() -> None:
    assert derive.prompt_id(" a cat\n") == derive.prompt_id("a cat")
    assert derive.prompt_id("a cat") != derive.prompt_id("A cat")
