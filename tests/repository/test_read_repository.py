"""The files of a repository are read without starting anything but git."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_missing_content import MISSING, change
from test_requirements_forms import ACCEPTED, REFUSED, fill

from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.process import NOT_ON_PATH, Completed
from packer_toolkit.repository import ssm_files
from packer_toolkit.repository.answers_file import (
    choose_answers_file,
    find_answers_files,
    read_answers,
    read_candidates,
)
from packer_toolkit.repository.collections import (
    add_collections,
    create_collection,
    install_collections,
)
from packer_toolkit.repository.galaxy_command import find_reason
from packer_toolkit.repository.galaxy_install import GALAXY, Options
from packer_toolkit.repository.missing_content import (
    find_applied_roles,
    find_missing_content,
    require_content,
)
from packer_toolkit.repository.requirements_file import (
    ANSIBLE,
    REQUIREMENTS,
    RequirementsError,
    read_requirements,
)
from packer_toolkit.repository.session_manager import is_configured
from packer_toolkit.repository.settings import find_repository, read_settings, require_repository
from rig.repositories.template import ROOT, git

TASKS = "---\n- name: Note it\n  ansible.builtin.debug:\n    msg: Noted\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with the folders of the template."""
    folder = tmp_path / "packer ami"
    for path, text in {
        "toolkit.env": "AWS_REGION=eu-west-1\n",
        "provisioners/ansible/playbook.yml": "---\n- hosts: all\n",
        "provisioners/ansible/roles/.gitkeep": "",
        "provisioners/shell/.gitkeep": "",
        "inspec/inspec.yml": "name: web\n",
        "inspec/controls/web.rb": "",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(tmp_path, "init", "--quiet", str(folder))
    return folder


# --- Content -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", MISSING)
def test_missing_content_has_a_path_and_a_reason(case: str, root: Path) -> None:
    """A folder without the expected content is reported, and so is the way to fetch it."""
    files, submodules, path, reason = MISSING[case]
    change(root, files, submodules)
    missing = find_missing_content(root)
    assert [each.path.as_posix() for each in missing] == [path]
    assert reason in missing[0].reason
    with pytest.raises(SetupError, match="; "):
        require_content(root)


def test_applied_roles_have_tasks_or_dependencies(root: Path) -> None:
    """A role with tasks, or with dependencies alone, is applied by each build."""
    roles = "provisioners/ansible/roles"
    change(
        root,
        {
            f"{roles}/a/tasks/main.yml": TASKS,
            f"{roles}/b/meta/main.yml": "dependencies: [a]\n",
            f"{roles}/c/files/x": "x",
        },
    )
    assert find_applied_roles(root) == ["a", "b"]
    require_content(root / "inspec")


# --- Requirements ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ACCEPTED)
def test_an_accepted_form_is_read(form: str, root: Path, tmp_path: Path) -> None:
    """Each form of ansible-galaxy has entries with a file and a line."""
    text, _ = ACCEPTED[form]
    (root / REQUIREMENTS).write_bytes(fill(text, tmp_path / "sources"))
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/included.yml").write_text("- src: acme.role\n")
    requirements = read_requirements(root)
    entries = [*requirements.roles, *requirements.collections]
    assert all(each.line >= 1 for each in entries)


@pytest.mark.parametrize("form", REFUSED)
def test_a_refused_form_has_its_line(form: str, root: Path) -> None:
    """What ansible-galaxy refuses is one line with file and line."""
    text, line, part = REFUSED[form]
    (root / REQUIREMENTS).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RequirementsError) as refused:
        install_collections(root, Options(run=miss))
    assert f":{line}: " in str(refused.value)
    assert part in str(refused.value)


def miss(*_: object, **__: object) -> Completed:
    """Return what a missing program returns."""
    return Completed(NOT_ON_PATH, stderr="ansible-galaxy is not on PATH")


class FakeGalaxy:
    """Installs what it is asked for by writing the files that ansible-galaxy writes.

    Attributes:
        commands: The commands that were run.
        commit: The commit of every branch.
    """

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.commit = "1" * 40

    def __call__(self, command: Sequence[Any], **_: Any) -> Completed:
        """Run a command."""
        import json

        import yaml

        words = [str(word) for word in command]
        self.commands.append(words)
        if words[0] == "git":
            return Completed(0, f"{self.commit}\t{words[-2]}\n")
        file = Path(words[-1])
        data = yaml.safe_load(file.read_text())
        for role in data["roles"]:
            info = file.parent / "roles" / role["name"] / "meta/.galaxy_install_info"
            info.parent.mkdir(parents=True, exist_ok=True)
            info.write_text(f"version: {role.get('version', '')}\n")
            (info.parent / "main.yml").write_text("dependencies: []\n")
        for collection in data.get("collections", []):
            namespace, _, name = collection["name"].partition(".")
            folder = file.parent / "collections/ansible_collections" / namespace / name
            folder.mkdir(parents=True, exist_ok=True)
            version = str(collection.get("version", "1.0.0")).strip("*") or "3.0.0"
            manifest = {"collection_info": {"version": version, "dependencies": {}}}
            (folder / "MANIFEST.json").write_text(json.dumps(manifest))
            (folder / "FILES.json").write_text('{"files": [{"name": "MANIFEST.json"}]}')
        return Completed(0)


def test_requirements_are_installed_once(root: Path) -> None:
    """What is installed stays; what changed is installed again, and a branch is looked up."""
    galaxy = FakeGalaxy()
    lines: list[str] = []
    options = Options(run=galaxy, report=lines.append)
    (root / REQUIREMENTS).write_text(
        "roles: [{name: ext, src: 'git+https://example.com/ext.git', version: main}]\n"
        "collections:\n- {name: acme.web, version: 1.2.3}\n"
    )
    installed = install_collections(root, options)
    assert [(each.name, each.after) for each in installed.collections] == [("acme.web", "1.2.3")]
    assert [(each.name, each.after) for each in installed.roles] == [("ext", "main")]
    assert lines == ["Installing ext, acme.web"]
    started = len(galaxy.commands)
    install_collections(root, options)
    assert len(galaxy.commands) == started
    install_collections(root, Options(run=galaxy, refresh=True))
    assert [words[0] for words in galaxy.commands[started:]] == ["git"]
    galaxy.commit = "2" * 40
    install_collections(root, Options(run=galaxy, refresh=True))
    assert galaxy.commands[-1][0] == "ansible-galaxy"
    added = add_collections(root, ["acme.more"], "https://galaxy.example.com", options)
    assert "acme.more" in {each.name for each in added.collections}
    assert 'version: "3.0.0"' in (root / REQUIREMENTS).read_text()
    with pytest.raises(SetupError, match=r"acme\.more is in .* already"):
        add_collections(root, ["acme.more"], None, options)
    (root / REQUIREMENTS).write_text("collections: []\n")
    assert install_collections(root, options).collections == []
    assert not list((root / GALAXY).glob(".new-*"))


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (Completed(1, "", "ERROR! Connection refused"), RemoteError),
        (Completed(1, "", "ERROR! no such version of acme.web"), RequirementsError),
        (Completed(NOT_ON_PATH, stderr="ansible-galaxy is not on PATH"), SetupError),
    ],
)
def test_a_failed_installation_is_explained(
    output: Completed, error: type[Exception], root: Path
) -> None:
    """A server that cannot be reached and a mistake in the file are different errors."""
    (root / REQUIREMENTS).write_text("collections: [{name: acme.web, version: 1.2.3}]\n")
    with pytest.raises(error, match="ansible-galaxy"):
        install_collections(root, Options(run=lambda *_, **__: output))


def test_a_reason_is_one_line_without_secrets() -> None:
    """The line of git is added, and passwords are removed."""
    text = (
        "ERROR! - x was NOT installed successfully.\n\nmore\nfatal: unable to access a://me:pw@b\n"
    )
    reason = find_reason(text)
    assert "unable to access a://b" in reason
    assert "pw" not in reason
    assert find_reason("") == "no reason given"


def test_names_of_collections_are_checked(root: Path) -> None:
    """A wrong name or an existing folder is refused before anything starts."""
    with pytest.raises(SetupError, match="is not a valid collection name"):
        create_collection(root, "web")
    (root / ANSIBLE / "collections/ansible_collections/team/web").mkdir(parents=True)
    with pytest.raises(SetupError, match="exists already"):
        create_collection(root, "team.web")
    (root / REQUIREMENTS).unlink(missing_ok=True)
    with pytest.raises(SetupError, match=r"requirements\.yml is missing"):
        install_collections(root, Options())


# --- Settings and answers ----------------------------------------------------------------------

ENV = "# comment\nA=1\n\nB='x'\nC=\"y\"\nD=a=b # c\nE=\nAWS_REGION=r\nPERSONAL_ROLE_VARIABLE=P\r\n"


@pytest.mark.integration
def test_toolkit_sh_reads_the_same_settings(tmp_path: Path) -> None:
    """Quotes are part of a value, for the launcher and for the command."""
    (tmp_path / "toolkit.env").write_text(f"{ENV}TOOLKIT_IMAGE=i\n", newline="")
    scripts = "".join(file.read_text() for file in sorted((ROOT / "template").glob("toolkit*.sh")))
    start = scripts.index("\nread_settings() {")
    function = scripts[start : scripts.index("\n}\n", start) + 3]
    names = ("A", "B", "C", "D", "E", "PERSONAL_ROLE_VARIABLE")
    shown = "; ".join(f'printf "%s\\n" "${{{name}}}"' for name in names)
    done = subprocess.run(
        ["bash", "-c", f"passed=()\n{function}\nread_settings\n{shown}"],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    values = read_settings(tmp_path)
    assert done.stdout.splitlines() == [values[name] for name in names]


def test_settings_are_those_of_the_file_and_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable of the environment takes precedence, unless it is empty."""
    (root / "toolkit.env").write_text(ENV, newline="")
    monkeypatch.setenv("A", "2")
    monkeypatch.setenv("D", "")
    values = read_settings(root / "inspec")
    assert (values["A"], values["B"], values["D"]) == ("2", "'x'", "a=b # c")
    assert values["PERSONAL_ROLE_VARIABLE"] == "P"
    assert require_repository(root / "inspec") == find_repository(root) == root
    (root / "toolkit.env").write_text("A 1\n")
    with pytest.raises(SetupError, match="line 1 is not NAME=VALUE: A 1"):
        read_settings(root)
    with pytest.raises(SetupError, match="is not in a packer-ami repository"):
        require_repository(root.parent)


OURS = "image_name: a\nparent_image: b\ntoolkit_image: c/d\n_commit: v1.0.0\n"


def test_the_answers_file_is_found_by_its_questions(root: Path) -> None:
    """A file in the folder comes before those below, and a wanted file has to be one of ours."""
    assert choose_answers_file(root) == ".copier-answers.yml"
    (root / ".copier").mkdir()
    (root / ".copier/ami.yml").write_text(OURS)
    assert find_answers_files(root) == [".copier/ami.yml"]
    (root / "images").mkdir()
    (root / "images/.copier-answers.yml").write_text(OURS)
    (root / ".copier-answers.yml").write_text("_src_path: x\n_commit: v1\n")
    assert find_answers_files(root) == [".copier/ami.yml"]
    assert read_answers(root)["image_name"] == "a"
    assert ".copier/ami.yml" in dict(read_candidates(root))
    (root / "ours.yaml").write_text(OURS)
    (root / "more.yml").write_text(OURS)
    with pytest.raises(SetupError, match="has several answers files"):
        choose_answers_file(root)
    git(root, "add", "ours.yaml")
    assert choose_answers_file(root) == "ours.yaml"
    assert choose_answers_file(root, "more.yml") == "more.yml"
    for wanted, reason in (
        ("../x", "outside of"),
        ("none.yml", "has no such file"),
        (".copier-answers.yml", "is not an answers file of this template"),
    ):
        with pytest.raises(SetupError, match=reason):
            choose_answers_file(root, wanted)
    (root / "ours.yaml").write_text(f"{OURS}x: [\n")
    assert read_answers(root) == {}


# --- Session Manager ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.pkr.hcl", 'x = var.a ? "session_manager" : "public_ip"\n', True),
        ("a.pkr.hcl", 'source "a" "b" {\n  x = { y : "session_manager" }\n}\n', True),
        ("a.pkr.hcl", 'x = var.a == "session_manager"\n', False),
        ("a.pkr.hcl", 'x = contains(["session_manager"], var.a)\n# y = "session_manager"\n', False),
        ("a.auto.pkrvars.hcl", 'ssh_interface = "session_manager"\n', True),
        ("a.pkr.hcl", 'x = "session_manager"\n{\n', True),
        ("a.auto.pkrvars.json", '{"x": "session_manager"}', True),
        ("a.pkr.hcl", "x = 1\n", False),
    ],
)
def test_a_choice_of_session_manager_is_found(
    name: str, text: str, expected: bool, root: Path
) -> None:
    """A value counts, also below a condition; a comparison and a list do not."""
    (root / name).write_text(text)
    assert is_configured(root, {}) is expected
    assert is_configured(None, {"PKR_VAR_ssh_interface": "session_manager"})


# --- SSM parameters ----------------------------------------------------------------------------


class FakeSsm:
    """A client of SSM, its paginator and its session.

    Attributes:
        parameters: Values by name.
    """

    region_name = "eu-west-1"

    def __init__(self, **parameters: str) -> None:
        self.parameters = {f"/packer/{name}": value for name, value in parameters.items()}

    def client(self, *_: object, **__: object) -> FakeSsm:
        """Return the client."""
        return self

    get_paginator = client

    def _describe(self, names: Sequence[str]) -> list[dict[str, str]]:
        kinds = {"token": "SecureString", "subnets": "StringList"}
        return [
            {"Name": name, "Type": kinds.get(name[8:], "String"), "Value": self.parameters[name]}
            for name in names
        ]

    def get_parameters(self, **options: Any) -> dict[str, Any]:
        """Return parameters by name."""
        known = [name for name in options["Names"] if name in self.parameters]
        missing = [name for name in options["Names"] if name not in known]
        return {"Parameters": self._describe(known), "InvalidParameters": missing}

    def paginate(self, **options: Any) -> SimpleNamespace:
        """Return pages with the parameters below a path."""
        names = [name for name in self.parameters if name.startswith(options["Path"] + "/")]
        return SimpleNamespace(build_full_result=lambda: {"Parameters": self._describe(names)})


HCL = """\
variable "vpc_id" {
  type = string # { in a comment
}
variable "subnets" {
  type = list(string)
}
variable "region" {}
variable "token" {}
"""


def test_parameters_become_files_and_variables(root: Path) -> None:
    """A variable that is declared, and that no other file sets, gets the value of a parameter."""
    (root / "legacy.pkr.hcl").write_text(HCL)
    (root / "image.auto.pkrvars.hcl").write_text('region = "x"\n')
    (root / ".gitignore").write_text("/legacy-deps/\n/legacy-deps.auto.pkrvars.json\n")
    ssm: Any = FakeSsm(vpc_id="vpc-1", subnets="a,b", region="r", odd="o", **{"token": "t"})
    names = ssm_files.split_names("/packer/, /packer/vpc_id")
    parameters, skipped = ssm_files.fetch_parameters(ssm, names, False)
    assert skipped == ["/packer/token"]
    plan = ssm_files.plan_files(root, parameters, skipped)
    assert plan.variables == {"vpc_id": "vpc-1", "subnets": ["a", "b"]}
    assert plan.without_variable == {
        "/packer/odd": "no *.pkr.hcl declares a variable odd",
        "/packer/region": "image.auto.pkrvars.hcl sets region",
    }
    assert Path("legacy-deps/packer/vpc_id") in ssm_files.write_files(root, plan, False)
    assert (root / "legacy-deps/packer/vpc_id").read_text() == "vpc-1"
    parameters, _ = ssm_files.fetch_parameters(ssm, ["/packer/token"], True)
    plan = ssm_files.plan_files(root, parameters, [])
    ssm_files.write_files(root, plan, False)
    assert (root / "legacy-deps/packer/token").stat().st_mode & 0o777 == 0o600
    assert not (root / "legacy-deps/packer/vpc_id").exists()
    (root / "legacy-deps/packer/token").write_text("changed")
    with pytest.raises(CommandFailedError, match="not written by this command, or changed since"):
        ssm_files.write_files(root, plan, False)
    ssm_files.write_files(root, plan, True)
    (root / ".gitignore").unlink()
    with pytest.raises(SetupError, match="git does not ignore"):
        ssm_files.write_files(root, plan, True)


def test_parameters_that_cannot_be_written_are_refused(root: Path) -> None:
    """A missing parameter, a conflict of paths and a broken file of values are errors."""
    with pytest.raises(CommandFailedError, match=r"has no parameter /packer/no, /x/ \(no param"):
        ssm_files.fetch_parameters(FakeSsm(), ["/packer/no", "/x/"], False)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match="is empty; add names of parameters"):
        ssm_files.split_names(" , ")
    parameters = [ssm_files.Parameter(name, "String", "x") for name in ("/a", "/a/b")]
    with pytest.raises(CommandFailedError, match="cannot both become files"):
        ssm_files.plan_files(root, parameters, [])
    (root / "broken.pkr.hcl").write_text("variable {\n")
    plan = ssm_files.plan_files(root, parameters[:1], [])
    assert plan.without_variable["/a"].endswith("(broken.pkr.hcl cannot be parsed)")
    (root / "legacy-deps").write_text("a file")
    (root / ".gitignore").write_text("/legacy-deps*\n")
    with pytest.raises(CommandFailedError, match="conflict with the files to write: legacy-deps"):
        ssm_files.write_files(root, plan, True)
    (root / "x.auto.pkrvars.hcl").write_text("{\n")
    with pytest.raises(SetupError, match=r"x\.auto\.pkrvars\.hcl:1: it is not HCL"):
        ssm_files.plan_files(root, parameters[:1], [])
