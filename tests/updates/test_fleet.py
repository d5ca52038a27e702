"""The table of a fleet: from local clones with real git, and through GitHub's API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.git.addresses import split_host_and_path
from rig.github.server import GitHub
from rig.github.state import sha_of
from rig.repositories.template import ROOT, git
from rig.servers.silent_server import has_ended, silent_server

pytestmark = pytest.mark.integration

ANSWERS = ".copier-answers.yml"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with three releases and a prerelease."""
    here = tmp_path_factory.mktemp("fleet") / "template"
    git(here.parent, "init", "--quiet", str(here))
    for tag in ("v1.0.0", "v1.2.0", "v1.10.0", "v2.0.0rc1"):
        git(here, "commit", "--quiet", "--allow-empty", "-m", tag)
        git(here, "tag", tag)
    return here


def answers(template: Path | str, release: str) -> str:
    """Return the text of an answers file."""
    return (
        f"# Written by Copier\n_commit: {release}\n_src_path: {template}\n"
        "image_name: web\nparent_image: debian-12\ntoolkit_image: example.com/toolkit\n"
    )


def clone(folder: Path, name: str, text: str | None) -> Path:
    """Make a clone as it lies on a disk."""
    here = folder / name
    git(folder, "init", "--quiet", str(here))
    (here / "README.md").write_text("ours\n")
    if text is not None:
        (here / ANSWERS).write_text(text)
    git(here, "add", "--all")
    date = "2026-11-20T10:00:00+01:00"
    subprocess.run(
        ["git", "-C", here, "commit", "--quiet", "-m", "Ours"],
        env={**os.environ, "GIT_COMMITTER_DATE": date},
        check=True,
    )
    return here


def fleet(*options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "packer_toolkit", "fleet", *map(str, options)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def as_somebody(api_url: str) -> dict[str, str]:
    """Return the environment of somebody who has a token."""
    return {"GITHUB_API_URL": api_url, "GITHUB_TOKEN": "t"}


def rows(result: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """Return the rows by name."""
    return {row["name"]: row for row in json.loads(result.stdout)}


# ----------------------------------------------------------------------------------- local clones


@pytest.fixture
def clones(tmp_path: Path, template: Path) -> Path:
    """Return a folder with clones in every state."""
    clone(tmp_path, "packer-ami-new", answers(template, "v1.10.0"))
    clone(tmp_path, "packer-ami-old", answers(template, "v1.0.0"))
    clone(tmp_path, "packer-ami-between", answers(template, "v1.2.0-3-gabcdef0"))
    clone(tmp_path, "packer-ami-by-hand", None)
    clone(tmp_path, "packer-ami-nothing", answers(template, "").replace("_commit: \n", ""))
    clone(tmp_path, "something-else", answers(template, "v1.0.0"))
    (tmp_path / "packer-ami-notes").mkdir()
    return tmp_path


def test_clones_are_shown_with_how_far_they_are_behind(clones: Path, template: Path) -> None:
    """Ten is more than two; a prerelease is no release; a folder without git is no clone."""
    result = fleet("--local", clones, "--json")
    assert result.returncode == 0, result.stderr
    found = rows(result)
    assert list(found) == [
        "packer-ami-between",
        "packer-ami-by-hand",
        "packer-ami-new",
        "packer-ami-nothing",
        "packer-ami-old",
    ]
    assert found["packer-ami-old"] == {
        "name": "packer-ami-old",
        "template": str(template),
        "release": "v1.0.0",
        "newest": "v1.10.0",
        "behind": 2,
        "updated": "2026-11-20T10:00:00+01:00",
        "problem": "",
        "failed": False,
    }
    assert {name: row["behind"] for name, row in found.items()} == {
        "packer-ami-between": 1,
        "packer-ami-by-hand": None,
        "packer-ami-new": 0,
        "packer-ami-nothing": None,
        "packer-ami-old": 2,
    }
    assert "packer-toolkit template adopt" in found["packer-ami-by-hand"]["problem"]
    assert "does not name a release" in found["packer-ami-nothing"]["problem"]
    assert "5 repositories: 1 up to date, 2 behind, 2 without a known release" in result.stderr


def test_table_has_a_line_for_each(clones: Path) -> None:
    """Uncut where it is no terminal; only those that are behind on request."""
    result = fleet("--local", clones, "--behind")
    assert result.returncode == 0, result.stderr
    (old,) = (line for line in result.stdout.splitlines() if "packer-ami-old" in line)
    assert old.split() == ["packer-ami-old", "v1.0.0", "v1.10.0", "2", "2026-11-20"]
    assert "packer-ami-new" not in result.stdout


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(clones: Path, template: Path) -> None:
    """Exit code 1; one line for each, no traceback."""
    clone(clones, "packer-ami-bad", "a: [\n")
    clone(clones, "packer-ami-elsewhere", answers("/nowhere/template", "v1.0.0"))
    broken = clone(clones, "packer-ami-broken", answers(template, "v1.0.0"))
    shutil.rmtree(broken / ".git" / "objects")
    result = fleet("--local", clones, "--json")
    assert result.returncode == 1
    found = rows(result)
    failed = {name for name, row in found.items() if row["failed"]}
    assert failed == {"packer-ami-bad", "packer-ami-elsewhere", "packer-ami-broken"}
    assert "is not valid YAML in line 2" in found["packer-ami-bad"]["problem"]
    assert "the folder does not exist" in found["packer-ami-elsewhere"]["problem"]
    assert found["packer-ami-old"]["behind"] == 2
    last = result.stderr.splitlines()[-1]
    assert last == (
        "packer-toolkit: could not be read: packer-ami-bad, packer-ami-broken, "
        "packer-ami-elsewhere; the table has the reasons"
    )


OTHER = "_commit: v9.0.0\n_src_path: /nowhere/other\nimage_name: shop\n"


def test_answers_file_of_any_name_is_read(tmp_path: Path, template: Path) -> None:
    """A clone is shown by this template's answers file, never by another's (field 4)."""
    for number, path in enumerate((".copier-answers.ami.yml", ".copier/ami.yaml", "t.yml")):
        here = clone(tmp_path, f"packer-ami-{number}", OTHER)
        (here / path).parent.mkdir(exist_ok=True)
        (here / path).write_text(answers(template, "v1.2.0"))
        git(here, "add", "--all")
        git(here, "commit", "--quiet", "-m", "Template")
    clone(tmp_path, "packer-ami-shop", OTHER)
    clone(tmp_path, "packer-ami-broken", f"<<<<<<<\n{OTHER}")
    two = clone(tmp_path, "packer-ami-two", answers(template, "v1.0.0"))
    (two / "two.yml").write_text(answers(template, "v1.2.0"))
    git(two, "add", "--all")
    result = fleet("--local", tmp_path, "--json")
    assert result.returncode == 1
    found = rows(result)
    for number in range(3):
        row = found[f"packer-ami-{number}"]
        assert (row["template"], row["release"], row["behind"]) == (str(template), "v1.2.0", 1)
        assert row["updated"]
    assert (found["packer-ami-shop"]["release"], found["packer-ami-shop"]["failed"]) == ("", False)
    assert "belongs to another template" in found["packer-ami-shop"]["problem"]
    assert "several answers files" in found["packer-ami-two"]["problem"]
    assert "/nowhere/other" not in result.stdout


def test_other_tags_of_a_release_are_understood(tmp_path: Path, template: Path) -> None:
    """A recorded tag of a release's commit is shown as the release (field 3)."""
    own = Path(shutil.copytree(template, tmp_path / "template"))
    git(own, "tag", "toolkit-v1.0.0", "v1.0.0")
    git(own, "tag", "-m", "Toolkit", "toolkit-v1.2.0", "v1.2.0")
    git(own, "tag", "20261101", "v1.0.0")
    sha = git(own, "rev-parse", "v1.2.0")
    recorded = {
        "a": ("toolkit-v1.0.0", "v1.0.0", 2),
        "b": ("toolkit-v1.2.0", "v1.2.0", 1),
        "c": (sha, "v1.2.0", 1),
        "d": (f"toolkit-v0.9.0-4-g{sha[:7]}", "v1.2.0", 1),
        "e": ("toolkit-v1.2.0-4-g0123abc", "v1.2.0-4-g0123abc", 1),
        "f": ("'20261101'", "v1.0.0", 2),
    }
    for name, (text, _, _) in recorded.items():
        clone(tmp_path, f"packer-ami-{name}", answers(own, text))
    result = fleet("--local", tmp_path, "--json", "--behind")
    assert result.returncode == 0, result.stderr
    assert {
        name: (row["release"], row["newest"], row["behind"]) for name, row in rows(result).items()
    } == {
        f"packer-ami-{name}": (release, "v1.10.0", behind)
        for name, (_, release, behind) in recorded.items()
    }


def test_commit_after_a_release_is_remarked(tmp_path: Path, template: Path) -> None:
    """A repository that was not made from a release is not just up to date (field 30)."""
    clone(tmp_path, "packer-ami-draft", answers(template, "v1.10.0-1-gabcdef0"))
    row = rows(fleet("--local", tmp_path, "--json"))["packer-ami-draft"]
    assert (row["behind"], row["failed"]) == (0, False)
    assert row["problem"].startswith("created from a commit after v1.10.0, not from a release; ")


def test_server_that_does_not_answer_stops_no_other(tmp_path: Path, template: Path) -> None:
    """Templates on dead servers are named, announced, and limited together (review C22)."""
    with silent_server() as first, silent_server() as second:
        for name, address in (("a", first), ("b", second), ("c", first)):
            source = f"http://tess:secret@{address}/t.git"
            clone(tmp_path, f"packer-ami-{name}", answers(source, "v1.0.0"))
        clone(tmp_path, "packer-ami-old", answers(template, "v1.0.0"))
        began = time.monotonic()
        result = fleet("--local", tmp_path, "--json", "--patience", "0")
        # A question takes 5 seconds at least; two run beside each other.
        assert time.monotonic() - began < 9
        assert has_ended(first)
        assert has_ended(second)
    assert result.returncode == 1
    found = rows(result)
    assert [row["failed"] for row in found.values()] == [True, True, True, False]
    assert "no answer within 5 seconds" in found["packer-ami-a"]["problem"]
    assert found["packer-ami-old"]["behind"] == 2
    assert result.stderr.count(f"packer-toolkit: listing the releases of http://{first}/t.git") == 1
    assert f"packer-toolkit: listing the releases of {template}" in result.stderr
    assert "secret" not in result.stderr + result.stdout


def test_server_that_does_not_answer_is_limited_through_the_api(github: GitHub) -> None:
    """On GitHub, too, one repository's address does not stop the table (review C22)."""
    template = github.repository("globex/template-packer-ami")
    template.add_release("v1.0.0")
    where = f"http://{github.host}/globex/template-packer-ami"
    with silent_server() as silent:
        silent = silent.replace("127.0.0.1", "localhost")
        for number, source in enumerate((f"http://{silent}/t.git", where)):
            repository = github.repository(f"globex/packer-ami-{number}")
            repository.write(ANSWERS, answers(source, "v1.0.0").encode())
        result = fleet(
            *("--organization", "globex", "--json"),
            **as_somebody(github.url),
            PACKER_TOOLKIT_GIT_TIMEOUT="1",
        )
    assert result.returncode == 1
    found = rows(result)
    assert "no answer within 1 seconds" in found["globex/packer-ami-0"]["problem"]
    assert found["globex/packer-ami-1"]["behind"] == 0
    assert f"listing the releases of http://{silent}/t.git" in result.stderr
    assert f"listing the releases of {where}" not in result.stderr


@pytest.mark.parametrize(
    "source",
    [
        r'"http://[half"',
        r'"http://h/\0"',
        r'"\0"',
        r'"~no-such-user-here/t"',
        '"' + "x" * 200_000 + '"',
        r'"\ud800"',
        "2026-01-01",
        "[a, b]",
        "http://127.0.0.1:notaport/t.git",
    ],
    ids=["half", "NUL", "only NUL", "user", "long", "surrogate", "date", "list", "port"],
)
def test_no_address_stops_the_table(tmp_path: Path, template: Path, source: str) -> None:
    """Whatever a repository has recorded, the others are shown (review C22)."""
    text = answers("TEMPLATE", "v1.0.0").replace("TEMPLATE", source)
    clone(tmp_path, "packer-ami-odd", text)
    clone(tmp_path, "packer-ami-old", answers(template, "v1.0.0"))
    result = fleet("--local", tmp_path, "--json", PACKER_TOOLKIT_GIT_TIMEOUT="5")
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    found = rows(result)
    assert found["packer-ami-odd"]["failed"]
    assert found["packer-ami-old"]["behind"] == 2


@pytest.mark.parametrize("recorded", ["v1." + "9" * 5000 + ".0", f"v1.0.0-{'9' * 5000}-gabcdef0"])
def test_no_release_stops_the_table(tmp_path: Path, template: Path, recorded: str) -> None:
    """A recorded release that is not a version does not stop the table (review C22)."""
    clone(tmp_path, "packer-ami-odd", answers(template, recorded))
    clone(tmp_path, "packer-ami-old", answers(template, "v1.0.0"))
    result = fleet("--local", tmp_path, "--json")
    assert "Traceback" not in result.stderr
    assert rows(result)["packer-ami-old"]["behind"] == 2


def test_one_clone_can_be_looked_at(clones: Path) -> None:
    """Its own folder, whatever its name is."""
    assert rows(fleet("--local", clones / "something-else", "--json"))["."]["behind"] == 2


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ([], 2, "give --organization, --repository, --from-file or --local"),
        (["--local", ".", "--organization", "acme"], 2, "--local cannot be combined"),
        (
            ["--local", str(ROOT / "docs"), "--prefix", "nothing-"],
            3,
            "has no clone whose name begins with nothing-",
        ),
        (["--organization", "acme"], 3, "a token for GitHub is missing: set GITHUB_TOKEN"),
        (["--repository", "acme"], 3, '"acme" is not a repository; it must be OWNER/NAME'),
    ],
)
def test_wrong_command_line_is_one_line(options: list[str], code: int, says: str) -> None:
    """With the exit code for it."""
    result = fleet(*options, GITHUB_TOKEN="", GH_TOKEN="")
    assert result.returncode == code
    assert says in result.stderr.splitlines()[-1]


# ----------------------------------------------------------------------------------------- GitHub


@pytest.fixture
def globex(github: GitHub) -> GitHub:
    """Return a GitHub with an organisation's template and repositories."""
    template = github.repository("globex/template-packer-ami")
    for tag in ("v1.0.0", "v1.1.0", "v1.2.0"):
        template.add_release(tag)
    where = f"http://{github.host}/globex/template-packer-ami"
    for index in range(120):
        repository = github.repository(f"globex/packer-ami-{index:03}")
        release = ("v1.0.0", "v1.1.0", "v1.2.0")[index % 3]
        repository.write(ANSWERS, answers(where, release).encode())
        repository.commits[f"{index:040}"] = {
            "commit": {"committer": {"name": "x", "email": "x", "date": "2026-11-20T09:00:00Z"}}
        }
    github.repository("globex/packer-ami-by-hand").write("README.md", b"ours")
    github.repository("globex/packer-ami-retired", archived=True)
    github.repository("globex/website").write(ANSWERS, answers(where, "v1.0.0").encode())
    return github


def test_organisation_is_read_through_the_api(globex: GitHub) -> None:
    """Several pages of it, on an Enterprise Server; the template's releases are asked for once."""
    result = fleet(
        "--organization",
        "globex",
        "--json",
        **as_somebody(globex.enterprise_url),
    )
    assert result.returncode == 0, result.stderr
    found = rows(result)
    assert len(found) == 121
    row = found["globex/packer-ami-000"]
    assert (row["release"], row["newest"], row["behind"]) == ("v1.0.0", "v1.2.0", 2)
    assert row["updated"].startswith("2026-11-20T09:00:00")
    assert found["globex/packer-ami-by-hand"]["problem"].startswith("no .copier-answers.yml")
    assert "40 up to date, 80 behind, 1 without a known release, 1 archived" in result.stderr
    assert len(globex.asked("GET", "/tags$")) == 1
    assert {request.prefix for request in globex.requests} == {"/api/v3"}
    assert {request.method for request in globex.requests} == {"GET"}
    # Two for each, two more for the repository without answers, two pages, one of tags.
    assert len(globex.requests) == 120 * 2 + 3 + 2 + 1


def test_answers_file_of_any_name_is_read_through_the_api(github: GitHub) -> None:
    """A repository is shown by our answers file, and another template's is not used (field 4)."""
    template = github.repository("globex/template-packer-ami")
    for tag in ("v1.0.0", "v1.1.0"):
        template.add_release(tag)
    where = f"http://{github.host}/globex/template-packer-ami"
    names = (".copier-answers.ami.yml", ".copier/ami.yml", "ours.yaml")
    for number, path in enumerate(names):
        repository = github.repository(f"globex/packer-ami-{number}")
        repository.write(ANSWERS, OTHER.encode())
        repository.write("Taskfile.yml", b"version: '3'\n")
        repository.write(".github/workflows/build.yml", b"on: push\n")
        repository.write(path, answers(where, "v1.0.0").encode())
    github.repository("globex/packer-ami-shop").write(ANSWERS, OTHER.encode())
    several = github.repository("globex/packer-ami-several")
    several.write(f"images/web/{ANSWERS}", answers(where, "v1.0.0").encode())
    several.write("images/db/ami.yml", answers(where, "v1.0.0").encode())
    several.write("images/db/image.pkr.hcl", b"")
    result = fleet("--organization", "globex", "--json", **as_somebody(github.url))
    assert result.returncode == 0, result.stderr
    found = rows(result)
    for number in range(3):
        row = found[f"globex/packer-ami-{number}"]
        assert (row["template"], row["release"], row["behind"]) == (where, "v1.0.0", 1)
    assert "belongs to another template" in found["globex/packer-ami-shop"]["problem"]
    assert found["globex/packer-ami-several"]["problem"].startswith("no .copier-answers.yml")
    assert not github.asked("GET", "Taskfile|workflows")


def test_other_tags_are_understood_through_the_api(github: GitHub) -> None:
    """A commit or another tag of a release is shown as the release (field 3)."""
    template = github.repository("globex/template-packer-ami")
    for tag in ("v1.0.0", "v1.1.0", "toolkit-v1.0.0"):
        template.add_release(tag)
    template.tags["toolkit-v1.0.0"] = sha_of("v1.0.0")
    where = f"http://{github.host}/globex/template-packer-ami"
    for name, recorded in (("a", "toolkit-v1.0.0"), ("b", sha_of("v1.0.0")[:7])):
        repository = github.repository(f"globex/packer-ami-{name}")
        repository.write(ANSWERS, answers(where, recorded).encode())
    result = fleet("--organization", "globex", "--json", **as_somebody(github.url))
    assert result.returncode == 0, result.stderr
    assert {(row["release"], row["behind"]) for row in rows(result).values()} == {("v1.0.0", 1)}


def test_repositories_are_taken_from_a_list(globex: GitHub, tmp_path: Path) -> None:
    """Of several owners; remarks and empty lines are left out."""
    file = tmp_path / "fleet.txt"
    file.write_text("# ours\nglobex/packer-ami-001\n\nglobex/website # too\n")
    result = fleet(
        *("--list", file, "--repository", "globex/packer-ami-002", "--json"),
        *("--api-url", globex.url),
        **as_somebody(""),
    )
    assert result.returncode == 0, result.stderr
    assert {name: row["behind"] for name, row in rows(result).items()} == {
        "globex/packer-ami-001": 1,
        "globex/packer-ami-002": 0,
        "globex/website": 2,
    }


def test_failures_of_github_are_named_and_the_rest_goes_on(globex: GitHub) -> None:
    """An error that goes away is tried again; others end in that repository's row."""
    globex.fault("GET", "/packer-ami-000/contents/", 502, first=1)
    globex.fault("GET", "/packer-ami-001/contents/", 403, headers={}, message="Resource not ...")
    names = [f"globex/packer-ami-{index:03}" for index in range(4)]
    listed = [part for name in names for part in ("--repository", name)]
    result = fleet(
        *listed,
        *("--repository", "globex/not-there", "--json", "--patience", "5"),
        **as_somebody(globex.url),
    )
    assert result.returncode == 1
    found = rows(result)
    assert [found[name]["failed"] for name in names] == [False, True, False, False]
    assert "the token lacks a permission" in found["globex/packer-ami-001"]["problem"]
    assert "the repository does not exist" in found["globex/not-there"]["problem"]
    assert "Traceback" not in result.stderr


def test_rate_limit_is_waited_for_within_patience(globex: GitHub) -> None:
    """A short one; a long one ends in the rows, soon, and says how long GitHub asks to wait."""
    limited = {"Retry-After": "1", "X-RateLimit-Remaining": "0"}
    globex.fault("GET", "/packer-ami-000/contents/", 429, first=1, headers=limited)
    options = ("--repository", "globex/packer-ami-000", "--json")
    env = as_somebody(globex.url)
    result = fleet(*options, **env)
    assert result.returncode == 0, result.stderr
    assert len(globex.asked("GET", "/packer-ami-000/contents/")) == 2
    globex.fault("GET", "/packer-ami-000/contents/", 429, headers={"Retry-After": "3600"})
    result = fleet(*options, "--patience", "20", **env)
    assert result.returncode == 1
    assert "asks to wait 3600 s, and the time limit is reached" in result.stdout


def test_refused_token_ends_with_one_line(globex: GitHub) -> None:
    """There is nothing to show then."""
    globex.fault("GET", "/orgs/globex/repos", 401)
    result = fleet("--organization", "globex", **as_somebody(globex.url))
    assert result.returncode == 4
    assert result.stdout == ""
    assert result.stderr.startswith("packer-toolkit: cannot list the repositories of globex: 401")


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("https://github.com/acme/template.git", ("github.com", "acme/template")),
        ("https://token@GitHub.com/acme/template", ("github.com", "acme/template")),
        ("gh:acme/template", ("github.com", "acme/template")),
        ("git@github.example.com:acme/template.git", ("github.example.com", "acme/template")),
        ("ssh://git@github.example.com:22/acme/t.git", ("github.example.com", "acme/t")),
        ("git+https://github.com/acme/t.git", ("github.com", "acme/t")),
        ("/home/me/template", ("", "")),
        ("C:\\template", ("", "")),
    ],
)
def test_address_of_a_template_is_understood(template: str, place: tuple[str, str]) -> None:
    """In every form that Copier takes."""
    assert split_host_and_path(template) == place


def test_disabled_workflows_are_named(github: GitHub) -> None:
    """`fleet --workflows` names each workflow that GitHub does not run, and why (field 34)."""
    github.repository("acme/template").add_release("v1.0.0")
    states = {
        "packer-ami-quiet": "disabled_inactivity",
        "packer-ami-off": "disabled_manually",
        "packer-ami-copy": "disabled_fork",
        "packer-ami-busy": "active",
        "packer-ami-gone": "deleted",
    }
    text = answers(f"http://{github.host}/acme/template", "v1.0.0").encode()
    for name, state in states.items():
        repository = github.repository(f"acme/{name}")
        repository.write(ANSWERS, text)
        build, update = "push-packer-build-ami.yml", "update-from-template.yml"
        repository.workflows = {build: state, update: "active"}
    options = ("--organization=acme", "--json")
    plain = fleet(*options, **as_somebody(github.enterprise_url))
    assert {row["problem"] for row in rows(plain).values()} == {""}
    assert not github.asked("GET", "/workflows")

    result = fleet(*options, "--workflows", **as_somebody(github.enterprise_url))
    assert result.returncode == 0, result.stderr
    problems = {name.partition("/")[2]: row["problem"] for name, row in rows(result).items()}
    assert problems["packer-ami-quiet"] == (
        "push-packer-build-ami.yml is disabled (60 days without activity): "
        "gh workflow enable push-packer-build-ami.yml --repo acme/packer-ami-quiet"
    )
    assert "(by a user)" in problems["packer-ami-off"]
    assert "(as in every new fork)" in problems["packer-ami-copy"]
    assert (problems["packer-ami-busy"], problems["packer-ami-gone"]) == ("", "")

    # A token that may not read them hides nothing else.
    github.permissions["t"] = {"contents": "read", "metadata": "read"}
    result = fleet(*options, "--workflows", **as_somebody(github.enterprise_url))
    assert result.returncode == 0, result.stderr
    assert all("cannot list the workflows: 403" in row["problem"] for row in rows(result).values())
    assert {row["release"] for row in rows(result).values()} == {"v1.0.0"}
