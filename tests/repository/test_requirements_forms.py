"""What requirements.yml names: which forms are read, and what is installed and when."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.galaxy_folder import Installation
from packer_toolkit.repository.galaxy_install import GALAXY, Options, hold_requirements
from packer_toolkit.repository.requirements_file import (
    ANSIBLE,
    REQUIREMENTS,
    RequirementsError,
    read_requirements,
)
from rig.host import tools
from rig.repositories.template import git, release
from rig.servers.galaxy import Galaxy

pytestmark = pytest.mark.integration

META = "galaxy_info: {author: rig, description: rig, license: MIT, min_ansible_version: '2.15'}\n"


def add_file(path: Path, text: str) -> None:
    """Write a file, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_role(folder: Path, version: str, dependencies: str = "[]") -> Path:
    """Commit a version of a role, with a tag of the same name, into a Git repository."""
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "-b", "main")
    add_file(folder / "tasks/main.yml", f"- ansible.builtin.debug: {{msg: {version}}}\n")
    add_file(folder / "meta/main.yml", f"{META}dependencies: {dependencies}\n")
    release(folder, version)
    return folder


def make_collection(folder: Path, name: str, version: str) -> Path:
    """Commit a version of a collection, with a tag such as v1.0.0, into a Git repository."""
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "-b", "main")
    namespace, _, short = name.partition(".")
    about = {"namespace": namespace, "name": short, "version": version, "readme": "README.md",
             "authors": ["rig"]}  # fmt: skip
    add_file(folder / "galaxy.yml", yaml.safe_dump(about))
    add_file(folder / "README.md", version)
    add_file(folder / "meta/runtime.yml", "requires_ansible: '>=2.15.0'\n")
    release(folder, f"v{version}")
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a role `ext`, the collections acme.web and acme.two, and archives."""
    tools.require("ansible-galaxy")
    folder = tmp_path_factory.mktemp("sources")
    make_role(folder / "ext", "v1")
    make_collection(folder / "web", "acme.web", "1.2.0")
    make_collection(folder / "more/two", "acme.two", "2.0.0")
    with tarfile.open(folder / "ext.tar.gz", "w:gz") as archive:
        archive.add(folder / "ext", "ext")
    add_file(folder / "included.yml", f"- {{src: 'git+file://{folder}/ext', name: included}}\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty repository at a path with a colon, a space and a quotation mark."""
    root = tmp_path / "a team's: répo"
    (root / ANSIBLE).mkdir(parents=True)
    return root


def require(root: Path, text: str | bytes, file: Path = REQUIREMENTS) -> None:
    """Write a file of requirements."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_bytes(text if isinstance(text, bytes) else text.encode())


def install(root: Path, **options: bool) -> Installation:
    """Install the requirements; return what is installed then."""
    with hold_requirements(root, Options(**options)):  # type: ignore[arg-type]
        return Installation(root / GALAXY)


def names(installation: Installation) -> list[str]:
    """Return the names of all roles and collections."""
    return sorted({*installation.roles, *installation.collections})


ROLE = "git+file://SOURCES/ext"
WEB = "file://SOURCES/web"
# Each form, and what is installed then.  ansible-galaxy is asked too.
ACCEPTED = {
    "both null": ("collections:\nroles:\n", ""),
    "collections null": ("collections:\nroles: []\n", ""),
    "one key": ("roles: []\n", ""),
    "empty mapping": ("{}\n", ""),
    "empty list": ("[]\n", ""),
    "mappings instead of lists": ("collections: {}\nroles: {}\n", ""),
    "old list": (f"- src: {ROLE}\n  version: v1\n", "ext"),
    "old list of strings": (f"- {ROLE},v1,other\n", "other"),
    "old list with include": ("- include: SOURCES/included.yml\n", "included"),
    "include": ("roles: [{include: SOURCES/included.yml}]\n", "included"),
    "role as string": (f"roles: ['{ROLE}']\n", "ext"),
    "role with scm": ("roles: [{src: 'file://SOURCES/ext', scm: git, name: x}]\n", "x"),
    "role with other keys": (f"roles: [{{src: '{ROLE}', name: x, why: because}}]\n", "x"),
    "role from a file": ("roles: [{src: SOURCES/ext.tar.gz, name: x}]\n", "x"),
    "role from a URL": ("roles: [{src: 'file://SOURCES/ext.tar.gz'}]\n", "ext"),
    "collection from Git": (f"collections: [{{name: '{WEB}', type: git}}]\n", "acme.web"),
    "collection by source": (f"collections: [{{source: '{WEB}', type: git}}]\n", "acme.web"),
    "collection with git+": (f"collections: ['git+{WEB},v1.2.0']\n", "acme.web"),
    "collection in a folder": ("collections: [{name: SOURCES/web, type: dir}]\n", "acme.web"),
    "collection without a type": ("collections: [SOURCES/web]\n", "acme.web"),
    "collections below a folder": (
        "collections: [{source: SOURCES/more, type: subdirs}]\n", "acme.two",
    ),
    "both": (f"roles: ['{ROLE}']\ncollections: [SOURCES/web]\n", "acme.web ext"),
    "CRLF": ("---\r\ncollections:\r\n  - SOURCES/web\r\nroles: []\r\n", "acme.web"),
    "byte order mark": ("\ufeff---\ncollections: [SOURCES/web]\n", "acme.web"),
    "UTF-16": ("collections: [SOURCES/web]\n".encode("utf-16"), "acme.web"),
    "duplicate keys": ("collections: []\ncollections: [SOURCES/web]\n", "acme.web"),
    "anchors": ("collections:\n  - &a {name: SOURCES/web}\n  - *a\n", "acme.web"),
    "merge keys": ("collections:\n  - &a {name: SOURCES/web}\n  - {<<: *a}\n", "acme.web"),
    "tags": ("collections: !!seq [!!str SOURCES/web]\n", "acme.web"),
    "quoted keys": ("\"collections\": ['SOURCES/web']\n", "acme.web"),
}  # fmt: skip


def fill(text: str | bytes, sources: Path) -> bytes:
    """Put the folder of the sources into a form."""
    if isinstance(text, bytes):
        return text.decode("utf-16").replace("SOURCES", str(sources)).encode("utf-16")
    return text.replace("SOURCES", str(sources)).encode()


def ask_ansible_galaxy(root: Path) -> tuple[bool, list[str]]:
    """Run ansible-galaxy itself; return whether it accepts the file, and what it installs."""
    env = {
        **os.environ,
        "ANSIBLE_ROLES_PATH": "asked/roles",
        "ANSIBLE_COLLECTIONS_PATH": "asked/collections",
        "ANSIBLE_GALAXY_SERVER": "http://127.0.0.1:9",
    }
    command = [str(tools.require("ansible-galaxy")), "install", "-r", "requirements.yml"]
    done = subprocess.run(command, cwd=root / ANSIBLE, env=env, capture_output=True, check=False)
    return done.returncode == 0, names(Installation(root / ANSIBLE / "asked"))


@pytest.mark.parametrize("form", ACCEPTED)
def test_what_ansible_galaxy_accepts_is_installed(form: str, root: Path, sources: Path) -> None:
    """Each form of requirements.yml that ansible-galaxy accepts is installed alike (field 14)."""
    text, expected = ACCEPTED[form]
    require(root, fill(text, sources))
    assert names(install(root)) == expected.split()
    assert ask_ansible_galaxy(root) == (True, expected.split())


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n", "null\n", "\ufeff---\n"])
def test_a_file_without_content_requires_nothing(text: str, root: Path) -> None:
    """What remains after the last entry is deleted is valid, and nothing is created (field 14)."""
    require(root, text)
    assert names(install(root)) == []
    assert not (root / GALAXY).exists()


REFUSED = {
    "tab": ("---\ncollections:\n\t- name: x.y\n", 3, "indent with spaces"),
    "unclosed": ("roles: {\n", 2, "not valid YAML"),
    "two documents": ("roles: []\n---\nroles: []\n", 2, "not valid YAML"),
    "latin-1": (b"---\n# caf\xe9\nroles: []\n", 2, "save the file as UTF-8"),
    "unknown tag": ("roles:\n  - !vault x\n", 2, "'!vault'"),
    "string": ("x\n", 1, "'x' is not a mapping"),
    "other key": ("collections: []\nrequires: []\n", 2, "requires is not a key"),
    "anchor as a key": ("x: &x {name: a.b}\ncollections: [*x]\n", 1, "x is not a key"),
    "collections as string": ("collections: acme.web\n", 1, "must be a list"),
    "collections as number": ("\ncollections: 3\n", 2, "must be a list"),
    "null in a list": ("collections:\n  - a.b\n  -\n", 3, "None is not one of the collections"),
    "null in roles": ("roles:\n  -\n", 2, "None is not one of the roles"),
    "null in the old list": ("-\n", 1, "None is not one of the roles"),
    "date": ("collections: [2026-01-01]\n", 1, "is not one of the collections"),
    "role without a source": ("roles:\n  - version: '1'\n", 2, "needs src or name"),
    "too many commas": ("roles:\n  - a,1,b,c\n", 2, "SOURCE[,VERSION[,NAME]]"),
    "no file to include": ("roles:\n\n  - include: none.yml\n", 3, "none.yml"),
    "no folder": ("collections:\n  - {name: ./none, type: dir}\n", 2, "does not exist"),
    "unknown type": ("collections:\n  - {name: a.b, type: svn}\n", 2, "type svn"),
    "collection without a name": ("collections:\n  - version: 1.0.0\n", 2, "needs a name"),
    "version in the name": ("collections: ['a.b:1.0.0']\n", 1, "version: 1.0.0"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_ansible_galaxy_refuses_is_one_line(form: str, root: Path) -> None:
    """The line names the file, the line in it and the reason, before anything starts (field 14)."""
    text, line, reason = REFUSED[form]
    require(root, text)
    with pytest.raises(RequirementsError) as caught:
        install(root)
    message = str(caught.value)
    assert message.startswith(f"{REQUIREMENTS}:{line}: ")
    assert reason in message
    assert "\n" not in message
    assert not (root / GALAXY).exists()
    assert ask_ansible_galaxy(root)[0] is False


def test_a_file_that_cannot_be_read_is_reported(root: Path) -> None:
    """A link to nothing, and a folder, are mistakes and not files without content (field 14)."""
    (root / REQUIREMENTS).symlink_to("nowhere.yml")
    with pytest.raises(RequirementsError, match=r"requirements.yml:1: cannot be read: No such"):
        install(root)
    (root / REQUIREMENTS).unlink()
    (root / REQUIREMENTS).mkdir()
    with pytest.raises(RequirementsError, match=r"requirements.yml:1: cannot be read: Is a dir"):
        install(root)


def test_every_usual_place_of_requirements_is_read(root: Path, sources: Path) -> None:
    """Files of AWX's convention count too, and relative paths start at their folder or the root."""
    shutil.copytree(sources / "web", root / "vendor/web")
    shutil.copy(sources / "ext.tar.gz", root / ANSIBLE / "ext.tar.gz")
    require(root, "roles: [{src: ext.tar.gz, name: near}]\n")
    require(root, "roles: [{src: provisioners/ansible/ext.tar.gz, name: far}]\n",
            ANSIBLE / "roles/requirements.yml")  # fmt: skip
    require(root, "collections: [./vendor/web]\n", ANSIBLE / "collections/requirements.yaml")
    assert names(install(root)) == ["acme.web", "far", "near"]
    # Of a local folder, changed content is installed.
    before = (root / GALAXY / "collections/ansible_collections/acme/web/README.md").read_text()
    (root / "vendor/web/README.md").write_text(f"{before} changed")
    install(root)
    after = (root / GALAXY / "collections/ansible_collections/acme/web/README.md").read_text()
    assert after == f"{before} changed"


# ------------------------------------------------------------- what is downloaded, and when


@pytest.fixture
def galaxy(tmp_path: Path) -> Iterator[Galaxy]:
    """Return a server with two collections, one of which needs the other, and a role."""
    with Galaxy(tmp_path / "galaxy") as galaxy:
        galaxy.publish("acme.base", "1.0.0")
        galaxy.publish("acme.tools", "1.0.0", {"acme.base": ">=1.0.0"})
        galaxy.publish("acme.tools", "2.0.0")
        galaxy.publish_role("acme.role", "1.0.0")
        yield galaxy


@pytest.fixture
def server(galaxy: Galaxy, monkeypatch: pytest.MonkeyPatch) -> Galaxy:
    """Return the server, set as the one that ansible-galaxy asks by default."""
    monkeypatch.setenv("ANSIBLE_GALAXY_SERVER", galaxy.url)
    return galaxy


PINNED = (
    "collections:\n  - {name: acme.tools, version: 1.0.0}\n"
    "roles:\n  - {name: acme.role, version: 1.0.0}\n"
)


def test_exact_versions_are_downloaded_once(
    root: Path, server: Galaxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Builds and checks go on without the server when exact versions are installed (field 16)."""
    require(root, PINNED)
    installed = install(root)
    assert installed.collections == {"acme.base": "1.0.0", "acme.tools": "1.0.0"}
    assert installed.roles == {"acme.role": "1.0.0"}
    count = len(server.requests)
    monkeypatch.setenv("ANSIBLE_GALAXY_SERVER", "http://127.0.0.1:9")
    install(root)
    install(root, refresh=True)
    # Also when an earlier release, or ansible-galaxy itself, has installed them.
    (root / GALAXY / "installed.json").unlink()
    install(root, refresh=True)
    # What a killed ansible-galaxy has left is not taken for a collection.
    (root / GALAXY / "installed.json").unlink()
    half = root / GALAXY / "collections/ansible_collections/acme/tools/README.md"
    half.unlink()
    with pytest.raises(RemoteError):
        install(root)
    half.touch()
    # A removed entry needs no server either, and neither its content nor what it needed stays.
    require(root, "roles:\n  - {name: acme.role, version: 1.0.0}\n")
    assert names(install(root, refresh=True)) == ["acme.role"]
    require(root, "---\n")
    assert names(install(root)) == []
    assert len(server.requests) == count


def test_only_what_changed_is_downloaded(root: Path, server: Galaxy) -> None:
    """A changed version replaces the installed one and its dependencies, others stay (field 16)."""
    server.publish("acme.other", "1.0.0")
    other = "  - {name: acme.other, version: 1.0.0}\n"
    require(root, PINNED.replace("roles:", f"{other}roles:"))
    install(root)
    server.requests.clear()
    require(root, PINNED.replace("1.0.0}\nroles:", f"2.0.0}}\n{other}roles:"))
    installed = install(root)
    assert installed.collections == {"acme.other": "1.0.0", "acme.tools": "2.0.0"}
    assert server.downloads() == ["acme-tools-2.0.0.tar.gz"]


def test_a_range_is_looked_up_by_each_build(root: Path, server: Galaxy) -> None:
    """A range, and an entry without a version, get the newest version in each build."""
    require(root, "collections:\n  - {name: acme.tools, version: '>=1.0.0,<2.0.0'}\n  - acme.base\n"
                  "roles: [acme.role]\n")  # fmt: skip
    install(root)
    server.publish("acme.tools", "1.1.0")
    server.publish("acme.base", "1.5.0")
    server.publish_role("acme.role", "1.2.0")
    assert install(root).collections == {"acme.base": "1.0.0", "acme.tools": "1.0.0"}
    installed = install(root, refresh=True)
    assert installed.collections == {"acme.base": "1.5.0", "acme.tools": "1.1.0"}
    assert installed.roles == {"acme.role": "1.2.0"}


def test_a_dependency_never_replaces_an_exact_version(root: Path, server: Galaxy) -> None:
    """What a new entry needs is no reason to leave the version that requirements.yml has."""
    require(root, "collections:\n  - {name: acme.base, version: 1.0.0}\n")
    install(root)
    server.publish("acme.base", "3.0.0")
    server.publish("acme.new", "1.0.0", {"acme.base": ">=3.0.0"})
    require(root, "collections:\n  - {name: acme.base, version: 1.0.0}\n"
                  "  - {name: acme.new, version: 1.0.0}\n")  # fmt: skip
    with pytest.raises(RequirementsError, match=r"requirements.yml:3: ansible-galaxy: .*acme\.new"):
        install(root)
    assert Installation(root / GALAXY).collections == {"acme.base": "1.0.0"}


def test_a_changed_tag_of_a_role_replaces_it(root: Path, tmp_path: Path) -> None:
    """ansible-galaxy alone would keep the old version, and its dependencies, and succeed."""
    base = make_role(tmp_path / "base", "v1")
    make_role(base, "v2")
    for version in ("v1", "v2"):
        role = make_role(
            tmp_path / "ext", version,
            f"[{{src: 'git+file://{base}', name: base, version: {version}}}]",
        )  # fmt: skip
    for version in ("v1", "v2", "v1"):
        require(root, f"roles: [{{src: 'git+file://{role}', name: ext, version: {version}}}]\n")
        assert install(root).roles == {"base": version, "ext": version}
        for name in ("base", "ext"):
            assert version in (root / GALAXY / f"roles/{name}/tasks/main.yml").read_text()
    # Another source of the same name and version is another role.
    other = make_role(tmp_path / "other", "v1", "[]")
    require(root, f"roles: [{{src: 'git+file://{other}', name: ext, version: v1}}]\n")
    assert install(root).roles == {"ext": "v1"}


@pytest.mark.parametrize("kind", ["role", "collection"])
def test_a_branch_is_looked_up_by_each_build(kind: str, root: Path, tmp_path: Path) -> None:
    """A branch is installed again when it has a new commit; a tag and a commit never are."""
    source = tmp_path / "source"

    def change(version: str) -> None:
        if kind == "role":
            make_role(source, version)
        else:
            make_collection(source, "acme.web", version)

    def entry(version: str) -> str:
        if kind == "role":
            return f"roles: [{{src: 'git+file://{source}', name: ext, version: '{version}'}}]\n"
        return f"collections: [{{name: 'file://{source}', type: git, version: '{version}'}}]\n"

    def content() -> str:
        file = "roles/ext/tasks/main.yml"
        if kind == "collection":
            file = "collections/ansible_collections/acme/web/README.md"
        return (root / GALAXY / file).read_text()

    change("1.0.0")
    commit = git(source, "rev-parse", "HEAD")
    for version in ("main", "HEAD"):
        require(root, entry(version))
        install(root, refresh=True)
        before = content()
        change("1.1.0" if version == "main" else "1.2.0")
        install(root)
        assert content() == before
        install(root, refresh=True)
        assert content() != before
    for version in (f"{'' if kind == 'role' else 'v'}1.1.0", commit):
        require(root, entry(version))
        install(root, refresh=True)
    # Neither of them is asked for again.
    shutil.rmtree(source)
    install(root, refresh=True)
    require(root, entry("main"))
    with pytest.raises(RemoteError):
        install(root, refresh=True)


def test_an_unreachable_server_is_not_a_mistake_in_a_file(root: Path, galaxy: Galaxy) -> None:
    """A server that cannot be reached and a version that does not exist are different errors."""
    require(root, "collections:\n  - name: acme.tools\n    version: 1.0.0\n"
                  "    source: http://127.0.0.1:9\n")  # fmt: skip
    with pytest.raises(RemoteError, match=r"Connection refused.*; check network"):
        install(root)
    wrong = f"name: acme.tools\n    version: 9.9.9\n    source: {galaxy.url}\n"
    require(root, f"collections:\n  - name: acme.base\n    source: {galaxy.url}\n  - {wrong}")
    with pytest.raises(RequirementsError, match=r"requirements\.yml:4: ansible-galaxy: .*9\.9\.9"):
        install(root)
    require(root, "roles: [{src: 'git+http://me:secret@127.0.0.1:9/x.git', name: x}]\n")
    with pytest.raises(RemoteError) as caught:
        install(root)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_ansible_galaxy_it_is_named(
    root: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing ansible-galaxy is one line, and only where something is required."""
    monkeypatch.setenv("PATH", str(root))
    require(root, "roles: []\n")
    install(root)
    require(root, f"collections: [{sources}/web]\n")
    with pytest.raises(SetupError, match="ansible-galaxy is not on PATH"):
        install(root)


# ------------------------------------------------------------------- several at the same time


def test_processes_share_one_installation(root: Path, server: Galaxy) -> None:
    """Processes that start together install once, and all of them succeed (review C11)."""
    require(root, PINNED)
    (root / "toolkit.env").touch()
    command = [sys.executable, "-m", "packer_toolkit", "collection", "install"]
    processes = [
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert sorted(server.downloads()) == [
        "acme-base-1.0.0.tar.gz", "acme-tools-1.0.0.tar.gz", "role-acme.role-1.0.0.tar.gz"
    ]  # fmt: skip


def test_a_change_waits_for_a_build_that_uses_the_old_version(root: Path, server: Galaxy) -> None:
    """A playbook never loses the collection that it runs, and other builds do not wait."""
    require(root, PINNED)
    lines: list[str] = []
    file = root / GALAXY / "collections/ansible_collections/acme/tools/MANIFEST.json"
    with hold_requirements(root):
        content = file.read_text()
        install(root, refresh=True)
        require(root, PINNED.replace("1.0.0}\nroles", "2.0.0}\nroles"))

        def change() -> None:
            with hold_requirements(root, Options(report=lines.append)):
                pass

        other = threading.Thread(target=change)
        other.start()
        deadline = time.monotonic() + 30
        while not any("waiting" in line for line in lines) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert file.read_text() == content
    other.join()
    assert any("waiting until it has ended" in line for line in lines)
    assert Installation(root / GALAXY).collections["acme.tools"] == "2.0.0"


def test_a_killed_installation_leaves_no_half_one(root: Path, server: Galaxy) -> None:
    """After a kill the old installation is complete, and the next one starts over."""
    require(root, PINNED)
    install(root)
    require(root, PINNED.replace("1.0.0}\nroles", "2.0.0}\nroles"))
    (root / "toolkit.env").touch()
    command = [sys.executable, "-m", "packer_toolkit", "collection", "install"]
    for delay in (0.3, 0.6, 0.9, 1.2):
        with subprocess.Popen(
            command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(delay)
            process.kill()
        versions = Installation(root / GALAXY).collections
        assert versions in (
            {"acme.base": "1.0.0", "acme.tools": "1.0.0"}, {"acme.tools": "2.0.0"}
        )  # fmt: skip
    assert install(root).collections == {"acme.tools": "2.0.0"}


def test_nothing_is_read_twice(root: Path, sources: Path) -> None:
    """Reading alone installs nothing, and has the line of each entry."""
    require(root, f"roles:\n  - {ROLE}\ncollections:\n\n  - acme.web\n")
    requirements = read_requirements(root)
    assert [each.line for each in (*requirements.roles, *requirements.collections)] == [2, 5]
    assert not (root / GALAXY).exists()
