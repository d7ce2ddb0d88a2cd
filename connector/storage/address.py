"""Object stores: their addresses, and how to open them.

An address is `s3://bucket/prefix`, `gs://bucket/prefix` or `abfss://container@account…/prefix`.
Credentials come from where the cloud's own tools look for them: environment, profile, role.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from connector.errors import UsageError
from connector.storage.store_errors import reason
from connector.words import did_you_mean, plain

if TYPE_CHECKING:
    from pyarrow import fs

S3: Final = "s3"
GS: Final = "gs"
SCHEMES: Final = (S3, GS, "abfss", "abfs")
OTHER_NAMES: Final = {"s3a": S3, "s3n": S3, "gcs": GS, "wasbs": "abfss", "az": "abfss"}
S3_OPTIONS: Final = ("region", "endpoint_override", "scheme")
GOOGLE_ENDPOINT: Final = "STORAGE_EMULATOR_HOST"
AZURE_ENDPOINT: Final = "AZURE_STORAGE_SERVICE_ENDPOINT"

CONNECT_SECONDS: Final = 10

# A request without progress for this long is retried.
STALL_SECONDS: Final = 20

# Attempts at a request to S3; the waits between them double, up to half a minute in all.
ATTEMPTS: Final = 6

# Retries of Google's client; its own default is a quarter of an hour.
RETRY_FOR: Final = timedelta(seconds=90)

_URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.]*)://")

# An address with a slash too few, which would else be a folder of that name.
_SLIP: Final = re.compile(rf"({'|'.join((*SCHEMES, *OTHER_NAMES))}):/*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an object store.

    Attributes:
        address: The address as people write it, without options.
        filesystem: The store.
        path: Bucket and prefix.
        url: The address with its options, to open the store again.
    """

    address: str
    filesystem: fs.FileSystem
    path: str
    url: SplitResult

    @property
    def bucket(self) -> str:
        """The bucket, or the container."""
        return self.path.partition("/")[0]

    @property
    def replaces_whole(self) -> bool:
        """Whether an object keeps its content until a new one has arrived whole.

        Not on Azure: opening an object to write empties it (Arrow's `ObjectAppendStream`).
        """
        return self.url.scheme in (S3, GS)

    def single_put(self) -> fs.FileSystem:
        """The store, opened such that a small object is uploaded in one request.

        Not for large objects: if the multipart upload fails to start, an empty object is left.
        """
        return _s3(self.url, allow_delayed_open=True) if self.url.scheme == S3 else self.filesystem


def is_url(address: str) -> bool:
    """Whether an address is a URL, valid or not, and not a path on a disk."""
    found = _URL.match(address)
    return bool(found) and found[1].lower() != "file"  # type: ignore[index]  # it is one


def check_slashes(address: str) -> None:
    """Refuse `s3:/bucket` and `s3:bucket`.

    Raises:
        UsageError: It is an address of a bucket, but for the slashes.
    """
    found = _SLIP.match(address)
    if found and not is_url(address):
        rest = address[found.end() :]
        raise UsageError(
            f"{address} lacks a slash: write {found[1]}://{rest}, or ./{address} for a folder"
        )


def is_object_store(address: str) -> bool:
    """Whether an address names a supported object store."""
    return address.partition("://")[0].lower() in SCHEMES and "://" in address


def open_place(address: str) -> Place:
    """Open the store that an address names, without a request except for a bucket's region.

    Raises:
        UsageError: The address is of an unknown kind, or contains a secret.
    """
    from pyarrow import fs  # noqa: PLC0415  takes a tenth of a second, which local warehouses save

    url = urlsplit(address)
    shown = f"{url.scheme}://{url.netloc}{url.path}".rstrip("/")
    _check(url, shown)
    path = str(PurePosixPath(url.netloc, url.path.strip("/")))
    try:
        if url.scheme == S3:
            return Place(shown, _s3(url), path, url)
        if url.scheme == GS:
            google = fs.GcsFileSystem(retry_time_limit=RETRY_FOR, **_emulator())
            return Place(shown, google, path, url)
        filesystem, path = fs.FileSystem.from_uri(address)
        if options := azure_options():
            filesystem = fs.AzureFileSystem(azure_account(url), **options)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} cannot be opened: {reason(error)}") from None
    return Place(shown, filesystem, path.rstrip("/"), url)


def _check(url: SplitResult, shown: str) -> None:
    if url.scheme not in SCHEMES:
        meant = OTHER_NAMES.get(url.scheme)
        hint = f" Write it as {meant}://…." if meant else ""
        raise UsageError(
            f"{url.scheme}://… is not a supported address: name a folder, or s3://…, gs://…"
            f" or abfss://….{hint}"
        )
    if (
        url.password
        or (url.username and not url.scheme.startswith("abfs"))
        or any(secret in url.query for secret in ("sig=", "client_secret="))
    ):
        raise UsageError(
            f"{url.scheme}://… has a secret in its address, which messages would show:"
            " put credentials where the cloud's own tools look for them, such as AWS_ACCESS_KEY_ID"
            " or a profile"
        )
    if url.fragment:
        raise UsageError(
            f"{shown}#… has a #, which no part of an address may have: name a prefix without it"
        )
    _check_options(url, shown)
    if not url.netloc:
        raise UsageError(f"{url.scheme}://… names no bucket: write {url.scheme}://bucket/prefix")


def _check_options(url: SplitResult, shown: str) -> None:
    """Refuse what is ignored otherwise: a part of the name behind a `?`, a misspelt option."""
    if not url.query or url.scheme.startswith("abfs"):
        return  # Arrow reads, and checks, those of Azure
    known = S3_OPTIONS if url.scheme == S3 else ()
    for part in url.query.split("&"):
        name, _, value = part.partition("=")
        if name not in known or not value:
            options = ", ".join(f"{one}=…" for one in known) or "none"
            raise UsageError(
                f"{shown}?… has no option {plain(name, 40)!r}{did_you_mean(name, known)}; options"
                f" are {options}, and a name cannot have a ?"
            )


def _s3(url: SplitResult, **more: bool) -> fs.FileSystem:
    """Open S3 as `FileSystem.from_uri` does, with our own timeouts and retries."""
    from pyarrow import fs  # noqa: PLC0415  as above

    options: dict[str, object] = {**s3_options(url)}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        options.setdefault("region", region)
    elif "endpoint_override" not in options and "region" not in options:
        options["region"] = fs.resolve_s3_region(url.netloc)
    return fs.S3FileSystem(
        connect_timeout=CONNECT_SECONDS,
        request_timeout=STALL_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        **options,
        **more,
    )


def s3_options(url: SplitResult) -> dict[str, str]:
    """The options in an address, and the endpoint that the environment names."""
    options = {name: value for name, value in parse_qsl(url.query) if name in S3_OPTIONS}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return {"endpoint_override": endpoint, **options} if endpoint else options


def _emulator() -> dict[str, object]:
    """Options for an emulator of Google's store, if the variable that its clients use names one."""
    endpoint = urlsplit(os.environ.get(GOOGLE_ENDPOINT, ""))
    if not endpoint.netloc:
        return {}
    return {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme, "anonymous": True}


def azure_options() -> dict[str, str]:
    """Options from the variables of Azure's command line, which Arrow does not read.

    Without them, Arrow tries `AZURE_TENANT_ID` and so on, a managed identity, and `az login`. An
    endpoint with the account in its path is an emulator.
    """
    options = {}
    # Arrow accepts only one, and a key has all permissions.
    if key := os.environ.get("AZURE_STORAGE_KEY"):
        options["account_key"] = key
    elif token := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
        options["sas_token"] = token
    endpoint = urlsplit(os.environ.get(AZURE_ENDPOINT, ""))
    if endpoint.path.strip("/"):
        for service in ("blob", "dfs"):
            options[f"{service}_storage_authority"] = endpoint.netloc
            options[f"{service}_storage_scheme"] = endpoint.scheme
    return options


def azure_account(url: SplitResult) -> str:
    """The account, in any form of address that Arrow reads."""
    host = url.hostname or ""
    return host.partition(".")[0] if "." in host else (url.username or host)
