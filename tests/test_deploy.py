"""The files of `deploy/`: each is valid, and the command in it does what it is there for.

What needs a daemon or a cluster is not run here, but checked as far as schemas and tools go.
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import prefect.settings
import pytest
import yaml
from cronsim import CronSim
from dockerfile import steps
from prefect_harness import PROJECT

from connector.sandbox import task_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = PROJECT / "deploy"
PAGE = (PROJECT / "docs/operate.md").read_text(encoding="utf-8")
PYTHON = Path(sys.executable)

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CLAIM, CRON_JOB = yaml.safe_load_all((DEPLOY / "cronjob.yaml").read_text())
CONTAINER = CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
# YAML takes `on` for a boolean.
WORKFLOW: dict[Any, Any] = yaml.safe_load((DEPLOY / "github-workflow.yaml").read_text())
CRON = (DEPLOY / "luma-to-parquet.cron").read_text().splitlines()[-1]
SERVICE = (DEPLOY / "luma-to-parquet.service").read_text()
DAG = ast.parse((DEPLOY / "airflow_dag.py").read_text())


def of_dag(keyword: str) -> Any:
    """What the DAG gives for a keyword."""
    (found,) = (
        one.value for one in ast.walk(DAG) if isinstance(one, ast.keyword) and one.arg == keyword
    )
    return ast.literal_eval(found)


def commands() -> Iterator[tuple[str, str]]:
    """Each file's command, as a shell reads it."""
    yield "cron", CRON.partition(" luma ")[2]
    yield "systemd", re.findall("^ExecStart=(.*)", SERVICE, re.MULTILINE)[0]
    yield "kubernetes", shlex.join(CONTAINER["command"])
    yield "github", WORKFLOW["jobs"]["ingest"]["steps"][-1]["run"]
    yield "airflow", of_dag("bash_command")


COMMANDS = dict(commands())


def check(*command: object) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_fills_the_tables(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """In a shell, with the paths of this machine."""
    script = tmp_path / "luma-to-parquet"
    script.write_text(f'#!/bin/sh\nexec {PYTHON} -m connector "$@"\n')
    script.chmod(0o755)
    places = {
        "/opt/luma-to-parquet/bin/luma-to-parquet": "luma-to-parquet",
        "/var/lib/luma-to-parquet": str(tmp_path),
        "/ids/": f"{tmp_path}/",
        "=/warehouse": f"={tmp_path}/warehouse",
    }
    command = COMMANDS[name]
    for there, here in places.items():
        command = command.replace(there, here)
    ids = task_ids(30)
    (tmp_path / "data").mkdir()
    for path in ("task_ids.txt", "data/task_ids.txt"):
        (tmp_path / path).write_text("\n".join(ids))
    (tmp_path / "env").touch()
    path = f"{tmp_path}:{environment['PATH']}"
    more = {**environment, "PATH": path, "WAREHOUSE": "warehouse", "PYTHONPATH": str(PROJECT)}
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=more, check=True)
    assert sorted(pd.read_parquet(tmp_path / "warehouse/generations").task_id) == sorted(ids)


SCHEDULES = {
    "cron": " ".join(CRON.split()[:5]),
    "kubernetes": CRON_JOB["spec"]["schedule"],
    "github": WORKFLOW[True]["schedule"][0]["cron"],
    "airflow": of_dag("schedule"),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_schedule_is_of_a_quarter_of_an_hour_or_an_hour(name: str) -> None:
    due = CronSim(SCHEDULES[name], datetime(2026, 1, 1, tzinfo=UTC))
    first, second = next(due), next(due)
    assert (second - first).total_seconds() == (3600 if name == "github" else 900)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian's package systemd)")
    for kind in ("service", "timer"):
        unit = (DEPLOY / f"luma-to-parquet.{kind}").read_text()
        (tmp_path / f"luma-to-parquet.{kind}").write_text(
            unit.replace("/opt/luma-to-parquet/bin/luma-to-parquet", str(PYTHON))
        )
    check("systemd-analyze", "verify", *tmp_path.iterdir())
    (calendar,) = re.findall(
        "^OnCalendar=(.*)", (DEPLOY / "luma-to-parquet.timer").read_text(), re.MULTILINE
    )
    check("systemd-analyze", "calendar", "--iterations=2", calendar)


@pytest.mark.parametrize(
    ("file", "schema"), [("compose", "compose-spec"), ("github-workflow", "github-workflows")]
)
def test_the_file_fits_its_schema(file: str, schema: str) -> None:
    path = DEPLOY / f"{file}.yaml"
    check(PYTHON, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", path)


def test_kubernetes_takes_the_manifests() -> None:
    """By the schemas of Kubernetes itself, and no field of them is misspelt."""
    check(PYTHON.parent / "kubernetes-validate", "--strict", DEPLOY / "cronjob.yaml")
    spec = CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    mounted = {one["name"] for one in CONTAINER["volumeMounts"]}
    assert mounted == {one["name"] for one in spec["volumes"]}
    claims = [one["persistentVolumeClaim"]["claimName"] for one in spec["volumes"][1:]]
    assert claims == [CLAIM["metadata"]["name"]]


def test_compose_uses_what_the_image_has() -> None:
    """Its Dockerfile, its folders; and each service waits for one that there is."""
    image = dict(steps(DEPLOY / "Dockerfile"))
    assert image["WORKDIR"] == "/site"
    for service in COMPOSE["services"].values():
        assert (PROJECT / service["build"]["dockerfile"]).is_file()
        assert {*service.get("depends_on", ())} <= {*COMPOSE["services"]}
        for volume in service.get("volumes", ()):
            source, target = volume.split(":")[:2]
            assert target.startswith("/site/")
            assert source in COMPOSE["volumes"] or (PROJECT / source).is_file()


def test_the_server_removes_old_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect ignores a setting with a slip in its name, so it is asked what it makes of them."""
    for name, text in COMPOSE["services"]["server"]["environment"].items():
        monkeypatch.setenv(name, text)
    server = prefect.settings.Settings().server
    assert server.services.db_vacuum.enabled_vacuum_types >= {"events", "flow_runs"}
    assert server.services.db_vacuum.retention_period == timedelta(days=30)
    assert server.concurrency.lease_storage.endswith("filesystem")


def test_the_dag_imports_where_airflow_is_installed() -> None:
    """Without a stub: Airflow's own import, where there is one; else its names are looked over."""
    compile(DAG, "airflow_dag.py", "exec")
    modules = {node.module for node in DAG.body if isinstance(node, ast.ImportFrom)}
    assert {"airflow.sdk", "airflow.providers.standard.operators.bash"} <= modules
    pytest.importorskip("airflow", reason="Airflow is not installed: the DAG was not imported")
    check(PYTHON, DEPLOY / "airflow_dag.py")


def test_the_page_names_every_file() -> None:
    for path in DEPLOY.iterdir():
        assert f"deploy/{path.name}" in PAGE or path.is_dir(), path.name
