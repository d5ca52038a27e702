"""Read the CI and task configuration of a repository: git's remote, workflows, tasks, scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packer_toolkit.aws.partitions import is_region
from packer_toolkit.aws.role import ARN
from packer_toolkit.git.addresses import split_host_and_path
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.hcl.sources import Place, Value

_PORT = re.compile(r"https?://[^/]*(:\d+)/")
_TOOLKIT = re.compile(r"(?P<image>[a-z0-9][a-z0-9._:/-]*/packer-toolkit)(?=[:@\s\"']|\Z)")
_ROLE_VARIABLE = re.compile(r"\b([A-Z][A-Z0-9_]*_USER_ROLE)\b")
# A job or step with such a condition runs for releases only.
_RELEASE_ONLY = re.compile(r"refs/tags/|ref_type *== *'tag'|event_name *== *'release'")
_MOST_BYTES = 1_000_000  # no file that a team wrote is larger


@dataclass
class CiConfig:
    """The CI and task configuration, each value with its place.

    Attributes:
        remote: Host, owner and name of git's remote: github.com, acme, packer-ami-web.
        runner: Labels of the runner that runs Packer.
        role: The role that workflows assume.
        release_role: The role that they assume for releases only.
        region: The region that workflows or tasks set.
        toolkit: The toolkit image, without its tag.
        role_variable: The environment variable with the role of a developer.
        unread: Workflows that could not be read: place and reason.
    """

    remote: Mapping[str, Value] = field(default_factory=dict)
    runner: Value | None = None
    role: Value | None = None
    release_role: Value | None = None
    region: Value | None = None
    toolkit: Value | None = None
    role_variable: Value | None = None
    unread: list[tuple[Place, str]] = field(default_factory=list)

    def set_first(self, name: str, value: Value) -> None:
        """Set an attribute that has no value yet."""
        if getattr(self, name) is None:
            setattr(self, name, value)


def read_ci_config(repository: Path, git: Git) -> CiConfig:
    """Read the CI and task configuration.

    Args:
        repository: The folder that is adopted.
        git: Git in it.
    """
    config = CiConfig(remote=_read_remote(git))
    top = Path(git.text("rev-parse", "--show-toplevel"))
    for root in dict.fromkeys((repository, top)):
        workflows = root / ".github" / "workflows"
        for path in sorted([*workflows.glob("*.yml"), *workflows.glob("*.yaml")]):
            _read_workflow(path, root, config)
        for pattern in ("Taskfile*", "Makefile", "*.sh", "*.env", ".envrc", "scripts/*.sh"):
            for path in sorted(filter(Path.is_file, root.glob(pattern))):
                _search_text(_read_text(path), path.relative_to(root).as_posix(), config)
    return config


def _read_remote(git: Git) -> dict[str, Value]:
    """Return the parts of git's remote, origin before others."""
    for name in sorted(git.text("remote").split(), key=lambda name: (name != "origin", name)):
        try:
            parts = parse_remote(git.text("remote", "get-url", "--", name))
        except GitError:
            continue
        if parts:
            place = Place(f"git remote {name}", 0)
            return {part: Value(text, place) for part, text in parts.items()}
    return {}


def parse_remote(url: str) -> dict[str, str]:
    """Return host, owner and name in the address of a remote; {} for an address without a host."""
    host, path = split_host_and_path(url)
    if "." not in host or path.count("/") != 1:
        return {}
    # The port of HTTPS belongs to the host; that of SSH is another one.
    port = _PORT.match(url)
    owner, _, name = path.partition("/")
    return {"host": host + (port[1] if port else ""), "owner": owner, "name": name}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig") if path.stat().st_size < _MOST_BYTES else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _search_text(text: str, file: str, config: CiConfig) -> None:
    """Find the toolkit image and the variable of the role in any text."""
    for name, match in (
        ("toolkit", _TOOLKIT.search(text)),
        ("role_variable", _ROLE_VARIABLE.search(text)),
    ):
        if match:
            line = text.count("\n", 0, match.start()) + 1
            config.set_first(name, Value(match[1], Place(file, line)))


def _read_workflow(path: Path, root: Path, config: CiConfig) -> None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text, file = _read_text(path), path.relative_to(root).as_posix()
    _search_text(text, file, config)
    yaml = YAML()
    yaml.allow_duplicate_keys = True
    try:
        document = yaml.load(text)
    except (YAMLError, ValueError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        config.unread.append((Place(file, mark.line + 1 if mark else 0), "it is not YAML"))
        return
    if not isinstance(document, dict):
        return
    jobs = document.get("jobs")
    for job in jobs.values() if isinstance(jobs, dict) else []:
        labels = _join_labels(job.get("runs-on")) if isinstance(job, dict) else ""
        if labels and "packer" in str(job).lower():
            config.set_first("runner", Value(labels, _find_place(job, "runs-on", file)))
    for_releases = _is_release_workflow(document.get("on"))
    for part, condition in _list_parts(document):
        env = part.get("env")
        for mapping, key in (
            (env, "AWS_REGION"),
            (env, "AWS_DEFAULT_REGION"),
            (part, "aws-region"),
        ):
            region = mapping.get(key) if isinstance(mapping, dict) else None
            if isinstance(region, str) and is_region(region):
                config.set_first("region", Value(region, _find_place(mapping, key, file)))
        role = str(part.get("role-to-assume")).strip()
        if ARN.fullmatch(role):
            is_for_releases = for_releases or _RELEASE_ONLY.search(condition)
            place = _find_place(part, "role-to-assume", file)
            config.set_first("release_role" if is_for_releases else "role", Value(role, place))


def _find_place(mapping: Any, key: str, file: str) -> Place:
    """Return the place of a value in a mapping of ruamel.yaml."""
    return Place(file, mapping.lc.value(key)[0] + 1)


def _is_release_workflow(triggers: Any) -> bool:
    """Report whether only releases, tags and manual runs start a workflow."""
    names = [triggers] if isinstance(triggers, str) else list(triggers or ())
    push = triggers.get("push") if isinstance(triggers, dict) else None
    tags_only = isinstance(push, dict) and "tags" in push and "branches" not in push
    others = {*names} - {"release", "workflow_dispatch"} - ({"push"} if tags_only else set())
    return not others and ("release" in names or tags_only)


def _list_parts(part: Any, condition: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each mapping, with the conditions of the jobs and steps around it."""
    inner = part if isinstance(part, list) else []
    if isinstance(part, dict):
        condition += f" {part.get('if', '')}"
        yield part, condition
        inner = list(part.values())
    for item in inner:
        yield from _list_parts(item, condition)


def _join_labels(runs_on: Any) -> str:
    """Return the labels of a runner, separated by commas; "" when one is an expression."""
    labels = runs_on.get("labels") if isinstance(runs_on, dict) else runs_on
    labels = [labels] if isinstance(labels, str) else labels
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return ""
    return "" if any("${{" in label for label in labels) else ", ".join(labels)
