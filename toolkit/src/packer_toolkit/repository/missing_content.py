"""Find folders without the expected content, such as a Git submodule that was not fetched.

Without this check, an image would silently lack the content of the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.repository.galaxy_folder import read_mapping
from packer_toolkit.repository.requirements_file import (
    ANSIBLE,
    RequirementsError,
    read_requirements,
)

_ROLES = ANSIBLE / "roles"
_COLLECTIONS = ANSIBLE / "collections" / "ansible_collections"
_SHELL = Path("provisioners/shell")
_INSPEC = Path("inspec")
# Files that may be in a folder that is otherwise empty.
_PLACEHOLDER = re.compile(r"\.git.*|\.keep|readme.*|license.*|changelog.*|contributing.*", re.I)
_MAIN = ("main.yml", "main.yaml", "main.json")
_YAML = (".yml", ".yaml", ".json")
FETCH = "git submodule update --init --recursive"


@dataclass(frozen=True)
class MissingContent:
    """A path without the expected content.

    Attributes:
        path: From the root of the repository.
        reason: The missing content, and the next step.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def find_missing_content(root: Path) -> list[MissingContent]:
    """Return the paths of a repository that lack roles, collections, scripts or controls.

    Args:
        root: The repository, an absolute path.
    """
    # The repository may be a folder of a larger one.
    top = next((each for each in (root, *root.parents) if (each / ".git").exists()), root)
    submodules = [
        (top / path).relative_to(root)
        for path in _find_submodules(top)
        if (top / path).is_relative_to(root)
    ]
    missing = [
        MissingContent(path, f"the Git submodule is empty; fetch it with: {FETCH}")
        for path in submodules
        if _is_below(path, (Path("provisioners"), _INSPEC)) and _is_empty(root / path)
    ]
    for path, reason, next_step in (
        *_find_broken_links(root),
        *_find_links(root, submodules),
        *_find_local_collections(root),
        *_find_roles(root),
        *_find_collections(root),
        *_find_controls(root),
    ):
        if any(path == each.path or each.path in path.parents for each in missing):
            continue
        target = _find_target(root, path)
        if _is_below(path, submodules) or _is_below(target, submodules):
            next_step = f"it belongs to a Git submodule, fetch it with: {FETCH}"
        missing.append(MissingContent(path, f"{reason}; {next_step}"))
    return sorted(dict.fromkeys(missing), key=lambda each: each.path)


def require_content(root: Path) -> None:
    """Make sure that no folder of a repository lacks the expected content.

    Args:
        root: The repository.

    Raises:
        SetupError: One does; the message has the first folder.
    """
    if missing := find_missing_content(root.absolute()):
        others = len(missing) - 1
        more = f" (and {others} more, see: task check)" if others else ""
        raise SetupError(f"{missing[0]}{more}")


def find_applied_roles(root: Path) -> list[str]:
    """Return the roles that every build applies, as build.pkr.hcl finds them."""
    return sorted(
        role.name
        for role in _list_folders(root / _ROLES)
        if _has_main(role / "tasks") or (not (role / "tasks").is_dir() and _has_dependencies(role))
    )


def _find_submodules(root: Path, folder: Path = Path()) -> list[Path]:
    """Return the paths of .gitmodules, including those of submodules in submodules."""
    file = root / folder / ".gitmodules"
    if not file.is_file():
        return []
    arguments = ("config", "--file", str(file), "--null", "--get-regexp", r"\.path$")
    try:
        paths = [entry.partition("\n")[2] for entry in Git(root).fields(*arguments)]
    except GitError:  # no path
        return []
    except SetupError:  # git is not installed
        paths = re.findall(r"^\s*path\s*=\s*(.+?)\s*$", file.read_text(errors="replace"), re.M)
    submodules = []
    for path in paths:
        submodule = folder / path
        is_inside = ".." not in submodule.parts and not submodule.is_absolute()
        if is_inside and submodule != folder:  # as with the path "."
            submodules += [submodule, *_find_submodules(root, submodule)]
    return submodules


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _find_target(root: Path, path: Path) -> Path:
    """Return the target of a symbolic link, from the root of the repository."""
    start = Path(os.path.realpath(root))
    target = Path(os.path.realpath(root / path))
    return target.relative_to(start) if target.is_relative_to(start) else path


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not os.listdir(folder)


def _list_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder and the broken links, without hidden ones."""
    if not folder.is_dir():
        return []
    return sorted(
        each
        for each in folder.iterdir()
        if not each.name.startswith(".") and (each.is_dir() or _is_dangling(each))
    )


def _is_dangling(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _has_files(folder: Path) -> bool:
    """Report whether there is a file below a folder that is not a placeholder."""
    for _, folders, names in os.walk(folder, followlinks=False):
        if any(not _PLACEHOLDER.fullmatch(name) for name in names):
            return True
        folders[:] = [name for name in folders if name != ".git"]
    return False


_Problem = tuple[Path, str, str]


def _find_dangling(root: Path, path: Path) -> Iterator[_Problem]:
    if _is_dangling(path):
        reason = f"the symbolic link points to {os.readlink(path)}, which does not exist"
        yield path.relative_to(root), reason, "correct or delete it"


def _find_broken_links(root: Path) -> Iterator[_Problem]:
    """Yield broken links among folders with content, scripts and controls."""
    controls = _INSPEC / "controls"
    folders = (ANSIBLE, _ROLES, _COLLECTIONS.parent, _COLLECTIONS, _SHELL, _INSPEC, controls)
    scripts = sorted((root / _SHELL).glob("[!.]*.sh"))
    for path in (*(root / each for each in folders), *scripts, *(root / controls).glob("*.rb")):
        yield from _find_dangling(root, path)


def _find_links(root: Path, submodules: list[Path]) -> Iterator[_Problem]:
    """Yield symbolic links into submodules that were not fetched."""
    if not submodules:
        return
    for part in (root / "provisioners", root / _INSPEC):
        for folder, folders, files in os.walk(part):
            folders[:] = [each for each in folders if each != ".galaxy"]
            for path in (Path(folder, each) for each in (*folders, *files)):
                if path.is_symlink() and (not path.exists() or _is_empty(path)):
                    link = path.relative_to(root)
                    if _is_below(_find_target(root, link), submodules):
                        yield link, "the symbolic link points into a submodule", ""


def _find_local_collections(root: Path) -> Iterator[_Problem]:
    try:
        collections = read_requirements(root).collections
    except RequirementsError:  # reported where requirements are installed
        return
    for each in collections:
        path = each.local_path and Path(os.path.normpath(each.local_path))
        if path and path.is_relative_to(root) and (_is_empty(path) or not path.exists()):
            place = path.relative_to(root)
            yield place, f"the collection of {each.file}:{each.line} is empty", "correct the path"


# --------------------------------------------------------------------------------- roles


def _find_roles(root: Path) -> Iterator[_Problem]:
    for role in _list_folders(root / _ROLES):
        yield from _find_dangling(root, role)
        if not role.is_dir() or _has_main(role / "tasks") or _has_dependencies(role):
            continue
        path = role.relative_to(root)
        if not _has_content(role):
            yield path, "the role is empty", "add tasks/main.yml, or delete the folder"
            continue
        links = [each for name in _MAIN for each in _find_dangling(root, role / "tasks" / name)]
        yield from links
        if not links and not _is_mentioned(root, role):
            yield (
                path,
                "the role has no tasks/main.yml, and nothing else in provisioners/ansible names it,"
                " so no build applies it",
                "add tasks/main.yml, or delete the folder",
            )


def _has_main(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _MAIN)


def _has_dependencies(role: Path) -> bool:
    return any(read_mapping(role / "meta" / name).get("dependencies") for name in _MAIN)


def _has_content(role: Path) -> bool:
    """Report whether a role has something that other roles can use."""
    return any(
        _has_files(folder) for folder in _list_folders(role) if folder.name not in ("meta", "tests")
    )


def _is_mentioned(root: Path, role: Path) -> bool:
    """Report whether a YAML file outside of a role has its name."""
    name = re.compile(rf"(?<![\w.-]){re.escape(role.name)}(?![\w-])")
    for folder, folders, files in os.walk(root / ANSIBLE):
        folders[:] = [each for each in folders if each != ".galaxy" and Path(folder, each) != role]
        for each in files:
            file = Path(folder, each)
            is_yaml = each.endswith(_YAML) and file.is_file()
            if is_yaml and name.search(file.read_text(errors="replace")):
                return True
    return False


# --------------------------------------------------------------------------- collections


def _find_collections(root: Path) -> Iterator[_Problem]:
    for namespace in _list_folders(root / _COLLECTIONS):
        yield from _find_dangling(root, namespace)
        for collection in _list_folders(namespace):
            yield from _find_dangling(root, collection)
            if collection.is_dir() and not _has_files(collection):
                name = f"{namespace.name}.{collection.name}"
                next_step = f"delete it and run: task ansible-collection-init -- {name}"
                yield collection.relative_to(root), "the collection is empty", next_step
            for role in _list_folders(collection / "roles"):
                yield from _find_dangling(root, role)
                if role.is_dir() and not _has_files(role):
                    path = role.relative_to(root)
                    yield path, "the role is empty", "add tasks/main.yml, or delete the folder"


# ------------------------------------------------------------------------------ controls


def _find_controls(root: Path) -> Iterator[_Problem]:
    folders = (root / _INSPEC, root / _INSPEC / "controls")
    if empty := next((each for each in folders if each.is_dir() and not _has_files(each)), None):
        yield (
            empty.relative_to(root),
            "the folder has no controls, so InSpec would check nothing",
            "add controls/NAME.rb, or restore it with: git checkout inspec",
        )
    depends = read_mapping(root / _INSPEC / "inspec.yml").get("depends")
    for entry in depends if isinstance(depends, list) else []:
        local = entry.get("path") if isinstance(entry, dict) else None
        path = root / _INSPEC / str(local)
        if isinstance(local, str) and not (path / "inspec.yml").is_file() and not path.is_file():
            place = Path(os.path.relpath(path, root))
            reason = f"the profile that inspec/inspec.yml depends on has no {place}/inspec.yml"
            yield place, reason, "correct the path"
