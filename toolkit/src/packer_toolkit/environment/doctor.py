"""What it takes to build here, one check for each thing, and how to get what is missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packer_toolkit.aws import role as aws_access
from packer_toolkit.aws.identity import read_identity
from packer_toolkit.aws.partitions import describe_refusal
from packer_toolkit.aws.session import open_session
from packer_toolkit.environment import engine_address
from packer_toolkit.errors import ToolkitError
from packer_toolkit.repository import session_manager, settings

REQUIRED_SETTINGS = ("TOOLKIT_IMAGE", "AWS_REGION", "AWS_ACCOUNT_ID", "PERSONAL_ROLE_VARIABLE")
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


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: what was looked at.
        state: ok; missing: a build fails without it; skipped: does not matter here, see `found`.
        found: what is here, in a few words.
        fix: what to do, when it is missing.
    """

    name: str
    state: str
    found: str
    fix: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Place:
    """Where the doctor looks.

    Attributes:
        root: the repository, None when there is none.
        values: its settings and the environment.
        in_container: whether this is the toolkit's own container.
    """

    root: Path | None
    values: Mapping[str, str]
    in_container: bool


def examine(start: Path | None = None) -> list[Check]:
    """Look at this machine and the repository around a folder.

    Args:
        start: the folder; by default the present one.
    """
    root = settings.find_repository(start)
    try:
        values, broken = settings.read_settings(start), None
    except ToolkitError as error:
        values, broken = dict(os.environ), _missing("settings", str(error), "mend the line")
    place = Place(root, values, bool(os.environ.get("PACKER_TOOLKIT_VERSION")))
    checks: list[Callable[[Place], Check]] = [
        _repository,
        lambda place: broken or _settings(place),
        _git,
        *([_template] if _recorded_secret(root) else []),
        _task,
        _engine,
        _image,
        _role,
        _region,
        _aws,
        *([_session_manager] if session_manager.is_configured(root, values) else []),
    ]
    from concurrent.futures import ThreadPoolExecutor

    # Most of them wait for a program or for the network.
    with ThreadPoolExecutor(len(checks) + 1) as pool:
        of_workflows = pool.submit(_trust, place)
        return [*pool.map(lambda check: check(place), checks), *of_workflows.result()]


def _ok(name: str, found: str) -> Check:
    return Check(name, "ok", found)


def _missing(name: str, found: str, fix: str) -> Check:
    return Check(name, "missing", found, fix)


def _skipped(name: str, why: str) -> Check:
    return Check(name, "skipped", why)


def _repository(place: Place) -> Check:
    if place.root is None:
        return _missing(
            "repository",
            f"no {settings.FILE} here or in a folder above",
            "go to a packer-ami repository, or make one with `copier copy`",
        )
    return _ok("repository", str(place.root))


def _settings(place: Place) -> Check:
    if place.root is None:
        return _skipped("settings", "no repository")
    lacking = [name for name in REQUIRED_SETTINGS if not place.values.get(name)]
    if lacking:
        return _missing(
            "settings",
            f"{settings.FILE} has no {', '.join(lacking)}",
            f"restore it with `git checkout {settings.FILE}` or `task template-update`",
        )
    return _ok("settings", settings.FILE)


def _git(place: Place) -> Check:
    if not shutil.which("git"):
        return _missing("git", "not on PATH", "install git: https://git-scm.com/downloads")
    if place.root is None:
        return _ok("git", _run("git", "--version")[1])
    code, said = _run("git", "-C", str(place.root), "rev-parse", "--show-toplevel")
    if code:
        fix = "start one with `git init` and commit: updates from the template need it"
        if "dubious ownership" in said:
            fix = f"run: git config --global --add safe.directory '{place.root}'"
        return _missing("git", f"{place.root}: {said}", fix)
    return _ok("git", _run("git", "--version")[1])


def _recorded_secret(root: Path | None) -> str:
    """Return the warning about a password in the address of a template; empty without one."""
    from packer_toolkit.git.addresses import describe_secret
    from packer_toolkit.repository.answers_file import find_answers_files, parse_answers

    if root is None:
        return ""
    for file in find_answers_files(root):
        with suppress(OSError, ToolkitError):
            source = parse_answers((root / file).read_bytes(), file).get("_src_path")
            if warning := describe_secret(str(source or ""), file):
                return warning
    return ""


def _template(place: Place) -> Check:
    reason, _, fix = _recorded_secret(place.root).partition("; ")
    return _missing("template", reason, fix)


def _task(place: Place) -> Check:
    if place.in_container:
        return _skipped("task", "cannot be seen from inside the container")
    if not shutil.which("task"):
        return _missing("task", "not on PATH", _INSTALL_TASK)
    code, said = _run("task", "--version")
    version = re.search(r"(\d+)\.(\d+)", said)
    # Taskwarrior, too, calls itself `task`.
    if code or not version or (int(version[1]), int(version[2])) < _OLDEST_TASK:
        return _missing("task", f"`task --version` says: {said}", _INSTALL_TASK)
    if place.root and (place.root / LOCAL_TASKFILE).exists():
        code, said = _run("task", "--dir", str(place.root), "--list-all", "--silent")
        if code and (place.root / "Taskfile.yml").exists():
            return _missing(
                "task", f"Task cannot read {LOCAL_TASKFILE}: {said}", _FIX_LOCAL_TASKFILE
            )
    return _ok("task", version.string)


def _engine_command(place: Place) -> str | None:
    """Return the engine that toolkit.sh takes."""
    own = place.values.get("CONTAINER_ENGINE")
    return own or next((name for name in ("docker", "podman") if shutil.which(name)), None)


def _engine(place: Place) -> Check:
    if place.in_container:
        return _ok("engine", "runs this container")
    engine = _engine_command(place)
    if engine is None or not shutil.which(engine):
        return _missing("engine", f"no {engine or 'docker or podman'} on PATH", _INSTALL_ENGINE)
    version = _run(engine, "--version")[1]
    is_podman = version.lower().startswith("podman")  # also one that is called docker
    code, said = _run(engine, "info", "--format", "{{.Host.OS}}" if is_podman else "{{.ID}}")
    if code:
        if "template:" in said:  # of an older client, which does not tell why it has no answer
            said = _run(engine, "ps")[1]
        fix = f"start it, and try again: {engine} info"
        if "permission denied" in said.lower():
            fix = "add yourself to the group docker, and log in anew: sudo usermod -aG docker $USER"
        elif engine == "docker" and place.values.get("DOCKER_HOST"):
            fix = f"start it, or unset DOCKER_HOST, which is {place.values['DOCKER_HOST']}"
        return _missing("engine", f"{engine} does not answer: {said}", fix)
    if not is_podman and (address := engine_address.find_remote_address(engine, place.values)):
        return _missing(
            "engine",
            f"{engine} is on another machine ({address}), which cannot mount this folder",
            "unset DOCKER_HOST, or run: docker context use default; where both have this folder at"
            f" the same path, set {engine_address.REMOTE_ALLOWED}=true",
        )
    return _ok("engine", version)


def _image(place: Place) -> Check:
    """Tell whether the image is here, or can be pulled: network and login to its registry."""
    image = place.values.get("TOOLKIT_IMAGE", "")
    if place.in_container:
        return _ok("image", "this container is made of it")
    engine = _engine_command(place)
    if not image:
        return _skipped("image", "needs TOOLKIT_IMAGE")
    if reason := describe_refusal(image):
        fix = "use a registry of the partition aws, or stay at release 1.1.0 of the template"
        return _missing("image", f"{image}: {reason}", fix)
    # Without an engine too: whoever has to install one wants to know of the rest at once.
    if engine and _run(engine, "image", "inspect", "--format={{.Id}}", image)[0] == 0:
        return _ok("image", f"{image} is here")
    from packer_toolkit.environment import registry

    name = registry.split(image)[0]
    answer, words = registry.ask(image)
    if answer is registry.Answer.CAN_BE_PULLED:
        return _ok("image", f"{image} can be pulled")
    if answer is registry.Answer.OUT_OF_REACH:
        return _missing(
            "image",
            f"{name} cannot be reached: {words}",
            "check the network, a VPN or a proxy, and TOOLKIT_IMAGE in toolkit.env",
        )
    if answer is registry.Answer.NOT_THERE:
        fix = "compare TOOLKIT_IMAGE in toolkit.env with the registry"
        return _missing("image", f"{name} has no {image}", fix)
    reason, fix = registry.find_helper_problem(image) or (words, "log in with: task docker-login")
    return _missing("image", f"{name} refuses: {reason}", fix)


def _role(place: Place) -> Check:
    variable = place.values.get("PERSONAL_ROLE_VARIABLE") or aws_access.DEFAULT_ROLE_VARIABLE
    if os.environ.get("AWS_PROFILE") == aws_access.PROFILE:
        return _ok("role", "assumed by the container")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return _skipped("role", "workflows have a role of their own")
    if variable in os.environ:
        role, source = os.environ[variable], "the environment"
    elif place.root is None:
        return _skipped("role", "no repository")
    else:
        found = _local_role(place.root, variable)
        if found is None:
            return _missing("role", f"{variable} is not set", _lines_to_paste(variable))
        role, source = found, LOCAL_TASKFILE
    if role in ("", aws_access.NO_ROLE):
        return _ok("role", f"none, says {source}: the credentials as they are")
    try:
        account, region = (place.values.get(name, "") for name in ("AWS_ACCOUNT_ID", "AWS_REGION"))
        return _ok("role", f"{aws_access.make_role_arn(role, account, region)}, from {source}")
    except ToolkitError as error:
        return _missing("role", f"{variable}, from {source}: {error}", _lines_to_paste(variable))


def _local_role(root: Path, variable: str) -> str | None:
    """Return the role that Taskfile.local.yml sets, None when it sets none."""
    import yaml

    try:
        local = yaml.safe_load((root / LOCAL_TASKFILE).read_text())
    except (OSError, yaml.YAMLError):
        return None
    env = local.get("env") if isinstance(local, dict) else None
    value = env.get(variable) if isinstance(env, dict) else None
    return None if value is None else str(value)


def _lines_to_paste(variable: str) -> str:
    return (
        f"write into {LOCAL_TASKFILE}, with your role's name or ARN:\n"
        f"version: '3'\n\nenv:\n  {variable}: \"AddYourRoleHere\""
    )


def _region(place: Place) -> Check:
    region = place.values.get("AWS_REGION") or place.values.get("AWS_DEFAULT_REGION")
    if not region:
        return _missing("region", "AWS_REGION is not set", f"set AWS_REGION in {settings.FILE}")
    if not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-\d+", region):
        return _missing("region", f"{region} is no region", f"mend AWS_REGION in {settings.FILE}")
    reason = describe_refusal(region)
    if reason:
        fix = f"set AWS_REGION in {settings.FILE} to another region, or stay at release 1.1.0"
        return _missing("region", f"{region}: {reason}", fix)
    return _ok("region", region)


def _aws(place: Place) -> Check:
    """Tell whether there is a login that may assume the role, in the account that builds."""
    wanted = place.values.get("AWS_ACCOUNT_ID")
    try:
        with _session(place) as session:
            who = read_identity(session)
    except ToolkitError as error:
        problem, _, fix = str(error).partition("; ")
        return _missing("aws", problem, fix)
    if wanted and who.account != wanted:
        return _missing(
            "aws",
            f"{who.describe().removeprefix('AWS: ')}, but images are built in account {wanted}",
            "take the role or the profile of that account, or mend AWS_ACCOUNT_ID in toolkit.env",
        )
    return _ok("aws", who.describe().removeprefix("AWS: "))


def _session_manager(place: Place) -> Check:
    """Look for the program that builds through Session Manager start."""
    if shutil.which(session_manager.PROGRAM):
        return _ok(session_manager.PROGRAM, _run(session_manager.PROGRAM, "--version")[1])
    if not place.in_container:
        return _skipped(session_manager.PROGRAM, "not on PATH here; the toolkit image has it")
    fix = "pull the toolkit image again, or build it"
    return _missing(session_manager.PROGRAM, "not on PATH", fix)


@contextmanager
def _session(place: Place) -> Iterator[Any]:
    """Open a session with the personal role, as the entry point of the image does."""
    values = dict(place.values)
    variable = values.get("PERSONAL_ROLE_VARIABLE") or aws_access.DEFAULT_ROLE_VARIABLE
    if place.root and variable not in os.environ:
        values[variable] = _local_role(place.root, variable) or ""
    access = aws_access.make_environment(values)
    config = access.get("AWS_CONFIG_FILE")
    try:
        yield open_session(access.get("AWS_REGION"), access.get("AWS_PROFILE"), config)
    finally:
        if config:
            shutil.rmtree(Path(config).parent)


def _trust(place: Place) -> list[Check]:
    """Compare the subject of the workflows with the trust policies of their roles."""
    from packer_toolkit.environment import workflow_roles as doctor_trust

    subject = doctor_trust.find_subject(place.root)
    if subject.repository:
        try:
            with _session(place) as session:
                account = place.values.get("AWS_ACCOUNT_ID", "")
                trust = doctor_trust.compare_trust(subject, session, account)
        except ToolkitError as error:
            trust = doctor_trust.Finding("skipped", str(error))
    else:
        trust = doctor_trust.Finding("skipped", "needs the subject")
    return [
        Check(name, finding.state, finding.found, finding.fix)
        for name, finding in (("subject", subject), ("trust", trust))
    ]


def _run(*command: str) -> tuple[int, str]:
    """Run a program; return its exit code and the line of its output that says most."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} did not answer within 30 seconds"
    except OSError as error:
        return 127, str(error)
    lines = (
        (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip().splitlines()
    )
    return done.returncode, (lines[0] if done.returncode == 0 else lines[-1]) if lines else ""


def as_json(checks: list[Check]) -> str:
    """Return the checks as JSON."""
    good = all(check.state != "missing" for check in checks)
    return json.dumps({"ok": good, "checks": [check.as_json() for check in checks]}, indent=2)
