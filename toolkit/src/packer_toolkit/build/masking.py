"""Masks secrets in the log, and also account IDs in what is published."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from packer_toolkit.build import secret_forms
from packer_toolkit.build.private_keys import PrivateKeys

SECRET, ACCOUNT = "***", "<account>"
# Shorter values occur in harmless words.
_SHORTEST = 8
_ACCOUNT = re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])")


class Mask:
    """Masks secrets.

    Args:
        environment: Variables; the values of those whose names are like that of a secret are
            masked wherever they occur.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        values = {
            part
            for name, value in environment.items()
            if (secret_forms.NAME.search(name) and not secret_forms.PLACE.search(name))
            or "PRIVATE KEY" in value
            for part in [value.strip(), *value.split("\n")]
            if len(part) >= _SHORTEST
        }
        longest_first = sorted(values, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def secrets(self, text: str) -> str:
        """Mask only secrets, for the log."""
        return self._line(PrivateKeys().mask_text(text))

    def everything(self, text: str) -> str:
        """Mask account IDs, and values beside names like that of a secret, too, for publishing."""
        return self._publishable(self.secrets(text))

    def follow(self) -> Callable[[str], str]:
        """Return a function that masks the next line of a stream, also inside a private key."""
        keys = PrivateKeys()
        return lambda line: self._line(keys.mask(line))

    def lines(self, lines: Sequence[str], builds: Collection[str] = ()) -> list[str]:
        """Mask everything in lines that belong together, such as the last lines of a build.

        Args:
            lines: Lines of one or several builds, in the order of the output.
            builds: Names of builds with which lines begin.
        """
        masked = PrivateKeys(builds).mask_lines(lines)
        return [self._publishable(self._line(line)) for line in masked]

    def _line(self, text: str) -> str:
        return secret_forms.TOKEN.sub(SECRET, self._values.sub(SECRET, text))

    def _publishable(self, text: str) -> str:
        for form in secret_forms.BESIDE:
            text = form.sub(rf"\g<1>{SECRET}", text)
        return _ACCOUNT.sub(ACCOUNT, secret_forms.LONG.sub(SECRET, text))
