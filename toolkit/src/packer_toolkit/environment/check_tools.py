"""Checks of the doctor: Task, the engine, the toolkit image, and the Session Manager plugin."""

from __future__ import annotations

import re
from collections.abc import Callable

from packer_toolkit.aws.partitions import describe_refusal
from packer_toolkit.environment import registry
from packer_toolkit.environment.machine import (
    Check,
    Machine,
    report_missing,
    report_ok,
    report_skipped,
)
from packer_toolkit.repository import session_manager

LOCAL_TASKFILE = "Taskfile.local.yml"
_INSTALL_ENGINE = (
    "install Docker (https://docs.docker.com/get-docker/) or Podman"
    " (https://podman.io/docs/installation)"
)
_INSTALL_TASK = "install Task: https://taskfile.dev/installation/"
_FIX_LOCAL_TASKFILE = (
    f"correct {LOCAL_TASKFILE} as in {LOCAL_TASKFILE}.example: it begins with version: '3', has"
    " variables below env:, and dotenv: only within a task"
)
_OLDEST_TASK = (3, 0)
# toolkit.sh has the same name and the same rule.
_REMOTE_ALLOWED = "TOOLKIT_REMOTE_ENGINE"
_LOCAL_ADDRESS = re.compile(
    r"(?:(?:unix|fd|npipe):.*|[a-z]+://(?:[^/@]*@)?(?:localhost|127\.[\d.]+|\[::1\])(?:[:/].*)?)?"
)


def check_task(machine: Machine) -> Check:
    """Check that Task is installed and can read Taskfile.local.yml."""
    if machine.is_container:
        return report_skipped("task", "cannot be checked inside the container")
    if not machine.has_program("task"):
        return report_missing("task", "not on PATH", _INSTALL_TASK)
    completed = machine.run("task", "--version")
    version = re.search(r"(\d+)\.(\d+)", completed.line)
    # The program of Taskwarrior is named `task`, too.
    if completed.code or not version or (int(version[1]), int(version[2])) < _OLDEST_TASK:
        return report_missing("task", f"`task --version` prints: {completed.line}", _INSTALL_TASK)
    root = machine.root
    if root and (root / LOCAL_TASKFILE).exists() and (root / "Taskfile.yml").exists():
        listing = machine.run("task", "--dir", str(root), "--list-all", "--silent")
        if listing.code:
            return report_missing(
                "task", f"Task cannot read {LOCAL_TASKFILE}: {listing.line}", _FIX_LOCAL_TASKFILE
            )
    return report_ok("task", version.string)


def find_engine(machine: Machine) -> str | None:
    """Return the engine that toolkit.sh uses; None when none is on PATH."""
    own = machine.values.get("CONTAINER_ENGINE")
    return own or next(filter(machine.has_program, ("docker", "podman")), None)


def check_engine(machine: Machine) -> Check:
    """Check that the engine runs, and runs on this machine."""
    if machine.is_container:
        return report_ok("engine", "runs this container")
    engine = find_engine(machine)
    if engine is None or not machine.has_program(engine):
        reason = f"{engine} is not on PATH" if engine else "neither docker nor podman is on PATH"
        return report_missing("engine", reason, _INSTALL_ENGINE)
    version = machine.run(engine, "--version").line
    is_podman = version.lower().startswith("podman")  # also one that is named docker
    info = machine.run(engine, "info", "--format", "{{.Host.OS}}" if is_podman else "{{.ID}}")
    if info.code:
        # An older client prints no reason here.
        reason = machine.run(engine, "ps").line if "template:" in info.line else info.line
        fix = f"start {engine}, and check it with: {engine} info"
        if "permission denied" in reason.lower():
            fix = "add yourself to the group docker, and log in anew: sudo usermod -aG docker $USER"
        elif engine == "docker" and (address := machine.values.get("DOCKER_HOST")):
            fix = f"start docker, or unset DOCKER_HOST, which is {address}"
        return report_missing("engine", f"{engine} cannot be reached: {reason}", fix)
    if not is_podman and (address := _find_remote_address(engine, machine)):
        return report_missing(
            "engine",
            f"{engine} is on another machine ({address}), which cannot mount this folder",
            "unset DOCKER_HOST, or run: docker context use default; where both have this folder at"
            f" the same path, set {_REMOTE_ALLOWED}=true",
        )
    return report_ok("engine", version)


def _find_remote_address(engine: str, machine: Machine) -> str | None:
    """Return the address of a Docker on another machine, unless a remote one is allowed."""
    if machine.values.get(_REMOTE_ALLOWED) == "true":
        return None
    completed = machine.run(engine, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    current = completed.stdout.strip() if completed.code == 0 else ""
    address = machine.values.get("DOCKER_HOST") or current
    return None if _LOCAL_ADDRESS.fullmatch(address) else address


def check_image(
    machine: Machine,
    request_image: Callable[[str], tuple[registry.Availability, str]] = registry.request_image,
) -> Check:
    """Check that the toolkit image is on this machine, or that its registry lets it be pulled.

    Args:
        machine: The machine.
        request_image: Requests an image from its registry.
    """
    image = machine.values.get("TOOLKIT_IMAGE", "")
    if machine.is_container:
        return report_ok("image", "this container was created from it")
    if not image:
        return report_skipped("image", "needs TOOLKIT_IMAGE")
    if reason := describe_refusal(image):
        return report_missing(
            "image",
            f"{image}: {reason}",
            "use a registry of the partition aws, or stay at release 1.1.0 of the template",
        )
    # Also without an engine: a user who has to install one learns everything in one run.
    engine = find_engine(machine)
    if engine and machine.run(engine, "image", "inspect", "--format={{.Id}}", image).code == 0:
        return report_ok("image", f"{image} is on this machine")
    name = registry.split_image(image)[0]
    availability, reason = request_image(image)
    if availability == "available":
        return report_ok("image", f"{image} can be pulled")
    if availability == "unreachable":
        return report_missing(
            "image",
            f"{name} cannot be reached: {reason}",
            "check the network, a VPN or a proxy, and TOOLKIT_IMAGE in toolkit.env",
        )
    if availability == "missing":
        return report_missing(
            "image",
            f"{name} does not have {image}",
            "compare TOOLKIT_IMAGE in toolkit.env with the tags in the registry",
        )
    problem = registry.find_helper_problem(name)
    reason, fix = problem or (reason, "log in with: task docker-login")
    return report_missing("image", f"{name} refused the request: {reason}", fix)


def check_session_manager(machine: Machine) -> Check:
    """Check for the program that builds through Session Manager start."""
    program = session_manager.PROGRAM
    if machine.has_program(program):
        return report_ok(program, machine.run(program, "--version").line)
    if not machine.is_container:
        return report_skipped(program, "not on PATH; the toolkit image has it")
    return report_missing(program, "not on PATH", "pull the toolkit image again, or rebuild it")
