"""Ansible collections of a repository: its own, and those from elsewhere.

Own ones lie in provisioners/ansible/collections and are committed.  Those from elsewhere are named
in requirements.yml and installed into provisioners/ansible/.galaxy, which git ignores.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from packer_toolkit.errors import RemoteError, SetupError

ANSIBLE = Path("provisioners/ansible")
OWN = ANSIBLE / "collections" / "ansible_collections"
INSTALLED = ANSIBLE / ".galaxy" / "collections"
REQUIREMENTS = ANSIBLE / "requirements.yml"
_SKELETON = Path(__file__).with_name("collection_skeleton")

# Both parts: https://docs.ansible.com/projects/ansible/latest/dev_guide/developing_collections_creating.html
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Change:
    """A collection from elsewhere.

    Attributes:
        name: NAMESPACE.NAME.
        before: the version that was installed, or None.
        after: the version that is installed now.
    """

    name: str
    before: str | None
    after: str


def _galaxy(root: Path, *arguments: str | Path) -> str:
    """Run `ansible-galaxy collection`; return what it printed.

    Raises:
        SetupError: when it is missing.
        RemoteError: when it failed, with its own reason.
    """
    if not shutil.which("ansible-galaxy"):
        raise SetupError(
            "ansible-galaxy is not on PATH: use task ansible-collection-…, or install ansible-core"
        )
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    config = root / ANSIBLE / "ansible.cfg"
    if config.is_file():
        env["ANSIBLE_CONFIG"] = str(config)
    result = subprocess.run(
        ["ansible-galaxy", "collection", *map(str, arguments)],
        cwd=root / ANSIBLE,  # a path in requirements.yml starts where that file is
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise RemoteError(f"ansible-galaxy: {_reason(result.stderr or result.stdout)}")
    return result.stdout


def _reason(output: str) -> str:
    """Return what an error of Ansible says, with its explanation, in one line."""
    start = re.search(r"^\[?ERROR\]?[:!] ", output, re.M)
    text = output[start.end() :] if start else output
    return " ".join(text.split())[:600] or "it does not say why"


def check_name(name: str) -> str:
    """Return a collection's name.

    Raises:
        SetupError: when it is none.
    """
    if not _NAME.fullmatch(name):
        raise SetupError(
            f"{name} is no name of a collection: two words of lower-case letters, digits and _"
            " with a dot between them, such as acme.web"
        )
    return name


def init(root: Path, name: str) -> Path:
    """Make a collection with its base structure; return its folder, relative to the repository.

    Raises:
        SetupError: when the name is none, or there is something of that name.
    """
    folder = OWN / Path(*check_name(name).split("."))
    if os.path.lexists(root / folder):
        raise SetupError(f"{folder} exists already; take another name, or remove it first")
    (root / OWN).mkdir(parents=True, exist_ok=True)
    arguments = ("--init-path", root / OWN, "--collection-skeleton", _SKELETON, name)
    _galaxy(root, "init", *arguments)
    return folder


def installed(root: Path) -> dict[str, str]:
    """Return the versions of the collections from elsewhere that are installed, by name."""
    found = {}
    for manifest in (root / INSTALLED / "ansible_collections").glob("*/*/MANIFEST.json"):
        info = json.loads(manifest.read_text())["collection_info"]
        found[f"{info['namespace']}.{info['name']}"] = str(info["version"])
    return found


def install(root: Path, *, upgrade: bool, force: bool) -> list[Change]:
    """Install what requirements.yml names; return the collections that are there now.

    Args:
        root: the repository.
        upgrade: take the newest versions that requirements.yml allows, also where others are here.
        force: install again what is here.
    """
    required(root)
    before = installed(root)
    options = [*(["--upgrade"] if upgrade else []), *(["--force"] if force else [])]
    _galaxy(root, "install", "-r", root / REQUIREMENTS, "-p", root / INSTALLED, *options)
    return _changes(before, installed(root))


def add(root: Path, wanted: Sequence[str], server: str | None) -> list[Change]:
    """Install collections that requirements.yml does not name yet, and write them into it.

    Args:
        root: the repository.
        wanted: NAMESPACE.NAME, with :VERSION or a range such as :>=1.2,<2 if not any will do.
        server: URL of the Galaxy server, for these only; by default ansible.cfg's.

    Raises:
        SetupError: when one is named there already.
    """
    there = [entry["name"] for entry in required(root)]
    names = [check_name(each.partition(":")[0]) for each in wanted]
    for name in names:
        if name in there:
            raise SetupError(
                f"{name} is in {REQUIREMENTS} already; change its version there, or take the newest"
                " that it allows: task ansible-collection-update"
            )
    before = installed(root)
    options = ["--server", server] if server else []
    _galaxy(root, "install", *wanted, "-p", root / INSTALLED, *options)
    after = installed(root)
    entries = [
        {"name": name, "version": after[name], **({"source": server} if server else {})}
        for name in names
    ]
    write_down(root, entries)
    return _changes(before, after)


def _changes(before: dict[str, str], after: dict[str, str]) -> list[Change]:
    return [Change(name, before.get(name), version) for name, version in sorted(after.items())]


def required(root: Path) -> list[dict[str, str]]:
    """Return the collections that requirements.yml names.

    Raises:
        SetupError: when it is missing or of another form.
    """
    try:
        data = yaml.safe_load((root / REQUIREMENTS).read_text())
    except FileNotFoundError:
        raise SetupError(f"there is no {REQUIREMENTS} here") from None
    except yaml.YAMLError as error:
        raise SetupError(f"{REQUIREMENTS} is no YAML: {' '.join(str(error).split())}") from None
    collections = (data or {}).get("collections") if isinstance(data or {}, dict) else data
    entries = [{"name": e} if isinstance(e, str) else e for e in collections or []]
    if not all(isinstance(entry, dict) and "name" in entry for entry in entries):
        raise SetupError(f"{REQUIREMENTS}: each of the collections needs a name")
    return entries


def write_down(root: Path, entries: Sequence[dict[str, str]]) -> None:
    """Add collections to requirements.yml, and leave its comments and the rest as they are."""
    file = root / REQUIREMENTS
    text = file.read_text()
    # Where the file has items already, the new ones stand in the same column.
    column = re.search(r"^collections:.*\n(?:[ \t]*(?:#.*)?\n)*( *)- ", text, re.M)
    indent = column[1] if column else "  "
    lines = [
        f"{indent}- name: {value}" if key == "name" else f"{indent}  {key}: {json.dumps(value)}"
        for entry in entries
        for key, value in entry.items()
    ]
    block = "\n".join(lines)
    if re.search(r"^collections: *(\[\]|~|null)?[ \t]*(#.*)?$", text, re.M):
        changed = re.sub(
            r"^collections:.*$", lambda _: f"collections:\n{block}", text, count=1, flags=re.M
        )
    else:
        changed = f"{text.rstrip()}\ncollections:\n{block}\n"
    before = yaml.safe_load(text) or {}
    try:
        after = yaml.safe_load(changed)
    except yaml.YAMLError:
        after = None
    new = [dict(entry) for entry in entries]
    if after != {**before, "collections": [*new, *(before.get("collections") or [])]}:
        raise SetupError(f"installed, but {REQUIREMENTS} is for you to change; add:\n{block}")
    file.write_text(changed)
