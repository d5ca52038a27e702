"""Which role each run of the rendered workflow assumes, with a release role of its own."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.aws.trust import Hosted, Sts
from rig.github import GitHub, Repository, events
from rig.github.act import Act
from rig.lint.checks import BY_NAME
from rig.lint.runner import lint, read_tree
from rig.repositories.build_reports import REPOSITORY
from rig.repositories.template import ROOT, render
from rig.servers.web import Handler, serving

BUILDER = "arn:aws:iam::111122223333:role/packer-ami-builder"
RELEASER = "arn:aws:iam::111122223333:role/releases/packer-ami-releaser"
NEW = Hosted(REPOSITORY)
ON_A_TAG = events.by_hand("refs/tags/v1.2.3", kind="release")


@pytest.fixture(scope="module")
def checkout(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository with a release role."""
    folder = tmp_path_factory.mktemp("checkout") / "packer-ami-web-server"
    return render(template, folder, {"image_name": "web-server", "aws_release_role": RELEASER})


@pytest.fixture
def act(checkout: Path, github: GitHub, hub: Repository, tmp_path: Path) -> Act:
    """Return the workflow, with a toolkit that ends as ordered and roles as documented."""
    hub.add_release("v1.2.3")
    act = Act(
        checkout,
        tmp_path / "act",
        {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.example",
        },
    )
    act.directory.mkdir()
    records = {"manifest.json": b'{"builds": []}', "packages-x86_64.txt": b"bash 5.2\n"}
    act.records("built", {**records, "build-report.json": b'{"exit_code": 0}'})
    return act


RUNS: dict[str, tuple[str, Mapping[str, Any], str, list[str]]] = {
    "release": ("release", events.release(), "release", [RELEASER, BUILDER, BUILDER]),
    "release by hand": ("workflow_dispatch", ON_A_TAG, "release", [RELEASER, BUILDER, BUILDER]),
    "daily": ("schedule", events.schedule(), "daily", [BUILDER, BUILDER]),
    "daily by hand": (
        "workflow_dispatch",
        events.by_hand(kind="daily"),
        "daily",
        [BUILDER, BUILDER],
    ),
    "daily by hand on a tag": (
        "workflow_dispatch",
        events.by_hand("refs/tags/v1.2.3", kind="daily"),
        "daily",
        [BUILDER],  # the report is about the default branch
    ),
    "test by hand on a tag": (
        "workflow_dispatch",
        events.by_hand("refs/tags/v1.2.3"),
        "test",
        [BUILDER, BUILDER],
    ),
    "pull request": ("pull_request", events.pull_request(), "test", [BUILDER, BUILDER]),
    "push": ("push", events.push(), "test", [BUILDER, BUILDER]),
}


@pytest.mark.parametrize("immutable", [True, False], ids=["new", "old"])
@pytest.mark.parametrize("run", RUNS)
def test_release_role_is_for_the_build_of_a_release(act: Act, run: str, immutable: bool) -> None:
    """Only the job that builds a release assumes the release role; everything else builds.

    The documented trust policies admit each of these runs, in repositories whose subject has the
    numeric IDs and in older ones.  (issue 9, review R5)
    """
    act.sts = Sts.documented(replace(NEW, immutable=immutable), BUILDER, RELEASER)
    event, payload, kind, roles = RUNS[run]
    act.plan(kind=kind, version="1.2.3" if kind == "release" else "")
    ran = act.run(event, payload)
    assert ran.code == 0, ran.log
    assert [each["role-to-assume"] for each in ran.given("configure-aws-credentials")] == roles


def test_release_from_a_branch_is_refused_by_the_plan(act: Act) -> None:
    """A release that was started from a branch gets the build role, so that `plan` explains it.

    (issue 9)
    """
    ran = act.run("workflow_dispatch", events.by_hand(kind="release"), fail=["plan"])
    assert ran.result("build", "Decide what to build") == "failure", ran.log
    assert RELEASER not in str(ran.given("configure-aws-credentials"))


@pytest.mark.parametrize(("event", "payload"), [("push", events.push()), RUNS["pull request"][:2]])
def test_workflow_of_a_branch_cannot_assume_the_release_role(
    act: Act, event: str, payload: Mapping[str, Any], tmp_path: Path
) -> None:
    """A workflow that asks for the release role on a branch or pull request does not get it.

    (issue 9, review R5)
    """
    act.repository = render_changed(act.repository, tmp_path / "changed")
    ran = act.run(event, payload)
    assert ran.result("check", "Set up the toolkit") == "failure", ran.log
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in ran.log


def render_changed(repository: Path, destination: Path) -> Path:
    """Copy a repository, in which every job asks for the release role."""
    shutil.copytree(repository, destination)
    action = destination / ".github/actions/toolkit/action.yml"
    action.write_text(action.read_text().replace("${{ inputs.role }}", RELEASER))
    return destination


def test_role_that_packer_assumes_is_separate_for_releases(act: Act) -> None:
    """PACKER_RELEASE_ASSUME_ROLE_ARN is the second role of releases, and of nothing else.

    Without it they use PACKER_ASSUME_ROLE_ARN, as before.  (issue 9, review R5)
    """

    def second_role(run: str) -> str:
        event, payload, kind, _ = RUNS[run]
        act.plan(kind=kind, version="1.2.3" if kind == "release" else "")
        return act.run(event, payload).environment("build", "build")["PKR_VAR_assume_role_arn"]

    act.variables["PACKER_ASSUME_ROLE_ARN"] = "arn:aws:iam::111122223333:role/second"
    assert second_role("release").endswith(":role/second")
    act.variables["PACKER_RELEASE_ASSUME_ROLE_ARN"] = "arn:aws:iam::111122223333:role/third"
    assert second_role("release").endswith(":role/third")
    assert second_role("push").endswith(":role/second")


def test_rejected_subject_fails_with_the_message_of_sts(act: Act) -> None:
    """A trust policy for the old subject alone rejects a new repository, as STS does.

    (issue 9)
    """
    old = Sts.documented(replace(NEW, immutable=False), BUILDER, RELEASER)
    for trust in old.roles.values():
        (statement,) = trust["Statement"]
        subjects = statement["Condition"]["StringLike"]
        for key, patterns in subjects.items():
            subjects[key] = [pattern for pattern in patterns if "@" not in pattern]
    act.sts = replace(old, repository=NEW)
    act.plan(kind="daily")
    ran = act.run("schedule", events.schedule())
    assert ran.result("build", "Set up the toolkit") == "failure", ran.log
    assert "AWS refused the role" in ran.log
    act.sts = old
    ran = act.run("schedule", events.schedule())
    assert ran.code == 0
    assert "AWS refused the role" not in ran.log


def test_refused_role_is_explained_with_the_subject(act: Act) -> None:
    """In the job that AWS refused, an annotation shows the subject of its token, not the token.

    Pull requests have no issue that would.  (issue 9)
    """
    subject = f"{NEW.prefix}:pull_request"
    parts = [{"alg": "RS256"}, {"jti": "x?~>", "sub": subject, "aud": "sts.amazonaws.com"}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    token = ".".join([*(part.rstrip("=") for part in encoded), "signature"])

    class Issuer(Handler):
        def get(self) -> None:
            assert self.headers["Authorization"] == "Bearer request-token"
            assert self.path.endswith("&audience=sts.amazonaws.com")
            self.send(200, json.dumps({"count": len(token), "value": token}))

    act.sts = replace(Sts.documented(NEW, BUILDER, RELEASER), roles={})
    with serving(Issuer) as address:
        act.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"http://{address}/?v=1"
        act.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "request-token"  # noqa: S105 - opens nothing
        ran = act.run("pull_request", events.pull_request())
    assert ran.result("check", "Set up the toolkit") == "failure", ran.log
    assert f'{BUILDER}: this run sent "sub": "{subject}"' in ran.log.replace("\\", "")
    assert "When a role is refused" in ran.log
    assert encoded[1][:20] not in ran.log


# --- The rendered files -------------------------------------------------------------------------


def test_workflow_with_one_role_has_no_trace_of_two(template: Path, tmp_path: Path) -> None:
    """While both answers are equal, the workflow names no role and the action names one.

    (issue 9)
    """
    folder = render(template, tmp_path / "packer-ami-web", {"start_git": False})
    text = (folder / ".github/workflows/push-packer-build-ami.yml").read_text()
    assert "ROLE:" not in text.replace("ASSUME_ROLE", "")
    assert "role:" not in text
    assert "PACKER_RELEASE_ASSUME_ROLE_ARN" not in text
    action = (folder / ".github/actions/toolkit/action.yml").read_text()
    assert action.count("arn:aws:iam::") == 1
    answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
    assert answers["aws_release_role"] == answers["aws_build_role"] == BUILDER


def test_environment_line_of_the_page_is_valid(checkout: Path) -> None:
    """The line that docs/pipeline.md gives for approvals passes the checks of workflows.

    (issue 9)
    """
    (line,) = [
        part
        for part in (ROOT / "docs/pipeline.md").read_text().split("`")
        if part.startswith("environment: ${{")
    ]
    files = read_tree(checkout)
    path = ".github/workflows/push-packer-build-ami.yml"
    text = files[path].content.decode()
    changed = text.replace("    name: Build\n", f"    name: Build\n    {line}\n")
    assert changed != text
    tree = {**files, path: files[path]._replace(content=changed.encode())}
    for check in ("workflow-schema", "actionlint"):
        assert lint({"it": tree}, [BY_NAME[check]]) == {"it": []}
