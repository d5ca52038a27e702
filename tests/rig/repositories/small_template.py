"""A small template with four releases, made for updates to go wrong: renders take milliseconds.

Between its releases files are changed, added, removed, renamed and split; a file becomes a folder
and a folder a file; modes, links and a binary file change.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from rig.repositories.template import git, release

Content = bytes | str
"""The bytes of a file, or where a link leads to."""

RELEASES = ("v1.0.0", "v1.1.0", "v2.0.0", "v2.1.0")
ANSWERS = "{{ _copier_conf.answers_file }}.jinja"
_QUESTIONS = """\
_min_copier_version: "9.18.0"
_subdirectory: template
_preserve_symlinks: true
name: {type: str, default: web}
size:
  type: str
  choices: [small, large]
  default: small
# The toolkit recognizes the template's answers file by these.
image_name: {type: str, default: web}
parent_image: {type: str, default: debian-12}
toolkit_image: {type: str, default: example.com/toolkit}
"""


def _numbered(name: str, count: int, **changes: str) -> str:
    """Return lines; some are alike, as in any file: blanks, braces."""
    lines = [f"{name} {number}" for number in range(1, count + 1)]
    for place in range(3, count, 4):
        lines[place] = ""
    for place in range(5, count, 6):
        lines[place] = "}"
    for key, text in changes.items():
        lines[int(key.removeprefix("line"))] = text
    return "\n".join(lines) + "\n"


def _first() -> dict[str, Content]:
    return {
        ANSWERS: b"# Written by Copier.\n{{ _copier_answers | to_nice_yaml -}}\n",
        "README.md.jinja": b"# {{ name }}\n\nA {{ size }} one.\n\nLines.\n",
        ".gitignore": b"/manifest.json\n*.log\n/packer_cache/\n",
        "build.hcl": _numbered("build", 24).encode(),
        "sources.hcl": _numbered("source", 12).encode(),
        "run.sh": b"#!/bin/sh\nset -eu\necho one\necho two\n",
        "plain.sh": b"#!/bin/sh\necho plain\n",
        "tool": b"a tool\nthat is one file\n",
        "scripts/10-first.sh": b"#!/bin/sh\necho first\n",
        "scripts/README.md": b"Scripts\n\nrun in order.\n",
        "lib/one.txt": _numbered("one", 10).encode(),
        "lib/two.txt": _numbered("two", 10).encode(),
        "link": "build.hcl",
        "logo.bin": bytes(range(256)),
        "latin.txt": "caf\u00e9\nna\u00efve\nplain\nend\n".encode("latin-1"),
        "windows.txt": b"one\r\ntwo\r\nthree\r\nfour\r\n",
        "gone.txt": _numbered("gone", 6).encode(),
        "old-name.txt": _numbered("named", 14).encode(),
        "no-newline.txt": b"first\nlast",
    }


def _second(files: dict[str, Content]) -> None:
    files["build.hcl"] = _numbered(
        "build", 24, line2="build 3, better", line9="build 10, new"
    ).encode()
    files["lib/one.txt"] = _numbered("one", 10, line0="one 1, first").encode()
    files["added.txt"] = b"added\nby a release\n"
    files["lib/three.txt"] = _numbered("three", 5).encode()
    files["logo.bin"] = bytes(reversed(range(256)))
    files["latin.txt"] = "caf\u00e9\nna\u00efve\nplain\nend\nmore\n".encode("latin-1")
    files["README.md.jinja"] = b"# {{ name }}\n\nA {{ size }} one, made well.\n\nLines.\n"


def _third(files: dict[str, Content]) -> None:
    del files["gone.txt"]
    del files["old-name.txt"]
    files["new-name.txt"] = _numbered("named", 14, line4="named 5, renamed").encode()
    # A file that becomes a folder, and a folder that becomes a file.
    del files["tool"]
    files["tool/main.txt"] = b"a tool\nof several files\n"
    for path in ("lib/one.txt", "lib/two.txt", "lib/three.txt"):
        del files[path]
    files["lib"] = b"one 2\nall in one\n"
    files["link"] = "sources.hcl"
    files["windows.txt"] = b"one\r\ntwo, changed\r\nthree\r\nfour\r\n"
    # Split.
    files["build.hcl"] = _numbered("build", 12, line2="build 3, better").encode()
    files["provision.hcl"] = _numbered("build", 24).split("build 13", 1)[1].encode()


def _fourth(files: dict[str, Content]) -> None:
    files["sources.hcl"] = _numbered("source", 12, line1="source 2, changed").encode() + b"end\n"
    files["run.sh"] = b"#!/bin/sh\nset -eu\necho one, again\necho two\n"
    files["no-newline.txt"] = b"first\nlast\nand more"
    files["scripts/20-second.sh"] = b"#!/bin/sh\necho second\n"
    files["plain.sh"] = "run.sh"  # A file that becomes a link.


_EXECUTABLE: Mapping[str, frozenset[str]] = {
    "v1.0.0": frozenset({"run.sh", "scripts/10-first.sh"}),
    "v1.1.0": frozenset({"run.sh", "scripts/10-first.sh", "plain.sh"}),
    "v2.0.0": frozenset({"run.sh"}),
    "v2.1.0": frozenset({"run.sh", "scripts/20-second.sh"}),
}


def make(folder: Path) -> Path:
    """Make the template, with all of its releases."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "-b", "main")
    (folder / "copier.yml").write_text(_QUESTIONS)
    files = _first()
    steps: list[Callable[[dict[str, Content]], None]] = [lambda _: None, _second, _third, _fourth]
    changelog = ""
    for tag, step in zip(RELEASES, steps, strict=True):
        step(files)
        shutil.rmtree(folder / "template", ignore_errors=True)
        for path, content in files.items():
            _write(folder / "template" / path, content, path in _EXECUTABLE[tag])
        changelog = f"## {tag[1:]} - 2026-11-25\n\n### Changed\n\n- Change of {tag}.\n\n{changelog}"
        (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n{changelog}")
        release(folder, tag)
    return folder


def _write(place: Path, content: Content, executable: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        place.symlink_to(content)
    else:
        place.write_bytes(content)
        place.chmod(0o755 if executable else 0o644)
