"""A PostgreSQL server of the tests' own: on loopback, with a data folder that goes with it."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "pg-secret-51c2"

# Nothing in it has to last. A time zone with half an hour shows where one was forgotten.
FAST = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c timezone=Asia/Kolkata"


def why_not() -> str | None:
    """What is missing to start a server; None if nothing is."""
    if _programs() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and not _is_user("postgres"):
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server, and give the URL of its database."""
    programs, user = _programs(), "postgres" if os.geteuid() == 0 else getpass.getuser()
    assert programs
    # Not below pytest's folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="luma-postgres-"))
    (folder / "password").write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        shutil.chown(folder / "password", user)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "--pgdata", str(folder / "data"), *arguments]
        with (folder / "log").open("ab") as log:
            as_user = {"user": user} if os.geteuid() == 0 else {}
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd=folder, **as_user)

    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} {FAST}"
    try:
        run("initdb", "--username=luma", f"--pwfile={folder}/password", "--auth=scram-sha-256")
        run("pg_ctl", "--wait", "--options", options, "start")
        try:
            yield f"postgresql://luma:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "--wait", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path | None:
    """Folder of the newest server installed."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found := shutil.which("initdb"):
        places.append(Path(found))
    return max(places, key=lambda path: (len(str(path)), str(path))).parent if places else None


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
