"""The three tasks for Ansible collections, in the container, against a Galaxy server of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from packer_toolkit.errors import SetupError
from packer_toolkit.repository.collections import write_entries
from rig.repositories.template import git
from rig.run.tasks import Tasks
from rig.servers.galaxy import Galaxy

REQUIREMENTS = "provisioners/ansible/requirements.yml"


@pytest.fixture
def galaxy(tmp_path: Path) -> Iterator[Galaxy]:
    """Return a server with a collection in two versions."""
    folder = tmp_path / "galaxy"
    folder.mkdir()
    with Galaxy(folder) as galaxy:
        galaxy.publish("acme.tools", "1.0.0")
        galaxy.publish("acme.tools", "2.0.0")
        yield galaxy


def test_install_and_update_go_by_requirements_yml(tasks: Tasks, galaxy: Galaxy) -> None:
    """Install gets an allowed version, update the newest one; git sees only requirements.yml."""
    file = tasks.repository / REQUIREMENTS
    git(tasks.repository, "add", "--all")
    git(tasks.repository, "commit", "--quiet", "-m", "A small repository")
    none = tasks.run("ansible-collection-install")
    assert (none.code, none.stderr) == (0, "")
    assert "lists no collection; add one with" in none.stdout

    allowed = {"name": "acme.tools", "version": ">=1.0.0,<2.0.0", "source": galaxy.url}
    file.write_text(f"# Ours\n{yaml.safe_dump({'collections': [allowed], 'roles': []})}")
    done = tasks.run("ansible-collection-install")
    assert (done.code, done.stdout) == (0, "acme.tools 1.0.0 installed\n"), done.stderr

    galaxy.publish("acme.tools", "1.1.0")
    again = tasks.run("ansible-collection-install")
    assert again.stdout == "acme.tools 1.0.0 unchanged\n"
    newer = tasks.run("ansible-collection-update")
    assert newer.stdout == "acme.tools 1.0.0 -> 1.1.0\n"

    # A new one is written down, in the version that it was installed in; comments stay.
    galaxy.publish("acme.more", "3.2.1")
    added = tasks.run("ansible-collection-install", "--", "acme.more", "--server", galaxy.url)
    assert added.code == 0, added.stderr
    assert added.stdout == "acme.more 3.2.1 installed\nacme.tools 1.1.0 unchanged\n"
    assert file.read_text().startswith("# Ours\n")
    more = {"name": "acme.more", "version": "3.2.1", "source": galaxy.url}
    assert yaml.safe_load(file.read_text()) == {"collections": [more, allowed], "roles": []}
    assert git(tasks.repository, "status", "--porcelain") == f" M {REQUIREMENTS}"
    twice = tasks.run("ansible-collection-install", "--", "acme.more")
    assert twice.code == 3
    assert f"acme.more is in {REQUIREMENTS} already" in twice.errors

    # The playbook finds it.
    say = "ansible-playbook --connection=local --inventory=localhost, provisioners/ansible/{}"
    play = [
        {"name": "Call it", "hosts": "all", "gather_facts": False, "roles": ["acme.tools.hello"]}
    ]
    (tasks.repository / "provisioners/ansible/call.yml").write_text(yaml.safe_dump(play))
    config = "ANSIBLE_CONFIG=provisioners/ansible/ansible.cfg"
    ran = tasks.run("docker-run", "--", "sh", "-c", f"{config} {say.format('call.yml')}")
    assert '"msg": "acme.tools 1.1.0"' in ran.stdout, ran.stdout + ran.stderr


def test_a_server_that_is_away_is_told(tasks: Tasks) -> None:
    """A server that cannot be reached is reported in one line with the reason of Ansible."""
    away = ("ansible-collection-install", "--", "acme.tools", "--server", "http://127.0.0.1:9")
    done = tasks.run(*away)
    assert done.code == 4
    assert done.errors.startswith("packer-toolkit: ansible-galaxy: ")
    assert "Connection refused" in done.errors
    assert len(done.errors.splitlines()) == 1


def test_a_new_collection_passes_the_checks_and_is_found(tasks: Tasks) -> None:
    """It belongs to the repository, and its roles run in the image when one of ours needs them."""
    made = tasks.run("ansible-collection-init", "--", "team.web")
    assert made.code == 0, made.stderr
    folder = tasks.repository / "provisioners/ansible/collections/ansible_collections/team/web"
    for name in ("README.md", "galaxy.yml", "meta/runtime.yml", "roles", "plugins"):
        assert (folder / name).exists()

    site = folder / "roles/site/tasks/main.yml"
    own = tasks.repository / "provisioners/ansible/roles/own"
    for file, text in {
        site: "---\n- name: Say it\n  ansible.builtin.debug:\n    msg: Found\n",
        own / "tasks/main.yml": "---\n[]\n",
        own / "meta/main.yml": "---\ndependencies:\n  - role: team.web.site\n",
    }.items():
        file.parent.mkdir(parents=True)
        file.write_text(text)
    checked = tasks.run("check", "--", "--only", "ansible,yaml")
    assert checked.code == 0, checked.stdout + checked.stderr
    assert "?? provisioners/ansible/collections/" in git(tasks.repository, "status", "--porcelain")

    script = (
        "ANSIBLE_CONFIG=provisioners/ansible/ansible.cfg ansible-playbook --connection=local"
        ' --inventory=localhost, --extra-vars=\'{"image_roles": ["own"],'
        ' "ansible_become": false}\' provisioners/ansible/playbook.yml'
    )
    ran = tasks.run("docker-run", "--", "sh", "-c", script)
    assert '"msg": "Found"' in ran.stdout, ran.stdout + ran.stderr

    for name, said in (
        ("team.web", "exists already"),
        ("web", "is not a valid collection name"),
    ):
        refused = tasks.run("ansible-collection-init", "--", name)
        assert refused.code == 3
        assert said in refused.errors


WRITTEN = {
    "---\n# Ours\ncollections: []\nroles: []\n": (
        '---\n# Ours\ncollections:\n  - name: a.b\n    version: "1.0.0"\nroles: []\n'
    ),
    "collections: # those\n- name: x.y # this\nroles: []\n": (
        'collections: # those\n- name: a.b\n  version: "1.0.0"\n- name: x.y # this\nroles: []\n'
    ),
    "collections:\n\n    # first\n    - x.y\n": (
        'collections:\n    - name: a.b\n      version: "1.0.0"\n\n    # first\n    - x.y\n'
    ),
    "roles: []\n": 'roles: []\ncollections:\n  - name: a.b\n    version: "1.0.0"\n',
    "---\n": '---\ncollections:\n  - name: a.b\n    version: "1.0.0"\n',
    "": 'collections:\n  - name: a.b\n    version: "1.0.0"\n',
    "---\r\ncollections: []\r\n": (
        '---\r\ncollections:\r\n  - name: a.b\r\n    version: "1.0.0"\r\n'
    ),
    "\ufeff---\ncollections: {}\n": '---\ncollections:\n  - name: a.b\n    version: "1.0.0"\n',
    "collections: [x.y]\n": None,
    "- src: x\n": None,
}


@pytest.mark.parametrize("before", WRITTEN)
def test_requirements_keep_their_form(before: str, tmp_path: Path) -> None:
    """A file that cannot be extended without a loss stays, and the error has the lines to add."""
    file = tmp_path / REQUIREMENTS
    file.parent.mkdir(parents=True)
    file.write_text(before, newline="")
    entries = [{"name": "a.b", "version": "1.0.0"}]
    after = WRITTEN[before]
    if after is None:
        with pytest.raises(SetupError, match=r"add:\n  - name: a\.b"):
            write_entries(tmp_path, entries)
    else:
        write_entries(tmp_path, entries)
    assert file.read_bytes().decode() == (after or before)
