"""Prints the section of a version in CHANGELOG.md, as the notes of its release.

    python3 .ci/release_notes.py v1.2.3

Fails with one line when the version is not valid, has a tag already or is not in the changelog, and
when the toolkit image is not pinned: rendered repositories would build with whatever image the tag
in the registry names that day.  It also fails for tags that Copier or git describe could take for
the release.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_RELEASE = r"v\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.?\d+)?"


def read_notes(version: str, changelog: str, pins: str, tags: list[str]) -> str:
    """Return the notes of a version.

    Args:
        version: The version, such as v1.2.3.
        changelog: The text of CHANGELOG.md.
        pins: The text of includes/toolkit.jinja.
        tags: The tags of the repository.

    Raises:
        ValueError: When it cannot be released, with the reason.
    """
    if not re.fullmatch(_RELEASE, version):
        raise ValueError(f"{version[:40]!r} is not a version such as v1.2.3")
    if version in tags:
        raise ValueError(f"{version} has a tag already: choose the next version")
    parts = re.split(r"^## +\[?(v?[^\s\]]+)\]?.*$", changelog, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    section = sections.get(version, sections.get(version[1:], "")).strip()
    if not section:
        raise ValueError(f"CHANGELOG.md has no section {version}: describe what teams will see")
    digest = re.search(r'toolkit_digest = "(.*?)"', pins)
    if not digest or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest[1]):
        raise ValueError(
            "includes/toolkit.jinja has no digest: publish the toolkit image first"
            " (publish-toolkit.yml), and merge the pull request that it opens"
        )
    return section + "\n"


def refuse_other_tags(tags: list[str], at_commit: list[str]) -> None:
    """Make sure that only the release's own tag can be recorded for its commit.

    Tags of the toolkit image were made until 1.0.0, and repositories have recorded them.

    Args:
        tags: The tags of the repository.
        at_commit: The tags that point to the commit of the release.

    Raises:
        ValueError: When there is another tag, with the command that deletes it.
    """
    for tag in at_commit:
        raise ValueError(
            f"the tag {tag} points to this commit, and git describe may name it instead of the "
            f"release; delete it, or release another commit: git push --delete origin {tag}"
        )
    for tag in tags:
        if not re.fullmatch(rf"{_RELEASE}|toolkit-v[\d.]+", tag):
            raise ValueError(
                f"the tag {tag} is not a release such as v1.2.3, and Copier may take it for "
                f"one; delete it: git push --delete origin {tag}"
            )


def main() -> None:
    """Print the notes of the version on the command line."""

    def list_tags(*options: str) -> list[str]:
        command = ["git", "tag", "--list", *options]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return listed.stdout.split()

    tags = list_tags()
    try:
        notes = read_notes(
            sys.argv[1] if len(sys.argv) == 2 else "",
            (ROOT / "CHANGELOG.md").read_text(),
            (ROOT / "includes/toolkit.jinja").read_text(),
            tags,
        )
        refuse_other_tags(tags, list_tags("--points-at=HEAD"))
    except ValueError as error:
        sys.exit(f"release_notes.py: {error}")
    sys.stdout.write(notes)


if __name__ == "__main__":
    main()
