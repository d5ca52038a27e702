"""Masks private keys in output that arrives line by line, from several builds at the same time."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

MASK = "***"
# Lines in a row that cannot belong to a key.  A key whose end is missing, as in the output of
# `grep BEGIN`, must not hide the rest of the build.
_MOST_OTHER_LINES = 30

_GAP = r"(?: |\+|%20)"
_NAME = rf"(?:[A-Z0-9]{{1,20}}{_GAP}){{0,4}}PRIVATE{_GAP}KEY(?:{_GAP}BLOCK)?"
_PEM_END = rf"-{{4,5}} ?END{_GAP}{_NAME}(?: ?-{{1,5}})?"
_PUTTY_END = r"Private-(?:MAC|Hash): ?\w*"
_BEGIN = {
    # PEM, OpenSSH, PGP and SSH2; the block of a certificate or a public key stays readable.
    "pem": rf"-{{4,5}} ?BEGIN{_GAP}{_NAME}(?: ?-{{1,5}})?",
    "putty": r"Private-Lines: ?\d+",
    # A PEM file in base64, as in a Kubernetes secret: it ends with the first line of other text.
    "encoded": (
        r"LS0tLS1CRUdJTi(?:BQUklW|BSU0Eg|BFQyBQ|BPUEVO|BFTkNS|BEU0Eg|BQR1AgUFJJ)[A-Za-z0-9+/=]*"
    ),
}
_BEGINNING = re.compile("|".join(_BEGIN.values()))
_END = re.compile(f"{_PEM_END}|{_PUTTY_END}")
_MARK = re.compile(
    "|".join(f"(?P<{name}>{pattern})" for name, pattern in _BEGIN.items())
    + f"|(?P<pem_end>{_PEM_END})|(?P<putty_end>{_PUTTY_END})"
)
_HINT = re.compile(r"PRIVATE|Private-|LS0tLS1CRUdJTi")
# A line of a key, also quoted, indented, or after the marks of `set -x` and diff.
_BODY = re.compile(r"[^A-Za-z0-9/]{0,40}[A-Za-z0-9+/=]{32,}[^A-Za-z0-9]{0,8}n?[^A-Za-z0-9]{0,8}")
_SHORT = re.compile(r"[\s\"'+|-]{0,40}[A-Za-z0-9+/=]{1,64}[\s\"',|]{0,8}")

_COLOR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TIME = r"(?:\d{4}-\d\d-\d\dT\S+: )?"
_PREFIX = re.compile(rf"(?:\d+,[^,]*,ui,\w+,)?{_TIME}(?:==>|   ) {_TIME}([\w.-]+): ?")
# Packer writes these lines itself.  No key goes beyond them.
_NEXT_STEP = re.compile(
    r"Provisioning with |Provisioning step had errors|Running (?:local shell script|post-processor)"
    r"|Stopping the source instance|Creating AMI|Terminating the source |Cleaning up "
    r"|Cancelling |Committing the container|Killing the container|Deleting temporary "
)
_PACKERS_OWN = re.compile(rf"{_TIME}(?:==>|-->) |Build '")


@dataclass
class _Stream:
    """The output of one build.

    Attributes:
        ends: How many keys are being printed, by the group of _MARK that ends them.  Where
            standard output and standard error interleave, a second key begins before the first
            one ends.
        encoded: Whether the base64 form of a key is being printed.
        suspicious: Whether the end of a key never came: lines of a key are still masked.
        others: Lines in a row that cannot belong to a key.
    """

    ends: Counter[str] = field(default_factory=Counter)
    encoded: bool = False
    suspicious: bool = False
    others: int = 0

    @property
    def inside(self) -> bool:
        """Whether a key is being printed."""
        return self.encoded or any(self.ends.values())


@dataclass
class PrivateKeys:
    """Masks the lines of private keys; it remembers for each build whether one is being printed.

    Args:
        builds: Names of builds that prefix a line without Packer's arrow, as in a report.
    """

    builds: Collection[str] = ()
    _streams: dict[str, _Stream] = field(default_factory=dict)
    _last: str = ""

    def mask(self, line: str) -> str:
        """Mask what belongs to a private key in the next line.

        Args:
            line: With or without its end and colors.
        """
        plain = _COLOR.sub("", line) if "\x1b" in line else line
        text = plain.rstrip("\r\n")
        prefix, name = self._split(text)
        stream = self._streams.get(name)
        if (stream is None or not (stream.inside or stream.suspicious)) and not _HINT.search(text):
            return line
        if stream is None:
            stream = self._streams[name] = _Stream()
        content = text[len(prefix) :]
        masked = _mask_content(stream, content)
        if masked == content:
            return line
        colors = _COLOR.match(line)
        before, after = (colors[0], "\x1b[0m") if colors else ("", "")
        return f"{before}{prefix}{masked}{after}{plain[len(text) :]}"

    def mask_lines(self, lines: Sequence[str]) -> list[str]:
        """Mask lines whose neighbors are known: also those before an END without a BEGIN."""
        masked: list[str] = []
        names: list[str] = []
        for line in lines:
            _, name = self._split(line)
            stream = self._streams.get(name)
            end = None if stream and stream.inside else _END.search(line)
            orphan = end is not None and not _BEGINNING.search(line, 0, end.start())
            masked.append(self.mask(line))
            names.append(name)
            short = 2 if orphan else 0
            for before in reversed(range(len(masked) - 1 if orphan else 0)):
                start = len(self._split(lines[before])[0])
                if names[before] != name:
                    continue
                if _BODY.fullmatch(lines[before], start):
                    short = 0
                else:
                    # The last line of a key, and the checksum of PGP, are shorter.
                    short -= 1
                    if short < 0 or not _SHORT.fullmatch(lines[before], start):
                        break
                masked[before] = lines[before][:start] + MASK
        return masked

    def mask_text(self, text: str) -> str:
        """Mask a text; a key of several lines becomes one mask."""
        if not _HINT.search(text):
            return text
        masked: list[str] = []
        for original, line in zip(text.split("\n"), self.mask_lines(text.split("\n")), strict=True):
            if masked and line != original and line.startswith(MASK) and masked[-1].endswith(MASK):
                masked[-1] += line.removeprefix(MASK)
            else:
                masked.append(line)
        return "\n".join(masked)

    def _split(self, text: str) -> tuple[str, str]:
        """Return what Packer wrote before a line of a build, and the build's name."""
        if found := _PREFIX.match(text):
            self._last = found[1]
            return found[0], found[1]
        name, colon, _ = text.partition(": ")
        if colon and name in self.builds:
            self._last = name
            return f"{name}: ", name
        # A carriage return or a program's own line break: it goes on without a prefix.
        last = self._streams.get(self._last)
        if last and (last.inside or last.suspicious) and not _PACKERS_OWN.match(text):
            return "", self._last
        return "", ""


def _mask_content(stream: _Stream, text: str) -> str:
    """Mask a line of a build, without its prefix, and follow where a key begins and ends."""
    if _NEXT_STEP.match(text):
        stream.ends.clear()
        stream.encoded = stream.suspicious = False
    elif not _BODY.fullmatch(text):
        stream.encoded = False
    parts = [MASK] if stream.inside else []
    position = 0
    for mark in _MARK.finditer(text):
        kind = str(mark.lastgroup)
        if stream.ends[kind] > 0:
            stream.ends[kind] -= 1
            stream.suspicious = stream.suspicious and stream.inside
        elif kind in _BEGIN:
            if not stream.inside:
                parts += [text[position : mark.start()], MASK]
            if kind == "encoded":
                stream.encoded = True
            else:
                stream.ends[f"{kind}_end"] += 1
        else:
            continue
        position = mark.end()
    if not stream.inside:
        parts.append(_mask_rest(stream, text[position:]))
    if not stream.inside or _BODY.fullmatch(text) or _BEGINNING.search(text):
        stream.others = 0
    else:
        stream.others += 1
    if stream.others == _MOST_OTHER_LINES:
        stream.ends.clear()
        stream.suspicious = True
        return f"{MASK} (the end of a private key is missing: output is shown again)"
    return "".join(parts)


def _mask_rest(stream: _Stream, text: str) -> str:
    """Mask the remaining part of a key whose beginning or end is missing."""
    end = _END.search(text)
    if end:
        stream.suspicious = False
        # The END is not a secret, and shows those who know all lines that a key is before it.
        body = text[: end.start()].rstrip("-+/=\\" + string.ascii_letters + string.digits)
        hidden = MASK if len(body) < end.start() else ""
        return f"{body}{hidden}{text[end.start() :]}"
    return MASK if stream.suspicious and _BODY.fullmatch(text) else text
