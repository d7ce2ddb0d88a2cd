"""Object stores: which addresses name one, how it is opened, and its errors in plain words.

An address is `s3://bucket/prefix`, `gs://bucket/prefix` or `abfss://container@account…/prefix`.
The credentials are where the clouds' own tools look for them: environment, profile, role.
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

if TYPE_CHECKING:
    from pyarrow import fs

S3: Final = "s3"
GS: Final = "gs"
SCHEMES: Final = (S3, GS, "abfss", "abfs")
OTHER_NAMES: Final = {"s3a": S3, "s3n": S3, "gcs": GS, "wasbs": "abfss", "az": "abfss"}
S3_OPTIONS: Final = ("region", "endpoint_override", "scheme")

CONNECT_SECONDS: Final = 10

# A request on which nothing moves for so long is given up, and tried again.
STALL_SECONDS: Final = 20

# Of a request to S3; the waits between them double, half a minute in all at most.
ATTEMPTS: Final = 6

# How long Google's client tries; its own default is a quarter of an hour.
RETRY_FOR: Final = timedelta(seconds=90)

_URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.]*)://")

# An object that was removed between the look at its size and the request for its content; or an
# answer that broke off.
_GONE: Final = "Failed to flush response stream"
_OF_A_STORE: Final = re.compile(r"AWS Error|google::cloud|Azure Error|HTTP status|curlCode")
NO_BUCKET: Final = "there is no such bucket"
DENIED: Final = "access is denied: look at what these credentials may do there"
NOT_ACCEPTED: Final = "the credentials are not accepted: are they mistyped, or expired?"
OTHER_REGION: Final = "the bucket is in another region: set AWS_REGION"

# How stores put it, by what it means. Nothing they say is quoted: it may hold parts of a key.
_SIGNS: Final = {
    NO_BUCKET: ("NO_SUCH_BUCKET", "NoSuchBucket", "ContainerNotFound", "bucket does not exist"),
    NOT_ACCEPTED: (
        "INVALID_ACCESS_KEY",
        "InvalidAccessKeyId",
        "INVALID_CLIENT_TOKEN",
        "SIGNATURE_DOES_NOT_MATCH",
        "SignatureDoesNotMatch",
        "INVALID_SIGNATURE",
        "EXPIRED_TOKEN",
        "ExpiredToken",
        "UNAUTHENTICATED",
        "AuthenticationFailed",
    ),
    DENIED: (
        "ACCESS_DENIED",
        "AccessDenied",
        "FORBIDDEN",
        "HTTP status 403",
        "PERMISSION_DENIED",
        "AuthorizationFailure",
        "AuthorizationPermissionMismatch",
    ),
    OTHER_REGION: ("HTTP status 301", "PermanentRedirect", "AuthorizationHeaderMalformed"),
    "the store answered with errors, however often it was asked": (
        "SLOW_DOWN",
        "SlowDown",
        "SERVICE_UNAVAILABLE",
        "HTTP status 50",
        "INTERNAL_FAILURE",
        "InternalError",
        "UNAVAILABLE",
    ),
    "the store did not answer in time": ("REQUEST_TIMEOUT", "curlCode: 28", "DEADLINE_EXCEEDED"),
    "the store cannot be reached: look at the network, and at AWS_ENDPOINT_URL if that is set": (
        "NETWORK_CONNECTION",
        "curlCode",
        "Could not connect",
        "Could not resolve",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an object store.

    Attributes:
        address: As people write it, without options.
        filesystem: The store.
        path: Of the place in it: bucket and prefix.
        options: To open the same store again with others.
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
        """Whether an object keeps its content until a new one has come in whole.

        Not Azure's: opening it to write empties it (Arrow's `ObjectAppendStream`).
        """
        return self.url.scheme in (S3, GS)

    def single_put(self) -> fs.FileSystem:
        """The store, so opened that a small object goes up in one request.

        Not for large ones: where the upload in parts cannot be started, an empty object is left.
        """
        return _s3(self.url, allow_delayed_open=True) if self.url.scheme == S3 else self.filesystem


def is_url(address: str) -> bool:
    """Whether this is meant for an object store, well written or not, and no path on a disk."""
    found = _URL.match(address)
    return bool(found) and found[1].lower() != "file"  # type: ignore[index]  # it is one


def is_object_store(address: str) -> bool:
    """Whether this is the address of an object store that is known here."""
    return address.partition("://")[0] in SCHEMES and "://" in address


def open_place(address: str) -> Place:
    """Open the store that an address names; it is asked nothing, but for the region at times.

    Raises:
        UsageError: It names none, or holds a secret.
    """
    from pyarrow import fs  # noqa: PLC0415  a tenth of a second, for those who have no bucket

    url = urlsplit(address)
    _check(url)
    shown = f"{url.scheme}://{url.netloc}{url.path}".rstrip("/")
    path = str(PurePosixPath(url.netloc, url.path.strip("/")))
    try:
        if url.scheme == S3:
            return Place(shown, _s3(url), path, url)
        if url.scheme == GS:
            google = fs.GcsFileSystem(retry_time_limit=RETRY_FOR, **_emulator())
            return Place(shown, google, path, url)
        filesystem, path = fs.FileSystem.from_uri(address)
        if options := _azure_options():
            filesystem = fs.AzureFileSystem(_account(url), **options)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} cannot be opened: {reason(error)}") from None
    return Place(shown, filesystem, path.rstrip("/"), url)


def _check(url: SplitResult) -> None:
    if url.scheme not in SCHEMES:
        meant = OTHER_NAMES.get(url.scheme)
        hint = f" Write it as {meant}://…." if meant else ""
        raise UsageError(
            f"{url.scheme}://… is no address that is known here: name a folder, or s3://…, gs://…"
            f" or abfss://….{hint}"
        )
    if (
        url.password
        or (url.username and not url.scheme.startswith("abfs"))
        or any(secret in url.query for secret in ("sig=", "client_secret="))
    ):
        raise UsageError(
            f"{url.scheme}://… has a secret in its address, which would be shown: put credentials"
            " where the cloud's own tools look for them, such as AWS_ACCESS_KEY_ID or a profile"
        )
    if not url.netloc:
        raise UsageError(f"{url.scheme}://… names no bucket: write {url.scheme}://bucket/prefix")


def _s3(url: SplitResult, **more: bool) -> fs.FileSystem:
    """As `FileSystem.from_uri` has it, but with patience and limits of our own choice."""
    from pyarrow import fs  # noqa: PLC0415  as above

    options: dict[str, object] = {k: v for k, v in parse_qsl(url.query) if k in S3_OPTIONS}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options.setdefault("endpoint_override", endpoint)
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


def _emulator() -> dict[str, object]:
    """A server that plays Google's, if the variable that its own clients know names one."""
    endpoint = urlsplit(os.environ.get("STORAGE_EMULATOR_HOST", ""))
    if not endpoint.netloc:
        return {}
    return {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme, "anonymous": True}


def _azure_options() -> dict[str, str]:
    """What Azure's own command line has from its variables, and Arrow does not look for.

    Without them Arrow tries what the clouds' libraries do: `AZURE_TENANT_ID` and so on, a managed
    identity, `az login`. An endpoint that has the account in its path is a server that plays Azure.
    """
    options = {}
    # Arrow takes one of them, and a key may do all.
    if key := os.environ.get("AZURE_STORAGE_KEY"):
        options["account_key"] = key
    elif token := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
        options["sas_token"] = token
    endpoint = urlsplit(os.environ.get("AZURE_STORAGE_SERVICE_ENDPOINT", ""))
    if endpoint.path.strip("/"):
        for service in ("blob", "dfs"):
            options[f"{service}_storage_authority"] = endpoint.netloc
            options[f"{service}_storage_scheme"] = endpoint.scheme
    return options


def _account(url: SplitResult) -> str:
    """The account in any of the ways in which Arrow reads an address."""
    host = url.hostname or ""
    return host.partition(".")[0] if "." in host else (url.username or host)


def is_from_store(error: BaseException) -> bool:
    """Whether an error tells of the store, and not of what is in a file."""
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return False  # in Google's words too, which look like a failure
    is_it = isinstance(error, OSError) and _OF_A_STORE.search(text)
    return bool(is_it) and not is_perhaps_gone(error)


def is_perhaps_gone(error: BaseException) -> bool:
    """Whether an object may have been removed while it was read; or else the store failed."""
    return _GONE in str(error)


def reason(error: BaseException) -> str:
    """Tell in plain words what a store's error means, with no part of a secret."""
    text = str(error)
    if is_perhaps_gone(error):
        return "it was removed while it was read, or the answer broke off"
    for words, signs in _SIGNS.items():
        if any(sign in text for sign in signs):
            return words
    if not is_from_store(error):
        return str(getattr(error, "strerror", None) or text).rstrip(".")
    code = re.search(r"AWS Error (\w+)|HTTP status (\d+)|Status\((\w+)|Azure Error: \[(\w+)", text)
    return f"the store refused it ({next(filter(None, code.groups()))})" if code else "it failed"


def is_to_mend(error: BaseException) -> bool:
    """Whether trying again is pointless until somebody has mended the settings."""
    return reason(error) in {NO_BUCKET, NOT_ACCEPTED, DENIED, OTHER_REGION}
