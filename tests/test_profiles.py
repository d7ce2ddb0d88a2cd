"""A file of settings with profiles: what counts first, and whose key goes where."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from builders import answer, ingest
from conftest import DOCUMENTED_ID, KEY

import connector
from connector.errors import SettingsError
from connector.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import CommandLine

    from connector.sandbox import Sandbox

DOCS = Path(__file__).parent.parent / "docs"
CONFIG = """\
warehouse = "of-all"
max_concurrency = 3
give_up_after = "2d"

[profiles.studio-a]
key_variable = "STUDIO_A_KEY"
warehouse = "of-a"
ids_per_request = 7

[profiles.studio-b]
key_variable = "STUDIO_B_KEY"
"""
SENSELESS = {
    "max_concurrency": ["0", "-5", "1e9", "nan", "99999999999999999999", "many"],
    "requests_per_second": ["0", "-1", "nan", "inf", "1e300", "1e-300"],
    "ids_per_request": ["0", "-1", "1001", "nan"],
    "max_attempts": ["0", "-1", "1e9"],
    "max_wait": ["0", "-1", "nan", "inf", "1e300"],
    "lock_timeout": ["-1", "nan", "inf", "1e300", "-PT5M", "PT99999999999999H"],
    "connect_timeout": ["0", "-1", "nan", "1e300"],
    "max_body_bytes": ["0", "-1", "1e30"],
    "batch_size": ["0", "-1", "1e30"],
    "term_prompts": ["0", "-1", "1e30"],
    "poll_first": ["0", "-1", "nan", "1e300"],
    "wait": ["-1", "nan", "inf", "1e300", "9" * 400, "P99999999D", "-PT5M", "PT", "P1H"],
    "give_up_after": ["-1", "nan", "1e9d", "9999999d"],
    "marts": ["2", "nan"],
    "partition_by": ["week"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: Callable[[], None]) -> Path:
    monkeypatch.chdir(tmp_path)
    clean()
    (tmp_path / "luma.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def remove() -> None:
        for name in ("LUMAAI_API_KEY", "LUMA_WAREHOUSE", "LUMA_BASE_URL"):
            monkeypatch.delenv(name, raising=False)

    return remove


def test_what_counts_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line, the environment, the profile, the rest of its file, `.env`, the default."""
    places: list[Any] = []

    def warehouse(**given: Any) -> None:
        settings = load(**given)
        places.append((settings.warehouse, str(settings.origin("warehouse").place)))

    warehouse()
    (folder / ".env").write_text("LUMA_WAREHOUSE=of-env-file\n")
    warehouse()
    warehouse(config="luma.toml")
    warehouse(config="luma.toml", profile="studio-a")
    warehouse(config="luma.toml", profile="studio-b")
    monkeypatch.setenv("LUMA_WAREHOUSE", "of-environment")
    warehouse(config="luma.toml", profile="studio-a")
    warehouse(config="luma.toml", profile="studio-a", warehouse="given")
    assert places == [
        ("warehouse", "default"),
        ("of-env-file", ".env"),
        ("of-all", "config file"),
        ("of-a", "profile"),
        ("of-all", "config file"),
        ("of-environment", "environment"),
        ("given", "command line"),
    ]
    monkeypatch.setenv("LUMA_CONFIG", str(folder / "luma.toml"))
    monkeypatch.setenv("LUMA_PROFILE", "studio-a")
    settings = load()
    assert (settings.ids_per_request, settings.max_concurrency) == (7, 3)
    assert settings.give_up_after == timedelta(days=2)


def test_a_profile_takes_the_key_of_its_own_variable_and_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUMAAI_API_KEY", "luma-key-of-another-account")
    monkeypatch.setenv("STUDIO_A_KEY", "luma-key-of-a")
    (folder / ".env").write_text("STUDIO_B_KEY=luma-key-of-b\n")
    for profile in "ab":
        settings = load(config="luma.toml", profile=f"studio-{profile}")
        assert settings.ready().get_secret_value() == f"luma-key-of-{profile}"
    monkeypatch.delenv("STUDIO_A_KEY")
    with pytest.raises(SettingsError, match=r"no key: set STUDIO_A_KEY .* profile studio-a of"):
        load(config="luma.toml", profile="studio-a").ready()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("warehous = 'x'", r"luma.toml: there is no setting 'warehous' \(did you mean warehouse\?"),
        ("[profiles.a]\nbase_ulr = 'x'", r"profile a of luma.toml: .* \(did you mean base_url"),
        ("[profile.a]\nwarehouse = 'x'", r"no setting 'profile' \(did you mean profiles"),
        ("[profiles.b]\nwarehouse = 'x'", "luma.toml has no profile 'a'; there are b"),
        ("", "luma.toml has no profile 'a'; there are none"),
        ("profiles = 3", r"write \[profiles.NAME\] above"),
        ("key = 'luma-secret'", "holds a key"),
        ("[profiles.a]\nLUMAAI_API_KEY = 'luma-secret'", "profile a of luma.toml holds a key"),
        ("key_variable = 'luma-secret'", "never the key itself"),
        ("warehouse = [", "is not TOML"),
        ("max_concurrency = 'many luma-secret'", "max_concurrency: .*"),
        ('max_wait = "\\u0000"', "max_wait: must be text without zero bytes"),
        (f"max_wait = {'9' * 400}", "max_wait: must be a number"),
        ("[profiles.a]\nmax_concurrency = -5", r"not '-5' \(profile a of luma.toml\)"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_without_its_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    monkeypatch.setenv("LUMAAI_API_KEY", "luma-secret")
    (folder / "luma.toml").write_text(content)
    with pytest.raises(SettingsError, match=message) as told:
        load(config="luma.toml", profile=None if content.startswith(("key", "max")) else "a")
    assert "luma-secret" not in str(told.value)


def test_a_profile_needs_a_file_and_a_file_must_be_there(folder: Path) -> None:
    with pytest.raises(SettingsError, match="name it with `config` or LUMA_CONFIG"):
        load(profile="studio-a")
    with pytest.raises(SettingsError, match=r"nowhere.toml cannot be read: No such file"):
        load(config="nowhere.toml")
    (folder / "luma.toml").write_bytes("warehouse = 'é'".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load(config="luma.toml")


@pytest.mark.parametrize("place", [".env", "relative LUMA_CONFIG", "config named by .env"])
def test_a_folder_cannot_send_the_key_of_the_environment_elsewhere(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path, place: str
) -> None:
    more = {"LUMA_BASE_URL": ""}
    if place == ".env":
        (tmp_path / ".env").write_text(f"LUMA_BASE_URL={sandbox.base_url}\n")
    else:
        (tmp_path / "luma.toml").write_text(f"base_url = '{sandbox.base_url}'\n")
        if place == "config named by .env":
            (tmp_path / ".env").write_text("LUMA_CONFIG=luma.toml\n")
        else:
            more["LUMA_CONFIG"] = "luma.toml"
    done = cli("ingest", DOCUMENTED_ID, **more)
    assert done.returncode == 2, done.stderr
    assert "somebody else's folder could send your key anywhere" in done.stderr
    assert sandbox.stats()["requests"] == 0
    meant = cli("ingest", DOCUMENTED_ID, "--base-url", sandbox.base_url, **more)
    assert meant.returncode == 0, meant.stderr


def test_a_file_that_the_user_names_may_have_the_base_url(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    config = tmp_path / "luma.toml"
    config.write_text(
        f"[profiles.studio-a]\nbase_url = '{sandbox.base_url}'\nkey_variable = 'STUDIO_A_KEY'\n"
        "warehouse = 'of-a'\n"
    )
    alone = {"LUMA_BASE_URL": "", "LUMA_WAREHOUSE": "", "LUMAAI_API_KEY": "", "STUDIO_A_KEY": KEY}
    by_option = ("--config", "luma.toml", "--profile", "studio-a")
    assert cli("ingest", DOCUMENTED_ID, *by_option, **alone).returncode == 0
    assert json.loads(cli("show", "--json", *by_option, **alone).stdout)["root"] == "of-a"
    by_variable = {**alone, "LUMA_CONFIG": str(config), "LUMA_PROFILE": "studio-a"}
    again = json.loads(cli("ingest", DOCUMENTED_ID, "--refresh", "--json", **by_variable).stdout)
    assert again["fetched"] == 1


def test_check_says_where_each_setting_comes_from(
    cli: CommandLine, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "luma.toml").write_text(CONFIG)
    (tmp_path / ".env").write_text(f"STUDIO_A_KEY={KEY}\nLUMA_MAX_WAIT=9\n")
    done = cli(
        *("check", "--config", "luma.toml", "--profile", "studio-a", "--ids-per-request", "2"),
        LUMA_WAREHOUSE="",
        LUMA_WAREHOUS="typo",
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout
    for line in (
        "LUMA_WAREHOUS is not a variable of any setting: did you mean LUMA_WAREHOUSE?",
        "key *** (STUDIO_A_KEY in .env)",
        f"base_url {sandbox.base_url} (LUMA_BASE_URL in the environment)",
        "warehouse of-a (profile studio-a of luma.toml)",
        "max_concurrency 3 (luma.toml)",
        "max_wait 9.0 (LUMA_MAX_WAIT in .env)",
        "ids_per_request 2 (command line)",
    ):
        assert line in lines, done.stdout
    assert next(line for line in lines if line.startswith("default: ")).count(",") > 10
    assert KEY not in done.stdout + done.stderr


def test_a_misspelt_variable_is_mentioned_and_others_are_not(cli: CommandLine) -> None:
    done = cli("ingest", DOCUMENTED_ID, LUMA_WAREHOUS="x", LUMA_THEME="dark", LUMAAI_KEY="luma-x")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines] == ["LUMAAI_KEY", "LUMA_WAREHOUS"]
    assert lines[0].endswith("did you mean LUMAAI_API_KEY?")
    assert "luma-x" not in done.stderr


@pytest.mark.parametrize("name", SENSELESS)
def test_a_value_that_makes_no_sense_is_refused_and_quoted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert folder  # without a `.env` and without variables
    for text in SENSELESS[name]:
        monkeypatch.setenv(f"LUMA_{name.upper()}", text)
        with pytest.raises(SettingsError) as told:
            load()
        monkeypatch.delenv(f"LUMA_{name.upper()}")
        assert str(told.value).startswith(f"settings: {name}: must be ")
        assert f"not '{text[:60]}" in str(told.value)
        assert f"(LUMA_{name.upper()} in the environment)" in str(told.value)
        with pytest.raises(SettingsError, match=name):
            load(**{name: text})


@pytest.mark.parametrize("limit", [0, -5, 1.5, float("nan"), True, "5", 10**30])
def test_a_limit_is_a_whole_number_from_1_on(folder: Path, cli: CommandLine, limit: Any) -> None:
    with pytest.raises(SettingsError, match=f"limit .* not {limit!r}"):
        connector.ingest([DOCUMENTED_ID], limit=limit, key=KEY, base_url="http://127.0.0.1:9")
    if limit not in (True, "5"):
        done = cli("ingest", DOCUMENTED_ID, "--limit", limit)
        assert (done.returncode, str(limit) in done.stderr) == (2, True), done.stderr
    assert not (folder / "warehouse").exists()


def test_several_accounts_as_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own example, over a warehouse for each account."""
    ingest(tmp_path / "studio-a", answer("a1"), answer("a2"))
    ingest(tmp_path / "studio-b", answer("b1"))
    page = (DOCS / "profiles.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    found = names["generations"]
    assert isinstance(found, pd.DataFrame)
    assert sorted(zip(found.account, found.task_id, strict=True)) == [
        ("studio-a", "a1"),
        ("studio-a", "a2"),
        ("studio-b", "b1"),
    ]
