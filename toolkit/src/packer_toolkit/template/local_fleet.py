"""A fleet of local clones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError, limit_query
from packer_toolkit.repository.answers_file import choose_answers_file
from packer_toolkit.template.fleet import AnswersFile, TagLister


@dataclass(frozen=True)
class LocalFleet:
    """Clones in a folder.

    Attributes:
        folder: The folder with the clones, or one clone.
        prefix: Prefix of their names.
        tag_lister: Lists the tags of templates.
    """

    folder: Path
    prefix: str
    tag_lister: TagLister

    def list_names(self) -> Sequence[str]:
        """Return the clones whose names begin with the prefix."""
        if (self.folder / ".git").exists():
            return ["."]
        names = sorted(
            entry.name
            for entry in self.folder.iterdir()
            if entry.name.startswith(self.prefix) and (entry / ".git").exists()
        )
        if not names:
            raise SetupError(
                f"{self.folder} has no clone whose name begins with {self.prefix}; choose another "
                "prefix with --prefix"
            )
        return names

    def read_answers(self, name: str) -> AnswersFile | None:
        """Return the answers file in the work tree."""
        folder = self.folder / name
        path = choose_answers_file(folder)
        try:
            return AnswersFile(path, (folder / path).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SetupError(f"{path} cannot be read: {error.strerror}") from None

    def find_update_time(self, name: str, path: str) -> str:
        """Return the time of the last commit of a file."""
        try:
            # A partial clone fetches what it does not have.
            git = limit_query(Git(self.folder / name), self.tag_lister.compute_timeout())
            return git.text("log", "-1", "--format=%cI", "--", f":(literal){path}")
        except GitError as error:
            raise SetupError(f"git cannot read it: {error.reason}") from None

    def list_tags(self, template: str) -> Mapping[str, str]:
        """Return the tags that git lists."""
        return self.tag_lister.list_tags(template)

    def find_disabled_workflows(self, name: str) -> str:
        """Return an empty string: a clone does not show disabled workflows."""
        del name
        return ""
