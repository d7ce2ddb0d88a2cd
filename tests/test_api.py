"""`import connector`: what a notebook finds, and what it is told of a slip of the pen."""

from __future__ import annotations

import os
import pydoc
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from pydantic import SecretStr, TypeAdapter

import connector
import connector.run.keywords
from connector.errors import SettingsError, UsageError
from connector.settings import Settings, load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CommandLine


def test_everything_public_is_found_before_it_is_used() -> None:
    """In a fresh process: nothing has asked for `read` yet, and asking imports no pandas."""
    look = "import connector, sys; print(*dir(connector)); sys.exit('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert {"ingest", "read", "__version__"} <= set(done.stdout.split())
    assert connector.__version__ == version("luma-to-parquet")
    with pytest.raises(AttributeError, match="'connector' has no attribute 'reed'"):
        connector.reed  # noqa: B018  the asking is the point


def test_help_shows_all_there_is() -> None:
    shown = pydoc.plain(pydoc.render_doc(connector))
    assert "\n    ingest(" in shown
    assert "\n    read(" in shown
    assert f"\nVERSION\n    {connector.__version__}\n" in shown


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("warehous", "warehouse"),
        ("base_ulr", "base_url"),
        ("max_concurency", "max_concurrency"),
        ("api_key", "key"),
    ],
)
def test_a_misspelt_setting_is_an_error_before_anything_is_written(
    given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    misspelt: Any = {given: "luma-key-of-someone"}
    with pytest.raises(SettingsError, match=f"no setting '{given}' .did you mean {meant}") as told:
        connector.ingest(["t"], **misspelt)
    assert "luma-key-of-someone" not in str(told.value)
    assert not [*tmp_path.iterdir()]


def test_a_misspelt_setting_is_an_error_even_without_a_value() -> None:
    with pytest.raises(SettingsError, match="no setting 'nonsense'; there are key, api, base_url"):
        load(nonsense=None)


def test_the_keywords_are_the_settings() -> None:
    """Name for name; and each takes its default, and in its plainest form what pydantic reads."""
    names = {"os": os, "Sequence": Sequence, "SecretStr": SecretStr, "timedelta": timedelta}
    hints = get_type_hints(connector.run.keywords.Keywords, localns=names)
    assert [*hints] == [*Settings.model_fields]
    schema = Settings.model_json_schema(by_alias=False)["properties"]
    plainest = {"string": "1", "boolean": True, "integer": 1, "number": 1.5}
    for name, hint in hints.items():
        keyword = TypeAdapter(hint, config={"strict": True, "arbitrary_types_allowed": True})
        keyword.validate_python(Settings.model_fields[name].default)
        keyword.validate_python(None)
        kinds = [schema[name], *schema[name].get("anyOf", ())]
        for kind in {one.get("type") for one in kinds} & plainest.keys():
            if "enum" not in str(schema[name]):
                keyword.validate_python(plainest[kind])


def test_an_error_names_what_is_to_be_set_as_each_reader_knows_it(
    tmp_path: Path, cli: CommandLine
) -> None:
    """The parameter of Python and of the flow, the option of the command line."""
    (tmp_path / "ids.csv").write_text("name,state\na,done\n")
    for source, settings, name in (
        (str(tmp_path / "ids.csv"), {}, "column"),
        ("sqlite:///jobs.db", {}, "query"),
        ("a-b-c.txt", {"profile": "x"}, "config"),
        ("luma:list", {"keep": "owner"}, "keep"),
        ("luma:list", {"base_url": "http://gateway.example"}, "allow_http"),
    ):
        given: Any = {"key": "luma-key", "warehouse": str(tmp_path / "warehouse"), **settings}
        with pytest.raises(UsageError, match=f"`{name}`") as told:
            connector.ingest(source, **given)
        assert "--" not in str(told.value)
        options = [f"--{option.replace('_', '-')}={value}" for option, value in settings.items()]
        option = f"--{name.replace('_', '-')}"
        assert option in cli("ingest", source, *options, LUMAAI_API_KEY="luma-key").stderr
