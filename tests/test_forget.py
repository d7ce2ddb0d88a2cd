"""Task IDs that are forgotten leave no trace, and never come back."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest
from builders import answer, ingest
from case_gateway import CaseGateway
from test_recovery import logged
from test_warehouse import created

import connector
from connector.errors import WarehouseError
from connector.record.answer import Outcome
from connector.record.scrub import Scrubber
from connector.storage.local import LocalStorage
from connector.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine

ID = "4b3c464e-94f6-4e54-bc21-12f0e6da5791"
PROMPT = "a secret garden"


def hers(task_id: str = ID) -> dict[str, Any]:
    return {"id": task_id, "state": "completed", "prompt": PROMPT}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A warehouse in which an ID is in every place where one can be."""
    root = tmp_path / "warehouse"
    other = {"id": "other", "state": "completed", "parent": ID, "prompt": "a dog"}
    page = {"data": [{**other, "id": "page"}, hers()]}
    no = {"detail": f"{ID} is not yours"}
    ingest(
        root,
        answer(ID, hers()),
        answer("other", other),
        answer("page", page),
        answer("gone", no, outcome=Outcome.FORBIDDEN, status=403),
        batch="1",
    )
    with Warehouse.writing(root) as warehouse:
        warehouse.compact()
    ingest(root, created("kept", "2025-03-01", minutes=3), answer(ID, hers(), minutes=3), batch="2")
    with Warehouse.writing(root) as warehouse:
        warehouse.save("3", [answer(ID, hers(), minutes=9), created("new", "2025-03-02")], "run")
    (root / "damaged").mkdir()
    (root / "damaged/1.parquet").write_text(f"half a file about {ID}")
    (root / "walks.json").write_text(json.dumps({"format": 1, "walks": {"x": [ID]}}))
    (root / "report.html").write_text(PROMPT)
    return root


def is_clean(root: Path) -> None:
    """No file holds the ID or its prompt, neither as it is nor in a compressed column."""
    for path in filter(lambda path: path.is_file(), root.rglob("*")):
        assert ID.encode() not in path.read_bytes(), path
        if path.suffix == ".parquet":
            text = pd.read_parquet(path, partitioning=None).to_csv()
            assert ID not in text, path
            assert PROMPT not in text, path
    rows = connector.read("generations", root)
    assert set(rows.task_id) == {"other", "page", "kept", "new"}
    assert rows.set_index("task_id").loc["other", "prompt"] == "a dog"
    assert connector.read("rejects", root).body_start.tolist() == [
        '{"detail":"forgotten is not yours"}'
    ]


def test_an_id_is_gone_from_every_file_and_stays_away(root: Path, cli: CommandLine) -> None:
    refused = cli("forget", ID, "--warehouse", root)
    assert refused.returncode == 2
    assert "confirm it with --yes" in refused.stderr
    dry = cli("forget", ID, "--warehouse", root, "--dry-run")
    assert "1 task ID given, 1 in the tables" in dry.stdout
    done = cli("forget", ID, "--warehouse", root, "--yes")
    assert done.returncode == 0, done.stderr
    assert PROMPT not in (root / "report.html").read_text()
    is_clean(root)
    (note,) = connector.read("runs", root).note
    assert note.startswith("forgot 1 task ID on request: 4 rows removed")
    with CaseGateway() as gateway:
        arguments = ("--warehouse", root, "--base-url", gateway.base_url, "--json")
        again = cli("ingest", ID, *arguments)
    account = json.loads(again.stdout)
    assert (account["given"], account["forgotten"], gateway.asked) == (1, 1, [])
    with Warehouse.writing(root) as warehouse:
        warehouse.rebuild()
        # A worker that was taken for dead, and a file that somebody puts back.
        warehouse.save("late", [answer(ID, hers(), minutes=99)], "run")
        warehouse.commit()
    is_clean(root)
    # Whoever has the note alone cannot tell which IDs they were.
    assert len(json.loads((root / "forgotten.json").read_text())["hashes"]) == 1


def test_what_cannot_be_an_id_is_named(root: Path, cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("half of, an ID\n\n")
    refused = cli("forget", "ids.txt", "--warehouse", root, "--yes")
    assert refused.returncode == 2
    assert "no task ID to forget: 1 value of the list cannot be" in refused.stderr
    assert "'half of, an ID' is text" in refused.stderr
    assert not list(connector.read("runs", root).note.dropna())
    (tmp_path / "ids.txt").write_text(f"half of, an ID\n{ID}\n")
    done = cli("forget", "ids.txt", "--warehouse", root, "--yes")
    assert "1 task ID forgotten, 4 rows removed" in done.stdout
    assert "'half of, an ID' is text" in done.stderr


@pytest.mark.parametrize("command", [("forget", ID, "--yes"), ("rebuild",), ("compact",)])
def test_what_changes_tables_waits_for_another_run_if_asked(
    root: Path, cli: CommandLine, command: tuple[str, ...]
) -> None:
    with Warehouse.writing(root):
        told = cli(*command, "--warehouse", root, "--lock-timeout", "0.1")
        assert told.returncode == 2
        assert "another run is writing to" in told.stderr
    assert cli(*command, "--warehouse", root, "--lock-timeout", "0.1").returncode == 0


class Killed(BaseException):
    """Ends a process in the middle of its work."""


def test_killed_at_any_point_the_next_run_finishes_it(
    root: Path,
) -> None:
    points = 0
    while True:
        copy = root.with_name("copy")
        shutil.copytree(root, copy)
        left = points
        with pytest.MonkeyPatch.context() as patch:
            for name in ("replacing", "remove", "move"):
                original = getattr(LocalStorage, name)

                def strike(self: LocalStorage, *args: Any, _do: Any = original, **kw: Any) -> Any:
                    nonlocal left
                    if left == 0:
                        raise Killed
                    left -= 1
                    return _do(self, *args, **kw)

                patch.setattr(LocalStorage, name, strike)
            try:
                with Warehouse.writing(copy) as warehouse:
                    warehouse.forget([ID])
                is_over = True
            except Killed:
                is_over = False
        is_begun = (copy / ".forget.json").exists() or (copy / "forgotten.json").exists()
        if is_begun or is_over:
            with Warehouse.writing(copy):
                pass
            is_clean(copy)
            assert not (copy / ".forget.json").exists()
        shutil.rmtree(copy)
        if is_over:
            break
        points += 4  # a quarter of them, so that it takes seconds
    assert points > 20


def test_one_that_is_killed_early_forgets_all_its_ids_later(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those that are in no row of `generations`."""

    def strike(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch, Warehouse.writing(root) as warehouse:
        patch.setattr("connector.warehouse.forgotten.scrub_files", strike)
        with pytest.raises(Killed):
            warehouse.forget([ID, "gone"])
    with Warehouse.writing(root):
        pass
    assert "2 task IDs to forget: going on with it" in caplog.text
    assert "are back" not in caplog.text
    assert connector.read("rejects", root).empty
    assert "gone" not in set(connector.read("answers", root).task_id)


def test_marts_of_a_killed_run_keep_nothing(root: Path) -> None:
    """That run has made marts, but not yet noted that it has."""
    (root / "marts.json").unlink()
    assert ID in pd.read_parquet(root / "timings").task_id.tolist()
    with Warehouse.writing(root) as warehouse:
        warehouse.forget([ID])
    is_clean(root)


def test_a_damaged_file_does_not_stop_it(root: Path) -> None:
    with Warehouse.writing(root):
        pass
    path = max(logged(root))
    path.write_bytes(path.read_bytes()[:-30])
    with Warehouse.writing(root) as warehouse:
        warehouse.forget([ID])
    assert not list((root / "damaged").iterdir())
    for name in ("generations", "answers"):
        assert ID not in pd.read_parquet(root / name).to_csv()


@pytest.mark.parametrize("note", ["forgotten.json", ".forget.json"])
@pytest.mark.parametrize("damage", [b"", b"[]", b'{"format": 1}', bytes(9)])
def test_a_damaged_note_is_an_error_rather_than_a_way_back(
    root: Path, note: str, damage: bytes
) -> None:
    with Warehouse.writing(root) as warehouse:
        warehouse.forget([ID])
    (root / note).write_bytes(damage)
    with (
        pytest.raises(WarehouseError, match=r"damaged.*give the same IDs"),
        Warehouse.writing(root) as warehouse,
    ):
        warehouse.forgotten()


def test_a_short_id_is_a_word_of_its_own() -> None:
    rows = pa.table({"task_id": ["a", "b"], "text": ["x", "a, ab, a-b, /a/ a"]})
    scrubbed = Scrubber(["a"]).rows(rows)
    assert scrubbed.to_pylist() == [
        {"task_id": "b", "text": "forgotten, ab, a-b, /forgotten/ forgotten"}
    ]
    assert Scrubber(["c"]).rows(rows) is rows


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"x": {"id": {"of": ID}}}, {"x": {"id": {"of": "forgotten"}}}),
        ({"id": ID, "prompt": PROMPT}, {"id": "forgotten"}),  # the answer to another request
        ({"id": "other", "task_id": ID, "a": 1}, {"id": "other", "task_id": "forgotten", "a": 1}),
        ({"id": [ID], "u": f"/{ID.upper()}.mp4"}, {"id": ["forgotten"], "u": "/forgotten.mp4"}),
        ({"parent": {"id": ID.upper(), "prompt": PROMPT}}, {}),
        ({"all": {ID: {"prompt": PROMPT}, "b": 1}}, {"all": {"b": 1}}),
        ({"raw": json.dumps([{"id": ID.replace("-", ""), "prompt": PROMPT}])}, {"raw": "[]"}),
    ],
)
def test_no_shape_of_json_keeps_an_id_or_stops_it(body: Any, left: Any) -> None:
    assert json.loads(Scrubber([ID]).text(json.dumps(body).encode())) == left


@pytest.mark.parametrize("depth", [300, 900, 5000])
def test_json_of_any_depth_loses_the_id(depth: int) -> None:
    body = "[" * depth + f'"{ID}"' + "]" * depth
    left = Scrubber([ID]).text(body)
    assert left in {"forgotten", body.replace(ID, "forgotten")}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f'{{"id": "{ID}", "prompt": "{PROMPT}', "forgotten"),
        (f"[wide] {PROMPT}, as in {ID}", f"[wide] {PROMPT}, as in forgotten"),
        (f'{{"prompt": "{PROMPT}', f'{{"prompt": "{PROMPT}'),
    ],
)
def test_json_that_is_cut_off_keeps_nothing_but_text_does(text: str, left: str) -> None:
    assert Scrubber([ID]).text(text) == left


def test_what_only_lenient_readers_take_for_json_is_json() -> None:
    body = b'{"id": "other", "prompt": "\\ud800", "x": NaN, "y": "%s"}' % ID.encode()
    left = json.loads(Scrubber([ID]).text(body))
    assert (left["id"], left["prompt"], left["y"]) == ("other", "\ud800", "forgotten")


def test_kept_columns_go_too_and_stay_away(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(f"task_id,owner\n{ID},Ann\nother,Bob\n")
    assert cli("ingest", "ids.csv", "--keep", "owner").returncode == 0
    assert cli("forget", ID, "--yes").returncode == 0
    assert connector.read("given", tmp_path / "warehouse").owner.tolist() == ["Bob"]
    again = cli("ingest", "ids.csv", "--keep", "owner")
    assert "1  forgotten" in again.stdout
    assert connector.read("given", tmp_path / "warehouse").owner.tolist() == ["Bob"]


def test_an_older_copy_of_a_file_does_not_bring_an_id_back(root: Path) -> None:
    with Warehouse.writing(root) as warehouse:
        pass
    (path,) = (root / "generations").rglob("*=2025-03/*.parquet")
    before = path.read_bytes()
    assert ID in pd.read_parquet(root / "generations").task_id.tolist()
    with Warehouse.writing(root) as warehouse:
        warehouse.forget([ID])
    path.write_bytes(before)
    with Warehouse.writing(root):
        pass
    is_clean(root)


def test_a_rebuild_forgets_again_what_a_backup_of_the_log_holds(root: Path) -> None:
    backup = root.with_name("backup")
    with Warehouse.writing(root) as warehouse:
        shutil.copytree(root / "answers", backup)
        warehouse.forget([ID])
    shutil.copytree(backup, root / "answers", dirs_exist_ok=True)
    with Warehouse.writing(root) as warehouse:
        warehouse.rebuild()
    assert ID not in pd.read_parquet(root / "answers").to_csv()
    is_clean(root)


def test_an_older_copy_of_rejects_does_not_bring_an_id_back(root: Path) -> None:
    path = root / "rejects/rejects.parquet"
    before = path.read_bytes()
    with Warehouse.writing(root) as warehouse:
        warehouse.forget([ID, "gone"])
    path.write_bytes(before)
    with Warehouse.writing(root) as warehouse:
        assert connector.read("rejects", root).empty
        warehouse.rebuild()
