"""Runs rendered workflows with act, on this machine and without a network.

act does what GitHub's runner does: expressions, conditions, needs, outputs, composite actions.
What it does not: concurrency, permissions, time limits of jobs, filters of events, fork
protection.  And it passes over a job whose runs-on it does not know, in silence: ask `Ran.jobs`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rig import STANDINS
from rig.aws import trust
from rig.host import tools

WORKFLOW = ".github/workflows/push-packer-build-ami.yml"
TOKEN = "ghs_0123456789abcdefghijABCDEFGHIJ012345"  # noqa: S105 - of the shape, and nobody's


@dataclass
class Ran:
    """A run of a workflow.

    Attributes:
        code: act's exit code.
        jobs: result of each job that ran, by its id.
        steps: job, step and result of each step that ran.
        log: everything that was said.
        directory: what the stand-ins have noted.
    """

    code: int
    jobs: dict[str, str]
    steps: list[tuple[str, str, str]]
    log: str
    directory: Path

    def result(self, job: str, step: str) -> str | None:
        """Return how a step ended; None when it did not run."""
        found = [result for one, name, result in self.steps if (one, name) == (job, step)]
        return found[-1] if found else None

    @property
    def calls(self) -> list[str]:
        """What the toolkit's stand-in, docker and aws were called with, after the job's id."""
        return _lines(self.directory / "calls")

    def given(self, action: str) -> list[dict[str, str]]:
        """Return the inputs of each use of an action."""
        return [json.loads(line) for line in _lines(self.directory / f"given-{action}")]

    def environment(self, job: str, command: str) -> dict[str, str]:
        """Return the environment of the last call of a command of the toolkit's stand-in."""
        raw = (self.directory / f"environment-{job}-{command}").read_text()
        return dict(pair.split("=", 1) for pair in raw.split("\0") if pair)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@dataclass
class Act:
    """A repository on a GitHub, whose workflow can be run.

    Attributes:
        repository: the checkout.
        directory: an empty folder, for what act and the stand-ins need.
        env: beside what a runner sets.
        variables: the repository's configuration variables.
        real: whether the toolkit's commands that need AWS are the real ones.
        container: whether the toolkit runs in its container.
        credentials: what assuming a role gives; without any it fails.
        sts: the roles and whom they trust; by default the repository's roles, with the trust
            policies that docs/pipeline.md shows.
    """

    repository: Path
    directory: Path
    env: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    real: bool = False
    container: bool = False
    credentials: Mapping[str, str] | None = field(
        default_factory=lambda: {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    )
    sts: trust.Sts | None = None
    _runs: int = 0

    def plan(self, **outputs: str) -> None:
        """Set what the stand-in of `packer-toolkit plan` decides."""
        values = {"build": "true", "version": "", "reason": "As ordered.", **outputs}
        values.setdefault("skip_create_ami", str(values["kind"] != "release").lower())
        (self.directory / "plan").write_text("".join(f"{k}={v}\n" for k, v in values.items()))

    def records(self, name: str, files: Mapping[str, bytes]) -> None:
        """Set what a build leaves: `built` when it is good, `failed` otherwise; plan: `planned`."""
        shutil.rmtree(self.directory / name, ignore_errors=True)
        for path, content in files.items():
            (self.directory / name).mkdir(parents=True, exist_ok=True)
            (self.directory / name / path).write_bytes(content)

    def run(
        self,
        event: str,
        payload: Mapping[str, Any],
        *,
        fail: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        path: Sequence[Path] = (),
        workflow: str = WORKFLOW,
        timeout: float = 120,
    ) -> Ran:
        """Run the workflow for an event.

        Args:
            event: such as pull_request.
            payload: of the event.
            fail: commands of the toolkit (plan, build, …), docker or aws, that fail.
            env: further variables.
            path: folders that come first on PATH.
            workflow: the file.
            timeout: in seconds.
        """
        self._runs += 1
        notes = self.directory / f"run-{self._runs}"
        notes.mkdir(parents=True)
        for name in ("plan", "planned", "built", "failed"):
            source = self.directory / name
            if source.is_dir():
                shutil.copytree(source, notes / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, notes / name)
            elif name != "plan":
                (notes / name).mkdir()
        if self.credentials is not None:
            lines = [f"{name}={value}\n" for name, value in self.credentials.items()]
            (notes / "credentials").write_text("".join(lines))
        if sts := self.sts or self._documented_sts():
            sts.write(notes / "sts.json")
        (notes / "event.json").write_text(json.dumps(payload))
        here = Path(sys.executable).parent
        bins = [*path, *([] if self.real else [STANDINS / "workflows"]), here]
        inside = {
            "ACT_DIRECTORY": str(notes),
            "ACT_FAIL": " ".join(fail),
            "ACT_RIG": str(STANDINS.parent.parent),
            "ACT_TOOLKIT": str(here / "packer-toolkit"),
            "GITHUB_ACTIONS": "true",
            # With it toolkit.sh runs the toolkit as it is.
            **({} if self.container else {"PACKER_TOOLKIT_VERSION": "1.0.0"}),
            **self.env,
            **(env or {}),
        }
        command: list[str | Path] = [
            tools.require("act"),
            event,
            f"--eventpath={notes / 'event.json'}",
            f"--directory={self.repository}",
            f"--workflows={self.repository / workflow}",
            "--json",
            "--action-offline-mode",
            "--pull=false",
            "--no-cache-server",
            "--container-daemon-socket=-",
            f"--action-cache-path={self.directory / 'actions'}",
            f"--secret=GITHUB_TOKEN={TOKEN}",
            "--secret-file=/dev/null",
            "--var-file=/dev/null",
            "--env-file=/dev/null",
            "--input-file=/dev/null",
            *(f"--platform={label}=-self-hosted" for label in self._labels(workflow)),
            *(f"--local-repository={uses}={where}" for uses, where in self._actions(workflow)),
            *(f"--env={name}={value}" for name, value in inside.items()),
            *(f"--var={name}={value}" for name, value in self.variables.items()),
        ]
        # A short one: the sockets of Ansible lie in it.
        with tempfile.TemporaryDirectory(prefix="act-") as home:
            done = subprocess.run(
                command,
                env={
                    "GIT_CONFIG_GLOBAL": os.environ["GIT_CONFIG_GLOBAL"],
                    "HOME": home,
                    "LANG": "C.UTF-8",
                    "PATH": os.pathsep.join([*map(str, bins), os.environ["PATH"]]),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        return _read(done.returncode, done.stdout, notes)

    def _documented_sts(self) -> trust.Sts | None:
        """Return the repository's roles, which trust as documented; None without answers."""
        file = self.repository / ".copier-answers.yml"
        name = self.env.get("GITHUB_REPOSITORY")
        if not (file.exists() and name):
            return None
        answers = yaml.safe_load(file.read_text())
        if "aws_build_role" not in answers:
            return None  # not made from the template
        build = answers["aws_build_role"]
        release = answers.get("aws_release_role", build)
        return trust.Sts.documented(trust.Hosted(name), build, release)

    def _text(self, workflow: str) -> str:
        files = [self.repository / workflow, *self.repository.glob(".github/actions/*/action.yml")]
        return "\n".join(file.read_text() for file in files)

    def _labels(self, workflow: str) -> list[str]:
        """Return the labels of the runners: for act each of them is this machine."""
        found: set[str] = set()
        for job in yaml.safe_load((self.repository / workflow).read_text())["jobs"].values():
            labels = job["runs-on"]
            found.update([labels] if isinstance(labels, str) else labels)
        return sorted(found)

    def _actions(self, workflow: str) -> list[tuple[str, Path]]:
        """Return the stand-in of each action that is used.

        Checkout is act's own, unless ACT_ORIGIN names a repository to take a commit from.
        """
        found = set(re.findall(r"uses: ([\w.-]+/[\w.-]+@\w+)", self._text(workflow)))
        return [
            (uses, STANDINS / "actions" / re.split("[/@]", uses)[1])
            for uses in sorted(found)
            if "ACT_ORIGIN" in self.env or not uses.startswith("actions/checkout@")
        ]


def _read(code: int, output: str, notes: Path) -> Ran:
    jobs: dict[str, str] = {}
    steps = []
    said = []
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            said.append(line)
            continue
        said.append(str(entry.get("msg", "")).rstrip("\n"))
        if "jobResult" in entry:
            jobs[entry["jobID"]] = entry["jobResult"]
        if "stepResult" in entry and entry.get("stage") == "Main":
            steps.append((entry["jobID"], entry["step"], entry["stepResult"]))
    return Ran(code, jobs, steps, "\n".join(said), notes)
