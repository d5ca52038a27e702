"""What must not be read by everybody: secrets, and account numbers in what gets published."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from packer_toolkit.private_keys import PrivateKeys

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
    r"|(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"  # JSON web tokens
    # Name and password in an address; for HTTP the name alone may be a token.
    r"|(?<=://)[^/\s:@]+:[^/\s]+(?=@)|(?<=http://)[^/\s@]+(?=@)|(?<=https://)[^/\s@]+(?=@)"
)
# The name stays, its value goes: password=…, "secret": "…", Authorization: Bearer …
_NAMED = re.compile(
    r"((?:pass(?:word|wd|phrase)?|secret(?:[_ -]?(?:access[_ -]?)?key)?|authorization|token"
    r"|(?:api|access|private|session|auth)[_-]?(?:key|token))"
    r"[\w.-]{0,64}[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:bearer |basic |token )?)"
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
            if (_SECRET_NAME.search(name) and not _PLACE.search(name)) or "PRIVATE KEY" in value
            for part in [value.strip(), *value.split("\n")]
            if len(part) >= _SHORTEST
        }
        longest_first = sorted(values, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def secrets(self, text: str) -> str:
        """Mask secrets only: for the log that the user watches."""
        return self._line(PrivateKeys().mask_text(text))

    def everything(self, text: str) -> str:
        """Mask account IDs, and values whose names sound like a secret, too: for publishing."""
        return self._publishable(self.secrets(text))

    def follow(self) -> Callable[[str], str]:
        """Return `secrets` for a stream of lines: a private key is masked in all of them."""
        keys = PrivateKeys()
        return lambda line: self._line(keys.mask(line))

    def lines(self, lines: Sequence[str], builds: Collection[str] = ()) -> list[str]:
        """Mask everything in lines that belong together, such as the last lines of a build.

        Args:
            lines: Of several builds perhaps, in the order of the output.
            builds: Names of builds that lines begin with.
        """
        masked = PrivateKeys(builds).mask_lines(lines)
        return [self._publishable(self._line(line)) for line in masked]

    def _line(self, text: str) -> str:
        return _SHAPES.sub(SECRET, self._values.sub(SECRET, text))

    def _publishable(self, text: str) -> str:
        text = _LONG.sub(SECRET, _NAMED.sub(rf"\g<1>{SECRET}", text))
        return _ACCOUNT.sub(ACCOUNT, text)
