"""`packer-toolkit check` of repositories that use roles and collections from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rig.repositories.repository import TOOLKIT
from rig.repositories.template import git, release, render

pytestmark = pytest.mark.integration

ANSIBLE = "provisioners/ansible"
REQUIREMENTS = f"{ANSIBLE}/requirements.yml"
MODULE = """#!/usr/bin/python
DOCUMENTATION = "{module: hello, short_description: Say hello}"
EXAMPLES = ""
RETURN = ""

from ansible.module_utils.basic import AnsibleModule


def main():
    AnsibleModule(argument_spec={}).exit_json(changed=False)


if __name__ == "__main__":
    main()
"""
FILES = {
    "collection/galaxy.yml": (
        "{namespace: acme, name: web, version: 1.2.0, readme: README.md, authors: [rig]}\n"
    ),
    "collection/README.md": "# Web\n",
    "collection/meta/runtime.yml": "requires_ansible: '>=2.15.0'\n",
    "collection/plugins/modules/hello.py": MODULE,
    "extra/meta/main.yml": (
        "galaxy_info: {author: rig, description: rig, license: MIT, min_ansible_version: '2.15'}\n"
    ),
    "extra/tasks/main.yml": "---\n[]\n",
    # What the repository does with them: a module, roles by metadata and by tasks.
    f"web/{ANSIBLE}/roles/mine/tasks/main.yml": (
        "---\n- name: Say hello\n  acme.web.hello:\n\n"
        "- name: Import\n  ansible.builtin.import_role:\n    name: other\n\n"
        "- name: Include\n  ansible.builtin.include_role:\n    name: extra\n"
    ),
    f"web/{ANSIBLE}/roles/mine/meta/main.yml": "---\ndependencies:\n  - role: extra\n",
}


@pytest.fixture(scope="module")
def rendered(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that uses a collection and two roles from Git."""
    folder = tmp_path_factory.mktemp("check")
    render(template, folder / "web", {"image_name": "web", "parent_image": "debian-12"})
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in ("collection", "extra"):
        git(folder / name, "init", "--quiet")
        release(folder / name, "v1.2.0")
    (folder / "web" / REQUIREMENTS).write_text(
        "---\ncollections:\n"
        f"  - name: file://{folder}/collection\n    type: git\n    version: v1.2.0\n"
        f"roles:\n  - name: extra\n    src: git+file://{folder}/extra\n    version: v1.2.0\n"
        f"  - name: other\n    src: git+file://{folder}/extra\n    version: v1.2.0\n"
    )
    git(folder / "web", "add", "--all")
    git(folder / "web", "commit", "--quiet", "-m", "Use them")
    return folder / "web"


@pytest.fixture
def clone(rendered: Path, tmp_path: Path) -> Path:
    """Return a fresh clone, as `actions/checkout` makes it."""
    git(tmp_path, "clone", "--quiet", str(rendered), "clone")
    return tmp_path / "clone"


def check(folder: Path, *words: str, **env: str) -> tuple[int, dict[str, Any], str]:
    """Run checks; return the exit code, the results by their names, and the standard error."""
    done = subprocess.run(
        [*TOOLKIT, "check", "--json", *words],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    results = json.loads(done.stdout)["checks"] if done.stdout else []
    return done.returncode, {result["name"]: result for result in results}, done.stderr


def test_a_clean_checkout_passes(clone: Path) -> None:
    """The check installs what modules, metadata and imports of roles need (field 1)."""
    code, results, errors = check(clone, "--only=ansible")
    assert code == 0, (results, errors)
    assert {result["status"] for result in results.values()} == {"passed"}
    assert git(clone, "status", "--porcelain") == ""
    # Later it needs neither Git nor a network; ansible-lint alone is ready, too.
    shutil.rmtree(clone / ANSIBLE / "roles/mine")
    env = {"GIT_ALLOW_PROTOCOL": "none"}
    assert check(clone, "--only=ansible-syntax", **env)[0] == 0


@pytest.mark.parametrize("name", ["ansible-syntax", "ansible-lint"])
def test_an_unreachable_source_is_not_a_finding(name: str, clone: Path) -> None:
    """The other checks still run, and the exit code is that of a remote error (field 1)."""
    file = clone / REQUIREMENTS
    file.write_text("---\nroles:\n  - name: extra\n    src: git+http://127.0.0.1:9/extra.git\n")
    code, results, errors = check(clone, f"--only={name},yamllint")
    assert code == 4
    assert results["yamllint"]["status"] == "passed"
    assert results[name]["status"] == "unreachable"
    assert results[name]["findings"] == []
    last = errors.splitlines()[-1]
    assert last.startswith("packer-toolkit: some checks did not run: ansible-galaxy: extra was")
    assert "check network" in last


def test_a_mistake_in_requirements_is_a_finding(clone: Path) -> None:
    """It has the file and the line, and is reported once (field 14)."""
    (clone / REQUIREMENTS).write_text("---\nroles:\n  - version: '1'\ncollections: []\n")
    code, results, _ = check(clone, "--only=ansible,yamllint")
    assert code == 1
    (finding,) = results["ansible-syntax"]["findings"]
    assert (finding["file"], finding["line"]) == (REQUIREMENTS, 3)
    lint = results["ansible-lint"]
    assert (lint["status"], lint["reason"]) == ("skipped", "see ansible-syntax")
    assert results["yamllint"]["status"] == "passed"


def test_checks_that_need_no_requirements_install_none(clone: Path) -> None:
    """Only Ansible's checks use what requirements.yml names."""
    code, _, errors = check(clone, "--only=yamllint,shellcheck")
    assert (code, errors) == (0, "")
    assert not (clone / ANSIBLE / ".galaxy").exists()


def test_missing_content_is_a_finding_of_the_check_of_its_kind(clone: Path) -> None:
    """Roles, scripts and controls that are submodules are reported by their checks (field 5)."""
    paths = {
        "ansible-syntax": f"{ANSIBLE}/roles/x",
        "inspec": "inspec/more",
        "shellcheck": "provisioners/shell/common",
    }
    for path in paths.values():
        (clone / path).mkdir()
        with (clone / ".gitmodules").open("a") as file:
            file.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = ../x\n')
    code, results, _ = check(clone, "--only=ansible-syntax,inspec,shell")
    assert code == 1
    found = {name: [each["file"] for each in result["findings"]]
             for name, result in results.items() if result["findings"]}  # fmt: skip
    assert found == {name: [path] for name, path in paths.items()}
