"""Read the roles and collections that a repository requires, in every form of ansible-galaxy.

What ansible-galaxy refuses is refused here with the file and the line, before anything is started.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from packer_toolkit.errors import SetupError

ANSIBLE = Path("provisioners/ansible")
REQUIREMENTS = ANSIBLE / "requirements.yml"
# The places that Ansible's tools and AWX read.
FILES = tuple(
    ANSIBLE / folder / f"requirements.{suffix}"
    for folder in ("", "roles", "collections")
    for suffix in ("yml", "yaml")
)
_TYPES = ("file", "galaxy", "git", "url", "dir", "subdirs")
_FULL_NAME = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
_EXACT_VERSION = re.compile(r"(?:==?)?\s*\d+\.\d+\.\d+(?:[-+][\w.+-]+)?")
_START = yaml.Mark("", 0, 0, 0, "", 0)


class RequirementsError(SetupError):
    """A file of requirements that ansible-galaxy refuses.

    Attributes:
        file: Path from the root of the repository.
        line: Counted from 1.
        reason: The mistake, and the next step.
    """

    def __init__(self, file: Path, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


@dataclass(frozen=True)
class Requirement:
    """A role or a collection.

    Attributes:
        entry: The entry of the file, for ansible-galaxy.
        file: Path from the root of the repository.
        line: Counted from 1.
        name: The folder of the role, or NAMESPACE.NAME; "" where only its source has the name.
        version: The version in the file, or "".
        git_url: Address of the Git repository, or "".
        local_path: File or folder on this machine, which may not exist, or None.
        is_exact: Whether the version always means the same content; in Git, only a commit does.
    """

    entry: Any
    file: Path
    line: int
    name: str
    version: str
    git_url: str = ""
    local_path: Path | None = None
    is_exact: bool = False


@dataclass
class Requirements:
    """The requirements of all files of a repository."""

    roles: list[Requirement] = field(default_factory=list)
    collections: list[Requirement] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Report whether anything is required."""
        return bool(self.roles or self.collections)


def read_requirements(root: Path) -> Requirements:
    """Read every file of requirements.

    Args:
        root: The repository.

    Raises:
        RequirementsError: A file that ansible-galaxy would refuse.
    """
    requirements = Requirements()
    for file in FILES:
        if os.path.lexists(root / file):
            _File(root, file).read(requirements)
    return requirements


def role_name(entry: Any) -> str:
    """Return the folder of a role that requirements or other roles name.

    Args:
        entry: SOURCE[,VERSION[,NAME]], or a mapping.
    """
    if isinstance(entry, str):
        parts = [part.strip() for part in entry.split(",")]
        return parts[2] if len(parts) == 3 else _name_in_url(parts[0])
    name = entry.get("role") or entry.get("name")
    return str(name) if name else _name_in_url(str(entry.get("src", "")))


def _name_in_url(url: str) -> str:
    """Return the last part of a URL, as ansible-galaxy names a role."""
    if "://" not in url and "@" not in url:
        return url
    last = url.rpartition("/")[2].removesuffix(".git").removesuffix(".tar.gz")
    return last.partition(",")[0]


@dataclass(frozen=True)
class _File:
    """A file of requirements.

    Attributes:
        root: The repository.
        path: Path of the file from there.
    """

    root: Path
    path: Path

    def read(self, requirements: Requirements) -> None:
        data, node = _load(self.root, self.path)
        if data is None:
            return
        if isinstance(data, list):
            requirements.roles += self._roles(data, node)
        elif isinstance(data, dict):
            keys = {key.value: (key, value) for key, value in node.value}
            for key in data:
                if key not in ("roles", "collections"):
                    reason = f"{key} is not a key of requirements; only roles and collections are"
                    self._refuse(keys.get(str(key), (node, node))[0], reason)
            roles, collections = (
                keys.get(key, (node, node))[1] for key in ("roles", "collections")
            )
            requirements.roles += self._roles(data.get("roles"), roles)
            requirements.collections += [
                self._collection(entry, item)
                for entry, item in self._entries(
                    data.get("collections"), collections, "collections"
                )
            ]
        else:
            self._refuse(node, f"{data!r} is not a mapping with roles and collections")

    def _refuse(self, node: yaml.Node, reason: str) -> None:
        raise RequirementsError(self.path, _line(node), f"{reason}; see {ANSIBLE}/README.md")

    def _entries(self, values: Any, node: yaml.Node, what: str) -> Iterator[Any]:
        """Yield pairs of an entry and its node; of a mapping ansible-galaxy uses the keys."""
        if not values:
            return
        if not isinstance(values, list | dict):
            self._refuse(node, f"the {what} must be a list")
        nodes = [item[0] if isinstance(item, tuple) else item for item in node.value]
        entries = list(values)
        if len(entries) != len(nodes):  # with merge keys
            nodes = [node] * len(entries)
        for entry, item in zip(entries, nodes, strict=True):
            if not isinstance(entry, str | dict) or not entry:
                self._refuse(item, f"{entry!r} is not one of the {what}; use a name or a mapping")
            yield entry, item

    def _roles(self, values: Any, node: yaml.Node) -> Iterator[Requirement]:
        for entry, item in self._entries(values, node, "roles"):
            if isinstance(entry, dict) and "include" in entry:
                yield from self._include(entry["include"], item)
            else:
                yield self._role(entry, item)

    def _include(self, name: Any, node: yaml.Node) -> Iterator[Requirement]:
        path = self._find(str(name)) or Path(str(name))
        if not path.is_file():
            self._refuse(node, f"the file {name} to include does not exist")
        included = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        other = _File(self.root, included)
        data, inner = _load(self.root, included)
        if not isinstance(data, list):
            other._refuse(inner or node, "an included file must be a list of roles")
        for entry, item in other._entries(data, inner, "roles"):
            yield other._role(entry, item)

    def _role(self, entry: Any, node: yaml.Node) -> Requirement:
        if isinstance(entry, str):
            if entry.count(",") > 2:
                self._refuse(node, f"{entry} is not SOURCE[,VERSION[,NAME]]")
            source, _, rest = entry.partition(",")
            version, scm = rest.partition(",")[0].strip(), ""
        else:
            if not ({"role", "name", "src"} & set(entry)):
                self._refuse(node, "a role needs src or name")
            source = str(entry.get("src") or entry.get("role") or entry.get("name") or "")
            version, scm = _text(entry.get("version")), str(entry.get("scm") or "")
        git_url = ""
        if source.startswith("git+") or scm == "git":
            git_url = source.removeprefix("git+")
        elif isinstance(entry, dict) and "github.com" in source and not source.endswith(".tar.gz"):
            git_url = source if "http" in source and "+" not in source else ""
        local = None if "://" in source or git_url else self._find(source)
        if local is not None and local.is_file():
            entry = {"name": role_name(entry), "version": version, "src": str(local)}
        else:
            local = None
        # Galaxy has the versions of a role by name; an archive changes only with its URL.
        is_exact = bool(local) or (
            not git_url
            and scm != "hg"
            and not source.startswith("hg+")
            and ("://" in source or version not in ("", "HEAD", "main", "master"))
        )
        name = role_name(entry)
        return Requirement(entry, self.path, _line(node), name, version, git_url, local, is_exact)

    def _collection(self, entry: Any, node: yaml.Node) -> Requirement:
        fields = {"name": entry} if isinstance(entry, str) else entry
        name, source = _text(fields.get("name")), _text(fields.get("source"))
        kind, version = fields.get("type"), _text(fields.get("version"))
        if not name and not source:
            self._refuse(node, "a collection needs a name or a source")
        if kind not in (None, *_TYPES):
            self._refuse(node, f"the type {kind} is not one of {', '.join(_TYPES)}")
        if isinstance(entry, str) and ":" in entry and _FULL_NAME.fullmatch(entry.split(":")[0]):
            self._refuse(node, f"the version of {entry} needs a line of its own, such as"
                               f" version: {entry.partition(':')[2]}")  # fmt: skip
        line = _line(node)
        if kind in (None, "galaxy") and _FULL_NAME.fullmatch(name):
            is_exact = bool(_EXACT_VERSION.fullmatch(version))
            return Requirement(entry, self.path, line, name, version, is_exact=is_exact)
        where = "source" if source else "name"
        address = source or name
        local = None if "://" in address else self._find(address.removeprefix("git+"))
        if local is None and kind in ("dir", "file", "subdirs") and "://" not in address:
            local = self.root.absolute() / address
        if local is not None:
            entry = {**fields, where: str(local)}
        if kind == "git" or (kind is None and re.match(r"git[+@]", address)):
            url, _, inline = address.removeprefix("git+").partition(",")
            url = str(local) if local is not None else url.partition("#")[0]
            return Requirement(entry, self.path, line, "", version or inline, git_url=url)
        return Requirement(entry, self.path, line, "", version, local_path=local, is_exact=True)

    def _find(self, name: str) -> Path | None:
        """Return a path of this machine; a relative one is below Ansible's folder or the root."""
        for start in (self.root / ANSIBLE, self.root):
            if name and (start / name).exists():
                return Path(start.absolute() / name)
        return None


def _load(root: Path, path: Path) -> tuple[Any, yaml.Node]:
    """Return the data of a YAML file, and its nodes, which have the lines."""
    try:
        content = (root / path).read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; check the file and its permissions"
        raise RequirementsError(path, 1, reason) from None
    try:
        node = yaml.compose(content, Loader=yaml.SafeLoader)
        return yaml.safe_load(content), node or yaml.ScalarNode("", "", _START, _START)
    except yaml.reader.ReaderError as error:
        line = content[: error.position].count(b"\n") + 1
        reason = f"not valid YAML: {error.reason}; save the file as UTF-8"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        hint = "indent with spaces" if "'\\t'" in problem else "correct the line"
        reason = f"not valid YAML: {problem}; {hint}"
    except (ValueError, RecursionError) as error:
        # Such as for the date 2026-99-99, or for very deep lists.
        line, reason = 1, f"not valid YAML: {error}; correct the file"
    raise RequirementsError(path, line, reason)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
