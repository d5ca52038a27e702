"""The page that a person reads after a build."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from packer_toolkit.pipeline.artifacts import unpack_artifacts
from packer_toolkit.pipeline.summary import compare_packages, find_larger_type
from rig.github import GitHub, Repository
from rig.repositories.build_reports import REPOSITORY, build_report, write_report
from rig.run.toolkit_process import Toolkit


def test_good_build_says_what_was_made(toolkit: Toolkit) -> None:
    """Image ids and regions, sizes, phases, InSpec."""
    write_report(toolkit.directory, ok=True)
    said = toolkit.run("summary").stdout
    for line in (
        "## `web-server` `1.2.3` succeeded",
        "| `x86_64` | `eu-west-1` | `ami-0fedcba9876543210` | 8 GiB |",
        "| `x86_64` | `ami-0aaaaaaaaaaaaaaaa` | `debian-12-amd64-20261101` |",
        "| `amazon-ebs.x86_64` | shell | 4.0 |",
        "| `amazon-ebs.x86_64` | 12 | 0 | 1 |",
        "Total: **7.2 minutes** (12% of the 59.5-minute credential lifetime).",
    ):
        assert line in said, said


def test_summary_goes_where_the_workflow_shows_it(toolkit: Toolkit) -> None:
    """It is added to the file that the runner names, and not printed."""
    write_report(toolkit.directory, ok=True)
    file = toolkit.directory / "summary"
    file.write_text("before\n")
    assert toolkit.run("summary", GITHUB_STEP_SUMMARY=str(file)).stdout == ""
    assert file.read_text().startswith("before\n## `web-server`")


def test_summary_as_json(toolkit: Toolkit) -> None:
    """For a program, and to no file of the runner."""
    write_report(toolkit.directory, ok=True)
    file = toolkit.directory / "summary"
    file.touch()
    said = json.loads(toolkit.run("summary", "--json", GITHUB_STEP_SUMMARY=str(file)).stdout)
    assert (said["outcome"], said["note"]) == ("success", None)
    assert said["text"].startswith("## `web-server` `1.2.3` succeeded")
    assert file.read_text() == ""


@pytest.mark.parametrize(
    ("seconds", "limit", "named"),
    [(2500, "3600", False), (2521, "3600", True), (2521, "7200", False), (5100, "7200", True)],
)
def test_larger_instance_is_named_above_70_percent(
    toolkit: Toolkit, seconds: int, limit: str, named: bool
) -> None:
    """Of the time for which the credentials are good."""
    write_report(toolkit.directory, ok=True, seconds=seconds)
    said = toolkit.run("summary", PACKER_CREDENTIALS_SECONDS=limit).stdout
    assert ('`x86_64 = "m7i.xlarge"` instead of `m7i.large`' in said) == named, said


def test_time_before_the_build_is_not_part_of_the_share(toolkit: Toolkit) -> None:
    """The share is that of the time that was left when the build started (review R17)."""
    write_report(toolkit.directory, ok=True, seconds=1500)
    report = json.loads((toolkit.directory / "build-report.json").read_text())
    expires = datetime.fromisoformat(report["started_at"].replace("Z", "+00:00"))
    expires += timedelta(seconds=3000)
    for noted in (f"{expires:%Y-%m-%dT%H:%M:%SZ}", f"{expires.timestamp():.0f}"):
        env = {"PACKER_CREDENTIALS_SECONDS": "3600", "PACKER_CREDENTIALS_EXPIRE_AT": noted}
        assert "50% of the 50.0-minute" in toolkit.run("summary", **env).stdout


def test_hour_is_assumed_when_nobody_knows(toolkit: Toolkit) -> None:
    """A chained role lives no longer."""
    write_report(toolkit.directory, ok=True, seconds=1800, account=None)
    assert "50% of the 60.0-minute" in toolkit.run("summary").stdout


@pytest.mark.parametrize(
    ("present", "next_one"),
    [
        ("m7i.large", "m7i.xlarge"),
        ("m7g.4xlarge", "m7g.8xlarge"),
        ("m7i.8xlarge", None),
        ("m7i.metal", None),
        ("", None),
    ],
)
def test_next_larger_type(present: str, next_one: str | None) -> None:
    """Within the family, as far as all families have it."""
    assert find_larger_type(present) == next_one


def test_failed_build_says_where_and_why(toolkit: Toolkit) -> None:
    """With the last lines and what is left."""
    left = [{"kind": "volume", "id": "vol-1", "region": "eu-west-1", "reason": "in use"}]
    write_report(toolkit.directory, ok=False, left=left)
    said = toolkit.run("summary").stdout
    assert "` failed" in said
    assert "| `amazon-ebs.x86_64` | `shell: provisioners/shell/10-update-packages.sh` |" in said
    assert "Unable to locate package nginz" in said
    assert "- `volume` `vol-1` in `eu-west-1`: `in use`" in said


def test_failed_controls_are_named(toolkit: Toolkit) -> None:
    """Each of them."""
    result = {"build": "amazon-ebs.x86_64", "passed": 3, "failed": 1, "skipped": 0}
    write_report(toolkit.directory, ok=False, inspec=[{**result, "failures": ["ssh-1: No root"]}])
    assert "- `ssh-1: No root`" in toolkit.run("summary").stdout


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("cancelled", "was cancelled"),
        ("failure", "` failed"),
    ],
)
def test_build_without_a_report(toolkit: Toolkit, outcome: str, said: str) -> None:
    """Cancelled or killed before it could write one."""
    shown = toolkit.run("summary", f"--outcome={outcome}").stdout
    assert said in shown
    assert "wrote no report" in shown


def test_skipped_build_says_why(toolkit: Toolkit) -> None:
    """With the reason that the plan gave."""
    shown = toolkit.run("summary", "--outcome=skipped", "--note=Nothing has changed.").stdout
    assert shown == "## Nothing was built\n\nNothing has changed.\n\n"


def test_packages_are_compared_with_the_last_release(
    toolkit: Toolkit, hub: Repository, api_url: str
) -> None:
    """Not with the one that is being built, nor with a draft, nor with one without a list."""
    toolkit.env["GITHUB_API_URL"] = api_url
    write_report(toolkit.directory, ok=True)
    lists = {
        "v1.0.0": b"bash 5.1\ncurl 7.0\n",
        "v1.1.0": b"bash 5.2\ncurl 7.0\nvim 9\n",
        "v1.2.0": None,
        "v1.3.0": b"bash 9\n",
        "v1.2.3": b"bash 10\n",
    }
    for tag, content in lists.items():
        release = hub.add_release(tag, draft=tag == "v1.3.0")
        if content:
            hub.add_asset(release, "packages-x86_64.txt", content)
    (toolkit.directory / "packages-x86_64.txt").write_text("bash 5.2\ncurl 7.1\nzsh 5\n")
    said = toolkit.run("summary", GITHUB_REF_TYPE="tag", GITHUB_REF_NAME="v1.2.3").stdout
    assert "`x86_64`: 3 packages, 3 changed since `v1.1.0`." in said
    for line in ("| `curl` | `7.0` | `7.1` |", "| `vim` | `9` | — |", "| `zsh` | — | `5` |"):
        assert line in said


def test_packages_without_an_earlier_list(toolkit: Toolkit, hub: Repository) -> None:
    """The first release, or no release yet."""
    write_report(toolkit.directory, ok=True)
    (toolkit.directory / "packages-x86_64.txt").write_text("bash 5.2\n")
    assert "1 package; there is no earlier list to compare with" in toolkit.run("summary").stdout


def test_github_out_of_reach_takes_nothing_from_the_summary(
    toolkit: Toolkit, github: GitHub
) -> None:
    """But the comparison."""
    write_report(toolkit.directory, ok=True)
    (toolkit.directory / "packages-x86_64.txt").write_text("bash 5.2\n")
    github.fault("GET", "/releases$", 403)
    done = toolkit.run("summary")
    assert "packages are not compared" in done.stderr
    assert "ami-0fedcba9876543210" in done.stdout


def test_kernels_side_by_side_are_one_change() -> None:
    """A package may be installed in several versions."""
    found = compare_packages(["kernel 1", "kernel 2", "a 1"], ["kernel 2", "kernel 3", "a 1"])
    assert found == [("kernel", "1, 2", "2, 3")]


def test_many_changes_are_counted(toolkit: Toolkit, hub: Repository) -> None:
    """And not all shown."""
    write_report(toolkit.directory, ok=True)
    old = "".join(f"p{number} 1\n" for number in range(200))
    hub.add_asset(hub.add_release("v1"), "packages-x86_64.txt", old.encode())
    (toolkit.directory / "packages-x86_64.txt").write_text(old.replace(" 1", " 2"))
    said = toolkit.run("summary").stdout
    assert "200 packages, 200 changed" in said
    assert "And 150 more." in said


# --- Records of a release -------------------------------------------------------------------------


def built(toolkit: Toolkit, **more: object) -> None:
    """Leave what a build leaves."""
    write_report(toolkit.directory, ok=True, **more)
    (toolkit.directory / "manifest.json").write_text('{"builds": []}\n')
    (toolkit.directory / "packages-x86_64.txt").write_text("bash 5.2\n")


def test_records_are_attached(toolkit: Toolkit, hub: Repository, api_url: str) -> None:
    """Through the bundle that the build's job hands on, with the permission contents: write."""
    hub.add_release("v1.2.3")
    built(toolkit)
    bundle = toolkit.run("bundle").stdout.strip().partition("=")[2]
    for path in toolkit.directory.iterdir():
        path.unlink()
    env = {
        "GITHUB_API_URL": api_url,
        "GITHUB_REF_NAME": "v1.2.3",
        "PACKER_BUILD_BUNDLE": bundle,
    }
    said = toolkit.run("attach", **env).stdout
    assert "attached: build-report.json, manifest.json, packages-x86_64.txt" in said
    assert hub.asset("v1.2.3", "manifest.json") == b'{"builds": []}\n'
    assert json.loads(hub.asset("v1.2.3", "build-report.json")) == build_report(ok=True)
    assert "already attached: build-report.json" in toolkit.run("attach", **env).stdout


def test_bundle_as_json(toolkit: Toolkit) -> None:
    """What is in it, and the line; no output is set."""
    built(toolkit)
    file = toolkit.directory / "outputs"
    file.touch()
    said = json.loads(toolkit.run("bundle", "--json", GITHUB_OUTPUT=str(file)).stdout)
    assert said["files"] == ["build-report.json", "manifest.json", "packages-x86_64.txt"]
    assert sorted(unpack_artifacts(said["bundle"]).files) == said["files"]
    assert file.read_text() == ""


def test_other_records_are_not_overwritten(toolkit: Toolkit, hub: Repository) -> None:
    """A version is built once; --replace is a person's decision."""
    hub.add_asset(hub.add_release("v1.2.3"), "manifest.json", b"older")
    built(toolkit)
    done = toolkit.run("attach", "--tag=v1.2.3", code=1)
    assert "this version was built before" in done.stderr
    assert hub.asset("v1.2.3", "manifest.json") == b"older"
    said = json.loads(toolkit.run("attach", "--tag=v1.2.3", "--replace", "--json").stdout)
    assert said["replaced"] == ["manifest.json"]


def test_manifest_that_was_found_again_replaces_none(toolkit: Toolkit, hub: Repository) -> None:
    """That of the build says more, or the same."""
    hub.add_asset(hub.add_release("v1.2.3"), "manifest.json", b"older")
    (toolkit.directory / "manifest.json").write_text('{"builds": [], "found_again": true}')
    said = toolkit.run("attach", "--tag=v1.2.3", "--replace").stdout
    assert "already attached: manifest.json" in said
    assert hub.asset("v1.2.3", "manifest.json") == b"older"


def entry(architecture: str, artifact: str | None, run: str = "2") -> dict[str, object]:
    """Return an entry of manifest.json."""
    facts = {"architecture": architecture}
    return {
        "builder_type": "amazon-ebs",
        "artifact_id": artifact,
        "packer_run_uuid": run,
        "custom_data": facts,
    }


@pytest.mark.parametrize(
    ("builds", "exit_code", "says"),
    [
        ([entry("x86_64", "eu-west-1:ami-1")], 1, "a build that failed with exit code 1"),
        ([entry("x86_64", "")], 0, "names no image for x86_64;"),
        ([entry("x86_64", None)], 0, "names no image for x86_64;"),
        (
            [entry("x86_64", "eu-west-1:ami-1,us-east-1:ami-2"), entry("arm64", "eu-west-1:ami-3")],
            0,
            "names no image for arm64 in us-east-1;",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--replace",), ("--dry-run",)])
def test_unfinished_images_are_not_attached(
    toolkit: Toolkit,
    hub: Repository,
    builds: list[object],
    exit_code: int,
    says: str,
    options: tuple[str, ...],
) -> None:
    """A manifest that cannot be of a finished version is refused (review C1)."""
    hub.add_release("v1.2.3")
    write_report(toolkit.directory, ok=True, exit_code=exit_code)
    file = toolkit.directory / "manifest.json"
    file.write_text(json.dumps({"builds": builds, "last_run_uuid": "2"}))
    done = toolkit.run("attach", "--tag=v1.2.3", *options, code=1)
    assert says in done.stderr
    assert hub.releases[0]["assets"] == []


def test_a_manifest_with_older_entries_is_attached(toolkit: Toolkit, hub: Repository) -> None:
    """Plain Packer appends to the manifest: entries of earlier builds do not count (review C1)."""
    hub.add_release("v1.2.3")
    write_report(toolkit.directory, ok=True)
    builds = [entry("arm64", "", "1"), entry("x86_64", "eu-west-1:ami-1"), "odd", {}]
    file = toolkit.directory / "manifest.json"
    file.write_text(json.dumps({"builds": builds, "last_run_uuid": "2"}))
    assert "attached: " in toolkit.run("attach", "--tag=v1.2.3").stdout


def test_dry_run_attaches_nothing(toolkit: Toolkit, github: GitHub, hub: Repository) -> None:
    """And says what it would do."""
    hub.add_asset(hub.add_release("v1.2.3"), "manifest.json", b"older")
    built(toolkit)
    said = toolkit.run("attach", "--tag=v1.2.3", "--replace", "--dry-run").stdout
    assert "would attach: build-report.json, packages-x86_64.txt" in said
    assert "would replace: manifest.json" in said
    assert hub.asset("v1.2.3", "manifest.json") == b"older"
    assert {request.method for request in github.requests} == {"GET"}


@pytest.mark.parametrize("seconds", ["0", "-5"])
def test_credentials_that_live_no_time_are_refused(toolkit: Toolkit, seconds: str) -> None:
    """A share of nothing cannot be told."""
    write_report(toolkit.directory, ok=True)
    done = toolkit.run("summary", code=2, PACKER_CREDENTIALS_SECONDS=seconds)
    assert "--credentials-seconds" in done.stderr


def test_release_that_is_not_there(toolkit: Toolkit, hub: Repository) -> None:
    """One line, exit 1."""
    built(toolkit)
    done = toolkit.run("attach", "--tag=v9", code=1)
    assert "the tag v9 has no release" in done.stderr


def test_nothing_to_attach(toolkit: Toolkit) -> None:
    """One line, exit 3."""
    assert "manifest.json is missing" in toolkit.run("attach", "--tag=v1", code=3).stderr


def test_bundle_that_would_be_too_long_loses_the_package_lists(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    """A variable of the environment holds 128 KiB."""
    import random

    random.seed(7)
    words = (f"p{random.getrandbits(64):x} {random.getrandbits(64):x}" for _ in range(9000))
    built(toolkit)
    (toolkit.directory / "packages-x86_64.txt").write_text("\n".join(words))
    done = toolkit.run("bundle")
    assert "left out" in done.stderr
    assert len(done.stdout) < 100_000
    assert REPOSITORY not in done.stdout
