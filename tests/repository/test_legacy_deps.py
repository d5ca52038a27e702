"""`packer-toolkit legacy-deps` writes all parameters or none, and nothing that is not its own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rig.aws import Ec2
from rig.host.tools import Packer

HCL = """\
variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  description = "No { or } in here may confuse the search for variables."
  type        = list(string)
  default     = []
}

variable "region" {
  type = string
}

variable "token" {
  type      = string
  default   = ""
  sensitive = true
}

source "null" "this" {
  communicator = "none"
}

build {
  sources = ["null.this"]

  provisioner "shell-local" {
    inline = [
      "echo '${var.vpc_id} ${join("+", var.subnet_ids)}'",
      "echo 'in the file: ${file("legacy-deps/packer/vpc_id")}'",
    ]
  }
}
"""


@pytest.fixture
def repository(tmp_path: Path, ec2: Ec2, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with an old Packer file, in the environment of the rig."""
    for name, value in ec2.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    root = tmp_path / "packer ami ünïcode"
    root.mkdir()
    (root / "toolkit.env").write_text("LEGACY_SSM_PARAMETERS=/packer/\n")
    (root / "legacy.pkr.hcl").write_text(HCL)
    (root / "image.auto.pkrvars.hcl").write_text('region = "eu-west-1"\n')
    ignored = Path(__file__).parents[2] / "template" / ".gitignore"
    (root / ".gitignore").write_bytes(ignored.read_bytes())
    subprocess.run(["git", "init", "--quiet", root], check=True)
    return root


def put(ec2: Ec2, name: str, value: str, kind: str = "String") -> None:
    """Create a parameter."""
    ec2.client("ssm").put_parameter(Name=name, Value=value, Type=kind)


def run(root: Path, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command in a repository."""
    done = subprocess.run(
        [Path(sys.executable).with_name("packer-toolkit"), "legacy-deps", *args],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def written(root: Path) -> dict[str, str]:
    """Return what is in the folder: name -> contents."""
    folder = root / "legacy-deps"
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(f.relative_to(folder)): f.read_text() for f in files if f.name != ".written.json"}


def variables(root: Path) -> dict[str, object]:
    """Return what the variables file sets."""
    found: dict[str, object] = json.loads((root / "legacy-deps.auto.pkrvars.json").read_text())
    return found


def status(root: Path) -> str:
    """Return what git would take into a commit, and every file below the repository's root."""
    there = sorted(str(file.relative_to(root)) for file in root.iterdir() if file.name != ".git")
    shown = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return shown + "\n".join(there)


def test_packer_takes_what_was_written(ec2: Ec2, repository: Path, packer: Packer) -> None:
    """Declared variables get their values without a warning; values of the team stay."""
    put(ec2, "/packer/vpc_id", "vpc-1234")
    put(ec2, "/packer/subnet_ids", "subnet-a,subnet-b", "StringList")
    put(ec2, "/packer/region", "us-east-1")
    put(ec2, "/packer/old/unknown-to-packer", "x")
    done = run(repository)
    assert "4 files in legacy-deps/" in done.stdout
    assert variables(repository) == {"subnet_ids": ["subnet-a", "subnet-b"], "vpc_id": "vpc-1234"}
    reason = "image.auto.pkrvars.hcl sets region"
    assert f"/packer/region: written as a file only ({reason})" in done.stderr
    assert "unknown-to-packer: written as a file only (no *.pkr.hcl declares" in done.stderr
    for command in (["validate", "."], ["build", "."]):
        shown = packer.run(*command, cwd=repository)
        assert "undefined" not in (shown.stdout + shown.stderr).lower(), shown.stdout
        assert "warning" not in (shown.stdout + shown.stderr).lower(), shown.stdout
    assert "vpc-1234 subnet-a+subnet-b" in shown.stdout
    assert "in the file: vpc-1234" in shown.stdout
    assert "legacy-deps" not in status(repository).splitlines()[0]
    assert subprocess.run(
        ["git", "add", "--dry-run", "."], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.count("legacy-deps") == 0  # fmt: skip


def test_250_parameters_take_as_many_pages_as_it_needs(ec2: Ec2, repository: Path) -> None:
    """SSM returns ten parameters in a page, and all pages are read."""
    names = [f"/packer/group{number % 7}/value-{number:03}" for number in range(250)]
    for name in names:
        put(ec2, name, f"of {name}")
    found = json.loads(run(repository, "--json").stdout)
    assert [each["name"] for each in found["parameters"]] == sorted(names)
    assert written(repository) == {name[1:]: f"of {name}" for name in names}
    assert len(ec2.calls("GetParametersByPath")) >= 25


def test_throttled_calls_are_repeated(ec2: Ec2, repository: Path) -> None:
    """Throttled calls are repeated: SSM allows 40 calls a second for an account."""
    put(ec2, "/packer/vpc_id", "vpc-1")
    fault = ec2.add_fault("GetParametersByPath", "throttle", first=4)
    run(repository)
    assert fault.hits == 4
    assert written(repository) == {"packer/vpc_id": "vpc-1"}


def test_250_names_are_asked_for_in_batches(ec2: Ec2, repository: Path) -> None:
    """250 names need fewer than 250 calls."""
    names = [f"/other/value-{number:03}" for number in range(25)]
    for name in names:
        put(ec2, name, "x")
    (repository / "toolkit.env").write_text(f"LEGACY_SSM_PARAMETERS={', '.join(names)}\n")
    run(repository)
    assert len(written(repository)) == 25
    assert len(ec2.calls("GetParameters")) == 3


def test_secrets_come_only_when_asked_for(ec2: Ec2, repository: Path) -> None:
    """Secrets are written only on request, and then only the user can read the files."""
    put(ec2, "/packer/token", "hunter2", "SecureString")
    put(ec2, "/packer/vpc_id", "vpc-1")
    done = run(repository)
    assert written(repository) == {"packer/vpc_id": "vpc-1"}
    assert "skipped secret /packer/token (include it" in done.stderr
    done = run(repository, "--with-secrets", "--json")
    assert written(repository) == {"packer/token": "hunter2", "packer/vpc_id": "vpc-1"}
    assert variables(repository) == {"token": "hunter2", "vpc_id": "vpc-1"}
    assert "hunter2" not in done.stdout + done.stderr
    modes = {
        name: stat.S_IMODE((repository / name).stat().st_mode)
        for name in ("legacy-deps/packer/token", "legacy-deps.auto.pkrvars.json")
    }
    assert set(modes.values()) == {0o600}, modes
    # Without it they go again: a secret does not stay behind unnoticed.
    run(repository)
    assert written(repository) == {"packer/vpc_id": "vpc-1"}
    assert variables(repository) == {"vpc_id": "vpc-1"}


def test_missing_parameters_are_named_all_at_once(ec2: Ec2, repository: Path) -> None:
    """One error names all missing parameters, and nothing is written."""
    put(ec2, "/packer/vpc_id", "vpc-1")
    before = status(repository)
    done = run(repository, "/packer/vpc_id", "/packer/no", "/x/", "nor-this", code=1)
    assert done.stderr.count("\n") == 1
    for name in ("/packer/no", "/x/ (no parameter is below it)", "nor-this"):
        assert name in done.stderr
    assert "/packer/vpc_id" not in done.stderr
    assert status(repository) == before


@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_denied_call_leaves_everything_as_it_was(
    ec2: Ec2, repository: Path, fails_at: int
) -> None:
    """No file changes, also after the first pages were read."""
    for number in range(30):
        put(ec2, f"/packer/value-{number}", "new")
    before = status(repository)
    fault = ec2.add_fault("GetParametersByPath", "deny", at=(fails_at,))
    done = run(repository, code=4)
    assert fault.hits == 1
    assert done.stderr == (
        "packer-toolkit: AWS refuses GetParametersByPath: User is not authorized to perform this"
        " action; ask for the permission, or use another role\n"
    )
    assert status(repository) == before


def test_files_of_others_are_not_overwritten(ec2: Ec2, repository: Path) -> None:
    """Files that existed before, or that changed since, are not overwritten."""
    put(ec2, "/packer/vpc_id", "vpc-1")
    put(ec2, "/packer/ami", "ami-1")
    own = repository / "legacy-deps" / "packer" / "vpc_id"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    before = written(repository)
    done = run(repository, code=1)
    assert "legacy-deps/packer/vpc_id; move the files to another" in done.stderr
    assert written(repository) == before

    own.unlink()
    run(repository)
    run(repository)  # the same once more: nothing is in the way
    ec2.client("ssm").put_parameter(Name="/packer/ami", Value="ami-2", Overwrite=True)
    run(repository)  # what it wrote itself, it may replace
    assert written(repository) == {"packer/ami": "ami-2", "packer/vpc_id": "vpc-1"}

    own.write_text("changed by hand")
    (repository / "legacy-deps.auto.pkrvars.json").write_text("{}")
    done = run(repository, code=1)
    assert "legacy-deps.auto.pkrvars.json, legacy-deps/packer/vpc_id" in done.stderr
    assert own.read_text() == "changed by hand"
    run(repository, "--force")
    assert own.read_text() == "vpc-1"


def test_what_no_parameter_stands_for_goes(ec2: Ec2, repository: Path) -> None:
    """The file of a deleted parameter is deleted, and files of the user stay."""
    put(ec2, "/packer/old", "x")
    put(ec2, "/packer/vpc_id", "vpc-1")
    run(repository)
    (repository / "legacy-deps" / "notes").write_text("mine")
    ec2.client("ssm").delete_parameter(Name="/packer/old")
    run(repository)
    assert written(repository) == {"notes": "mine", "packer/vpc_id": "vpc-1"}


def test_a_full_disk_leaves_the_old_files(
    ec2: Ec2, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is complete before the first one is put into its place."""
    from packer_toolkit.errors import SetupError
    from packer_toolkit.repository import ssm_files

    put(ec2, "/packer/a", "new")
    put(ec2, "/packer/b", "new")
    parameters, _ = ssm_files.fetch_parameters(_session(ec2), ["/packer/"], with_secrets=False)
    planned = ssm_files.plan_files(repository, parameters, [])
    before, calls = status(repository), []

    def create(*args: object) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(ssm_files, "_create", create)
    with pytest.raises(SetupError, match="No space left on device"):
        ssm_files.write_files(repository, planned, force=False)
    assert status(repository) == before


def _session(ec2: Ec2) -> object:
    from packer_toolkit.aws.session import open_session

    return open_session(ec2.region)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["/packer/a", "/packer/a/b"], "/packer/a and /packer/a/b cannot both become files"),
        (["/packer/../../escape"], "cannot become a file"),
    ],
)
def test_names_that_are_no_files_are_refused(repository: Path, names: list[str], said: str) -> None:
    """Whatever a name is, nothing is written outside of the folder."""
    from packer_toolkit.errors import CommandFailedError
    from packer_toolkit.repository import ssm_files

    parameters = [ssm_files.Parameter(name, "String", "x") for name in names]
    with pytest.raises(CommandFailedError, match=said):
        ssm_files.plan_files(repository, parameters, [])


def test_two_parameters_of_one_name_become_no_variable(repository: Path) -> None:
    """Two parameters of one name are written as files, and set no variable."""
    from packer_toolkit.repository import ssm_files

    parameters = [ssm_files.Parameter(f"/{x}/vpc_id", "String", x) for x in "ab"]
    planned = ssm_files.plan_files(repository, parameters, [])
    assert planned.variables == {}
    assert planned.without_variable["/a/vpc_id"] == "2 parameters are called vpc_id"


@pytest.mark.parametrize("prepare", ["symlink", "directory"])
def test_something_else_in_a_files_place_is_not_touched(
    ec2: Ec2, repository: Path, tmp_path: Path, prepare: str
) -> None:
    """--force is for files: it follows no link out of the repository and removes no folder."""
    put(ec2, "/packer/vpc_id", "vpc-1")
    outside = tmp_path / "outside"
    outside.mkdir()
    if prepare == "symlink":
        (repository / "legacy-deps").symlink_to(outside)
    else:
        (repository / "legacy-deps" / "packer" / "vpc_id").mkdir(parents=True)
    done = run(repository, "--force", code=1)
    assert "conflict with the files to write: legacy-deps" in done.stderr
    assert list(outside.iterdir()) == []


def test_what_git_does_not_ignore_is_not_written(ec2: Ec2, repository: Path) -> None:
    """An older repository's .gitignore does not know the files."""
    put(ec2, "/packer/vpc_id", "vpc-1")
    (repository / ".gitignore").write_text("")
    before = status(repository)
    done = run(repository, code=3)
    assert "/legacy-deps/ and /legacy-deps.auto.pkrvars.json" in done.stderr
    assert status(repository) == before


def test_without_a_setting_it_says_what_to_write(repository: Path) -> None:
    """An empty setting, as the template renders it, is refused with an example."""
    (repository / "toolkit.env").write_text("LEGACY_SSM_PARAMETERS=\n")
    done = run(repository, code=3)
    assert "LEGACY_SSM_PARAMETERS in toolkit.env is empty" in done.stderr
    assert os.linesep not in done.stderr.strip()
