"""What must not be read by everybody: secrets, and account numbers in what gets published."""

from __future__ import annotations

import re
from collections.abc import Mapping

SECRET, ACCOUNT = "***", "<account>"
# Shorter values would be found in innocent words.
_SHORTEST = 8
_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.I
)
# These lead to a secret and are none.
_PLACE = re.compile(r"_(FILE|PATH|URL|URI|EXPIRATION|DIR|ID_TOKEN_REQUEST_URL)$", re.I)
_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # access keys of AWS
    r"|\bgh[a-z]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"  # GitHub's tokens
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"  # JSON web tokens
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # name and password in an address
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.S,
)
# The name stays, its value goes: password=…, "secret": "…", Authorization: Bearer …
_NAMED = re.compile(
    r"((?:pass(?:word|wd|phrase)?|secret(?:[_ -]?(?:access[_ -]?)?key)?|authorization|token"
    r"|(?:api|access|private|session|auth)[_-]?(?:key|token))"
    r"[\w.-]*[\"']?\s*[:=]\s*[\"']?(?:bearer |basic |token )?)"
    r"(?!\*\*\*)[^\s\"',;&]{3,}",
    re.I,
)
# Session tokens of AWS, and whatever else is that long and without a blank.
_LONG = re.compile(r"(?<![\w/+])[A-Za-z0-9/+]{120,}={0,2}")
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")


class Mask:
    """Replaces what must not be read.

    Args:
        environment: Variables; the values of those that sound like a secret are masked wherever
            they appear.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        values = {
            part
            for name, value in environment.items()
            if _SECRET_NAME.search(name) and not _PLACE.search(name)
            for part in [value.strip(), *value.split("\n")]
            if len(part) >= _SHORTEST
        }
        longest_first = sorted(values, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def secrets(self, text: str) -> str:
        """Mask secrets only: for the person or the log that watches the build."""
        return _SHAPES.sub(SECRET, self._values.sub(SECRET, text))

    def everything(self, text: str) -> str:
        """Mask account numbers, and what is called a secret, too: for what is published."""
        text = _LONG.sub(SECRET, _NAMED.sub(rf"\g<1>{SECRET}", self.secrets(text)))
        return _ACCOUNT.sub(ACCOUNT, text)
