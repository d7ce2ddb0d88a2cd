"""From a body to a row: every field of both dialects, and whatever else a gateway sends."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import orjson
import pyarrow as pa
import pytest
from builders import NOON, answer, example, table
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.record import flatten as flatten_module
from connector.record.answer import Answer, Outcome
from connector.record.bodies import Bodies
from connector.record.coerce import to_time
from connector.record.column import TIMESTAMP
from connector.record.fields import PATHS
from connector.record.flatten import CHUNK_ROWS, flatten
from connector.record.judge import judge
from connector.record.keys import FROM_JSON, PLAIN_KEYS
from connector.record.schema import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator


def row(body: Any) -> dict[str, Any]:
    """The one row that a body becomes."""
    (only,) = flatten(table(answer("asked", body))).to_pylist()
    return only


def coercions(body: Any) -> list[dict[str, Any]]:
    return json.loads(row(body)["coercions"] or "[]")


def at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def test_the_documented_answer_comes_back_field_by_field() -> None:
    document = json.loads(example("completed"))
    flat = row(example("completed"))
    assert flat["task_id"] == "asked"
    for column in FROM_JSON:
        values = [at(document, path) for path in column.paths]
        expected = next((value for value in values if value is not None), None)
        if column.name == "created_at":
            expected = datetime(2024, 10, 15, 8, 56, 19, 325000, tzinfo=UTC)
        assert flat[column.name] == expected, column.name
    assert flat["extra"] is None
    assert flat["coercions"] is None


def test_what_is_derived_from_the_documented_answer() -> None:
    flat = row(example("completed"))
    signed_at = datetime(2024, 10, 15, 8, 56, 53, tzinfo=UTC)
    expected = {
        "status": "completed",
        "resolution": "720p",
        "aspect_ratio": "9:16",
        "orientation": "portrait",
        "megapixels": 1.02272,
        "prompt_words": 35,
        "prompt_characters": 204,
        "model": "lit_lite_inference_v1.6-xl",
        "model_source": "storage",
        "requested_model": None,
        "storage_model": "lit_lite_inference_v1.6-xl",
        "watermarked": True,
        "download_url_signed_at": signed_at,
        "download_url_expires_at": signed_at + timedelta(hours=1),
        "first_seen_at": NOON,
        "fetched_at": NOON,
        "first_finished_at": NOON,
        "last_unfinished_at": None,
        "fetches": 1,
        "run_id": "run",
    }
    assert {name: flat[name] for name in expected} == expected


def test_declared_examples_are_the_documented_answers_values() -> None:
    """The dictionary's examples cannot drift from what the documented answer gives."""
    flat = row(example("completed"))
    for column in GENERATIONS.columns:
        if column.example is None:
            continue
        value = flat[column.name]
        if isinstance(value, datetime):
            assert value == datetime.fromisoformat(column.example), column.name
        else:
            text = json.dumps(value) if isinstance(value, bool) else str(value)
            assert text == column.example, column.name


def test_the_official_dialect() -> None:
    flat = row(example("official"))
    expected = {
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "generation_type": "video",
        "model": "ray-2",
        "model_source": "requested",
        "requested_model": "ray-2",
        "video_url": "https://storage.cdn-luma.com/dream_machine/123e4567/video.mp4",
        "image_url": "https://storage.cdn-luma.com/dream_machine/123e4567/thumb.jpg",
        "progress_video_url": None,
        "prompt": "a teddy bear in sunglasses playing electric guitar",
        "requested_aspect_ratio": "16:9",
        "requested_resolution": "720p",
        "requested_duration": "5s",
        "requested_loop": True,
        "resolution": "720p",
        "aspect_ratio": "16:9",
        "orientation": "landscape",
        "storage_model": None,
        "extra": None,
        "coercions": None,
    }
    assert {name: flat[name] for name in expected} == expected


def test_pending_and_failed_answers() -> None:
    waiting, failed = row(example("pending")), row(example("failed"))
    assert waiting["status"] == "queued"
    assert waiting["created_at"] == datetime(2024, 6, 18, 14, 47, 43, 318498, tzinfo=UTC)
    assert waiting["last_unfinished_at"] == NOON - timedelta(seconds=0.25)
    assert waiting["first_finished_at"] is None
    assert failed["status"] == "failed"
    assert failed["failure_reason"] == "Frame moderation failed"
    assert failed["first_finished_at"] == NOON


def test_an_envelope_changes_nothing() -> None:
    inner = json.loads(example("completed"))
    wrapped = row({"code": "success", "message": "", "data": inner})
    assert json.loads(wrapped.pop("extra")) == {"wrapper": {"code": "success", "message": ""}}
    plain = row(inner)
    assert plain.pop("extra") is None
    assert wrapped == plain


def test_media_under_artifact_are_those_of_the_documented_answer() -> None:
    flat = orjson.loads(example("completed"))
    media = {name: flat[name] for name in ("video", "thumbnail", "last_frame")}
    nested = {name: value for name, value in flat.items() if name not in media}
    assert row({**nested, "artifact": media}) == row(flat)
    # An empty value beside it is a value too.
    assert json.loads(row({**nested, "video": "", "artifact": media})["extra"]) == {"video": ""}
    more = {**media, "video": {**media["video"], "codec": "h264"}}
    extra = json.loads(row({**nested, "artifact": more})["extra"])
    assert extra == {"artifact": {"video": {"codec": "h264"}}}


def test_version_stands_in_for_model() -> None:
    assert row({"id": "x", "version": "v1.6"})["model"] == "v1.6"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("pending", "queued"),
        ("QUEUED", "queued"),
        ("Processing", "running"),
        ("dreaming", "running"),
        (" completed ", "completed"),
        ("FAILED", "failed"),
        ("cancelled", "failed"),
        ("Expired", "failed"),
        ("MODERATED", "failed"),
        ("In Progress", "running"),
        ("in-progress", "running"),
        ("InProgress", "running"),
        ("upscaling", "running"),
        ("NOT_START", "queued"),
        ("staged", "queued"),
        ("TASK_STATUS_SUCCEED", "completed"),
        ("Done", "completed"),
        ("somersaulting", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_states_in_five_words(state: str | None, status: str) -> None:
    flat = row({"id": "x", "state": state})
    assert (flat["state"], flat["status"]) == (state, status)


MOMENT = datetime(2024, 10, 15, 8, 56, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-10-15T08:56:19Z", MOMENT),
        ("2024-10-15T08:56:19.325Z", MOMENT.replace(microsecond=325000)),
        ("2024-10-15T08:56:19.325123Z", MOMENT.replace(microsecond=325123)),
        ("2024-10-15T08:56:19.325123789Z", MOMENT.replace(microsecond=325123)),
        ("2024-10-15T10:56:19+02:00", MOMENT),
        ("2024-10-15T03:26:19-05:30", MOMENT),
        ("0001-01-01T00:00:00Z", None),
        (None, None),
    ],
)
def test_documented_times_are_read_without_remark(text: str, moment: datetime | None) -> None:
    flat = row({"id": "x", "created_at": text})
    assert flat["created_at"] == moment
    assert flat["coercions"] is None


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1728982579, MOMENT),
        (1728982579.0, MOMENT),
        ("1728982579", MOMENT),
        (1728982579325, MOMENT.replace(microsecond=325000)),
        ("2024-10-15T08:56:19", MOMENT),
        ("20241015085619", MOMENT),
        (20241015085619, MOMENT),
        ("20241015", MOMENT.replace(hour=0, minute=0, second=0)),
        ("20241315", None),
        ("/Date(1728982579325+0200)/", MOMENT.replace(microsecond=325000)),
        ({"$date": "2024-10-15T08:56:19Z"}, MOMENT),
        ({"$date": {"$numberLong": "1728982579000"}}, MOMENT),
        ({"seconds": "1728982579", "nanos": 325000000}, MOMENT.replace(microsecond=325000)),
        ({"_seconds": 1728982579, "_nanoseconds": 0}, MOMENT),
        ({"seconds": 1728982579, "more": 1}, None),
        ("yesterday", None),
        (10**18, datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)),
        (10**20, None),
        (-5, None),
        (True, None),
        ([], None),
        ("9999-12-31T23:59:59-10:00", None),
    ],
)
def test_other_times_are_read_where_safe_and_always_told(
    value: object, moment: datetime | None
) -> None:
    body = {"id": "x", "created_at": value}
    assert row(body)["created_at"] == moment
    (note,) = coercions(body)
    assert note["column"] == "created_at"
    assert note["to"] == (moment and moment.isoformat())


@pytest.mark.parametrize(
    ("field", "value", "result"),
    [
        ("width", "752", 752),
        ("width", 752.0, 752),
        ("width", " 752.0 ", 752),
        ("width", 752.5, None),
        ("width", 2**70, None),
        ("width", 2**31, None),
        ("width", -(2**31), -(2**31)),
        ("width", "9" * 5000, None),
        ("width", True, None),
        ("width", {}, None),
        ("width", "wide", None),
        ("url", 3, "3"),
        ("url", True, "true"),
        ("url", math.nan, None),
        ("url", -math.inf, None),
        ("url", ["a"], None),
        ("url", {"a": 1}, None),
    ],
)
def test_a_value_of_another_type_is_coerced_where_safe(
    field: str, value: object, result: object
) -> None:
    body = {"id": "x", "video": {field: value}}
    assert row(body)[f"video_{field}"] == result
    unchanged = result == value and type(result) is type(value)
    assert [note["column"] for note in coercions(body)] == ([] if unchanged else [f"video_{field}"])


@pytest.mark.parametrize(
    ("value", "result"),
    [("true", True), ("False", False), (1, True), (0, False), (2, None), ("yes", None), ([], None)],
)
def test_booleans(value: object, result: bool | None) -> None:
    assert row({"id": "x", "liked": value})["liked"] is result
    assert len(coercions({"id": "x", "liked": value})) == 1


def test_whatever_comes_as_queue_state_is_kept() -> None:
    flat = row({"id": "x", "queue_state": {"position": 3}})
    assert json.loads(flat["queue_state"]) == {"position": 3}


@pytest.mark.parametrize("value", ["a string", [1, 2], 3, True])
def test_something_else_in_place_of_an_object_is_told(value: object) -> None:
    body = {"id": "x", "video": value, "thumbnail": {"width": 5}}
    assert row(body)["video_url"] is None
    assert row(body)["thumbnail_width"] == 5
    assert [note["column"] for note in coercions(body)] == ["video"]


def test_unknown_fields_are_kept_in_the_shape_they_came_in() -> None:
    body = {
        "id": "x",
        "batch_id": "b",
        "artifact": {"deep": [1]},
        "video": {"url": "u", "thumbnail": "t"},
        "request": {"keyframes": None, "concepts": ["c"]},
        "nothing": None,
    }
    assert json.loads(row(body)["extra"]) == {
        "batch_id": "b",
        "artifact": {"deep": [1]},
        "video": {"thumbnail": "t"},
        "request": {"concepts": ["c"]},
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"\\ud800 lone","state":"completed"}',
        b'{"id":"x","prompt":"nul \\u0000 inside"}',
        b'{"id":NaN,"z":Infinity}',
        b'{"id":"x","video":{"width":1' + b"0" * 400 + b"}}",
        b'{"id":"x","a":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"id":"x","id":"y"}',
        b'\xef\xbb\xbf{"id":"x"}',
        b'{"id":"x","prompt":"' + b"p" * 5_000_000 + b'"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_strange_body_becomes_a_row(body: bytes) -> None:
    flat = row(body)
    assert flat["task_id"] == "asked"
    for column in ("extra", "coercions"):
        json.loads(flat[column] or "null", parse_constant=pytest.fail)


def test_a_lone_surrogate_is_replaced_and_told() -> None:
    body = b'{"id":"x","prompt":"a \\ud800 b"}'
    assert row(body)["prompt"] == "a ? b"
    assert [note["column"] for note in coercions(body)] == ["prompt"]


def test_one_odd_row_leaves_its_neighbours_alone() -> None:
    answers = [answer(f"t{i}", {"id": str(i), "video": {"width": i}}) for i in range(50)]
    answers[7] = answer("t7", {"id": "7", "video": {"width": "seven"}})
    rows = flatten(table(*answers)).to_pylist()
    assert [r["video_width"] for r in rows] == [None if i == 7 else i for i in range(50)]
    assert [r["task_id"] for r in rows if r["coercions"]] == ["t7"]


def test_chunks_join_without_a_seam() -> None:
    answers = [answer(f"t{i}", {"id": str(i)}) for i in range(2 * CHUNK_ROWS + 1)]
    assert flatten(table(*answers))["id"].to_pylist() == [str(i) for i in range(len(answers))]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["752", "2024-10-15T08:56:19Z", "completed", "0001-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Objects with documented keys and any values, nested as documented or not at all."""
    keys: dict[str, list[str]] = {}
    for path in (path for column in FROM_JSON for path in PATHS[column.name]):
        parent, _, key = path.rpartition(".")
        keys.setdefault(parent, []).append(key)
    nested = {
        parent: st.dictionaries(st.sampled_from([*inner, "other"]), json_values) | json_values
        for parent, inner in keys.items()
        if parent
    }
    return st.fixed_dictionaries(
        {}, optional={**nested, **dict.fromkeys([*keys[""], "data", "new"], json_values)}
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(documents() | json_values, max_size=4))
def test_flatten_never_raises_on_any_json(bodies: list[Any]) -> None:
    answers = [answer(f"t{i}", json.dumps(body).encode()) for i, body in enumerate(bodies)]
    flat = flatten(table(*answers))
    assert flat.schema.equals(GENERATIONS.schema)
    assert len(flat) == len(bodies)
    for r in flat.to_pylist():
        orjson.loads(r["extra"] or "null")
        orjson.loads(r["coercions"] or "null")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_flatten_never_raises_on_any_bytes(body: bytes) -> None:
    assert len(flatten(table(answer("t", body)))) == 1


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
sides = st.integers(-(2**31), 2**31 - 1)
pictures = st.fixed_dictionaries({"url": texts, "width": sides, "height": sides})


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "id": texts,
            "state": texts,
            "prompt": texts,
            "liked": st.none() | st.booleans(),
            "video": st.fixed_dictionaries(
                {"url": texts, "width": sides, "height": sides, "download_url": texts}
            ),
            "thumbnail": pictures,
            "video_raw": pictures,
            "last_frame": pictures,
            "created_at": st.datetimes(
                datetime(1900, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
                datetime(2200, 1, 1),  # noqa: DTZ001  as above
                timezones=st.just(UTC),
            ).map(datetime.isoformat),
            "queue_state": st.none() | texts,
            "estimate_wait_seconds": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        }
    )
)
def test_documented_fields_come_back_exactly(document: dict[str, Any]) -> None:
    flat = row(document)
    assert flat["coercions"] is None
    assert flat["extra"] is None
    assert flat["created_at"] == datetime.fromisoformat(document["created_at"])
    for column in FROM_JSON:
        if column.name != "created_at" and not column.paths[0].startswith(("assets", "request")):
            assert flat[column.name] == at(document, column.paths[0]), column.name


def misfit() -> dict[str, Any]:
    """A generation in which no value has its documented type."""
    body: dict[str, Any] = {}
    for path in (path for column in FROM_JSON for path in PATHS[column.name]):
        parent, _, key = path.rpartition(".")
        (body.setdefault(parent, {}) if parent else body)[key] = []
    return body


@settings(max_examples=100, deadline=None)
@hypothesis.example([{"state": [], "estimate_wait_seconds": math.inf}])
@hypothesis.example([{"id": "x", "estimate_wait_seconds": math.nan}])
@given(st.lists(documents(), min_size=1, max_size=4))
def test_a_row_is_the_same_in_whatever_company(bodies: list[dict[str, Any]]) -> None:
    """Whether Arrow reads a column at once, or value by value for a neighbour's sake."""
    alone = [row(body) for body in bodies]
    answers = [answer("asked", body) for body in bodies]
    together = flatten(table(answer("odd", misfit()), *answers)).to_pylist()[1:]
    assert repr(together) == repr(alone)


USUAL: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): texts | st.sampled_from(["", "a\x00b", "\U0001f600", 'a \\ b / c " d']),
    pa.bool_(): st.booleans(),
    pa.int32(): sides,
    pa.float64(): st.integers(-9, 2**60) | st.floats() | st.just(-0.0),
    TIMESTAMP: st.sampled_from(
        [
            "2024-10-15T08:56:19.325Z",
            "2024-10-15 08:56:19+08:00",
            "2024-02-30T08:56:19Z",
            "0001-01-01T00:00:00Z",
        ]
    ),
}


def usual_documents() -> st.SearchStrategy[dict[str, Any]]:
    """Objects of the documented shapes; few values have another type, few keys are unknown."""
    odd = st.sampled_from([None, None, None, {}, 7, "8", 2.5, -0.0, True, "https://a.b/c"])
    objects: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
    for column in FROM_JSON:
        for path in PATHS[column.name]:
            parent, _, key = path.rpartition(".")
            values = USUAL[column.type]
            objects.setdefault(parent, {})[key] = st.one_of(*[values] * 9, odd)
    nested = {
        name: st.one_of(*[st.fixed_dictionaries({}, optional=inner)] * 9, odd)
        for name, inner in objects.items()
        if name
    }
    own = objects[""] | {"request": nested["request"]}
    plain = {key: values for key, values in (own | nested).items() if key in PLAIN_KEYS}
    return st.fixed_dictionaries({}, optional=plain)


RAW = [
    b"",
    b"null",
    b'"a"',
    b'{"id":"a"}{"id":"b"}',
    b'{"id":"a"},"body":{"id":"b"}',
    b'{"id":"a"}}\n{"body":{"id":"b"}',
    b'\xef\xbb\xbf{"id":"a"}',
    b'{"id":"a","id":"b"}',
    b'{"id":"a","video":{"url":"a"},"video":null}',
    b'{"id":"a","video":{"width":1.0,"height":1e2}}',
    b'{"id":"a","video":{"width":-0,"height":2147483648}}',
    b'{"id":"a","video":{}}',
    b'{"video":{"url":"https://a.b/c"}}',
    b'{"id":"a","estimate_wait_seconds":-0}',
    b'{"id":"a","estimate_wait_seconds":1e400}',
    b'{"id":"a","estimate_wait_seconds":NaN}',
    b'{"id":"a","estimate_wait_seconds":9007199254740993}',
    b'{"id":"a","prompt":"\\ud800"}',
    b'{"id":"a","prompt":"\\ud83d\\ude00 \\u0000 \\/"}',
    b'{"id":"a","prompt":"\xff"}',
    b'{"id":"a","prompt":"a\nb"}',
    b'{"id":"a","prompt":"b",}',
    b'{\n "i\\u0064": "a"\t}\r\n',
    b'{"ID":"a","state":"completed"}',
    b'{"id":"a","new":null,"artifact":null}',
]


def test_arrow_reads_every_case_as_python_does() -> None:
    folders = [Path(__file__).parent / "cases/answers", Path(__file__).parents[1] / "data/examples"]
    files = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.json"))]
    each = [[body] for body in [*RAW, *files]]
    assert_read_alike([*each, [*RAW, *files], [example("completed"), example("completed")]])


def assert_read_alike(groups: list[list[bytes]]) -> None:
    tables = [table(*(answer("asked", body) for body in group)) for group in groups]
    found = list(map(flatten, tables))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bodies, "read", lambda _self, bodies, _task_ids: ([], none(bodies)))
        expected = list(map(flatten, tables))
    for one, other in zip(found, expected, strict=True):
        assert repr(one.to_pylist()) == repr(other.to_pylist())


def none(bodies: pa.Array) -> pa.Array:
    return pa.repeat(pa.scalar(False), len(bodies))


@settings(max_examples=100, deadline=None)
@given(st.lists(usual_documents(), min_size=1, max_size=4), st.sampled_from([None, 1]))
def test_arrow_reads_bodies_as_python_does(documents: list[Any], indent: int | None) -> None:
    """Those of the documented shapes, many at once; the others are left to Python."""
    bodies = [json.dumps(document, indent=indent).encode() for document in documents]
    assert_read_alike([bodies, *([body] for body in bodies)])


def kept_alike(kinds: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these keys, and one of its values for each."""
    values = {key: st.sampled_from(choice) for key, choice in kinds.items()}
    return st.fixed_dictionaries({}, optional=values)


WORD = ["asked", "a", "", "0", "\u00e9", 'a "b"', "null", "a\x1fb"]
TIMES = ["2024-10-15T08:56:19.325Z", "0001-01-01T00:00:00Z", "2024-10-15T08:56:19.1234567Z", ""]
SECONDS = [0, 1738555506, 1738555507, 1738555506123, 20250203, 20250203040506]
PICTURE = [{"url": "https://a.b/c/v.mp4", "width": 752, "odd": "x"}, {"url": None}, {}, None]
OWN: dict[str, list[Any]] = {
    "id": WORD,
    "state": ["completed", "failed", "queued", " "],
    "prompt": WORD,
    "created_at": TIMES,
    "video": [*PICTURE, {"url": "https://a.b/v.mp4", "duration": 5, "thumbnail": "t"}],
    "video_raw": PICTURE,
    "failure_reason": WORD,
    "model": WORD,
    "version": WORD,
    "batch_id": WORD,
    "duration": [5, 5.0, 5.5, 0, 1e16],
    "tags": [[], ["a", "b"], [None]],
    "request": [{"model": "a", "keyframes": {"frame0": {"url": "u"}}}, {"prompt": "a"}],
    "artifact": [None, {"id": "x", "tags": ["a"]}, {"created_at": TIMES[1], "video": PICTURE[0]}],
    "assets": [{"video": "https://a.b/v.mp4"}, {"videos": ["https://a.b/v.mp4"]}, {}, None],
    "videos": [None, ["https://a.b/v.mp4"], []],
    "aspect_ratio": ["16:9", "", None],
    "params": [{"prompt": "a", "ratio": "1:1"}, {"n": 1}, None],
    "reason": WORD,
    "errors": [None, ["a"], "a"],
    "end_date": [*TIMES, None],
}
RECORD: dict[str, list[Any]] = {
    "id": [1, 2**70],
    "task_id": WORD,
    "status": ["SUCCESS", "FAILURE", "IN_PROGRESS", ""],
    "fail_reason": WORD,
    "submit_time": SECONDS,
    "finish_time": SECONDS,
    "created_at": SECONDS,
    "quota": [500],
    "progress": ["100%"],
    "properties": [{"input": "a", "more": "b"}, {"input": ""}, None],
    "message": ["", "a", None],
    "metadata": [{"width": 5, "height": 6}, {"n": 1}, None],
}


@st.composite
def bodies_alike(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Bodies of one shape with a few keys, as a gateway sends them; one may be of another."""
    keys = [draw(st.sets(st.sampled_from(list(kinds)), min_size=3)) for kinds in (OWN, RECORD)]
    own, record = (
        kept_alike({key: values for key, values in kinds.items() if key in some})
        for kinds, some in zip((OWN, RECORD), keys, strict=True)
    )
    records = st.tuples(record, st.one_of(*[own] * 6, st.sampled_from([None, {}]))).map(
        lambda pair: {**pair[0], "data": pair[1]}
    )
    around = st.sampled_from(["data", "generation"]).flatmap(
        lambda key: st.one_of(own, records).map(lambda one: {"code": 200, "message": "", key: one})
    )
    shape = draw(st.sampled_from([own, records, around]))
    return [*draw(st.lists(shape, min_size=1, max_size=6)), *draw(st.lists(own, max_size=1))]


@settings(max_examples=150, deadline=None)
@given(st.lists(bodies_alike(), min_size=1, max_size=2))
def test_arrow_reads_records_as_python_does(pieces: list[list[dict[str, Any]]]) -> None:
    """Whatever shapes the reader has learned from earlier pieces."""
    tables = [table(*(one_of_a_log(body) for body in piece)) for piece in pieces]
    known = Bodies()
    found = [flatten(one, known).to_pylist() for one in tables]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bodies, "read", lambda _self, bodies, _task_ids: ([], none(bodies)))
        assert repr(found) == repr([flatten(one).to_pylist() for one in tables])


def one_of_a_log(body: dict[str, Any]) -> Answer:
    raw = json.dumps(body, ensure_ascii=False).encode()
    return Answer("asked", Outcome.GENERATION, 200, 1, 0.25, NOON, raw)


def test_only_odd_bodies_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a gateway's records, with keys of their own, and a few bodies of other shapes."""
    generation = json.loads(example("completed")) | {"batch_id": "b", "tags": ["x"]}
    record = {"id": 7, "task_id": "asked", "status": "SUCCESS", "submit_time": 1738555506}
    bodies = [record | {"quota": n, "data": generation} for n in range(200)]
    odd = [generation, record | {"data": generation | {"batch_id": 7}}]
    singly: list[int] = []
    read = flatten_module._read_singly
    monkeypatch.setattr(
        flatten_module, "_read_singly", lambda rows: singly.append(len(rows)) or read(rows)
    )
    known = Bodies()
    for piece in (bodies, [*bodies, *odd], [generation] * 50):
        flatten(table(*map(one_of_a_log, piece)), known)
    assert singly == [len(odd)]


@settings(max_examples=300, deadline=None)
@given(
    st.from_regex(
        r"[0-3][0-9]{3}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9](:[0-6][0-9]){2}", fullmatch=True
    ),
    st.from_regex(r"(\.[0-9]{1,7})?", fullmatch=True),
    st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+08:00", "-23:59", "+24:00", "+01:60"]),
)
def test_arrow_reads_times_as_python_does(moment: str, fraction: str, offset: str) -> None:
    text = moment + fraction + offset
    body = {"id": "x", "created_at": text}
    assert row(body)["created_at"] == to_time(text)


def leaves(value: Any) -> Iterator[Any]:
    """All that an answer says, nulls and empty objects aside."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    elif value is not None:
        yield value


KEYS = [
    *{key for column in FROM_JSON for path in column.paths for key in path.split(".")},
    *("data", "output", "generation", "result", "artifact", "code", "message", "progress"),
    *("batch_id", "finishTime", "createdAt", "others", "wrapper", "meta", "quota"),
    *("params", "generateParam", "videos", "works", "outputs", "uri", "type", "metadata", "size"),
    *("completionTime", "errors", "reason", "cover", "name", "duration_ms", "width", "text"),
]
WORDS = [
    "completed",
    "failed",
    "IN_PROGRESS",
    "SUCCESS",
    "https://cdn.example/dream/v.mp4",
    "https://cdn.example/i.png",
    "video",
    "1920x1080",
    "5s",
    '{"prompt":"x","url":"https://cdn.example/dream/v.mp4"}',
    "x",
    "",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**70),
    st.floats(allow_nan=False, width=32),
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.sampled_from(["2024-10-15T08:56:19.325Z", "2024-10-15T08:56:19.123456789Z", 1738555506]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=5), st.lists(inner, max_size=3)
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@hypothesis.example({"id": "x", "state": "completed", "video": {"width": {"deep": "v"}}})
@hypothesis.example({"id": "x", "created_at": "0001-01-01T00:00:00Z", "finish_time": 0})
@hypothesis.example({"video": False, "fail_reason": None, "video_url": {"fail_reason": None}})
@hypothesis.example({"id": "x", "state": "completed", "video": [7], "video_url": {"a": 1}})
@hypothesis.example({"id": 5, "task_id": "t", "status": "SUCCESS", "data": {"id": "g", "a": 1}})
@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=8))
def test_no_value_is_dropped(body: dict[str, Any]) -> None:
    """Each is in its column, in `extra` or in `coercions`, as it came or as what it means."""
    text = json.dumps(body).encode()
    if judge(200, text, "asked").outcome is not Outcome.GENERATION:
        return
    flat = row(body)
    found = {str(value) for name, value in flat.items() if name not in {"extra", "coercions"}}
    found |= {str(leaf) for name in ("extra", "coercions") for leaf in leaves(parsed(flat[name]))}
    moments = {value for value in flat.values() if isinstance(value, datetime)}
    for leaf in leaves(body):
        is_there = (
            str(leaf) in found
            or json.dumps(leaf) in found
            or (to_time(leaf) in moments and to_time(leaf) is not None)
            or (isinstance(leaf, float | int) and str(float(leaf)) in found)
            or json.dumps(leaf) in (flat["queue_state"] or "")
            or str(leaf) in (flat["queue_state"] or "")
        )
        assert is_there, (leaf, flat["extra"])


def parsed(text: str | None) -> Any:
    return json.loads(text) if text else None
