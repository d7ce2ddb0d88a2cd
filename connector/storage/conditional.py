"""Writes that the store refuses if an object is no longer what the writer takes it to be.

Arrow, which does everything else in a bucket, has no such writes; obstore has. It knows fewer
sources of credentials than Arrow, so those of AWS are looked up by botocore, as AWS's tools do.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import obstore
from obstore import exceptions as errors
from obstore.store import AzureStore, GCSStore, S3Store

from connector.storage import address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ObjectStore

    from connector.storage.address import Place

# What a store names a version of an object by: `e_tag`, Google's `version`, or both.
Tag = dict[str, str]

# No object has this tag.
NO_TAG: Final[Tag] = {"e_tag": f'"{"0" * 32}"', "version": "1"}

# Bytes that every store takes in one request; only one request can have a condition.
LARGEST: Final = 5_000 * 1024**2

# Seconds for a request, and bytes of a second more: an upload as slow as this is taken for dead.
REQUEST_SECONDS: Final = 60
SLOWEST: Final = 1024**2

# Credentials are looked up again after this time; botocore renews its own early enough.
CREDENTIALS_LIVE: Final = timedelta(minutes=5)


class Changed(Exception):
    """An object is not what the writer took it to be."""


class ConditionalStore:
    """The objects of a bucket, by their paths as Arrow has them: bucket, then name."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._store = _open(place, timedelta(seconds=REQUEST_SECONDS))

    def tag(self, path: str) -> Tag | None:
        """The tag of an object; None if it does not exist.

        Raises:
            OSError: The store failed or refused.
        """
        with _translating(), suppress(FileNotFoundError):
            return _tag(obstore.head(self._store, _key(path)))
        return None

    def get(self, path: str) -> tuple[bytes, Tag] | None:
        """The content of an object, and its tag; None if it does not exist.

        Raises:
            OSError: The store failed or refused.
        """
        with _translating(), suppress(FileNotFoundError):
            found = obstore.get(self._store, _key(path))
            return bytes(found.bytes()), _tag(found.meta)
        return None

    def put(self, path: str, content: bytes | IO[bytes], tag: Tag | None) -> Tag:
        """Write an object, by one request.

        Args:
            path: Its path.
            content: Its content, or a file with it, which is read into memory.
            tag: The tag of the object to be replaced; None if there must be none.

        Returns:
            The new tag.

        Raises:
            Changed: The object has another tag, or there is one. An earlier attempt at this
                request may have written it: the store's answer can be lost.
            OSError: The store failed or refused; the object may have been written.
        """
        store = self._store
        if not isinstance(content, bytes):
            seconds = content.seek(0, os.SEEK_END) // SLOWEST
            content.seek(0)
            if seconds > REQUEST_SECONDS // 2:
                store = _open(self._place, timedelta(seconds=REQUEST_SECONDS + seconds))
        mode: Any = "create" if tag is None else tag
        with _translating():
            try:
                return _tag(obstore.put(store, _key(path), content, mode=mode, use_multipart=False))
            except (errors.AlreadyExistsError, errors.PreconditionError) as error:
                raise Changed(path) from error


def _tag(found: Any) -> Tag:
    return {name: found[name] for name in ("e_tag", "version") if found.get(name)}


def _key(path: str) -> str:
    return path.partition("/")[2]


@contextmanager
def _translating() -> Iterator[None]:
    """Raise errors as Arrow does; `store_errors.reason` knows the texts of both."""
    try:
        yield
    except (errors.BaseError, ValueError) as error:
        raise OSError(str(error)) from error


def _open(place: Place, timeout: timedelta) -> ObjectStore:
    """Open the store that Arrow has open.

    Raises:
        OSError: These credentials are of a kind that obstore does not know.
    """
    options: dict[str, Any] = {
        "client_options": {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=address.CONNECT_SECONDS),
            "timeout": timeout,
        },
        "retry_config": {
            "max_retries": address.ATTEMPTS - 1,
            "retry_timeout": max(address.RETRY_FOR, timeout),
            "backoff": {"init_backoff": timedelta(seconds=0.25)},
        },
    }
    opened = {address.S3: _open_s3, address.GS: _open_google}.get(place.url.scheme, _open_azure)
    with _translating():
        return opened(place, options)


def _open_s3(place: Place, options: dict[str, Any]) -> ObjectStore:
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["client_options"]["root_certificate"] = Path(bundle).read_bytes()
    given = address.s3_options(place.url)
    if endpoint := given.get("endpoint_override"):
        scheme = given.get("scheme", "https")
        options["endpoint"] = endpoint if "://" in endpoint else f"{scheme}://{endpoint}"
    if not (os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY")):
        options["credential_provider"] = _aws_credentials()
    return S3Store(place.bucket, region=place.filesystem.region, **options)


def _aws_credentials() -> Any:
    """Credentials by AWS's own chain: profiles, SSO, assumed roles, containers, the machine's."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  takes a tenth of a second
    from botocore.session import Session  # noqa: PLC0415  as above

    try:
        found = Session().get_credentials()
    except BotoCoreError as error:
        raise OSError(str(error)) from error
    if found is None:
        raise OSError("no AWS credentials were found")

    def credentials() -> dict[str, Any]:
        now = found.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_LIVE,
        }

    return credentials


def _open_google(place: Place, options: dict[str, Any]) -> ObjectStore:
    if emulator := os.environ.get(address.GOOGLE_ENDPOINT):
        options |= {"base_url": emulator.rstrip("/"), "bearer_token": "of-no-account"}
    return GCSStore(place.bucket, **options)


def _open_azure(place: Place, options: dict[str, Any]) -> ObjectStore:
    if place.url.query:
        raise OSError("options in the address")
    given = address.azure_options()
    if "account_key" in given:
        options["account_key"] = given["account_key"]
    elif "sas_token" in given:
        options["sas_key"] = given["sas_token"]
    elif _has_azure_login():
        options["use_azure_cli"] = True
    if urlsplit(os.environ.get(address.AZURE_ENDPOINT, "")).path.strip("/"):
        options["endpoint"] = os.environ[address.AZURE_ENDPOINT]
    return AzureStore(place.bucket, account_name=address.azure_account(place.url), **options)


def _has_azure_login() -> bool:
    """Whether `az login` is what Azure's chain of credentials would come to."""
    earlier = ("AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT")
    if any(os.environ.get(name) for name in earlier) or not shutil.which("az"):
        return False
    return Path(os.environ.get("AZURE_CONFIG_DIR", "~/.azure")).expanduser().is_dir()
