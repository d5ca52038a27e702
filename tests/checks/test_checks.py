"""`packer-toolkit check` and `format`: what is wrong is found, with its file and line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rig.host.tools import Packer, require
from rig.repositories.template import git, render
from rig.run.tasks import Tasks

SCRIPT = "provisioners/shell/50-demo.sh"
ROLE = "provisioners/ansible/roles/demo/tasks/main.yml"
VALUES = "image.auto.pkrvars.hcl"

# What is appended to a file, and what is said then: the check, the file, how many lines after the
# appended text begins, and a part of the message.
DEFECTS = [
    (VALUES, 'a = "b"\nlong = "c"\n', [
        ("packer-fmt", 1, "is not formatted"),
        ("packer-validate", 1, '"a" was set but was not declared'),
        ("packer-validate", 2, '"long" was set but was not declared'),
    ]),
    ("build.pkr.hcl", "locals {\n  x = var.none\n}\n", [
        ("packer-validate", 2, 'does not have an attribute named "none"'),
    ]),
    ("broken.pkrvars.hcl", "x = {\n", [("packer-fmt", 2, "Missing expression")]),
    (ROLE, "- name: Go\n  ansible.builtin.import_tasks: nowhere.yml\n", [
        ("ansible-lint", 2, "nowhere.yml"),
        ("ansible-syntax", 2, "nowhere.yml"),
    ]),
    ("provisioners/ansible/roles/two/tasks/main.yml", "---\n- name: X\n  file:\n  wehn: y\n", [
        ("ansible-syntax", 2, "conflicting action statements"),
    ]),
    ("provisioners/ansible/roles/three/tasks/main.yml", "---\n- name: link\n  command: ls\n", [
        ("ansible-lint", 3, "[fqcn[action-core]]"),
        ("ansible-lint", 2, "[name[casing]]"),
    ]),
    ("inspec/more.yml", "---\nx: 1\nx: 2\n", [("yamllint", 3, "duplication of key")]),
    (SCRIPT, "if true; then\n    ls $HOME\nfi\n", [
        ("shellcheck", 2, "[SC2086]"),
        ("shfmt", 2, "is not formatted"),
    ]),
    ("provisioners/shell/a b.sh", "#!/bin/bash\nif\n", [
        ("shellcheck", 3, "[SC1072]"),
        ("shfmt", 2, "must be followed by a statement"),
    ]),
    ("inspec/controls/demo.rb", "control 'x' do\n", [("inspec", 1, "syntax error")]),
]  # fmt: skip


@pytest.fixture(scope="module")
def demo(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with a file of each kind; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("checks") / "a team's répo" / "packer-ami-demo"
    return render(template, folder, {"image_name": "demo", "keep_demo": True})


@pytest.fixture
def clean(demo: Path) -> Path:
    """Return the repository as rendered."""
    git(demo, "checkout", "--quiet", ".")
    git(demo, "clean", "-fdq")
    return demo


def toolkit(
    folder: Path, packer: Packer, *words: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run packer-toolkit on this machine."""
    path = os.pathsep.join(
        [str(packer.path.parent), str(require("ruby").parent), os.environ["PATH"]]
    )
    return subprocess.run(
        [sys.executable, "-m", "packer_toolkit", *words],
        cwd=folder,
        env={**os.environ, **packer.env, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def plant(repository: Path) -> set[tuple[str, str, int, str]]:
    """Plant all defects; return what has to be said."""
    expected = set()
    for name, text, said in DEFECTS:
        file = repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text() if file.exists() else ""
        file.write_text(before + text)
        for check, line, message in said:
            expected.add((check, name, before.count("\n") + line, message))
    return expected


def test_each_defect_is_found_with_file_and_line(clean: Path, packer: Packer) -> None:
    """All checks run, also after the first finding."""
    expected = plant(clean)
    done = toolkit(clean, packer, "check", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    found = [
        (check["name"], each["file"], each["line"], each["message"])
        for check in report["checks"]
        for each in check["findings"]
    ]
    for name, file, line, message in sorted(expected):
        assert any((name, file, line) == each[:3] and message in each[3] for each in found), (
            f"{name} {file}:{line} {message}\n" + "\n".join(map(str, found))
        )
    assert {check["name"] for check in report["checks"]} == {name for name, *_ in expected}
    assert all(each[1] and each[2] for each in found), found
    assert done.stderr.startswith(f"packer-toolkit: {len(found)} findings in packer-fmt, ")


def test_a_person_reads_places_and_one_table(clean: Path, packer: Packer) -> None:
    """Findings are printed with places, then in a table; GitHub shows them at their lines."""
    (clean / "inspec/more.yml").write_text("x: 1\n")
    plain = toolkit(clean, packer, "check", "--only=yaml", "--only", "shfmt")
    lines = plain.stdout.splitlines()
    assert lines[0].startswith('inspec/more.yml:1: missing document start "---"')
    assert [line.split("│")[1].strip() for line in lines if "│" in line] == ["yamllint", "shfmt"]
    assert "::error" not in plain.stdout
    there = toolkit(clean, packer, "check", "--only=yamllint", GITHUB_ACTIONS="true")
    assert "::error file=inspec/more.yml,line=1,title=yamllint::missing document" in there.stdout


@pytest.mark.parametrize("name", [".copier-answers.ami.yml", ".copier/ami.yml"])
def test_answers_files_are_not_linted(clean: Path, packer: Packer, name: str) -> None:
    """What Copier writes is not checked, whatever its name and its template are (field 4)."""
    (clean / name).parent.mkdir(exist_ok=True)
    (clean / name).write_text("_commit: v1.0.0\n_src_path: ../other\nx: {a: 1,b:   2}\n")
    there = toolkit(clean, packer, "check", "--only=yamllint")
    assert there.returncode == 0, there.stdout


def test_a_missing_tool_is_no_pass(clean: Path, packer: Packer, tmp_path: Path) -> None:
    """A check whose tool is missing is reported, with exit code 3."""
    done = toolkit(clean, packer, "check", "--only=shell,inspec", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "shfmt is not on PATH" in done.stderr
    unknown = toolkit(clean, packer, "check", "--only=spelling")
    assert unknown.returncode == 2
    assert "spelling is not a check; the checks and groups are packer-fmt, " in unknown.stderr


def test_format_mends_what_the_check_finds(clean: Path, packer: Packer) -> None:
    """`format` fixes every finding of the check, and a dry run changes nothing."""
    for name, text, _ in DEFECTS:
        if name in (VALUES, SCRIPT):
            file = clean / name
            file.write_text(file.read_text() + text)
    before = git(clean, "diff")
    dry = toolkit(clean, packer, "format", "--dry-run")
    assert dry.returncode == 1
    assert f"{SCRIPT}:" in dry.stdout
    assert git(clean, "diff") == before
    done = toolkit(clean, packer, "format", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"dry_run": False, "files": [VALUES, SCRIPT]}
    assert toolkit(clean, packer, "format", "--check").returncode == 0
    (clean / "broken.pkrvars.hcl").write_text("x = {\n")
    broken = toolkit(clean, packer, "format")
    assert broken.returncode == 3
    assert "broken.pkrvars.hcl:2: Missing expression" in broken.stderr


def test_a_new_repository_passes_every_check_in_the_container(clean: Path, tasks: Tasks) -> None:
    """`task check`; the auditor in the image is a stand-in, see tests/rig/README.md."""
    done = Tasks(clean, tasks.env).run("check")
    assert done.code == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") == 8
    assert git(clean, "status", "--porcelain") == ""


def test_ansible_validate_playbooks_finds_a_seeded_error(clean: Path, tasks: Tasks) -> None:
    """The finding has the file and the line."""
    file = clean / ROLE
    line = file.read_text().count("\n") + 1
    file.write_text(file.read_text() + "- name: Link\n  ansible.builtin.fiel:\n    path: /x\n")
    done = Tasks(clean, tasks.env).run("ansible-validate-playbooks")
    assert done.code == 1
    assert f"{ROLE}:{line}: " in done.stdout
    assert "ansible.builtin.fiel" in done.stdout
    assert "findings in ansible-" in done.errors
