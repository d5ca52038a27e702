"""How long a whole EC2 build of the demo takes in the rig, and what of it is not the provisioners.

    uv run python bench/ec2_build.py [--rounds 5]

Compared in one run: `packer-toolkit build` of the repository as rendered, a plain `packer build` of
the same scripts and playbook (see `_make_plain`), the provisioners alone on an instance that runs
already, four builds side by side.  Needs what the EC2 tests need.  Exit code 1 when a bound is
missed.

In the rig an instance starts and stops at once, and no packet travels.  So polling costs nothing
there, and pipelining saves a tenth of a second a task: the build as rendered takes 0.9 of the plain
one, because both spend their time in the same modules and packages, which no setting of Ansible
makes faster (tried: compression, transfer method, subsets of facts).  What the template does for
speed is to wait less: for answers, and for states.  It shows where there is something to wait for,
hence distant builds: ROUND_TRIP away, with instances and images that take PACE, which is much less
than EC2 takes.  The same holds for builds side by side: near by, one of them keeps more than one
core busy, and four can do no better than share two.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from paired import Difference, Ratio, compare

from packer_toolkit.build.report import BuildReport
from rig.aws.rig import Ec2, Finished
from rig.docker import base_images
from rig.docker.engine import DockerEngine
from rig.host import tools
from rig.repositories.repository import PROGRAMS, build, build_report, toolkit_build
from rig.repositories.template import render, snapshot

# Seconds from a packet to its answer, as from GitHub's own runners in the east of the United States
# to eu-central-1: the default answers.
ROUND_TRIP = 0.09
# Seconds until an instance runs, has stopped, and an image is there.
PACE = {"running": 2.0, "stopped": 2.0, "available": 4.0}

BOUNDS = [
    Ratio("distant build / distant plain build", "distant build", "distant plain build", 0.60),
    Ratio("build / plain build, nothing to wait for", "build", "plain build", 1.00),
    Difference("build - its provisioners alone", "build", "provisioners alone", 6.0),
    Ratio("four distant builds side by side / one", "four distant builds", "distant build", 2.20),
    Ratio("four builds side by side / one, nothing to wait for", "four builds", "build", 2.50),
]


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each (default 5)")
    rounds = parser.parse_args().rounds
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _isolate(work)
        engine = DockerEngine()
        engine.start()
        stack.callback(engine.stop)
        images = {release: base_images.debian(engine, release, "cloud") for release in ("12", "13")}
        bench = Bench(stack.enter_context(Ec2(engine.env, images)), work)
        waiting = bench.instances(rounds + 1, stack)
        contenders = {
            "build": bench.build,
            "plain build": bench.build_plainly,
            "provisioners alone": lambda: bench.provision(next(waiting)),
            "four builds": bench.build_four,
            "distant build": lambda: bench.far_away(bench.build_again),
            "four distant builds": lambda: bench.far_away(bench.build_four),
            "distant plain build": lambda: bench.far_away(bench.build_plainly),
        }
        kept = compare(contenders, BOUNDS, rounds)
        bench.show_where_it_goes()
        return 0 if kept else 1


def _isolate(work: Path) -> None:
    config = work / "gitconfig"
    config.write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n")
    for name in list(os.environ):
        if name.startswith(("ANSIBLE_", "AWS_", "PACKER_", "PKR_")):
            del os.environ[name]
    os.environ.update(GIT_CONFIG_GLOBAL=str(config), GIT_CONFIG_NOSYSTEM="1", HOME=str(work))


class Bench:
    """The contenders, and what they need."""

    def __init__(self, ec2: Ec2, work: Path) -> None:
        self.ec2 = ec2
        self.work = work
        self.packer = tools.packer()
        self.reports: list[BuildReport] = []
        self.seconds: list[float] = []
        self.count = 0
        answers = {
            "image_name": "bench",
            "parent_image": "debian-12",
            "aws_region": ec2.region,
            "keep_demo": True,
        }
        template = snapshot(work / "template")
        self.demo = render(template, work / "packer-ami-bench", answers)
        self.plain = _make_plain(shutil.copytree(self.demo, work / "plain"))
        self.four = [shutil.copytree(self.demo, work / f"four-{n}") for n in range(4)]

    def build(self) -> None:
        """Build the repository as rendered."""
        self.seconds.append(self._build(self.demo).seconds)
        self.reports.append(build_report(self.demo))

    def build_again(self) -> None:
        """Build it, and let the phases be."""
        self._build(self.demo)

    def far_away(self, work: Callable[[], None]) -> None:
        """Let answers and states take their time meanwhile."""
        self.ec2.distance(ROUND_TRIP)
        self.ec2.pace(**PACE)
        work()
        self.ec2.pace()
        self.ec2.distance(0)

    def build_plainly(self) -> None:
        """Build what `_make_plain` made of it."""
        self._check(build(self.ec2, self.packer, self.plain, *self._version()))

    def build_four(self) -> None:
        """Build it four times at once."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._build, self.four))

    def _build(self, repository: Path) -> Finished:
        options = ("-var", "skip_create_ami=false", *self._version())
        return self._check(toolkit_build(self.ec2, self.packer, repository, *options))

    def _version(self) -> tuple[str, str]:
        self.count += 1
        return "-var", f"version=1.0.{self.count}"

    def _check(self, done: Finished) -> Finished:
        if done.code:
            raise SystemExit(done.output)
        return done

    def instances(self, count: int, stack: ExitStack) -> Iterator[Mapping[str, Any]]:
        """Start instances of the parent ahead of time."""
        parent = self.ec2.newest_parent("debian-12-amd64-*")
        return iter([stack.enter_context(self.ec2.boot(parent)) for _ in range(count)])

    def provision(self, instance: Mapping[str, Any]) -> None:
        """Run the demo's scripts, playbook, auditor and clean-up over SSH, without Packer."""
        host, key = f"admin@{instance['PrivateIpAddress']}", instance["KeyFile"]
        provisioners = self.demo / "provisioners"
        control = self.work / f"ssh-{instance['InstanceId']}"
        ssh = [
            "ssh", "-i", key, "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", f"UserKnownHostsFile={os.devnull}", "-o", "LogLevel=ERROR",
            "-o", "ControlMaster=auto", "-o", f"ControlPath={control}", "-o", "ControlPersist=30",
            host,
        ]  # fmt: skip

        def script(file: Path) -> None:
            _run(*ssh, "sudo env IMAGE_NAME=bench bash -s", text=file.read_text())

        script(provisioners / "prepare.sh")
        for file in sorted((provisioners / "shell").glob("*.sh")):
            script(file)
        roles = sorted(folder.name for folder in (provisioners / "ansible/roles").iterdir())
        _run(
            "ansible-playbook", "--inventory", f"{instance['PrivateIpAddress']},", "--user=admin",
            f"--private-key={key}", "--extra-vars", json.dumps({"image_roles": roles}),
            "--ssh-extra-args=-o IdentitiesOnly=yes", str(provisioners / "ansible/playbook.yml"),
            ANSIBLE_CONFIG=str(provisioners / "ansible/ansible.cfg"),
            ANSIBLE_HOST_KEY_CHECKING="False",
        )  # fmt: skip
        _run(
            str(PROGRAMS / "cinc-auditor"), "exec", str(self.demo / "inspec"), "--target",
            f"ssh://{host}:22", "--key-files", key, "--sudo",
        )  # fmt: skip
        script(provisioners / "cleanup.sh")

    def show_where_it_goes(self) -> None:
        """Print the medians of the phases of the builds as rendered, after the uncounted one."""
        phases: dict[str, list[float]] = {}
        for report, seconds in zip(self.reports[1:], self.seconds[1:], strict=True):
            (made,) = report["builds"]
            for phase in made["phases"]:
                phases.setdefault(phase["name"], []).append(phase["seconds"])
            packer = sum(phase["seconds"] for phase in made["phases"])
            phases.setdefault("packer-toolkit, before and after", []).append(seconds - packer)
        print("\nWhere the time of a build goes:")
        for name, taken in phases.items():
            print(f"{statistics.median(taken):8.2f} s  {name}")


def _make_plain(repository: Path) -> Path:
    """Take out what the template does for speed.

    Ansible through Packer's proxy adapter, without pipelining, its files by SFTP; a provisioner for
    each script; Packer's own polling: what one gets by writing the same build down without further
    thought.
    """
    hcl = repository / "build.pkr.hcl"
    text = _replace(r"use_proxy = source.type == \"docker\"", "use_proxy = true", hcl.read_text())
    block = re.compile(r"  dynamic \"provisioner\" \{.*?\n  \}\n", re.S)
    scripts = sorted(file.name for file in (repository / "provisioners/shell").glob("*.sh"))
    each = "".join(
        '  provisioner "shell" {\n'
        "    environment_vars = local.image_environment\n"
        "    execute_command  = local.execute_as_root\n"
        f'    script           = "${{path.root}}/provisioners/shell/{name}"\n'
        "  }\n\n"
        for name in scripts
    )
    hcl.write_text(_replace(block, each, text))
    sources = repository / "sources.pkr.hcl"
    polling = re.compile(r"  aws_polling \{.*?\n  \}\n", re.S)
    sources.write_text(_replace(polling, "", sources.read_text()))
    config = repository / "provisioners/ansible/ansible.cfg"
    text = _replace("pipelining = True", "pipelining = False", config.read_text())
    config.write_text(_replace("transfer_method = piped", "transfer_method = smart", text))
    return repository


def _replace(what: str | re.Pattern[str], by: str, text: str) -> str:
    """Replace one thing; that it is not there, or several times, is an error."""
    result, count = re.subn(what, by.replace("\\", "\\\\"), text)
    if count != 1:
        raise SystemExit(f"{count} places, not one, of {what}")
    return result


def _run(*command: str, text: str = "", **variables: str) -> None:
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
