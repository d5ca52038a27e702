"""Folders without the roles, collections, scripts or controls that are expected in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from packer_toolkit.repository.missing_content import find_applied_roles, find_missing_content
from rig.host.tools import Packer
from rig.repositories.repository import TOOLKIT, toolkit_env
from rig.repositories.template import git, render

ROLES = "provisioners/ansible/roles"
COLLECTIONS = "provisioners/ansible/collections/ansible_collections"
TASKS = "---\n- name: Note it\n  ansible.builtin.debug:\n    msg: Noted\n"
FETCH = "git submodule update --init --recursive"


@pytest.fixture(scope="module")
def rendered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository as a team gets it."""
    folder = tmp_path_factory.mktemp("content") / "packer-ami-web"
    return render(template, folder, {"image_name": "web", "parent_image": "debian-12"})


@pytest.fixture
def root(rendered: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository."""
    return Path(shutil.copytree(rendered, tmp_path / "répo's" / "packer-ami-web", symlinks=True))


def toolkit(folder: Path, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run packer-toolkit in a repository."""
    command = [*TOOLKIT, *words]
    env = {**os.environ, **env}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def change(root: Path, files: dict[str, str | None], submodules: tuple[str, ...] = ()) -> None:
    """Write files; None makes a folder, and a text that begins with -> a symbolic link."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir(parents=True, exist_ok=True)
        elif text.startswith("->"):
            path.symlink_to(text.removeprefix("->"))
        else:
            path.write_text(text)
    if submodules:
        entries = [f'[submodule "{path}"]\n\tpath = {path}\n\turl = ../x\n' for path in submodules]
        (root / ".gitmodules").write_text("".join(entries))


# What is changed, the submodules, and what is reported: the path, and a part of the reason.
MISSING: dict[str, tuple[dict[str, str | None], tuple[str, ...], str, str]] = {
    "role that is a submodule": (
        {f"{ROLES}/hardening": None}, (f"{ROLES}/hardening",), f"{ROLES}/hardening", FETCH,
    ),
    "other content of Ansible": (
        {"provisioners/ansible/tasks": None}, ("provisioners/ansible/tasks",),
        "provisioners/ansible/tasks", FETCH,
    ),
    "empty role": ({f"{ROLES}/x": None}, (), f"{ROLES}/x", "add tasks/main.yml"),
    "role with a placeholder": (
        {f"{ROLES}/x/.gitkeep": ""}, (), f"{ROLES}/x", "the role is empty",
    ),
    "role with a read-me": (
        {f"{ROLES}/x/README.md": "# X\n"}, (), f"{ROLES}/x", "the role is empty",
    ),
    "role with placeholders in its folders": (
        {f"{ROLES}/x/tasks/.gitkeep": "", f"{ROLES}/x/handlers/.gitkeep": ""}, (),
        f"{ROLES}/x", "the role is empty",
    ),
    "role with metadata alone": (
        {f"{ROLES}/x/meta/main.yml": "galaxy_info: {}\ndependencies: []\n"}, (),
        f"{ROLES}/x", "the role is empty",
    ),
    "role with a mistake in a name": (
        {f"{ROLES}/x/tasks/mian.yml": TASKS}, (), f"{ROLES}/x", "no build applies it",
    ),
    "role that is a link to what was not fetched": (
        {f"{ROLES}/x": "->../../../vendor/x", "vendor": None}, ("vendor",), f"{ROLES}/x", FETCH,
    ),
    "role that is a link to nothing": (
        {f"{ROLES}/x": "->nowhere"}, (), f"{ROLES}/x", "points to nowhere, which does not exist",
    ),
    "files of a role": (
        {f"{ROLES}/x/tasks/main.yml": TASKS, f"{ROLES}/x/files": None}, (f"{ROLES}/x/files",),
        f"{ROLES}/x/files", FETCH,
    ),
    "templates of a role, two levels below": (
        {f"{ROLES}/x/tasks/main.yml": TASKS, f"{ROLES}/x/templates/a/b": None},
        (f"{ROLES}/x/templates/a/b",), f"{ROLES}/x/templates/a/b", FETCH,
    ),
    "a submodule in a submodule": (
        {
            f"{ROLES}/x/tasks/main.yml": TASKS, f"{ROLES}/x/files": None,
            f"{ROLES}/x/.gitmodules": '[submodule "f"]\n\tpath = files\n',
        },
        (f"{ROLES}/x",), f"{ROLES}/x/files", FETCH,
    ),
    "collection": (
        {f"{COLLECTIONS}/acme/web": None}, (f"{COLLECTIONS}/acme/web",),
        f"{COLLECTIONS}/acme/web", FETCH,
    ),
    "namespace": (
        {f"{COLLECTIONS}/acme": None}, (f"{COLLECTIONS}/acme",), f"{COLLECTIONS}/acme", FETCH,
    ),
    "empty collection": (
        {f"{COLLECTIONS}/acme/web/README.md": ""}, (), f"{COLLECTIONS}/acme/web",
        "task ansible-collection-init -- acme.web",
    ),
    "role of a collection": (
        {f"{COLLECTIONS}/acme/web/galaxy.yml": "x", f"{COLLECTIONS}/acme/web/roles/y": None}, (),
        f"{COLLECTIONS}/acme/web/roles/y", "the role is empty",
    ),
    "scripts": (
        {"provisioners/shell/common": None}, ("provisioners/shell/common",),
        "provisioners/shell/common", FETCH,
    ),
    "script that is a link to nothing": (
        {"provisioners/shell/20-x.sh": "->../../vendor/x.sh"}, ("vendor",),
        "provisioners/shell/20-x.sh", FETCH,
    ),
    "controls": ({"inspec/more": None}, ("inspec/more",), "inspec/more", FETCH),
    "profile that ours depends on": (
        {"inspec/inspec.yml": "name: web\ndepends: [{name: base, path: ../vendor/base}]\n",
         "vendor/base": None}, ("vendor/base",), "vendor/base", FETCH,
    ),
    "tasks that are a link to what was not fetched": (
        {f"{ROLES}/x/tasks/main.yml": "->../../../../../vendor/x.yml", "vendor": None},
        ("vendor",), f"{ROLES}/x/tasks/main.yml", FETCH,
    ),
    "files that are a link to a submodule": (
        {f"{ROLES}/x/tasks/main.yml": TASKS, f"{ROLES}/x/files": "->../../../../vendor",
         "vendor": None}, ("vendor",), f"{ROLES}/x/files", FETCH,
    ),
    "folder that is a link to nothing": (
        {"provisioners/ansible/collections": "->../../shared"}, (),
        "provisioners/ansible/collections", "points to ../../shared, which does not exist",
    ),
    "collection of requirements.yml in a submodule": (
        {"provisioners/ansible/requirements.yml":
             "collections: [{name: vendor/web, type: dir}]\n", "vendor": None},
        ("vendor",), "vendor/web", FETCH,
    ),
    "collection of requirements.yml that is a submodule": (
        {"provisioners/ansible/collections/requirements.yml":
             "collections: [{name: ./vendor/web}]\n", "vendor/web": None},
        ("vendor/web",), "vendor/web", FETCH,
    ),
    "profile that does not exist": (
        {"inspec/inspec.yml": "name: web\ndepends: [{name: base, path: ../other}]\n"}, (),
        "other", "correct the path",
    ),
}  # fmt: skip


@pytest.mark.integration
@pytest.mark.parametrize("case", MISSING)
def test_missing_content_is_found(case: str, root: Path) -> None:
    """A folder without what is expected in it is named, and how to fetch it (field 5)."""
    files, submodules, path, reason = MISSING[case]
    change(root, files, submodules)
    found = find_missing_content(root)
    assert [each.path.as_posix() for each in found] == [path]
    assert reason in found[0].reason


def test_empty_controls_are_found(root: Path) -> None:
    """A folder inspec or inspec/controls without a file would check nothing (field 5)."""
    shutil.rmtree(root / "inspec/controls")
    assert find_missing_content(root) == []  # a profile may have its controls elsewhere
    (root / "inspec/controls").mkdir()
    assert [each.path.as_posix() for each in find_missing_content(root)] == ["inspec/controls"]
    shutil.rmtree(root / "inspec")
    assert find_missing_content(root) == []
    (root / "inspec").mkdir()
    assert [each.path.as_posix() for each in find_missing_content(root)] == ["inspec"]


def test_a_repository_in_a_folder_of_another_one_has_its_gitmodules(root: Path) -> None:
    """Git keeps the paths of submodules at the root of the whole repository (field 5)."""
    shutil.rmtree(root / ".git")
    git(root.parent, "init", "--quiet")
    (root / ROLES / "x").mkdir()
    path = f"{root.name}/{ROLES}/x"
    (root.parent / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = {path}\n\turl = ../x\n')
    assert [str(each) for each in find_missing_content(root)] == [
        f"{ROLES}/x: the Git submodule is empty; fetch it with: {FETCH}"
    ]


def test_what_may_be_empty_is_not_reported(root: Path) -> None:
    """Library roles, meta roles, documentation and folders of tools are valid."""
    change(root, {
        f"{ROLES}/README.md": "# Roles\n",
        f"{ROLES}/.ansible/tmp": None,
        "provisioners/shell/README.md": "# Scripts\n",
        f"{ROLES}/json/tasks/main.json": "[]\n",
        f"{ROLES}/meta_only/meta/main.yaml": "dependencies:\n  - role: handlers_only\n",
        f"{ROLES}/handlers_only/handlers/main.yml": "[]\n",
        f"{ROLES}/defaults_only/defaults/main.yml": "x: 1\n",
        f"{ROLES}/other_entry/tasks/install.yml": TASKS,
        f"{ROLES}/user/tasks/main.yml": (
            "- ansible.builtin.include_role: {name: other_entry, tasks_from: install}\n"
            "- ansible.builtin.import_role:\n    name: defaults_only\n"
        ),
        # As `ansible-galaxy role init` makes it.
        f"{ROLES}/user/files": None,
        f"{ROLES}/user/templates": None,
        "docs/theme": None,
    }, ("docs/theme", f"{ROLES}/baseline"))  # fmt: skip
    assert find_missing_content(root) == []
    assert find_applied_roles(root) == ["baseline", "json", "meta_only", "user"]


@pytest.mark.parametrize("part", ["provisioners/shell", ROLES])
def test_folders_without_scripts_or_roles_are_valid(part: str, root: Path) -> None:
    """A team may have neither, with or without the folder."""
    shutil.rmtree(root / part)
    assert find_missing_content(root) == []
    (root / part).mkdir()
    assert find_missing_content(root) == []
    (root / part / "README.md").touch()
    assert find_missing_content(root) == []


def test_a_clone_without_submodules_is_neither_checked_nor_built(
    root: Path, tmp_path: Path, packer: Packer
) -> None:
    """Check, build, validate and plain `packer build` name the role to fetch (field 5)."""
    role = tmp_path / "role-hardening"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks/main.yml").write_text(TASKS)
    git(role, "init", "--quiet")
    git(role, "add", "--all")
    git(role, "commit", "--quiet", "-m", "Harden")
    allow = ("-c", "protocol.file.allow=always")
    git(root, *allow, "submodule", "--quiet", "add", str(role), f"{ROLES}/hardening")
    git(root, "commit", "--quiet", "-m", "Add the role")
    env = toolkit_env(packer)
    inspected = packer.run("inspect", ".", cwd=root, env=env).stdout
    assert r'local.roles: "[\n  \"baseline\",\n  \"hardening\",\n]"' in inspected
    packer.run("validate", ".", cwd=root, env=env)

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    line = f"{ROLES}/hardening: the Git submodule is empty; fetch it with: {FETCH}"
    checked = toolkit(clone, "check", "--only=ansible-syntax", "--json", env=env)
    assert checked.returncode == 1
    (check,) = json.loads(checked.stdout)["checks"]
    assert f"{check['findings'][0]['file']}: {check['findings'][0]['message']}" == line
    for option in ("-only=docker.local", "-only=amazon-ebs.*"):
        built = toolkit(clone, "build", option, env=env)
        assert built.returncode == 3
        assert built.stderr == f"packer-toolkit: {line}\n"
    for command in (["validate", "."], ["build", "-only=docker.local", "."]):
        done = packer.run(*command, cwd=clone, env=env, check=False)
        assert done.returncode == 1
        output = " ".join((done.stdout + done.stderr).split())
        assert f"{ROLES}/hardening is an empty Git submodule; fetch it with: {FETCH}" in output
    git(clone, *allow, "submodule", "--quiet", "update", "--init", "--recursive")
    assert find_missing_content(clone) == []
    packer.run("validate", ".", cwd=clone, env=env)


HCL = {
    "role that is a submodule": "is an empty Git submodule",
    "role with a read-me": f"{ROLES}/x is empty; add tasks/main.yml or delete the folder",
    "role that is a link to nothing": f"{ROLES}/x: no such file",
    "collection": f"{COLLECTIONS}/acme/web is an empty Git submodule",
    "files of a role": f"{ROLES}/x/files is an empty Git submodule",
    "scripts": "provisioners/shell/common is an empty Git submodule",
    "controls": "inspec/more is an empty Git submodule",
}


@pytest.mark.parametrize("case", HCL)
def test_packer_validate_refuses_missing_content(case: str, root: Path, packer: Packer) -> None:
    """Plain Packer refuses submodules, placeholders and links (field 5)."""
    files, submodules, _, _ = MISSING[case]
    change(root, files, submodules)
    env = {"PATH": os.environ["PATH"]}
    done = packer.run("validate", ".", cwd=root, env=env, check=False)
    assert done.returncode == 1
    assert HCL[case] in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("path", [".", "", "./", "./.", '"."'])
@pytest.mark.parametrize("has_git", [True, False])
def test_a_submodule_at_the_root_is_not_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, path: str, has_git: bool
) -> None:
    """An entry of .gitmodules for its own folder is read once (field 5)."""
    (root / ".gitmodules").write_text(f'[submodule "x"]\n\tpath = {path}\n\turl = ../x\n')
    if not has_git:
        monkeypatch.setenv("PATH", "/nowhere")
    assert find_missing_content(root) == []
