"""The result of a build: its report, and the error that ends the command."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from packer_toolkit.aws.identity import Identity
from packer_toolkit.aws.session import Clients
from packer_toolkit.build import report as build_report
from packer_toolkit.build.arguments import LOCAL_KINDS
from packer_toolkit.build.cleanup.scope import DeletionResult
from packer_toolkit.build.host import format_time
from packer_toolkit.build.manifest import ManifestEntry, get_architecture, split_artifact
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.output import PackerOutput
from packer_toolkit.build.report import Build, BuildReport, InspecResults, describe_account
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.errors import CommandFailedError, InterruptedBySignalError, ToolkitError


@dataclass
class BuildResult:
    """What happened in a build.

    Attributes:
        started: Start, in seconds since 1970.
        seconds: Duration.
        packer_seconds: Duration of `packer build`.
        code: Exit code.
        failure: Error that ended the build without Packer; None if Packer ended.
        stop_reason: Reason why the toolkit stopped the build; empty if it did not.
        unfinished: Problems of its images that the verification found.
        entries: Entries of the build in manifest.json.
        deletion: Result of the clean-up.
        inspec: Results of InSpec.
        identity: Identity of the AWS credentials.
    """

    started: float
    seconds: float = 0.0
    packer_seconds: float = 0.0
    code: int = 0
    failure: ToolkitError | None = None
    stop_reason: str = ""
    unfinished: Sequence[str] = ()
    entries: Sequence[ManifestEntry] = ()
    deletion: DeletionResult = field(default_factory=DeletionResult)
    inspec: list[InspecResults] = field(default_factory=list)
    identity: Identity | None = None


def has_complete_images(
    request: BuildRequest, output: PackerOutput, finished_before: Sequence[str]
) -> bool:
    """Return whether all selected builds on EC2 finished their images, and a local build failed.

    A release is all architectures or none, so that the images of a build that failed on EC2 are
    deleted together with those of the other architectures.

    Args:
        request: The request.
        output: Output of Packer.
        finished_before: Architectures whose images an earlier build finished.
    """
    states: dict[bool, list[bool]] = {True: [], False: []}
    for name in request.selection.select(request.values.builds):
        if name.removeprefix("amazon-ebs.") in finished_before:
            continue  # Packer did not build it again
        build = output.builds.get(name)
        is_finished = build is not None and build.ok and name not in output.interrupted
        states[request.values.kinds[name] in LOCAL_KINDS].append(is_finished)
    return not all(states[True]) and bool(states[False]) and all(states[False])


def make_report(
    request: BuildRequest, output: PackerOutput, result: BuildResult, mask: Mask
) -> BuildReport:
    """Make the report of a build.

    Args:
        request: The request.
        output: Output of Packer.
        result: What happened in the build.
        mask: Masks secrets and account IDs.
    """
    values = request.values
    lines = [str(result.failure)] if result.failure else output.get_last_lines()
    if result.stop_reason:
        lines.append(result.stop_reason)
    lines += result.unfinished
    built_version = (
        result.entries[0].get("custom_data", {}).get("version") if result.entries else ""
    )
    return {
        "schema": build_report.SCHEMA,
        "image_name": values.text("var.image_name"),
        "version": built_version or values.text("local.version"),
        "commit": values.table("local.image_tags").get("Commit", ""),
        "template_version": values.table("local.image_tags").get("TemplateVersion", ""),
        "toolkit_version": request.env.get("PACKER_TOOLKIT_VERSION") or version("packer-toolkit"),
        "kind": request.build_type,
        "started_at": format_time(result.started),
        "seconds": round(result.seconds, 1),
        "exit_code": result.code,
        "run_id": request.run_id,
        "account": describe_account(result.identity) if result.identity else None,
        "builds": _make_builds(request, output, result, mask),
        "inspec": result.inspec,
        "last_lines": mask.lines(lines, output.builds),
        "swept": result.deletion.deleted,
        "left": [
            {**each, "reason": mask.everything(each["reason"])}
            for each in result.deletion.leftovers
        ],
    }


def _make_builds(
    request: BuildRequest, output: PackerOutput, result: BuildResult, mask: Mask
) -> list[Build]:
    builds = output.make_builds(result.packer_seconds)
    for build in builds:
        name = build["name"]
        architecture = name.rpartition(".")[2]
        build["instance_type"] = request.values.table("var.instance_types").get(architecture)
        step = mask.everything(build["failed_step"]) if build["failed_step"] else None
        if result.code and name in output.interrupted:
            # Packer prints that it "finished".
            build["ok"], step = False, step or output.interrupted[name]
        if result.unfinished and name.startswith("amazon-ebs."):
            build["ok"], step = False, step or "verification of the image"
        build["failed_step"] = step
        for entry in result.entries:
            if f"{entry['builder_type']}.{get_architecture(entry)}" == name:
                build["images"] += [
                    {"region": region, "id": id_, "size_gib": None}
                    for region, id_ in split_artifact(entry).items()
                ]
    return builds


def add_image_details(builds: Sequence[Build], clients: Clients, region: str) -> None:
    """Add the names of base images and the sizes of images; without AWS they stay unknown.

    Args:
        builds: Builds of a report; changed.
        clients: Returns the EC2 client of a region.
        region: Region of the build.
    """
    ids: dict[str, set[str]] = {}
    for build in builds:
        if build["parent"]:
            ids.setdefault(region, set()).add(build["parent"]["id"])
        for image in build["images"]:
            ids.setdefault(image["region"], set()).add(image["id"])
    images: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        for region_, names in ids.items():
            response = clients(region_).describe_images(ImageIds=sorted(names))
            images |= {each["ImageId"]: each for each in response["Images"]}
    for build in builds:
        base_image = build["parent"]
        if base_image and base_image["id"] in images:
            base_image["name"] = str(images[base_image["id"]].get("Name", ""))
        for image in build["images"]:
            mappings = images.get(image["id"], {}).get("BlockDeviceMappings", [])
            sizes = [each["Ebs"].get("VolumeSize", 0) for each in mappings if "Ebs" in each]
            image["size_gib"] = sum(sizes) if sizes else None


def make_error(report: BuildReport) -> ToolkitError | None:
    """Return the error that ends the command after a failed build; None for a successful one."""
    code = report["exit_code"]
    if code == 0:
        return None
    failed = [
        f"{build['name']} in {build['failed_step']}" if build["failed_step"] else build["name"]
        for build in report["builds"]
        if not build["ok"]
    ]
    if code > 128:
        name = signal.Signals(code - 128).name
        return InterruptedBySignalError(f"the build was terminated by {name}", code)
    where = f": {', '.join(failed)}" if failed else ""
    error = CommandFailedError(f"the build failed{where}; see above, and {build_report.FILE}")
    error.code = code
    return error
