"""The task ID in JSON objects, each of which may have keys of its own."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

from connector.task_ids.columns import SAYING_WHICH, USUAL, choose_column, find_column
from connector.task_ids.kept import NOT_GIVEN, Keep, Rows, as_name, missing, without_columns
from connector.task_ids.spelling import is_usual, tidied

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Object = dict[object, object]

# Under these keys, `id` is the generation's; that of a `user` is not.
ENVELOPES: Final = frozenset(
    (
        "data",
        "generation",
        "task",
        "job",
        "result",
        "output",
        "response",
        "body",
        "payload",
        "item",
        "hits",
    )
)
# A list under these keys is a page of objects, each with its ID.
PAGES: Final = frozenset(("data", "generations", "tasks", "jobs", "results", "items", "hits"))
# How DynamoDB, MongoDB and Firestore export a text: `{"S": "…"}`, `{"$uuid": "…"}`.
_TYPES: Final = frozenset(("S", "$uuid", "$oid", "stringValue"))
_SHAPES = 1_000
_DEPTH = 5
_SHOWN = 20


class KeptKeys:
    """The columns to keep of JSON objects, each of which may have keys of its own."""

    def __init__(
        self,
        keep: Keep,
        where: str,
        holder: Callable[[Object], tuple[Object, object]],
    ) -> None:
        self._keep = keep
        self._where = where
        self._holder = holder
        self._chosen: dict[tuple[object, ...], dict[str, object]] = {}
        self._names: dict[str, str] = {}
        self._seen: dict[str, None] = {}
        self._has_objects = self._has_items = False

    def columns(self, items: Sequence[object]) -> dict[str, list[object]]:
        """The values of each column; `NOT_GIVEN` where an object does not have its key."""
        rows = []
        for item in items:
            row = {}
            if isinstance(item, dict):
                whole, id_key = self._holder(item)
                row = {name: whole[key] for name, key in self._keys_of(whole, id_key).items()}
                self._has_objects = True
            self._has_items = self._has_items or item != ""
            rows.append(row)
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name, NOT_GIVEN) for row in rows] for name in names}

    def check(self) -> None:
        """Raise an error if no object had one of the columns.

        Raises:
            SourceError: The text names it, or says that there were no objects.
        """
        if not self._has_objects and self._has_items:
            raise without_columns(self._where, "it is a plain list of task IDs")
        for name in () if self._keep.is_all or not self._has_objects else self._keep.names:
            if find_column(list(self._seen), name) is None:
                raise missing(name, list(self._seen), self._where)

    def _keys_of(self, item: Object, id_key: object) -> dict[str, object]:
        """Which key of an object each column has; looked up once for objects alike."""
        keys = tuple(item)
        if keys not in self._chosen:
            if len(self._chosen) >= _SHAPES:
                self._chosen.clear()
            self._seen.update(dict.fromkeys(map(as_name, keys)))
            texts = list(map(as_name, keys))
            here = [name for name in self._keep.names if find_column(texts, name) is not None]
            keep = self._keep if self._keep.is_all else Keep(here)
            id_index = keys.index(id_key) if id_key in item else -1
            chosen = keep.choose(keys, id_index, self._where)
            # Objects may spell one name in several letter cases.
            names = {
                self._names.setdefault(name.casefold(), name): at for name, at in chosen.items()
            }
            self._chosen[keys] = {name: keys[at] for name, at in names.items()}
        return self._chosen[keys]


class _Page(list[object]):
    """Items in place of one: those of a list, perhaps one that an object holds."""


class Picker:
    """Takes the task ID out of each item; where no object has one, `check` says so."""

    def __init__(self, where: str, column: str | None, keep: Keep | None = None) -> None:
        self._where = where
        self._column = column
        self._found = False
        self._lacking: dict[str, None] = {}
        self._known: dict[tuple[tuple[object, ...], tuple[str, ...]], object] = {}
        self._names: tuple[object, ...] | None = None
        self._key: object = None
        self._keys = KeptKeys(keep, where, self._holder) if keep else None

    def pick(self, item: object) -> object:
        """The task ID of an object, "" if it has none; any other item is itself the ID.

        Of a page, its items.
        """
        if not isinstance(item, dict):
            return _Page(item) if isinstance(item, list) and _is_page(item) else item
        names = tuple(item)
        if names == self._names:  # as the one before, which is how most lists are
            return _unwrapped(item[self._key])
        found = self._search(item)
        if found is None:
            pages = _pages(item)
            if len(pages) == 1:
                return _Page(pages[0])
            if len(self._lacking) <= _SHOWN:
                self._lacking.update(dict.fromkeys(map(str, names)))
            return ""
        objects, key = found
        self._found = True
        value = _unwrapped(objects[-1][key])
        if isinstance(value, list):
            return _Page(value)
        if len(objects) == 1:
            self._names, self._key = names, key
        return value

    def check(self) -> None:
        """Raise an error if there were objects and none had a task ID, or one of the columns.

        Raises:
            SourceError: The text lists their keys.
        """
        if self._lacking and not self._found:
            choose_column(list(self._lacking), self._column, self._where)
        if self._keys:
            self._keys.check()

    def pick_all(self, items: Sequence[object]) -> list[object] | Rows:
        """The task IDs of all items, with the columns to keep."""
        ids = [self.pick(item) for item in items]
        while _Page in set(map(type, ids)):
            pairs = zip(items, ids, strict=True)
            parts = [found if isinstance(found, _Page) else [item] for item, found in pairs]
            items = list(chain.from_iterable(parts))
            ids = [self.pick(item) for item in items]
        return ids if self._keys is None else Rows(ids, self._keys.columns(items))

    def _search(
        self, item: Object, usual: tuple[str, ...] = USUAL, depth: int = _DEPTH
    ) -> tuple[list[Object], object] | None:
        """The objects from `item` down to the one that has the task ID, and its key."""
        source = item.get("_source")  # what Elasticsearch was given, below an `_id` of its own
        if depth and isinstance(source, dict) and (found := self._search(source, usual, depth - 1)):
            return [item, *found[0]], found[1]
        key = self._key_among(tuple(item), usual)
        if key is not None:
            return [item], key
        for name, inner in item.items() if depth else ():
            if isinstance(inner, dict):
                wraps = usual is USUAL and str(name).casefold() in ENVELOPES
                found = self._search(inner, USUAL if wraps else SAYING_WHICH, depth - 1)
                if found:
                    return [item, *found[0]], found[1]
        return None

    def _holder(self, item: Object) -> tuple[Object, object]:
        """The object in `item` that has the task ID, and its key; all around it is in it too."""
        objects, key = self._search(item) or ([item], None)
        whole = objects[-1]
        for inner, outer in pairwise(reversed(objects)):
            whole = {name: value for name, value in outer.items() if value is not inner} | whole
        return whole, key

    def _key_among(self, names: tuple[object, ...], usual: tuple[str, ...]) -> object:
        """The key of the task ID, if there is one; looked up once for objects alike."""
        if (names, usual) not in self._known:
            if len(self._known) >= _SHAPES:
                self._known.clear()
            index = find_column(list(map(str, names)), self._column, usual)
            self._known[names, usual] = None if index is None else names[index]
        return self._known[names, usual]


def _pages(item: Object, depth: int = _DEPTH) -> list[list[object]]:
    """The lists of objects in `item`, which has no ID of its own."""
    found = []
    for key, inner in item.items():
        name = str(key).casefold()
        if isinstance(inner, list) and name in PAGES and {*map(type, inner)} == {dict}:
            found.append(inner)
        elif isinstance(inner, dict) and depth and name in PAGES | ENVELOPES:
            found += _pages(inner, depth - 1)
    return found


def _is_page(items: list[object]) -> bool:
    """Whether a list holds nothing but IDs: others are rows of a table, without a header."""
    are_usual = (isinstance(one, str) and is_usual(tidied(one)) for one in items)
    return len(items) == 1 or (bool(items) and all(are_usual))


def _unwrapped(value: object) -> object:
    """A value without the object that names its type in an export of a database."""
    if isinstance(value, dict) and len(value) == 1 and not _TYPES.isdisjoint(value):
        return next(iter(value.values()))
    return value
