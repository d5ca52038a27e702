"""What must not get out: secrets and account numbers in texts that others will read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

_SECRET = "[secret]"  # noqa: S105 - what is shown instead of one

_PATTERNS = (
    # A private key, whole, also when its end is missing.
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.S),
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,})"),
    re.compile(r"\bxox[abprs]-[\w-]{10,}"),
    # A signed token: three parts, each in base64.
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
    # Session tokens of AWS, and whatever else is that long and without a blank.
    re.compile(r"(?<![\w/+])[A-Za-z0-9/+]{120,}={0,2}"),
)
# The name stays, its value goes: password=…, "secret": "…", Authorization: Bearer …
_NAMED = re.compile(
    r"(?i)((?:pass(?:word|wd|phrase)?|secret(?:[_ -]?(?:access[_ -]?)?key)?|"
    r"(?:api|access|private|session|auth)[_-]?(?:key|token)|token|authorization|credentials?)"
    r"[\w.-]*[\"']?\s*[:=]\s*[\"']?(?:bearer |basic |token )?)"
    r"(?!\[secret\])([^\s\"',;&]{3,})"
)
_IN_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@", re.I)
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASS(?:WORD|WD)|PRIVATE|CREDENTIAL|API_?KEY", re.I)
_SHORTEST = 6


def secrets_of_environment() -> list[str]:
    """Return values of the environment that are secrets by their name, the longest first."""
    found = {
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST and not value.startswith("/")
    }
    return sorted(found, key=len, reverse=True)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return TEXT without secrets and account numbers.

    Args:
        text: anything, of one line or many.
        secrets: words that must not be seen, besides what looks like a secret.
    """
    for secret in secrets:
        text = text.replace(secret, _SECRET)
    for pattern in _PATTERNS:
        text = pattern.sub(_SECRET, text)
    text = _NAMED.sub(rf"\g<1>{_SECRET}", text)
    text = _IN_ADDRESS.sub(rf"\g<1>{_SECRET}@", text)
    return _ACCOUNT.sub("[account]", text)
