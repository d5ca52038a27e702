"""A build from the request to the report, with a Packer and an account that are in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_aws import HOME, PAST, FakeAws, FakeClock, make_tags
from fake_packer import FakeProcess, FakePrograms, format_inspect, make_values

from packer_toolkit.build.host import Host
from packer_toolkit.build.image_preparation import delete_earlier_attempts, require_shareable_keys
from packer_toolkit.build.manifest import (
    add_entries,
    delete_manifest,
    read_entries,
    reconstruct_entry,
    verify_images,
)
from packer_toolkit.build.report import FILE, BuildReport, has_report_shape
from packer_toolkit.build.result import make_error
from packer_toolkit.build.run import Run
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import VersionImage
from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError, ToolkitError
from packer_toolkit.process import Completed

X86, ARM = "amazon-ebs.x86_64", "amazon-ebs.arm64"
IMAGE = ("-var", "skip_create_ami=false")
DONE = make_tags(ExpiresAt="never", Version="1.0.0")


class Build:
    """A build in a folder.

    Attributes:
        aws: The account.
        lines: Lines of the toolkit.
        process: Packer.
        programs: Programs that run before it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aws = FakeAws()
        self.clock = FakeClock()
        self.lines: list[str] = []
        self.process = FakeProcess([f"Build '{X86}' finished after 1 second."])
        self.programs = FakePrograms(format_inspect(make_values()))
        packer = folder / "bin/packer"
        packer.parent.mkdir()
        packer.touch(0o755)

    def set_values(self, sources: Sequence[str] = (X86,), **values: Any) -> None:
        """Set the values of the HCL."""
        self.programs = FakePrograms(format_inspect(make_values(**values), sources))

    def make(self, *words: str, **environment: str) -> Run:
        """Return the build."""
        return Run(
            [*words, str(self.folder)],
            Host(
                self.lines.append,
                self.lines.append,
                self.programs,
                self.aws.connect,
                self.process,
                clock=self.clock,
            ),
            {"PATH": str(self.folder / "bin"), "PKR_VAR_run_id": "run-1", **environment},
        )

    def run(self, *words: str, **environment: str) -> BuildReport:
        """Build, and return the report."""
        return self.make(*words, **environment).run()

    def write_manifest(self, *ids: str, architecture: str = "x86_64") -> None:
        """Write the manifest of a build that is about to end."""
        artifact = ",".join(f"{HOME}:{id_}" for id_ in ids)
        entry = {"name": "image", "builder_type": "amazon-ebs", "artifact_id": artifact,
                 "packer_run_uuid": "u", "custom_data": {"architecture": architecture,
                 "version": "1.0.0"}}  # fmt: skip
        manifest = {"builds": [entry], "last_run_uuid": "u"}
        (self.folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a build whose HCL sets skip_create_ami."""
    (tmp_path / "build.pkr.hcl").write_text(
        'variable "skip_create_ami" {\n  default = false\n}\n'
        + "".join(
            f'source "amazon-ebs" "{name}" {{\n  skip_create_ami = var.skip_create_ami\n}}\n'
            for name in ("x86_64", "arm64")
        )
        + 'build {\n  sources = ["amazon-ebs.x86_64", "amazon-ebs.arm64"]\n}\n'
    )
    return Build(tmp_path)


def test_a_test_build_is_reported(build: Build) -> None:
    """The report has the identity, the type and the phases of the build."""
    report = build.run()
    assert json.loads((build.folder / FILE).read_text()) == report
    assert has_report_shape(report)
    assert (report["kind"], report["exit_code"], report["run_id"]) == ("test", 0, "run-1")
    assert report["account"] is not None
    assert [each["name"] for each in report["builds"]] == [X86]
    assert make_error(report) is None
    assert [command[1] for command in build.programs.commands] == ["inspect", "init"]
    assert build.lines[:2] == [
        "AWS: account 111122223333, user tess, region eu-west-1",
        "Run run-1: test build, no image",
    ]


def test_a_failed_build_is_cleaned_up(build: Build) -> None:
    """The report names the step that failed and what was deleted."""
    key = build.aws.add("key-pair", make_tags())
    build.process = FakeProcess(
        [
            f"==> {X86}: Found Image ID: ami-0b",
            f"==> {X86}: Provisioning with shell script: /x/10-fail.sh",
            f"Build '{X86}' errored after 1 second: Script exited with 3",
        ],
        code=1,
    )
    build.aws.add("image", {}, id="ami-0b", Name="base")
    # Found before the build, as images with the same run ID are.
    report = build.run()
    assert report["exit_code"] == 1
    assert report["builds"][0]["failed_step"] == "shell: 10-fail.sh"
    assert report["builds"][0]["parent"] == {"id": "ami-0b", "name": "base"}
    assert report["swept"] == [{"kind": "key-pair", "id": key, "region": HOME}]
    error = make_error(report)
    assert isinstance(error, CommandFailedError)
    assert str(error) == (
        f"the build failed: {X86} in shell: 10-fail.sh; see above, and build-report.json"
    )


def test_an_image_is_verified_and_described(build: Build) -> None:
    """A finished image is in the report with its size."""
    mappings = [{"Ebs": {"SnapshotId": "snap-1", "VolumeSize": 8}}, {"DeviceName": "x"}]

    def finish() -> None:
        build.aws.add("image", DONE, id="ami-1", BlockDeviceMappings=mappings)
        build.write_manifest("ami-1")

    build.process.on_wait = finish
    build.set_values(var__skip_create_ami="false", var__version="1.0.0")
    report = build.run(*IMAGE)
    assert (report["kind"], report["exit_code"], report["version"]) == ("image", 0, "1.0.0")
    assert report["builds"][0]["images"] == [{"region": HOME, "id": "ami-1", "size_gib": 8}]


def test_an_unfinished_image_fails_the_build(build: Build) -> None:
    """Its images and the manifest are deleted after the verification has waited."""

    def leave_unfinished() -> None:
        build.aws.add("image", make_tags(), id="ami-1")
        build.write_manifest("ami-1")

    build.process.on_wait = leave_unfinished
    build.set_values(var__skip_create_ami="false")
    report = build.run(*IMAGE)
    assert report["exit_code"] == 1
    assert report["builds"][0]["failed_step"] == "verification of the image"
    assert report["last_lines"][-1].endswith(f"ExpiresAt {PAST}, run run-1) is not finished")
    assert build.aws.list_ids() == []
    assert not (build.folder / "manifest.json").exists()
    assert build.clock.now > 30  # the verification waited for the tags


def test_a_missing_architecture_is_added(build: Build) -> None:
    """A finished image is not built again, and the manifest names it, too."""
    values = {"var__architectures": ["x86_64", "arm64"], "var__skip_create_ami": "false",
              "var__version": "1.0.0", "local__image_tags": {"Commit": "abc"}}  # fmt: skip
    build.set_values((X86, ARM), **values)
    build.aws.add("image", {**DONE, "Commit": "abc"}, id="ami-1", Name="web-1.0.0-x86_64")
    leftover = build.aws.add("image", make_tags(RunId="run-0"), Name="web-1.0.0-arm64")

    def finish() -> None:
        build.aws.add("image", DONE, id="ami-2")
        build.write_manifest("ami-2", architecture="arm64")

    build.process = FakeProcess([f"Build '{ARM}' finished after 1 second."], on_wait=finish)
    report = build.run(*IMAGE)
    assert report["exit_code"] == 0
    assert leftover not in build.aws.list_ids()
    assert '-var=architectures=["arm64"]' in build.process.command
    assert "manifest.json also names the finished images for x86_64" in build.lines
    builds = json.loads((build.folder / "manifest.json").read_text())["builds"]
    assert [each["artifact_id"] for each in builds] == [f"{HOME}:ami-2", f"{HOME}:ami-1"]


def test_a_finished_version_is_not_built(build: Build) -> None:
    """The build ends before Packer starts, and the report has the reason."""
    build.set_values(var__skip_create_ami="false", var__version="1.0.0")
    build.aws.add("image", DONE, id="ami-1", Name="web-1.0.0-x86_64")
    with pytest.raises(CommandFailedError, match=r"version 1\.0\.0: it exists already, web-1"):
        build.run(*IMAGE)
    assert build.process.command == []
    assert "it exists already" in json.loads((build.folder / FILE).read_text())["last_lines"][0]


def test_an_unfinished_image_that_cannot_be_deleted_stops_the_build(build: Build) -> None:
    """Packer could not use its name."""
    build.set_values(var__skip_create_ami="false", var__version="1.0.0")
    build.aws.add("image", make_tags(RunId="run-0"), Name="web-1.0.0-x86_64")
    build.aws.errors["deregister_image"] = ["UnauthorizedOperation"]
    with pytest.raises(RemoteError, match="belongs to an unfinished build of version 1"):
        build.run(*IMAGE)


def test_a_local_build_does_not_use_aws(build: Build) -> None:
    """It has no account, and nothing is cleaned up."""
    build.set_values(("docker.local",))
    build.process = FakeProcess(["Build 'docker.local' errored after 1 second: x"], code=1)
    report = build.run("-only=docker.local")
    assert (report["kind"], report["account"], report["exit_code"]) == ("local", None, 1)
    assert build.aws.connections == []


@pytest.mark.parametrize(
    ("environment", "words", "message"),
    [
        ({"PATH": "/nowhere"}, (), "packer is not on PATH; build in the toolkit image"),
        ({}, ("-only=x.*",), r"-only=x\.\* and -except= select no build; existing builds: "),
        ({}, ("more", "."), "packer build accepts one folder or file after all options"),
        ({"PACKER_CREDENTIALS_EXPIRE_AT": "2020-01-01T00:00:00Z"}, (), "the credentials expired"),
    ],
)
def test_a_build_that_must_not_start(
    build: Build, environment: dict[str, str], words: tuple[str, ...], message: str
) -> None:
    """The reason is one line, and in the report."""
    with pytest.raises(SetupError, match=message) as refused:
        build.run(*words, **environment)
    assert "\n" not in str(refused.value)
    assert build.process.command == []


def test_plugins_that_cannot_be_installed_stop_the_build(build: Build) -> None:
    """The output of `packer init` is shown."""
    build.programs.results["init"] = [Completed(1, "no plugin\n")]
    with pytest.raises(SetupError, match=r"packer init failed \(see above\): required plugins"):
        build.run()
    assert "no plugin\n" in build.lines


def test_an_account_that_refuses_the_identity_stops_the_build(build: Build) -> None:
    """Nothing starts without credentials."""
    build.aws.errors["get_caller_identity"] = ["ExpiredToken"]
    with pytest.raises(SetupError, match="the AWS login has expired"):
        build.run()


def test_images_of_the_run_that_cannot_be_listed_stop_the_build(build: Build) -> None:
    """The clean-up could delete the images of another build."""
    build.aws.errors["describe_images"] = ["UnauthorizedOperation"]
    with pytest.raises(RemoteError, match="cannot list the images of the run run-1: "):
        build.run()


def test_a_signal_during_the_preparation_starts_nothing(build: Build) -> None:
    """The exit code is that of the signal."""
    run = build.make()
    run.signals.receive(15)
    with pytest.raises(ToolkitError, match="interrupted by a signal before Packer ran") as refused:
        run.run()
    assert refused.value.code == 143


def test_a_terminated_build_has_the_code_of_the_signal(build: Build) -> None:
    """The error names the signal, and the report the step that was interrupted."""
    build.process = FakeProcess([f"==> {X86}: Connected to SSH!"], code=1)
    run = build.make()

    def interrupt() -> None:
        run.process.output.read(f"==> {X86}: Connected to SSH!", 0)
        run.signals.receive(15)

    build.process.on_wait = interrupt
    report = run.run()
    assert report["exit_code"] == 143
    assert report["builds"][0]["failed_step"] == "shell"
    error = make_error(report)
    assert error is not None
    assert (str(error), error.code) == ("the build was terminated by SIGTERM", 143)


def test_hcl_that_packer_cannot_read_is_not_built(build: Build) -> None:
    """A build without a request does not start, and the output of Packer is shown."""
    output = "Error: Unsupported block type\n\n  on a.pkr.hcl line 1:\n\nBlocks are not expected.\n"
    build.programs.results["inspect"] = [Completed(1, output)]
    with pytest.raises(SetupError, match="packer inspect cannot read the HCL here: Error: Unsup"):
        build.run()
    assert output in build.lines
    build.process = FakeProcess(code=1)
    assert build.run(*IMAGE)["exit_code"] == 1  # Packer explains it


def test_a_file_of_the_repository_does_not_change_the_request(build: Build) -> None:
    """An option overrides image.auto.pkrvars.hcl."""
    committed = Completed(0, format_inspect(make_values(var__skip_create_ami="false")))
    build.programs.results["inspect"] = [committed]
    build.run()
    assert "-var=skip_create_ami=true" in build.process.command
    assert any("skip_create_ami is true for this build" in line for line in build.lines)


def test_a_request_for_hcl_without_the_variable_is_accepted(build: Build) -> None:
    """Packer would refuse a value of a variable that is not declared."""
    values = make_values()
    del values["var.skip_create_ami"]
    build.programs.results["inspect"] = [Completed(1, "Error: x"),
                                         Completed(0, format_inspect(values))]  # fmt: skip
    build.process.code = 1
    build.run(*IMAGE)
    assert "skip_create_ami=false" not in " ".join(build.process.command)


@pytest.mark.parametrize(
    ("words", "post_processors", "message"),
    [
        ((), (), "its image cannot be verified"),
        (("-except=manifest",), ("manifest",), "-except=manifest: it excludes the post-processor"),
    ],
)
def test_an_image_needs_a_manifest(
    build: Build, words: tuple[str, ...], post_processors: tuple[str, ...], message: str
) -> None:
    """Its verification reads manifest.json."""
    values = make_values(var__skip_create_ami="false")
    build.programs = FakePrograms(format_inspect(values, (X86,), post_processors))
    with pytest.raises(SetupError, match=message):
        build.run(*IMAGE, *words)


def test_an_own_base_image_is_checked(build: Build) -> None:
    """An unfinished image is not used as the source AMI."""
    build.set_values(var__source_ami_owners=["self"], var__source_ami_ids={},
                     var__source_ami_names={"x86_64": "base-*"})  # fmt: skip
    build.aws.add("image", DONE | {"Repository": "packer-ami-base"}, Name="base-1", id="ami-1",
                  CreationDate="2026-11-01T00:00:00.000Z")  # fmt: skip
    build.aws.add("image", make_tags(Repository="packer-ami-base"), Name="base-2", id="ami-2")
    build.run()
    assert '-var=source_ami_ids={"x86_64": "ami-1"}' in build.process.command
    assert any(line.startswith("Source AMI for x86_64: ami-1") for line in build.lines)


# ------------------------------------------------------------------------------------ details


def test_leftovers_of_earlier_attempts_are_deleted() -> None:
    """The run ID of an attempt names those before it; another run is not touched."""
    from packer_toolkit.build.cleanup.scope import DeletionResult, Scope

    scopes: list[Scope] = []
    lines: list[str] = []

    def delete(scope: Scope) -> DeletionResult:
        scopes.append(scope)
        leftover = {"kind": "volume", "id": "vol-1", "region": HOME, "reason": "in use"}
        return DeletionResult(leftovers=[leftover])  # type: ignore[list-item]

    scope = Scope("packer-ami-web", (HOME,), "77-3", finished=True)
    environment = {"GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "3"}
    delete_earlier_attempts(scope, environment, delete, lines.append)
    assert [(each.run_id, each.finished) for each in scopes] == [("77-1", False), ("77-2", False)]
    assert lines == [f"Not deleted: volume vol-1 in {HOME}: in use"] * 2
    delete_earlier_attempts(scope, {}, delete, lines.append)
    assert len(scopes) == 2


def test_the_verification_reports_a_region_that_refuses() -> None:
    """The images are built, so that the next run recognizes them."""
    aws = FakeAws()
    aws.errors["describe_images"] = ["UnauthorizedOperation"]
    entry = {"builder_type": "amazon-ebs", "artifact_id": f"{HOME}:ami-1", "name": "image"}
    values = Values({"var.region": HOME})
    with pytest.raises(RemoteError, match="the images were built, and cannot be verified: "):
        verify_images(aws.client, values, [entry], 1, lambda: False, FakeClock())
    aws.errors.clear()
    problems = verify_images(aws.client, values, [entry], 2, lambda: True, FakeClock())
    assert problems == ["manifest.json names 1 of 2 images", f"ami-1 in {HOME} does not exist"]


def test_a_manifest_is_read_completed_and_deleted(build: Build) -> None:
    """Only the last run of Packer counts, and only a file that is not older than the build."""
    now = time.time()
    build.write_manifest("ami-1")
    (entry,) = read_entries(build.folder, now)
    assert entry["artifact_id"] == f"{HOME}:ami-1"
    assert read_entries(build.folder, now + 3600) == []
    image = VersionImage("arm64", HOME, "ami-2", "web", "available", DONE, PAST)
    added = reconstruct_entry(Values({"var.image_name": "web"}), "1.0.0", [image])
    add_entries(build.folder / "manifest.json", [added])
    assert len(read_entries(build.folder, now)) == 2
    delete_manifest(build.folder, now)
    assert read_entries(build.folder, now) == []


@pytest.mark.parametrize(("key", "is_refused"), [("", True), ("alias/own", False)])
def test_a_shared_image_needs_a_key_that_can_be_shared(key: str, is_refused: bool) -> None:
    """Without a key in the HCL, the default key of the account counts."""
    aws = FakeAws()
    values = Values({"var.region": HOME, "var.ami_users": '["111122223333"]',
                     "local.kms_key_ids": f'{{\n  "{HOME}" = "{key}"\n}}'})  # fmt: skip
    if is_refused:
        with pytest.raises(SetupError, match="encrypted with alias/aws/ebs in eu-west-1 cannot be"):
            require_shareable_keys(values, aws.client)
    else:
        require_shareable_keys(values, aws.client)
    aws.errors["get_ebs_default_kms_key_id"] = ["UnauthorizedOperation"]
    require_shareable_keys(values, aws.client)
    require_shareable_keys(Values({}), aws.client)
