"""Errors of object stores in plain words, and what they mean for a run."""

from __future__ import annotations

import re
from typing import Final

# Either the object was removed after its size was looked up, or the answer broke off.
_GONE: Final = "Failed to flush response stream"
_OF_A_STORE: Final = re.compile(
    r"AWS Error|google::cloud|Azure Error|HTTP status|curlCode|status code: \d|Generic \w+ error"
)
NO_BUCKET: Final = "the bucket does not exist"
DENIED: Final = "access is denied: check the permissions of these credentials"
NOT_ACCEPTED: Final = "the credentials are not accepted: they may be mistyped or expired"
OTHER_REGION: Final = "the bucket is in another region: set AWS_REGION"
BUSY: Final = "the store kept answering with errors"
SILENT: Final = "the store did not answer in time"
UNREACHABLE: Final = (
    "the store cannot be reached: check the network, and AWS_ENDPOINT_URL if that is set"
)

# Codes of the stores by meaning. Their texts are not quoted: they may contain parts of a key.
_SIGNS: Final = {
    NO_BUCKET: r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket does not exist",
    NOT_ACCEPTED: r"INVALID_ACCESS_KEY|InvalidAccessKeyId|INVALID_CLIENT_TOKEN|INVALID_SIGNATURE"
    r"|SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch|EXPIRED_TOKEN|ExpiredToken"
    r"|UNAUTHENTICATED|401 Unauthorized|AuthenticationFailed",
    DENIED: r"ACCESS_DENIED|AccessDenied|FORBIDDEN|HTTP status 403|403 Forbidden|PERMISSION_DENIED"
    r"|AuthorizationFailure|AuthorizationPermissionMismatch",
    OTHER_REGION: r"HTTP status 301|301 Moved|PermanentRedirect|AuthorizationHeaderMalformed",
    BUSY: r"SLOW_DOWN|SlowDown|SERVICE_UNAVAILABLE|HTTP status 50|500 Internal Server Error"
    r"|503 Service Unavailable|429 Too Many Requests|INTERNAL_FAILURE|InternalError|UNAVAILABLE",
    SILENT: r"REQUEST_TIMEOUT|curlCode: 28|DEADLINE_EXCEEDED|operation timed out",
    UNREACHABLE: r"NETWORK_CONNECTION|curlCode|Could not connect|Could not resolve"
    r"|error sending request",
}


def is_from_store(error: BaseException) -> bool:
    """Whether an error is the store's, and not due to a file's content."""
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return False  # Google's text looks like a failure
    is_it = isinstance(error, OSError) and _OF_A_STORE.search(text)
    return bool(is_it) and not is_perhaps_gone(error)


def is_perhaps_gone(error: BaseException) -> bool:
    """Whether an object may have been removed while it was read; otherwise the store failed."""
    return _GONE in str(error)


def reason(error: BaseException) -> str:
    """Explain a store's error in plain words, without any part of a secret."""
    text = str(error)
    if is_perhaps_gone(error):
        return "it was removed while it was read, or the answer broke off"
    for words, signs in _SIGNS.items():
        if re.search(signs, text):
            return words
    if not is_from_store(error):
        return str(getattr(error, "strerror", None) or text).rstrip(".")
    code = re.search(
        r"AWS Error (\w+)|HTTP status (\d+)|status code: (\d+)|Status\((\w+)|Azure Error: \[(\w+)",
        text,
    )
    return f"the store refused it ({next(filter(None, code.groups()))})" if code else "it failed"


def is_to_mend(error: BaseException) -> bool:
    """Whether a retry is pointless until someone corrects the settings."""
    return reason(error) in {NO_BUCKET, NOT_ACCEPTED, DENIED, OTHER_REGION}


def may_pass(error: BaseException) -> bool:
    """Whether the store itself failed, which says nothing about what it supports.

    Not over a certificate, which one library may trust and another not.
    """
    return reason(error) in {BUSY, SILENT, UNREACHABLE} and "InvalidCertificate" not in str(error)
