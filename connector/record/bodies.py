"""Reads bodies with Arrow, whose shapes it learns as they come."""

from __future__ import annotations

import re
from collections import Counter
from threading import Lock
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from connector.record.columnar import Columns
from connector.record.dialects import parse
from connector.record.fields import UNFIT
from connector.record.shape import PLAIN, Misfit, Shape, form_of, names_in, shape_of

# Of bodies that are larger on average, copies take more memory than Python takes time.
LARGE_BODY: Final = 64 * 1024

# Arrow reads lines, and a body around its own line can end neither early nor late.
BEFORE, AFTER, BODY = pa.scalar(b'{"body":'), pa.scalar(b"}\n"), "body"

# The first key, and how its value starts.
START: Final = re.compile(rb'\s*\{\s*"([a-z0-9_-]+)"\s*:\s*([^\s])')
OPENINGS: Final = frozenset({'"', "\\{", "\\[", "t", "f", "n"})

# Bodies looked at first.
SAMPLE: Final = 16

# Pieces of which all bodies are looked at, by one reader: their shapes have no end.
MOST_LESSONS: Final = 8
MOST_SHAPES: Final = 4
MOST_ODD_KEYS: Final = 16
MOST_STARTS: Final = 8

_Parsed = tuple[pa.BooleanArray, pa.StructArray, Shape]
"""Which bodies were parsed, what they became, and their shape."""


class Bodies:
    """Reads pieces of bodies, of few shapes; any thread may."""

    def __init__(self) -> None:
        self._shapes: tuple[Shape, ...] = (PLAIN,)
        # Keys with values that Arrow cannot read: bodies that have one are left to Python.
        self._odd: frozenset[str] = frozenset()
        # How bodies of each shape start.
        self._starts: dict[tuple[Any, ...], str] = {}
        self._seen: dict[tuple[Any, ...], set[str]] = {}
        self._lessons = 0
        self._learning = Lock()

    def read(
        self, bodies: pa.BinaryArray, task_ids: pa.StringArray
    ) -> tuple[list[pa.Array], pa.BooleanArray]:
        """Read the bodies that can be read at once.

        Args:
            bodies: One or more; a missing one is null.
            task_ids: The task asked for, of each.

        Returns:
            The columns of `FROM_JSON` in their order, `extra` and `coercions`; none if no body can
            be read. And for each body whether it was: where not, the values mean nothing.
        """
        if bodies.null_count or bodies.nbytes > LARGE_BODY * len(bodies):
            return _nothing(bodies)
        found = self._find(bodies)
        if found is None:
            with self._learning:  # another thread may have learned the same meanwhile
                found = self._find(bodies) or self._learn(bodies)
        if found is None:
            return _nothing(bodies)
        is_read, parsed, shape = found
        made = Columns(parsed, shape, _only(is_read, bodies), _only(is_read, task_ids))
        arrays = made.arrays()
        if is_read.true_count == len(bodies):
            return arrays, made.is_sure
        rows = pa.array(range(is_read.true_count), pa.int32())
        places = pc.replace_with_mask(pa.nulls(len(bodies), rows.type), is_read, rows)
        is_sure = pc.replace_with_mask(is_read, is_read, made.is_sure)
        return [array.take(places) for array in arrays], is_sure

    def _is_usual(self, bodies: pa.BinaryArray) -> pa.BooleanArray:
        if not self._odd:
            return pa.repeat(pa.scalar(True), len(bodies))
        names = "|".join(map(re.escape, self._odd))
        return pc.invert(pc.match_substring_regex(bodies, f'"(?:{names})"'))

    def _find(self, bodies: pa.BinaryArray) -> _Parsed | None:
        """Parse the bodies that are of one of the known shapes, if most are."""
        is_usual = self._is_usual(bodies)
        for shape in self._shapes:
            is_read = is_usual
            if start := self._starts.get(shape[:2]):
                # One body of another shape, among thousands, would keep all from being read.
                is_read = pc.and_(is_read, pc.match_substring_regex(bodies, start))
            if 2 * is_read.true_count >= len(bodies):
                parsed = _parsed(_only(is_read, bodies), shape)
                if parsed is not None:
                    return is_read, parsed, shape
        return None

    def _learn(self, bodies: pa.BinaryArray) -> _Parsed | None:
        """Learn the shape of most bodies, and parse those that are of it."""
        if self._lessons == MOST_LESSONS:
            return None
        self._take_in(bodies[:: max(1, len(bodies) // SAMPLE)].to_pylist())
        found = self._find(bodies)
        if found is None:
            self._lessons += 1
            is_read = pa.array(self._take_in(bodies.to_pylist()), pa.bool_())
            parsed = _parsed(_only(is_read, bodies), self._shapes[0])
            found = None if parsed is None else (is_read, parsed, self._shapes[0])
        return found

    def _take_in(self, bodies: list[bytes]) -> list[bool]:
        """Take in the shape that most of these bodies have, and say which have it."""
        documents = list(map(_document, bodies))
        forms = list(map(form_of, documents))
        odd: set[str] = set()
        shapes: dict[Any, Shape] = {}
        # Objects have few forms, so each is looked at once.
        for form, document in dict(zip(forms, documents, strict=True)).items():
            try:
                shapes[form] = shape_of(document)
            except Misfit as misfit:
                odd.add(misfit.key)
        kinds = Counter(shapes[form][:2] for form in forms if form in shapes)
        if not kinds:
            return [False] * len(bodies)
        kind = kinds.most_common(1)[0][0]
        known = next((shape for shape in self._shapes if shape[:2] == kind), None)
        fitting = set()
        for form, shape in shapes.items():
            if shape[:2] == kind:
                try:
                    known = shape if known is None else known.merged(shape)
                    fitting.add(form)
                except Misfit as misfit:
                    odd.add(misfit.key)
        if known is None:
            return [False] * len(bodies)
        others = [shape for shape in self._shapes if shape[:2] != kind]
        self._shapes = (known, *others)[:MOST_SHAPES]
        starts = self._seen.setdefault(kind, set())
        starts |= {
            start_of(body) for body, form in zip(bodies, forms, strict=True) if form in fitting
        }
        self._starts[kind] = "|".join(sorted(starts)) if len(starts) <= MOST_STARTS else ""
        usual = frozenset({""}).union(*(names_in(shape.type) for shape in self._shapes))
        self._odd = frozenset(sorted(self._odd | odd - usual)[:MOST_ODD_KEYS])
        return [form in fitting for form in forms]


def _parsed(bodies: pa.BinaryArray, shape: Shape) -> pa.StructArray | None:
    """A struct for each body; None if they are not of this shape."""
    if not len(bodies):
        return None
    lines = pc.binary_join_element_wise(BEFORE, bodies, AFTER, b"")
    text = lines.buffers()[2]
    reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
    parsing = pj.ParseOptions(
        explicit_schema=pa.schema([(BODY, shape.type)]),
        newlines_in_values=True,
        unexpected_field_behavior="error",
    )
    try:
        table = pj.read_json(pa.BufferReader(text), reading, parsing)
        bodies.cast(pa.string())  # JSON is UTF-8, which Arrow's reader does not check
    except (*UNFIT, UnicodeDecodeError):
        return None
    return table[BODY].combine_chunks() if len(table) == len(bodies) else None


def start_of(body: bytes) -> str:
    """A pattern for the first key of a body and the kind of its value; "" matches all."""
    found = START.match(body)
    if found is None:
        return ""
    key, first = (re.escape(part.decode()) for part in found.groups())
    return rf'^\s*\{{\s*"{key}"\s*:\s*{first if first in OPENINGS else "[0-9-]"}'


def _document(body: bytes) -> Any:
    try:
        return parse(body)
    except ValueError:
        return None


def _only(mask: pa.BooleanArray, array: pa.Array) -> pa.Array:
    return array if mask.true_count == len(array) else array.filter(mask)


def _nothing(bodies: pa.BinaryArray) -> tuple[list[pa.Array], pa.BooleanArray]:
    return [], pa.repeat(pa.scalar(False), len(bodies))
