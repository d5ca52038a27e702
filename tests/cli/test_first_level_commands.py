"""The commands of the first level: which function gets which values, and what is printed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from packer_toolkit.build.cleanup.scope import FoundResource, Scope
from packer_toolkit.checks.run import CheckResult
from packer_toolkit.checks.tools import Finding
from packer_toolkit.environment.machine import Check
from packer_toolkit.environment.versions import ToolVersion
from packer_toolkit.errors import CommandFailedError
from packer_toolkit.repository.galaxy_install import Installed, InstalledPart
from packer_toolkit.repository.ssm_files import FilePlan, Parameter

Call = Callable[..., Any]
patch = functools.partial(mock.patch, autospec=True)
CLI = "packer_toolkit.cli"


@pytest.fixture(autouse=True)
def enter_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in a folder that looks like a repository."""
    (tmp_path / "toolkit.env").write_text("AWS_REGION=eu-west-1\nLEGACY_SSM_PARAMETERS=/a/b\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return tmp_path


def make_leftovers(*, left: bool = False) -> Any:
    """Return one image to delete and one instance that stays."""
    image = FoundResource("image", "ami-1", "eu-west-1", snapshots=("snap-1",))
    instance = FoundResource("instance", "i-1", "eu-west-1", "its build may be running")
    result = {
        "repository": "web", "regions": ["eu-west-1"], "run_id": "", "dry_run": False,
        "found": [image.resource], "swept": [], "left": [],
        "kept": [instance.explain(instance.retained)],
    }  # fmt: skip
    reason = image.explain("UnauthorizedOperation")
    changes = {"left": [reason]} if left else {"swept": [image.resource]}
    return mock.Mock(
        deletable=[image],
        retained=[instance],
        make_result=lambda dry_run: {**result, "dry_run": dry_run},
        delete=lambda: {**result, **changes},
    )


@pytest.mark.parametrize("words", [("cleanup", "--max-deletions=1"), ("sweep", "--at-most=1")])
def test_cleanup_deletes_what_it_shows(call: Call, words: tuple[str, ...]) -> None:
    """Both names make the same request, show the resources and delete them."""
    options = ("--run-id=1-1", "--repository=web", "--region=eu-west-1", "--finished-images",
               "--assume-role=arn:aws:iam::111122223333:role/p", "--yes")  # fmt: skip
    with patch("packer_toolkit.build.cleanup.request.find_leftovers") as find:
        find.return_value = make_leftovers()
        result = call(*words, *options)
        parts = call(*words, *options, "--json").json
    scope = Scope("web", ("eu-west-1",), "1-1", True)
    assert find.call_args.args[:2] == (scope, "arn:aws:iam::111122223333:role/p")
    assert result.stdout.splitlines() == [
        "retained instance i-1 in eu-west-1: its build may be running",
        "found    image ami-1 with snap-1 in eu-west-1",
        "1 to delete, 1 deleted (1 image), 0 not deleted, 1 retained",
    ]
    assert parts["counts"] == {"found": 1, "swept": 1, "left": 0, "kept": 1}
    assert (parts["repository"], parts["regions"]) == ("web", ["eu-west-1"])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--yes", "--max-deletions=0"), 1, "then repeat the command with --max-deletions 1"),
        (("--yes",), 1, "1 resource could not be deleted (see above)"),
        (("--dry-run",), 0, ""),
        ((), 2, "add --yes to delete the resources, or --dry-run to list them"),
        (("--finished-images",), 2, "--finished-images needs --run-id"),
        (("--region=nowhere",), 2, "'nowhere' must be a region"),
        (("--region=cn-north-1",), 2, "aws-cn is not supported"),
        (("--assume-role=x",), 2, "'x' must be the ARN of a role"),
        (("--assume-role=arn:aws-cn:iam::111122223333:role/p",), 2, "aws-cn is not supported"),
    ],
)
def test_cleanup_refuses(call: Call, options: tuple[str, ...], code: int, message: str) -> None:
    """Too many resources, what cannot be deleted, and wrong options end with a line."""
    with patch("packer_toolkit.build.cleanup.request.find_leftovers") as find:
        find.return_value = make_leftovers(left=True)
        result = call("cleanup", *options)
    assert (result.code, message in result.error) == (code, True)
    assert ("would delete image ami-1" in result.stdout) == (options == ("--dry-run",))


RESULTS = [
    CheckResult("packer-fmt", "failed", "", 0.1, [Finding("a.hcl", 3, "wrong: 100%")]),
    CheckResult("yamllint", "missing", "yamllint is not installed"),
    CheckResult("ansible-galaxy", "unreachable", "a server cannot be reached"),
    CheckResult("shfmt", "passed"),
]


@pytest.mark.parametrize(
    ("results", "code", "message"),
    [
        (RESULTS, 1, "1 finding in packer-fmt"),
        (RESULTS[1:], 3, "some checks did not run: yamllint is not installed; run `task check`"),
        (RESULTS[2:], 4, "some checks did not run: a server cannot be reached"),
        (RESULTS[3:], 0, ""),
    ],
)
def test_check_reports_the_worst_result(
    call: Call, results: list[CheckResult], code: int, message: str
) -> None:
    """Findings come before missing tools, and these before servers."""
    with patch(f"{CLI}.check.run_checks", return_value=results) as run:
        result = call("check", "--only=packer-fmt,yamllint", "--only=shfmt")
        annotated = call("check", GITHUB_ACTIONS="true")
        parts = call("check", "--json").json
    assert run.call_args_list[0].args[1] == ["packer-fmt", "yamllint", "shfmt"]
    assert (result.code, result.error[: len(message)]) == (code, message)
    if results is RESULTS:
        assert "a.hcl:3: wrong: 100% (packer-fmt)" in result.stdout
        assert "::error file=a.hcl,line=3,title=packer-fmt::wrong: 100%25" in annotated.stdout
    assert parts["ok"] == (code == 0)
    assert [each["name"] for each in parts["checks"]] == [each.name for each in results]


def test_check_lists_names(call: Call) -> None:
    """--list prints checks and groups, and an unknown name is refused with both."""
    assert "packer-fmt\n" in call("check", "--list").stdout
    assert "packer-fmt" in call("check", "--list", "--json").json["checks"]
    result = call("check", "--only=spelling")
    assert (result.code, "spelling is not a check; " in result.error) == (2, True)


def test_format_prints_changed_files(call: Call) -> None:
    """Files are formatted, or with --check listed."""
    with patch(f"{CLI}.format.format_files") as format_files:
        format_files.return_value = ["a.hcl"]
        assert call("format").stdout == "formatted a.hcl\n"
        format_files.return_value = []
        assert call("format").stdout == "nothing to format\n"
    with patch(f"{CLI}.format.run_checks") as run:
        run.return_value = RESULTS[:1]
        for option in ("--check", "--dry-run"):
            result = call("format", option)
            assert (result.code, result.stdout) == (1, "a.hcl:3: wrong: 100%\n")
            assert result.error == "1 file not formatted: run `task format`"
        assert call("format", "--check", "--json").json == {"dry_run": True, "files": ["a.hcl"]}
        run.return_value = RESULTS[1:2]
        assert call("format", "--check").code == 3


def test_doctor_prints_fixes(call: Call) -> None:
    """Each check has a line, what is missing has a fix, and the error names it."""
    checks = [Check("git", "ok", "2.50"), Check("task", "missing", "not here", "install\nit")]
    with patch(f"{CLI}.doctor.run_doctor") as examine:
        examine.return_value = checks
        result = call("doctor")
        parts = call("doctor", "--json").json
        examine.return_value = checks[:1]
        assert call("doctor").code == 0
    assert (result.code, result.error) == (
        3,
        "this machine cannot build, missing: task; apply the fixes above",
    )
    assert result.stdout == (
        "ok       git   2.50\nMISSING  task  not here\n               install\n               it\n"
    )
    assert [each["name"] for each in parts["checks"]] == ["git", "task"]


def test_versions_compares_with_the_pins(call: Call, tmp_path: Path) -> None:
    """A difference is an error where versions are pinned."""
    file = tmp_path / "versions.env"
    file.touch()
    tools = [ToolVersion("git", "2.50", "2.51", False), ToolVersion("tini", "1", "1", True)]
    with patch(f"{CLI}.versions.compare_versions") as compare:
        compare.return_value = tools
        result = call("versions", "--pinned", str(file))
        compare.return_value = tools[1:]
        assert call("versions", "--json").json["ok"]
    assert compare.call_args_list[0].args == (file,)
    assert (result.code, "git: not the versions" in result.error) == (1, True)
    assert "differs" in result.stdout


def test_collection_commands_call_their_functions(call: Call, tmp_path: Path) -> None:
    """init, install and update pass on names and options, and print changes."""
    installed = Installed(
        [InstalledPart("acme.web", None, "1.0.0"), InstalledPart("acme.db", "1.0.0", "2.0.0")],
        [InstalledPart("base", "1.0.0", "1.0.0"), InstalledPart("old", None, "")],
    )
    with (
        mock.patch(
            f"{CLI}.collection.create_collection", autospec=True, return_value=Path("x")
        ) as init,
        mock.patch(
            f"{CLI}.collection.install_collections", autospec=True, return_value=installed
        ) as install,
        mock.patch(
            f"{CLI}.collection.add_collections", autospec=True, return_value=Installed()
        ) as add,
    ):
        assert call("collection", "init", "acme.web").stdout.startswith("Created acme.web in x\n")
        assert call("collection", "init", "acme.web", "--json").json["folder"] == "x"
        lines = call("collection", "update").stdout.splitlines()
        assert len(call("collection", "install", "--json").json["collections"]) == 2
        none = call("collection", "install", "acme.db:1", "--server=https://g", "--force")
    init.assert_called_with(tmp_path, "acme.web")
    assert (install.call_args_list[0].args[1].upgrade, add.call_args.args[3].force) == (True, True)
    assert add.call_args.args[1:3] == (("acme.db:1",), "https://g")
    assert lines == [
        "acme.web 1.0.0 installed", "acme.db 1.0.0 -> 2.0.0", "role base 1.0.0 unchanged",
        "role old without a version installed",
    ]  # fmt: skip
    assert "lists no collection" in none.stdout


@pytest.mark.parametrize("word", ["ssm-files", "legacy-deps"])
def test_ssm_files_writes_the_parameters(call: Call, tmp_path: Path, word: str) -> None:
    """Parameters of the command line or of toolkit.env are fetched, planned and written."""
    parameter = Parameter("/a/b", "String", "x")
    plan = FilePlan([parameter], {"b": "x"}, {"b": "/a/b"}, ["/a/token"], {"/a/c": "not declared"})
    module = "packer_toolkit.repository.ssm_files"
    with (
        patch(f"{CLI}.ssm_files.open_session") as session,
        patch(f"{module}.fetch_parameters") as fetch,
        patch(f"{module}.plan_files", return_value=plan),
        patch(f"{module}.write_files") as write,
    ):
        fetch.return_value = ([parameter], ["/a/token"])
        result = call(word)
        parts = call(word, "/x/", "--with-secrets", "--force", "--region=us-east-1", "--json").json
    session.assert_called_with("us-east-1")
    assert [each.args[1:] for each in fetch.call_args_list] == [(["/a/b"], False), (["/x/"], True)]
    assert write.call_args.args == (tmp_path, plan, True)
    assert result.stdout == (
        "1 files in legacy-deps/\n1 variables in legacy-deps.auto.pkrvars.json\n"
    )
    assert result.stderr == (
        "skipped secret /a/token (include it with --with-secrets)\n"
        "/a/c: written as a file only (not declared)\n"
    )
    assert parts["parameters"] == [
        {"name": "/a/b", "file": "legacy-deps/a/b", "variable": "b", "secret": False}
    ]


def test_build_passes_packers_arguments(call: Call) -> None:
    """Options of Packer reach the build, and a failed build is its error."""
    with (
        patch(f"{CLI}.build.Run") as run,
        patch(f"{CLI}.build.make_error") as make_error,
    ):
        run.return_value.run.return_value = {"exit_code": 0}
        make_error.return_value = None
        assert call("build", "--json", "-only=docker.local", "-var", "a=b").json == {"exit_code": 0}
        run.call_args.args[1].echo("a line")
        make_error.return_value = CommandFailedError("the build failed")
        assert call("build").error == "the build failed"
    assert run.call_args_list[0].args[0] == ("-only=docker.local", "-var", "a=b")
