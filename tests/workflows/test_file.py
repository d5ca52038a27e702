"""What act does not look at is asserted from the rendered files, and from our own workflows."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

from rig.host.tools import require
from rig.lint.checks import BY_NAME
from rig.lint.runner import lint, read_tree
from rig.repositories.template import ROOT, render

OURS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORTY = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")


def load(path: Path) -> dict[str, Any]:
    """Read a workflow; `on` is a truth value for YAML 1.1."""
    loaded = yaml.safe_load(path.read_text())
    if True in loaded:
        loaded["on"] = loaded.pop(True)
    return dict(loaded)


@pytest.fixture(scope="module")
def checkout(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a rendered repository."""
    folder = tmp_path_factory.mktemp("render") / "packer-ami-web-server"
    return render(template, folder, {"image_name": "web-server", "start_git": False})


@pytest.fixture(scope="module")
def workflow(checkout: Path) -> dict[str, Any]:
    """Return the workflow of a rendered repository."""
    return load(checkout / ".github/workflows/push-packer-build-ami.yml")


def steps(workflow: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the steps with the id of their job."""
    for name, job in workflow["jobs"].items():
        for step in job.get("steps", []):
            yield name, step


# --- Triggers -----------------------------------------------------------------------------------


def test_triggers(workflow: Mapping[str, Any]) -> None:
    """Pull requests without the power of pull_request_target, pushes, days, releases, people."""
    on = workflow["on"]
    assert set(on) == {"pull_request", "push", "schedule", "release", "workflow_dispatch"}
    assert on["pull_request"] is None
    assert on["push"] == {"branches": ["main", "master"]}
    assert on["release"] == {"types": ["published"]}
    inputs = on["workflow_dispatch"]["inputs"]
    assert inputs["kind"]["options"] == ["test", "daily", "release"]
    assert inputs["always"]["type"] == "boolean"


def test_time_of_day_is_drawn_from_the_name() -> None:
    """The same for a repository every time, spread over an hour, never at minute 0."""
    code = (ROOT / "includes/workflows.jinja").read_text()
    extensions = ["jinja2_ansible_filters.AnsibleCoreFiltersExtension"]  # as Copier has them
    environment = Environment(extensions=extensions)  # noqa: S701 - no HTML
    module = environment.from_string(code).module
    drawn = [
        (int(module.minute(f"image-{number}")), int(module.hour(f"image-{number}")))
        for number in range(300)
    ]
    minutes = {minute for minute, _ in drawn}
    assert len(minutes) > 50
    assert min(minutes) >= 1
    assert max(minutes) <= 59
    assert {hour for _, hour in drawn} == {1, 2, 3, 4}
    assert drawn == [
        (int(module.minute(f"image-{number}")), int(module.hour(f"image-{number}")))
        for number in range(300)
    ]


def test_cron_is_the_time_in_words(checkout: Path, workflow: Mapping[str, Any]) -> None:
    """The comment beside it says the same."""
    (schedule,) = workflow["on"]["schedule"]
    minute, hour, *rest = schedule["cron"].split()
    assert rest == ["*", "*", "*"]
    text = (checkout / ".github/workflows/push-packer-build-ami.yml").read_text()
    assert f"Daily at {int(hour):02}:{int(minute):02} UTC" in text


# --- One at a time, and not for ever --------------------------------------------------------------


def test_concurrency(workflow: Mapping[str, Any]) -> None:
    """Only the build of a pull request is ended by a newer one."""
    concurrency = workflow["concurrency"]
    assert set(concurrency) == {"group", "cancel-in-progress"}
    assert concurrency["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"


def test_every_job_has_a_limit_and_every_long_step_too(workflow: Mapping[str, Any]) -> None:
    """A step's is below its job's: then it fails, instead of counting as cancelled."""
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 150, name
    for job, step in steps(workflow):
        if "checkout" in step.get("uses", "") or "Explain" in step["name"]:
            continue
        assert step["timeout-minutes"] < workflow["jobs"][job]["timeout-minutes"], step["name"]
    limits = [s["timeout-minutes"] for j, s in steps(workflow) if j == "build" and "run" in s]
    assert sum(limits) <= workflow["jobs"]["build"]["timeout-minutes"]


def test_clean_up_runs_after_a_cancelled_build(workflow: Mapping[str, Any]) -> None:
    """And finds what the build made, by the id that it was given."""
    (clean_up,) = [step for _, step in steps(workflow) if step["name"].startswith("Clean up")]
    assert "always()" in clean_up["if"]
    assert "steps.build.outcome == 'cancelled'" in clean_up["if"]
    assert 'sweep --run-id "$PKR_VAR_run_id" --yes' in clean_up["run"]
    assert workflow["env"]["PKR_VAR_run_id"] == "${{ github.run_id }}-${{ github.run_attempt }}"
    # GitHub ends a cancelled job after five minutes.
    assert clean_up["timeout-minutes"] == 5
    assert './toolkit.sh --stop "packer-$PKR_VAR_run_id"' in clean_up["run"]
    assert "stop --time=120" in (ROOT / "template" / "toolkit-engine.sh").read_text()


# --- Least privilege --------------------------------------------------------------------------


def test_permissions(workflow: Mapping[str, Any]) -> None:
    """None at the top; in each job what it needs."""
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "check": {"contents": "read", "id-token": "write"},
        "build": {"contents": "read", "id-token": "write", "statuses": "read"},
        "attach": {"contents": "write", "id-token": "write"},
        "report": {
            "actions": "read",
            "contents": "read",
            "id-token": "write",
            "issues": "write",
            "statuses": "write",
        },
    }


def test_role_is_for_ecr_and_builds_only(template: Path, tmp_path: Path) -> None:
    """Where the toolkit image lies elsewhere, only the build assumes it."""
    folder = render(
        template,
        tmp_path / "packer-ami-web",
        {"image_name": "web", "toolkit_image": "ghcr.io/acme/toolkit", "start_git": False},
    )
    workflow = load(folder / ".github/workflows/push-packer-build-ami.yml")
    with_role = {n for n, job in workflow["jobs"].items() if "id-token" in job["permissions"]}
    assert with_role == {"build"}
    assert workflow["env"]["REGISTRY"] == "false"


def test_token_is_given_to_single_steps(workflow: Mapping[str, Any]) -> None:
    """Not to the build, whose scripts are the team's; the job that reports runs nothing else."""
    text = "${{ github.token }}"
    given = {step["name"] for _, step in steps(workflow) if text in step.get("env", {}).values()}
    assert given == {
        "Decide what to build",
        "Write the summary",
        "Attach manifest, build report and package lists",
    }
    jobs = {n for n, job in workflow["jobs"].items() if text in job.get("env", {}).values()}
    assert jobs == {"report"}
    assert text not in workflow["env"].values()


def test_the_build_and_the_checks_run_in_copies(workflow: Mapping[str, Any]) -> None:
    """Nothing that writes what it likes runs in the workspace of later steps (review R18)."""
    for job, task in (("check", "task check"), ("build", "task packer-build")):
        (copied,) = [s for j, s in steps(workflow) if j == job and "Copy" in s["name"]]
        (done,) = [s for j, s in steps(workflow) if j == job and s.get("run") == task]
        # Outside of the workspace, and another one for each run: a runner may keep the folder.
        assert copied["run"] == f'cp -pR . "$RUNNER_TEMP/{job}-$PKR_VAR_run_id"'
        folder = f"${{{{ runner.temp }}}}/{job}-${{{{ env.PKR_VAR_run_id }}}}"
        assert done["working-directory"] == folder
        assert [step["if"] for step in (copied, done)] == [done["if"]] * 2


def test_no_copy_remains_on_a_self_hosted_runner(workflow: Mapping[str, Any]) -> None:
    """Each copy is deleted by a later step, whatever the result of the step that used it."""
    for job in ("check", "build"):
        names = [step["name"] for one, step in steps(workflow) if one == job]
        (deleted,) = [s for j, s in steps(workflow) if j == job and "rm -rf" in s.get("run", "")]
        assert names.index("Copy the repository") < names.index(deleted["name"])
        assert deleted["if"].startswith("always()")
        assert deleted["run"].count("chmod -R u+w") == 1
        folder = f"{{{{ runner.temp }}}}/{job}-${{{{ env.PKR_VAR_run_id }}}}"
        assert deleted.get("env", {}).get("COPY", f"${folder}") == f"${folder}"


def test_fork_gets_nothing(workflow: Mapping[str, Any]) -> None:
    """The build does not run for it, and the role is assumed for nobody else's pull request."""
    assert "head.repo.full_name == github.repository" in workflow["jobs"]["build"]["if"]
    (ready,) = [s for j, s in steps(workflow) if j == "check" and "Set up" in s["name"]]
    assert ready["with"]["credentials"].startswith("${{ env.TRUSTED == 'true'")
    assert "secrets." not in str(workflow)


# --- The house's rules, for every workflow that there is ------------------------------------------


@pytest.fixture(params=["rendered", *(path.name for path in OURS)])
def any_workflow(request: pytest.FixtureRequest, workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the rendered workflow, and each of this repository."""
    if request.param == "rendered":
        return workflow
    return load(ROOT / ".github/workflows" / request.param)


def test_actions_are_pinned_and_keep_no_credentials(any_workflow: Mapping[str, Any]) -> None:
    """Each is pinned by its full SHA, and the checkout leaves no token in .git."""
    assert any("uses" in each for _, each in [*steps(any_workflow), *any_workflow["jobs"].items()])
    for _, step in steps(any_workflow):
        uses = step.get("uses", "")
        if uses and not uses.startswith("./"):
            assert FORTY.match(uses), uses
        if uses.startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_pins_have_their_version_beside_them(checkout: Path) -> None:
    """In a comment, the same one everywhere."""
    files = [*checkout.rglob(".github/**/*.yml"), *OURS]
    versions: dict[str, set[str]] = {}
    for file in files:
        for uses, rest in re.findall(r"uses: ([\w./-]+@[0-9a-f]{40})(.*)", file.read_text()):
            match = re.fullmatch(r" # (v\d+\.\d+\.\d+)", rest)
            assert match, (file.name, uses, rest)
            versions.setdefault(uses, set()).add(match[1])
    assert all(len(found) == 1 for found in versions.values())
    assert {uses.partition("@")[0] for uses in versions} >= {"actions/checkout"}
    # One version of an action for all of us.
    assert len({uses.partition("@")[0] for uses in versions}) == len(versions)


def test_task_is_the_one_of_the_toolkit(checkout: Path) -> None:
    """The version that the action installs is that of uv.lock, which the toolkit image has."""
    action = load(checkout / ".github/actions/toolkit/action.yml")
    (step,) = [s for s in action["runs"]["steps"] if "setup-task" in s.get("uses", "")]
    lock = (ROOT / "uv.lock").read_text()
    locked = re.search(r'name = "go-task-bin"\nversion = "([\d.]+)"', lock)
    assert locked
    assert step["with"]["version"] == locked[1]


def test_template_keeps_its_pins_itself(checkout: Path) -> None:
    """Renovate leaves the template's own files alone, whatever files there are."""
    rules = json.loads((checkout / "renovate.json").read_text())["packageRules"]
    (rule,) = [rule for rule in rules if rule["matchManagers"] == ["github-actions"]]
    files = [*checkout.glob(".github/workflows/*.yml"), *checkout.glob(".github/actions/*/*.yml")]
    assert rule["enabled"] is False
    assert sorted(rule["matchFileNames"]) == sorted(
        path.relative_to(checkout).as_posix() for path in files
    )


def test_permissions_begin_with_none(any_workflow: Mapping[str, Any]) -> None:
    """Each grant stands in its job."""
    assert any_workflow["permissions"] == {}
    for name, job in any_workflow["jobs"].items():
        assert "permissions" in job, name


def test_jobs_have_limits(any_workflow: Mapping[str, Any]) -> None:
    """Also those that never hang."""
    assert any_workflow["jobs"]
    for name, job in any_workflow["jobs"].items():
        assert "timeout-minutes" in job or "uses" in job, name


def test_shell_is_short_and_takes_no_expressions(any_workflow: Mapping[str, Any]) -> None:
    """At most five lines; what comes from elsewhere comes through the environment."""
    assert any("run" in step for _, step in steps(any_workflow))
    for _, step in steps(any_workflow):
        run = step.get("run", "")
        assert len(run.strip().splitlines()) <= 5, step["name"]
        assert "${{" not in run, step["name"]


@pytest.mark.parametrize("check", ["workflow-schema", "actionlint", "zizmor"])
def test_our_own_workflows_have_no_findings(check: str) -> None:
    """By the same checks as the rendered ones."""
    tracked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", ".github"]
    listed = subprocess.run(tracked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tree = read_tree(ROOT / ".github")
    own = {f".github/{name}": file for name, file in tree.items() if f".github/{name}" in listed}
    assert len(own) >= 3
    assert lint({"ours": own}, [BY_NAME[check]]) == {"ours": []}


def test_the_gate_waits_for_every_part() -> None:
    """CI needs every other job of ci.yml, each part is called, and a release the scheduled one."""
    jobs = load(ROOT / ".github/workflows/ci.yml")["jobs"]
    (gate,) = [name for name, job in jobs.items() if job["name"] == "CI"]
    parts = [name for name in jobs if name != gate]
    assert jobs[gate]["needs"] == parts
    assert jobs[gate]["if"] == "always()"
    (step,) = jobs[gate]["steps"]
    assert step["env"]["RESULTS"] == "${{ join(needs.*.result, ' ') }}"
    assert f'"{" ".join(["success"] * len(parts))}"' in step["run"]
    called = {path.stem for path in OURS if "workflow_call" in (load(path)["on"] or {})}
    release = load(ROOT / ".github/workflows/release.yml")["jobs"]
    assert release["release"]["needs"] == "test-scheduled"
    assert release["test-scheduled"]["uses"] == "./.github/workflows/test-scheduled.yml"
    called.remove("test-scheduled")
    assert {jobs[name]["uses"] for name in parts} == {
        f"./.github/workflows/{name}.yml" for name in called
    }
    for name in parts:
        assert jobs[name]["uses"] == f"./.github/workflows/{name}.yml"


def test_a_part_runs_what_a_person_runs() -> None:
    """The checks are the hooks, and the tests are .ci/run: nothing is proved on GitHub alone."""
    check, test = (
        (ROOT / f".github/workflows/{name}.yml").read_text()
        for name in ("check-code", "test-linux")
    )
    assert "run: uv run --frozen pre-commit run --all-files" in check
    assert re.search(r"run: sudo .* \.ci/run$", test, re.M)


def test_smoke_gives_uvx_options_that_it_has() -> None:
    """It runs weekly only: a command line that is wrong would be seen late."""
    text = (ROOT / ".github/workflows/smoke.yml").read_text()
    calls = re.findall(r"^ +uvx (.*?)(?:copier@latest|packer-toolkit check$)", text, re.M)
    assert len(calls) == 2
    told = subprocess.run(
        [require("uv"), "tool", "run", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in re.findall(r"--[\w-]+", " ".join(calls)):
        assert re.search(rf"{option}\b(?!-)", told), option
