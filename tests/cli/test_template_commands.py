"""The commands of the group template: which function gets which values, and what is printed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import click
import pytest
from packaging.version import Version

from packer_toolkit.github.client import RepositoryAccess
from packer_toolkit.template.fleet import FleetRow
from packer_toolkit.template.journal import Undone
from packer_toolkit.template.pull_request_job import PullRequestResult
from packer_toolkit.template.source import TemplateRelease
from packer_toolkit.template.update import UpdateResult
from packer_toolkit.template.update_plan import UpdateRequest

Call = Callable[..., Any]
patch = functools.partial(mock.patch, autospec=True)
TEMPLATE = "packer_toolkit.template"
SOURCE = "https://github.test/acme/template"


@pytest.fixture(autouse=True)
def enter_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder, outside of a workflow."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project() -> Any:
    """Return a project at v1.0.0 that every command finds."""
    found = SimpleNamespace(
        source=SOURCE, answers_file=".copier-answers.yml", version=Version("1.0.0"),
        release="v1.0.0",
    )  # fmt: skip
    with patch(f"{TEMPLATE}.journal.find_project", return_value=found):
        yield found


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("newest", "code"), [("v1.0.0", 0), ("v1.1.0", 1)])
def test_check_exits_with_1_when_there_is_a_newer_release(
    call: Call, newest: str, code: int
) -> None:
    """The changelog is on standard output, the next command on standard error."""
    release = TemplateRelease(Version(newest), newest)
    module = "packer_toolkit.cli.template.check"
    with (
        patch(f"{module}.find_newest_release", return_value=release),
        patch(f"{module}.read_news", return_value="### Added"),
    ):
        result = call("template", "check")
        parts = call("template-check", "--json").json
    assert result.code == code
    assert ("### Added" in result.stdout, "task template-update" in result.stderr) == (
        bool(code), bool(code),
    )  # fmt: skip
    assert (parts["newest"], parts["newer"], parts["template"]) == (newest, bool(code), SOURCE)


@contextlib.contextmanager
def plan_update(diff: str, conflicts: list[str]) -> Any:
    """Let the room plan an update with this diff."""
    plan = mock.Mock(conflicts=conflicts)
    plan.format_diff.return_value = diff
    with (
        mock.patch(
            f"{TEMPLATE}.update.choose_release", autospec=True, return_value="v1.1.0"
        ) as target,
        patch(f"{TEMPLATE}.update.plan_update") as planned,
        patch(f"{TEMPLATE}.project.require_commit"),
        patch(f"{TEMPLATE}.project.find_uncommitted", return_value=["a.hcl"]),
        patch(f"{TEMPLATE}.update_result.format_result", return_value=["No conflicts."]),
        patch(f"{TEMPLATE}.update_result.describe_update", return_value={"to": "v1.1.0"}),
        patch(f"{TEMPLATE}.update_result.describe_no_update", return_value={"to": "v1.0.0"}),
    ):
        planned.return_value.__enter__.return_value = plan
        yield target, planned


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("options", [("--vcs-ref=v1.1.0",), ("--to", "v1.1.0")])
def test_diff_prints_the_diff_and_the_verdict(call: Call, options: tuple[str, ...]) -> None:
    """The diff is on standard output, the rest on standard error; conflicts exit with 1."""
    with plan_update("+ caf\udce9\n", ["a.hcl"]) as (target, planned):
        result = call("template", "diff", *options, "--data=a=b", "--trust")
        parts = call("template-diff", *options, "--json").json
    assert target.call_args.args[1] == "v1.1.0"
    assert planned.call_args_list[0].args[1:] == (
        "v1.1.0", UpdateRequest("v1.1.0", {"a": "b"}, trust=True),
    )  # fmt: skip
    assert (result.code, result.stderr) == (
        1, "Uncommitted changes are left out: a.hcl\nNo conflicts.\n",
    )  # fmt: skip
    assert parts["diff"].startswith("+ caf")
    assert parts["diff"].isascii()


@pytest.mark.usefixtures("project")
def test_diff_of_the_latest_release_is_empty(call: Call) -> None:
    """At the latest release there is nothing to show."""
    with plan_update("", []) as (target, _):
        target.return_value = "v1.0.0"
        result = call("template", "diff")
        parts = call("template", "diff", "--json").json
    assert (result.code, result.stdout, "Up to date" in result.stderr) == (0, "", True)
    assert parts == {"to": "v1.0.0", "diff": ""}


@pytest.mark.parametrize(
    "options",
    [
        ("template", "update", "--vcs-ref=v1.1.0", "--data-file=answers.yml"),
        ("template-update", "--to=v1.1.0", "--answers=answers.yml"),
    ],
)
def test_update_prints_the_verdict(call: Call, project: Any, options: tuple[str, ...]) -> None:
    """Both names run the same update, and print its lines, notes and exit code."""
    Path("answers.yml").write_text("a: b\n")
    result = UpdateResult({"to": "v1.1.0"}, ["Updated."], ["You saved a.hcl."], is_clean=False)
    with patch(f"{TEMPLATE}.update.update_repository") as update:
        update.return_value = result
        printed = call(*options, "--trust")
        parts = call(*options, "--dry-run", "--json").json
    assert update.call_args_list[0].args == (
        project, UpdateRequest("v1.1.0", {"a": "b"}, trust=True),
    )  # fmt: skip
    assert not update.call_args_list[0].kwargs["dry_run"]
    assert update.call_args_list[1].kwargs["dry_run"]
    assert (printed.code, printed.stdout, printed.stderr) == (
        1, "Updated.\n", "You saved a.hcl.\n",
    )  # fmt: skip
    assert parts == {"to": "v1.1.0"}


UNDO = [("template", "undo"), ("template-update", "--undo")]
COPIED = Undone("v1.0.0", ["a.hcl"], {"a.hcl": "0ff1ce"}, {"a.hcl": Path("/copies/a.hcl")})


@pytest.mark.parametrize("words", UNDO)
@pytest.mark.parametrize(
    ("undone", "earlier", "options", "stdout", "stderr"),
    [
        (COPIED, None, (), "Undone: 1 file, as they were at v1.0.0.\n",
         "What you wrote into a.hcl since is kept: git cat-file -p 0ff1ce, or /copies/a.hcl\n"),
        (COPIED, None, ("--dry-run",), "Would undo 1 file, to v1.0.0:\n"
         "  a.hcl; what you wrote into it since would be kept\n", ""),
        (Undone(reason="it was committed"), None, (),
         "Nothing to undo: it was committed. The record of the update was deleted.\n", ""),
        (Undone(), Path("/copies"), (), "Nothing to undo: no update is open.\n",
         "What earlier updates have kept is in /copies; delete it when you do not need it.\n"),
    ],
)  # fmt: skip
def test_undo_prints_what_was_undone(
    call: Call, words: tuple[str, ...], undone: Undone, earlier: Path | None,
    options: tuple[str, ...], stdout: str, stderr: str,
) -> None:  # fmt: skip
    """`template undo` and `template-update --undo` of 1.x do the same."""
    with patch(f"{TEMPLATE}.journal.undo_update") as undo:
        undo.return_value = (undone, earlier)
        result = call(*words, *options)
    assert undo.call_args.args == (Path.cwd(), "--dry-run" in options)
    assert (result.code, result.stdout, result.stderr) == (0, stdout, stderr)


@pytest.mark.parametrize("words", UNDO)
def test_undo_prints_json(call: Call, words: tuple[str, ...]) -> None:
    """The keys are those of 1.x."""
    with patch(f"{TEMPLATE}.journal.undo_update") as undo:
        undo.return_value = (COPIED, None)
        assert call(*words, "--json").json == {
            "release": "v1.0.0", "files": ["a.hcl"], "kept": {"a.hcl": "0ff1ce"},
            "copies": {"a.hcl": "/copies/a.hcl"}, "reason": "", "dry_run": False,
        }  # fmt: skip


def test_undo_takes_no_release(call: Call) -> None:
    """The former flag excludes what an update takes."""
    result = call("template-update", "--undo", "--to=v1.1.0")
    assert (result.code, "--undo undoes the last update" in result.error) == (2, True)


PR = PullRequestResult(
    {"release": "v1.1.0", "title": "Update to v1.1.0", "url": "https://pr/1", "updated": True},
    {"updated": "true", "release": "v1.1.0", "commit": "c0ffee"}, "Update to v1.1.0: https://pr/1",
    "[Update to v1.1.0](https://pr/1)",
)  # fmt: skip


@pytest.mark.parametrize("words", [("template", "pr", "--vcs-ref=v1.1.0"),
                                   ("template-pr", "--to=v1.1.0")])  # fmt: skip
def test_pr_runs_the_job_and_sets_outputs(
    call: Call, project: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Options become the job; its outputs, summary and message are written."""
    summary = tmp_path / "summary"
    summary.touch()
    env = {"GITHUB_REPOSITORY": "acme/web", "GITHUB_TOKEN": "t0ken", "GITHUB_REF_NAME": "trunk",
           "GITHUB_STEP_SUMMARY": str(summary)}  # fmt: skip
    with patch(f"{TEMPLATE}.pull_request_job.PullRequestJob.run") as run:
        run.return_value = PR
        result = call(*words, "--data=a=b", "--save=-", "--trust", **env)
        dry = call(*words, "--dry-run", **env)
        parts = call(*words, "--json", **env).json
    job = run.call_args_list[0].args[0]
    assert (job.project, job.access) == (project, RepositoryAccess("acme/web", "t0ken"))
    assert (job.base, job.branch, job.dry_run) == ("trunk", "update-from-template", False)
    assert job.request == UpdateRequest("v1.1.0", {"a": "b"}, trust=True)
    assert run.call_args_list[0].kwargs["save_into"] == "-"
    assert result.stdout == (
        "updated=true\nrelease=v1.1.0\ncommit=c0ffee\nUpdate to v1.1.0: https://pr/1\n"
    )
    assert dry.stdout == "Update to v1.1.0: https://pr/1\n"
    assert parts["url"] == "https://pr/1"
    assert parts.keys() >= {"updated", "commit", "text", "conflicts", "workflows", "dry_run"}
    assert "[Update to v1.1.0](https://pr/1)" in summary.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fetch=x", "--checked=success"), "cannot be combined"),
        (("--save=x", "--from=x"), "cannot be combined"),
        (
            ("--template=x", "--vcs-ref=v1"),
            "it cannot be combined with --vcs-ref, --fetch or --from",
        ),
    ],
)
def test_pr_refuses_options_that_exclude_each_other(
    call: Call, options: tuple[str, ...], message: str
) -> None:
    """A job does one thing."""
    result = call("template", "pr", *options)
    assert (result.code, message in result.error) == (2, True)


ROWS = [
    FleetRow("acme/a", SOURCE, "v1.1.0", "v1.1.0", 0, "2026-11-25T03:00:00Z"),
    FleetRow("acme/b", SOURCE, "v1.0.0", "v1.1.0", 1, "2026-11-24T03:00:00Z"),
    FleetRow("acme/c", problem="404", failed=True),
]


@pytest.mark.parametrize("option", ["--from-file", "--list"])
def test_fleet_shows_each_repository(call: Call, option: str) -> None:
    """Repositories of options and a file are read; one that cannot be read exits with 1."""
    names = "acme/b # a comment\n\nacme/c\n"
    with (
        patch(f"{TEMPLATE}.fleet.read_fleet") as read,
        patch(f"{TEMPLATE}.github_fleet.GitHubFleet") as fleet,
    ):
        read.side_effect = [iter(ROWS), iter(ROWS)]
        fleet.return_value.list_names.return_value = ["acme/a", "acme/b", "acme/c"]
        fleet.return_value.archived = 2
        words = ("fleet", "--repository=acme/a", option, "-", "--workflows")
        result = call(*words, stdin=names, **{"GITHUB_TOKEN": "t0ken"})
        parts = call("template", *words, "--behind", "--json", stdin=names).json
    assert fleet.call_args_list[0].args[-1] == ["acme/a", "acme/b", "acme/c"]
    connect, api_url, tags = fleet.call_args_list[0].args[:3]
    assert (connect.args, api_url) == (("t0ken", api_url, 600), "https://api.github.com")
    assert tags.patience == 600
    assert (result.code, result.error) == (
        1,
        "could not be read: acme/c; the table has the reasons",
    )
    assert [line.split()[0] for line in result.stdout.splitlines() if "acme" in line] == [
        "acme/a", "acme/b", "acme/c",
    ]  # fmt: skip
    assert result.stderr == (
        "3 repositories: 1 up to date, 1 behind, 1 could not be read, 2 archived and left out\n"
    )
    assert [each["name"] for each in parts] == ["acme/b"]


def test_fleet_reads_clones(call: Call, tmp_path: Path) -> None:
    """--local reads the clones of a folder, without GitHub."""
    (tmp_path / "packer-ami-web" / ".git").mkdir(parents=True)
    with patch(f"{TEMPLATE}.fleet.read_fleet", return_value=iter(ROWS[:1])):
        result = call("template", "fleet", "--local", str(tmp_path))
    assert (result.code, result.stderr) == (0, "1 repository: 1 up to date\n")
    both = call("template", "fleet", "--local", str(tmp_path), "--organization=acme")
    neither = call("template", "fleet")
    assert ("--local cannot be combined" in both.error, both.code) == (True, 2)
    assert neither.error == "give --organization, --repository, --from-file or --local"


def make_adoption(folder: Path) -> Any:
    """Return an adoption of a folder, with one file to add."""
    answer = SimpleNamespace(value=["arm64", "x86_64"], origin="default", place=None)
    place = SimpleNamespace(value="web", origin="found", place="a.pkr.hcl:3")
    return mock.Mock(
        folder=folder, source=SOURCE, release="v1.1.0", answers={"image": place, "arch": answer},
        answers_file=".copier-answers.yml", refused={"region": "not a region"},
        found=SimpleNamespace(folder="packer", notes=["two sources"]),
        files={"Taskfile.yml": "missing", "a.pkr.hcl": "different"},
        match_missing=lambda patterns: ["Taskfile.yml"] if patterns == ("all",) else [],
        diff_added=lambda accepted: "".join(f"+++ {path}\n" for path in accepted),
        diff_different=lambda: "--- a.pkr.hcl\n", write=lambda accepted: [*accepted, "answers"],
    )  # fmt: skip


@pytest.mark.parametrize("words", [("adopt", "--release=v1.1.0"),
                                   ("template", "adopt", "--vcs-ref=v1.1.0")])  # fmt: skip
def test_adopt_shows_and_writes(call: Call, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Answers and files are shown, accepted files written, and the next commands named."""
    options = ("--template", SOURCE, "--accept=all", "--diff", "--defaults", "--data=a=b")
    with patch("packer_toolkit.adopt.prepare.prepare_adoption") as prepared:
        prepared.return_value.__enter__.return_value = make_adoption(tmp_path)
        result = call(*words, *options)
        parts = call(*words, *options, "--json").json
        dry = call(*words, *options, "--dry-run")
    assert prepared.call_args_list[0].args[0].release == "v1.1.0"
    assert prepared.call_args_list[0].args[0].data == {"a": "b"}
    assert prepared.call_args_list[2].args[0].write is False
    for text in ("Baseline: v1.1.0 of https", "found: a.pkr.hcl:3", "arm64, x86_64",
                 "This is added:\n\n--- a.pkr.hcl\n+++ Taskfile.yml\n"):  # fmt: skip
        assert text in result.stdout
    for text in ("No answer to region was taken: not a region", "Note: two sources",
                 "Added 2 files. Commit: git add --all . && git commit -m "):  # fmt: skip
        assert text in result.stderr
    assert (parts["written"], parts["accepted"]) == (["Taskfile.yml", "answers"], ["Taskfile.yml"])
    assert "This would be added" in dry.stdout
    assert "Added" not in dry.stderr


def test_adopt_needs_a_template(call: Call) -> None:
    """Without --template, and not installed from one, there is nothing to adopt to."""
    module = "packer_toolkit.adopt.prepare.find_own_template"
    with mock.patch(module, autospec=True, return_value=None):
        result = call("template", "adopt")
    assert (result.code, result.error.startswith("give --template URL")) == (2, True)


def test_a_click_error_is_an_error() -> None:
    """The exit code that `call` reports is Click's."""
    assert click.UsageError("x").exit_code == 2
