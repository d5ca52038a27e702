"""What lies around the Packer files: git's remote, workflows, tasks and scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.git.command import Git, GitError
from packer_toolkit.hcl.sources import Place, Value

_REMOTE = re.compile(
    r"(?:[a-z+]+://)?(?:[^@/]+@)?(?P<host>[A-Za-z0-9.-]+\.[A-Za-z0-9-]+)(?P<port>:\d+)?[/:]"
    r"(?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/?\Z"
)
_TOOLKIT = re.compile(r"(?P<image>[a-z0-9][a-z0-9._:/-]*/packer-toolkit)(?=[:@\s\"']|\Z)")
_ROLE_VARIABLE = re.compile(r"\b([A-Z][A-Z0-9_]*_USER_ROLE)\b")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9+=,.@_/-]+")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}")
# A job or step with such a condition runs for releases only.
_RELEASE_ONLY = re.compile(r"refs/tags/|ref_type *== *'tag'|event_name *== *'release'")
_LARGEST = 1_000_000  # bytes; nothing that a person wrote is larger


@dataclass
class Surroundings:
    """What was found, each with its place.

    Attributes:
        remote: git's remote: host, owner and name, such as github.com, acme, packer-ami-web.
        runner: labels of the runner that runs Packer.
        role: the role that workflows assume.
        release_role: the role that they assume for releases only.
        region: the region that workflows or tasks set.
        toolkit: the toolkit image, without its tag.
        role_variable: the environment variable with a person's role.
        unread: workflows that could not be read: place and reason.
    """

    remote: Mapping[str, Value] = field(default_factory=dict)
    runner: Value | None = None
    role: Value | None = None
    release_role: Value | None = None
    region: Value | None = None
    toolkit: Value | None = None
    role_variable: Value | None = None
    unread: list[tuple[Place, str]] = field(default_factory=list)


def read(repository: Path, git: Git) -> Surroundings:
    """Read what lies around the Packer files.

    Args:
        repository: the folder that is adopted.
        git: git in it.
    """
    found = Surroundings(remote=_remote(git))
    top = Path(git.text("rev-parse", "--show-toplevel"))
    for root in dict.fromkeys((repository, top)):
        for path in _workflows(root):
            _read_workflow(path, root, found)
        for path in _scripts(root):
            _read_text(path, root, found)
    return found


def _remote(git: Git) -> dict[str, Value]:
    """Return what git's remote says, origin before others."""
    try:
        names = git.text("remote").split()
    except GitError:
        return {}
    for name in sorted(names, key=lambda remote: (remote != "origin", remote)):
        try:
            url = git.text("remote", "get-url", "--", name)
        except GitError:
            continue
        parts = parse_remote(url)
        if parts:
            place = Place(f"git remote {name}", 0)
            return {part: Value(text, place) for part, text in parts.items()}
    return {}


def parse_remote(url: str) -> dict[str, str]:
    """Return host, owner and name of a remote's address, {} when it is none of a host."""
    match = _REMOTE.match(url)
    if not match:
        return {}
    # The port of https belongs to the host; that of ssh is another one.
    port = match["port"] or "" if url.startswith("http") else ""
    return {"host": match["host"] + port, "owner": match["owner"], "name": match["name"]}


def _workflows(root: Path) -> list[Path]:
    folder = root / ".github" / "workflows"
    return sorted(path for path in folder.glob("*.y*ml") if path.suffix in {".yml", ".yaml"})


def _scripts(root: Path) -> Iterator[Path]:
    for pattern in ("Taskfile*", "Makefile", "*.sh", "*.env", ".envrc", "scripts/*.sh"):
        yield from sorted(path for path in root.glob(pattern) if path.is_file())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig") if path.stat().st_size < _LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _read_workflow(path: Path, root: Path, found: Surroundings) -> None:
    import yaml

    text = _text(path)
    _read_text(path, root, found)
    place = Place(path.relative_to(root).as_posix(), 0)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        found.unread.append((Place(place.file, mark.line + 1 if mark else 0), "it is no YAML"))
        return
    if not isinstance(document, dict):
        return
    jobs = document.get("jobs")
    for job in jobs.values() if isinstance(jobs, dict) else []:
        if isinstance(job, dict) and "packer" in str(job).lower():
            found.runner = found.runner or _labels(job.get("runs-on"), text, place.file)
    environments = [document.get("env")]
    _read_roles(document, text, place.file, found)
    for part in _mappings(document):
        environments += [part.get("env"), {"AWS_REGION": part.get("aws-region")}]
    for environment in environments:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            region = environment.get(name) if isinstance(environment, dict) else None
            if isinstance(region, str) and _REGION.fullmatch(region):
                found.region = found.region or Value(region, _place(text, region, place.file))


def _read_roles(workflow: Mapping[Any, Any], text: str, file: str, found: Surroundings) -> None:
    """Read the roles that a workflow assumes, those for releases apart."""
    triggers = workflow.get("on", workflow.get(True))  # `on` is a truth value for YAML 1.1
    for_releases = _only_releases(triggers)
    for part, condition in _with_conditions(workflow):
        role = part.get("role-to-assume")
        if not isinstance(role, str) or not _ROLE.fullmatch(role.strip()):
            continue
        value = Value(role.strip(), _place(text, role.strip(), file))
        if for_releases or _RELEASE_ONLY.search(condition):
            found.release_role = found.release_role or value
        else:
            found.role = found.role or value


def _only_releases(triggers: Any) -> bool:
    """Return whether nothing but releases, tags and people start a workflow."""
    names = [triggers] if isinstance(triggers, str) else list(triggers or ())
    push = triggers.get("push") if isinstance(triggers, dict) else None
    tags_only = isinstance(push, dict) and "tags" in push and "branches" not in push
    others = {*names} - {"release", "workflow_dispatch"} - ({"push"} if tags_only else set())
    return not others and ("release" in names or tags_only)


def _with_conditions(part: Any, condition: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each mapping, with the conditions of the jobs and steps around it."""
    inner = part if isinstance(part, list) else []
    if isinstance(part, dict):
        condition += f" {part.get('if', '')}"
        yield part, condition
        inner = list(part.values())
    for item in inner:
        yield from _with_conditions(item, condition)


def _labels(runs_on: Any, text: str, file: str) -> Value | None:
    """Return a runner's labels, separated by commas; None when an expression makes them."""
    labels = runs_on.get("labels") if isinstance(runs_on, dict) else runs_on
    labels = [labels] if isinstance(labels, str) else labels
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return None
    if not labels or any("${{" in label for label in labels):
        return None
    return Value(", ".join(labels), _place(text, "runs-on", file))


def _mappings(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, dict):
        yield document
    for part in (
        document.values()
        if isinstance(document, dict)
        else document
        if isinstance(document, list)
        else []
    ):
        yield from _mappings(part)


def _read_text(path: Path, root: Path, found: Surroundings) -> None:
    text, file = _text(path), path.relative_to(root).as_posix()
    image = _TOOLKIT.search(text)
    if image:
        found.toolkit = found.toolkit or Value(image["image"], _place(text, image["image"], file))
    variable = _ROLE_VARIABLE.search(text)
    if variable:
        found.role_variable = found.role_variable or Value(
            variable[1], _place(text, variable[1], file)
        )


def _place(text: str, part: str, file: str) -> Place:
    return Place(file, text.count("\n", 0, max(text.find(part), 0)) + 1)
