"""`template-pr` in three steps: what one hands over is data to the next, which validates it."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import lzma
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.template import job_files
from packer_toolkit.template.pull_request import ConflictNote, UpdateSummary, format_body
from packer_toolkit.text.markdown import neutralize_markdown
from rig.github import GitHub, Repository
from rig.repositories.hostile_release import add_origin, make_project, make_template
from rig.repositories.template import git, release
from rig.run.toolkit_process import Said, Toolkit

pytestmark = pytest.mark.integration

NAME = "globex/packer-ami-web"
TOKEN = "ghs_0123456789abcdefghij0123456789abcdef"  # noqa: S105 - nobody's
BRANCH = "update-from-template"
PARTS = ("part_1", "part_2", "part_3", "part_4")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a template and a repository that is one release behind."""
    folder = tmp_path_factory.mktemp("made")
    files = {"new.txt": "new\n", ".github/workflows/x.yml": "on: push\n", "latin.txt": "a\r\nb\n"}
    template = make_template(folder / "template", files=files)
    (template / "template" / "logo.bin").write_bytes(bytes(range(256)))
    (template / "template" / "link").symlink_to("build.hcl")
    (template / "template" / "run.sh").write_text("#!/bin/sh\n")
    (template / "template" / "run.sh").chmod(0o755)
    git(template, "tag", "--delete", "v1.1.0")
    release(template, "v1.1.0")
    make_project(template, folder / "web")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository with its origin."""
    copy = Path(shutil.copytree(made / "web", tmp_path / "web", symlinks=True))
    add_origin(copy)
    return copy


@pytest.fixture
def hub(github: GitHub) -> Repository:
    """Return the repository on the stand-in of GitHub."""
    return github.repository(NAME)


@pytest.fixture
def run(project: Path, github: GitHub, hub: Repository) -> Callable[..., Said]:
    """Return the command as a job of the workflow calls it."""
    env = {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": NAME,
        "GITHUB_REF_NAME": "main",
        "GITHUB_TOKEN": TOKEN,
    }
    return lambda *arguments, **more: Toolkit(project, env).run("template-pr", *arguments, **more)


@pytest.fixture(scope="module")
def saved_once(made: Path) -> Path:
    """Return a file with the update."""
    Toolkit(made / "web", {}).run("template-pr", "--save", str(made / "update"))
    return made / "update"


@pytest.fixture
def saved(saved_once: Path, tmp_path: Path) -> Path:
    """Return a copy of that file."""
    return Path(shutil.copy(saved_once, tmp_path / "update"))


def pulls(hub: Repository) -> list[dict[str, Any]]:
    """Return the pull requests."""
    return [{**item, **item["_pull"]} for item in hub.issues.values() if "_pull" in item]


def forge(file: Path, **changes: Any) -> None:
    """Change parts of a saved update, as a job that a release has taken over could."""
    update = json.loads(job_files.unpack_files(file.read_text(), "it")["update.json"])
    summary = {**update["summary"], **changes.pop("summary", {})}
    update = {**update, "summary": summary, **changes}
    file.write_text(job_files.pack_files({"update.json": json.dumps(update).encode()}))


def forge_tree(project: Path, file: Path, entries: Mapping[str, tuple[str, bytes]]) -> None:
    """Let a saved update add files of any mode and name; its patch and its tree are consistent."""
    update = json.loads(job_files.unpack_files(file.read_text(), "it")["update.json"])
    scratch = Path(shutil.copytree(project, file.with_name("scratch"), symlinks=True))
    for path, (mode, content) in entries.items():
        (scratch / ".git" / "blob").write_bytes(content)
        oid = git(scratch, "hash-object", "-w", ".git/blob") if mode != "160000" else "1" * 40
        unsafe = ("-c", "core.protectNTFS=false", "-c", "core.protectHFS=false")
        git(scratch, *unsafe, "update-index", "--add", "--cacheinfo", f"{mode},{oid},{path}")
    tree = git(scratch, "write-tree")
    patch = git(scratch, "diff", "--binary", "--full-index", "--cached", "HEAD") + "\n"
    update = {**update, "tree": tree, "patch": patch}
    file.write_text(job_files.pack_files({"update.json": json.dumps(update).encode()}))


def nothing_is_pushed(project: Path, hub: Repository) -> None:
    """Make sure that there is neither a branch nor a pull request."""
    assert git(project.with_name("remote.git"), "branch", "--list", BRANCH) == ""
    assert pulls(hub) == []
    assert git(project, "status", "--porcelain") == ""


def test_three_steps_are_one(
    run: Callable[..., Said], project: Path, hub: Repository, tmp_path: Path
) -> None:
    """Fetched, rendered and pushed in three steps, an update is the same as in one (review C3)."""
    run("--fetch", str(tmp_path / "template"))
    run(
        "--template",
        str(tmp_path / "template"),
        "--save",
        str(tmp_path / "update"),
        GITHUB_TOKEN="",
    )
    nothing_is_pushed(project, hub)
    run("--from", str(tmp_path / "update"), "--to", "v1.1.0", "--branch", "three")
    run("--branch", "one")
    remote = project.with_name("remote.git")
    assert git(remote, "rev-parse", "one^{tree}") == git(remote, "rev-parse", "three^{tree}")
    three, one = pulls(hub)
    assert (three["title"], three["body"]) == (one["title"], one["body"])
    assert "- `.github/workflows/x.yml`" in one["body"]
    assert "- Better." in one["body"]
    listing = git(remote, "ls-tree", "-r", "three")
    assert "100755 blob" in listing
    assert "120000 blob" in listing
    assert git(project, "status", "--porcelain") == ""


def test_each_step_has_json_and_a_dry_run(
    run: Callable[..., Said], project: Path, hub: Repository, tmp_path: Path, github: GitHub
) -> None:
    """Each step prints JSON, and with --dry-run writes and pushes nothing."""
    file = tmp_path / "file"
    for option in ("--fetch", "--save"):
        shown = json.loads(run(option, str(file), "--json", "--dry-run").stdout)
        assert (shown["release"], shown["updated"], shown["dry_run"]) == ("v1.1.0", False, True)
        assert shown["characters"] > 100
        assert not file.exists()
        assert "would write v1.1.0 for the next job" in run(option, str(file), "--dry-run").stdout
    run("--save", str(file))
    shown = json.loads(run("--from", str(file), "--json", "--dry-run").stdout)
    assert shown["title"] == "Update from the template to v1.1.0"
    assert shown["workflows"] == [".github/workflows/x.yml"]
    assert github.requests == []
    nothing_is_pushed(project, hub)
    shown = json.loads(run("--from", str(file), "--json").stdout)
    assert (shown["updated"], shown["url"] is not None) == (True, True)


def test_the_private_template_is_read_by_the_first_step_alone(
    run: Callable[..., Said], project: Path, made: Path, tmp_path: Path
) -> None:
    """What --fetch hands over is enough to render, and records no address (review C3)."""
    template = Path(shutil.copytree(made / "template", tmp_path / "private", symlinks=True))
    (template / "toolkit").mkdir()
    (template / "toolkit" / "pyproject.toml").write_text("x\n")
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "-m", "With a toolkit")
    git(template, "tag", "--force", "v1.0.0")
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace(str(made / "template"), str(template)))
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    run("--fetch", str(tmp_path / "handed"))
    files = job_files.unpack_files((tmp_path / "handed").read_text(), "it")
    assert set(files) == {"release.json", "template.bundle", "toolkit/pyproject.toml"}
    assert str(template).encode() not in b"".join(files.values())
    template.rename(tmp_path / "gone")
    run("--template", str(tmp_path / "handed"), "--save", str(tmp_path / "update"))
    update = json.loads(
        job_files.unpack_files((tmp_path / "update").read_text(), "it")["update.json"]
    )
    assert "+_commit: v1.1.0" in update["patch"]
    assert "_src_path" not in update["patch"].replace(f" _src_path: {template}", "")


@pytest.mark.parametrize("recorded", ["toolkit-v1.0.0", "commit"])
def test_another_name_of_the_release_is_handed_over(
    run: Callable[..., Said], project: Path, made: Path, tmp_path: Path, recorded: str
) -> None:
    """The job that renders cannot ask a private template which release is meant (field 3)."""
    template = Path(shutil.copytree(made / "template", tmp_path / "private", symlinks=True))
    git(template, "tag", "toolkit-v1.0.0", "v1.0.0")
    if recorded == "commit":
        recorded = git(template, "rev-parse", "v1.0.0^{commit}")
    answers = project / ".copier-answers.yml"
    text = answers.read_text().replace(str(made / "template"), str(template))
    answers.write_text(text.replace("_commit: v1.0.0", f"_commit: {recorded}"))
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    run("--fetch", str(tmp_path / "handed"))
    template.rename(tmp_path / "gone")
    run("--template", str(tmp_path / "handed"), "--save", str(tmp_path / "update"))
    update = json.loads(
        job_files.unpack_files((tmp_path / "update").read_text(), "it")["update.json"]
    )
    assert "+_commit: v1.1.0" in update["patch"]


def test_a_commit_after_a_release_is_handed_over(
    run: Callable[..., Said], project: Path, made: Path, tmp_path: Path
) -> None:
    """A repository that was made from a commit after a release is updated in three steps too."""
    template = Path(shutil.copytree(made / "template", tmp_path / "later", symlinks=True))
    git(template, "checkout", "--quiet", "-b", "later", "v1.0.0")
    git(template, "commit", "--quiet", "--allow-empty", "-m", "Later")
    described = git(template, "describe", "--tags")
    answers = project / ".copier-answers.yml"
    text = answers.read_text().replace(str(made / "template"), str(template))
    answers.write_text(text.replace("v1.0.0", described))
    git(project, "commit", "--quiet", "--all", "-m", "Ours")
    run("--fetch", str(tmp_path / "handed"))
    run("--template", str(tmp_path / "handed"), "--save", str(tmp_path / "update"))
    update = json.loads(
        job_files.unpack_files((tmp_path / "update").read_text(), "it")["update.json"]
    )
    assert f"-_commit: {described}\n" in update["patch"]


def test_the_step_that_works_it_out_needs_no_token(
    run: Callable[..., Said], saved: Path, github: GitHub
) -> None:
    """--save asks GitHub nothing, and works without a token (review C3)."""
    run("--save", str(saved), GITHUB_TOKEN="")
    assert github.requests == []


def test_parts_are_outputs(run: Callable[..., Said], tmp_path: Path) -> None:
    """With - what is handed over becomes outputs of the step, whose parts make it up."""
    outputs = tmp_path / "outputs"
    outputs.touch()
    run("--save=-", GITHUB_OUTPUT=str(outputs))
    values = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert set(values) == {*PARTS, "updated", "release"}
    assert (values["updated"], values["release"]) == ("true", "v1.1.0")
    line = "".join(values[part] for part in PARTS)
    assert set(job_files.unpack_files(line, "it")) == {"update.json"}


def test_too_much_to_hand_over_is_refused(
    run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What does not fit into the outputs of a job is refused with the next step."""
    monkeypatch.setattr(job_files, "LONGEST_PART", 10)
    for option in ("--fetch=-", "--save=-"):
        said = run(option, code=3)
        assert "too large to be passed from job to job" in said.stderr
        assert "task template-update" in said.stderr


def test_the_limits_fit_into_a_job() -> None:
    """A part fits into a variable on Linux, all parts in UTF-16 into the outputs of a job."""
    assert job_files.LONGEST_PART + len("PART_1=") < 128 * 1024
    assert job_files.PARTS * job_files.LONGEST_PART * 2 < 1024 * 1024


BAD_ENTRIES = {
    "link to an absolute path": {"stolen": ("120000", b"/etc/passwd")},
    "link out of the repository": {"a/stolen": ("120000", b"../../etc/passwd")},
    "link into .git": {"stolen": ("120000", b".git/config")},
    "link to an odd name of .git": {"stolen": ("120000", b"x/../.GIT/config")},
    "empty link": {"stolen": ("120000", b"")},
    "submodule": {"vendor": ("160000", b"")},
    "declared submodule": {".gitmodules": ("100644", b"")},
    "large file": {"large": ("100644", b"x" * (5 * 1024 * 1024 + 1))},
    "many files": {f"many/{number}": ("100644", b"") for number in range(2_001)},
}


@pytest.mark.parametrize("entries", BAD_ENTRIES)
def test_a_patch_with_bad_entries_is_refused(
    run: Callable[..., Said], saved: Path, project: Path, hub: Repository, entries: str
) -> None:
    """A patch that adds a link out, a submodule or too much is refused (review C3)."""
    forge_tree(project, saved, BAD_ENTRIES[entries])
    said = run("--from", str(saved), code=3)
    assert "the release is refused" in said.stderr
    assert said.stderr.count("\n") == 1
    nothing_is_pushed(project, hub)


def new_file(path: str, mode: str = "100644") -> str:
    """Return a patch that adds a file."""
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n"
        "@@ -0,0 +1 @@\n+x\n"
    )


BAD_PATCHES = {
    "above the repository": new_file("../outside"),
    "absolute": new_file("/etc/cron.d/x"),
    "in .git": new_file(".git/hooks/post-checkout", "100755"),
    "in .git in capitals": new_file(".GIT/config"),
    "in .git with a short name": new_file("git~1/config"),
    "in .git below": new_file("sub/.git/config"),
    "through a dot": new_file("./a/../../x"),
    "through a link": new_file("link/x").replace("link", "link", 1)
    + "diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n"
    "@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n",
    "mode of a directory": new_file("odd", "040000"),
    "mode with setuid": new_file("odd", "104755"),
    "other content": "diff --git a/build.hcl b/build.hcl\n--- a/build.hcl\n+++ b/build.hcl\n"
    "@@ -1,3 +1,3 @@\n-not there\n+x\n two\n three\n",
    "no patch": "rm -rf /\n",
    "empty": "",
}


@pytest.mark.parametrize("patch", BAD_PATCHES)
def test_a_patch_that_reaches_out_or_does_not_apply_is_refused(
    run: Callable[..., Said], saved: Path, project: Path, hub: Repository, patch: str
) -> None:
    """A patch that leaves the repository or does not apply is refused (review C3)."""
    outside = sorted(project.parent.iterdir())
    forge(saved, patch=BAD_PATCHES[patch])
    said = run("--from", str(saved), code=3)
    assert said.stderr.count("\n") == 1, said.stderr
    nothing_is_pushed(project, hub)
    assert sorted(project.parent.iterdir()) == outside


BAD_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "another base": {"base": "1" * 40},
    "another tree": {"tree": "1" * 40},
    "another schema": {"schema": 2},
    "a base that is an option": {"base": "--output=/etc/passwd"},
    "another release": {"summary": {"release": "v9.9.9"}},
    "a release with a line break": {"summary": {"release": "v1.1.0\nupdated=false"}},
    "another present release": {"summary": {"present": "v0.9.0"}},
    "a present release with text": {"summary": {"present": "v1.0.0 @octocat fixes #12"}},
    "no release": {"summary": {"release": ""}},
    "conflicts of another type": {"summary": {"conflicts": "all"}},
    "a changelog of another type": {"summary": {"changelog": 1}},
    "a patch of another type": {"patch": ["\u2603"]},
}


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_fields_that_do_not_fit_are_refused(
    run: Callable[..., Said], saved: Path, project: Path, hub: Repository, field: str
) -> None:
    """An update for another commit or release, or of another form, is refused (review C3)."""
    forge(saved, **BAD_FIELDS[field])
    said = run("--from", str(saved), "--to", "v1.1.0", code=3)
    assert said.stderr.count("\n") == 1, said.stderr
    nothing_is_pushed(project, hub)


def bomb() -> str:
    """Return a line that is far larger than it looks."""
    return base64.b64encode(lzma.compress(b"\0" * (200 * 1024 * 1024), preset=1)).decode()


def archive_with_link() -> str:
    """Return a line whose archive has a link of the name that is asked for."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        entry = tarfile.TarInfo("update.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.mark.parametrize(
    "line",
    [
        "%%%",
        "AAAA",
        bomb,
        archive_with_link,
        lambda: job_files.pack_files({"update.json": b"[" * 99999}),
    ],
    ids=["letters", "base64", "bomb", "link", "deep"],
)
def test_lines_that_are_something_else_are_refused(
    run: Callable[..., Said], tmp_path: Path, line: Any
) -> None:
    """A line that is not an update is refused in one line, whatever it is (review C3)."""
    (tmp_path / "update").write_text(line if isinstance(line, str) else line())
    assert run("--from", str(tmp_path / "update"), code=3).stderr.count("\n") == 1
    assert run("--template", str(tmp_path / "update"), "--save=x", code=3).stderr.count("\n") == 1


def test_an_empty_line_is_refused(run: Callable[..., Said], tmp_path: Path) -> None:
    """Nothing at all is refused too, such as when a job has set no outputs."""
    (tmp_path / "update").write_text("\n")
    assert "is empty" in run("--from", str(tmp_path / "update"), code=3).stderr
    assert "cannot be read" in run("--from", str(tmp_path / "none"), code=3).stderr


def test_a_branch_that_has_moved_on_is_refused(
    run: Callable[..., Said], saved: Path, project: Path, hub: Repository
) -> None:
    """An update is pushed only while the branch is at the commit that it is for (review C3)."""
    clone = project.with_name("colleague")
    git(project.parent, "clone", "--quiet", str(project.with_name("remote.git")), str(clone))
    git(clone, "commit", "--quiet", "--allow-empty", "-m", "Theirs")
    git(clone, "push", "--quiet", "origin", "main")
    said = run("--from", str(saved), code=3)
    assert "main is no longer at" in said.stderr
    assert "start a new run of the workflow" in said.stderr
    nothing_is_pushed(project, hub)


def test_steps_exclude_each_other(run: Callable[..., Said]) -> None:
    """One call does one step."""
    for options in (("--save=x", "--from=x"), ("--fetch=x", "--checked=success")):
        assert "cannot be combined" in run(*options, code=2).stderr
    assert "--template" in run("--template=x", "--from=x", code=2).stderr


def test_text_of_the_release_is_data() -> None:
    """The pull request's text mentions nobody, closes no issue and hides nothing (review C3)."""
    evil = "@octocat, @acme/admins: fixes #12, closes https://github.com/acme/web/issues/1 GH-7"
    summary = UpdateSummary(
        "v1.0.0",
        "v1.1.0",
        conflicts=[ConflictNote("a</summary>@octocat`", evil, "```\n@octocat\n```")],
        new={"q`@octocat": evil},
        changelog=f"{evil}\n<!-- hidden\n<details>\n![x](https://evil.example/x.png)\n",
    )
    text = format_body(summary, [".github/workflows/x.yml"])
    prose = "".join(part for part in text.split("````diff")[::2])
    for bad in ("@acme", "fixes #12", "closes https:", "GH-7", "<!--", "![x]", "<code>a</summary>"):
        assert bad not in prose, bad
    assert "````diff\n```\n@octocat\n```\n````" in text
    assert text.index("`.github/workflows/x.yml`") < text.index("## Conflicts")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("mail a@b.example", "mail a@\u200bb.example"),
        ("a # b, #x, @ c", "a # b, #x, @ c"),
        ("1 < 2 and a[0] != b", "1 < 2 and a[0] != b"),
        ("acme/web#4", "acme/web#\u200b4"),
        ("<b>", "<\u200bb>"),
    ],
)
def test_other_text_stays(text: str, result: str) -> None:
    """Only what GitHub acts on is changed, by a character that is not visible."""
    assert neutralize_markdown(text) == result


def test_both_releases_in_the_text_are_code() -> None:
    """A name of a release mentions nobody and closes no issue (review C3)."""
    text = format_body(UpdateSummary("v1.0.0 @octocat fixes #12", "v1.1.0"))
    assert "release `v1.1.0`; this repository is at `v1.0.0 @octocat fixes #12`." in text


def test_text_of_an_update_is_printable() -> None:
    """Control characters and floods of text do not get through."""
    note = {"path": "a\x1b[2J\nb", "reason": "::error::x", "diff": "\x07" + "y" * 1_000_000}
    data = {**dataclasses.asdict(UpdateSummary("v1", "v2")), "conflicts": [note] * 5_000}
    summary = UpdateSummary.from_json(data)
    assert len(summary.conflicts) == 2_000
    first = summary.conflicts[0]
    assert first.path == "a\\x1b[2J b"
    assert len(first.diff) < 110_000
    assert "\x07" not in first.diff
    assert len(format_body(summary)) < 65_536
