"""The launcher in a container that uses the engine of its machine: a runner's, or a job's.

There the engine knows each folder by another path than the job. Debian and Docker are real.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rig.docker.engine import SCRATCH_LABEL, DockerEngine
from rig.docker.registry import tiny_image

IMAGE = "packer-toolkit-tiny:1"
REPOSITORY = "/__w/web server/web"  # in the job's container
LAUNCHER = f"{REPOSITORY}/toolkit.sh"
ENVIRONMENT = {
    "GITHUB_STEP_SUMMARY": "/__w/_temp/summary",
    "HOME": "/github/home",
    "SOL_CET_USER_ROLE": "none",
    "TOOLKIT_DOCKER_ARGS": "--network=host",  # the engine has no network of its own
    "TOOLKIT_IMAGE": IMAGE,
}
SCRIPT = """
[[ -f toolkit.sh ]] && echo "repository $(<a-file)"
echo "home $(</home/packer/.aws/config)"
echo sum >>"$GITHUB_STEP_SUMMARY"
echo made >made
"""


class Job:
    """Containers beside each other, of which the first runs the launcher."""

    def __init__(self, engine: DockerEngine, debian: str, work: Path) -> None:
        """Keep what they share: WORK is the runner's folder on the engine's machine."""
        self._engine = engine
        self._debian = debian
        self.work = work
        self.home = work.parent / "home"
        self.repository = work / "web server" / "web"
        docker = shutil.which("docker")
        assert docker
        self._tools = {Path(docker): "/usr/local/bin/docker", engine.socket: "/var/run/docker.sock"}

    def run(
        self, *command: str, mounts: Mapping[Path, str], options: tuple[str, ...] = ()
    ) -> tuple[int, str, str]:
        """Run a command in the job's container; return its exit code, output and errors.

        Args:
            command: the command, such as the launcher.
            mounts: path on the engine's machine to path in the container of the job.
            options: further ones of `docker run`.
        """
        line = ["run", "--rm", "--network=host", f"--label={SCRATCH_LABEL}", *options]
        for source, target in {**self._tools, **mounts}.items():
            line += ["--mount", f"type=bind,source={source},target={target}"]
        line += [f"--env={name}={value}" for name, value in ENVIRONMENT.items()]
        done = self._engine.docker(*line, self._debian, *command, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def job(
    repository: Path, docker_engine: DockerEngine, debian_12: str, tmp_path: Path
) -> Iterator[Job]:
    """Return a job whose repository is below the runner's work folder."""
    job = Job(docker_engine, debian_12, tmp_path / "runner" / "_work")
    job.repository.parent.mkdir(parents=True)
    repository.rename(job.repository)
    (job.repository / "a-file").write_text("of the team\n")
    (job.work / "_temp").mkdir()
    (job.work / "_temp" / "summary").touch()
    (job.home / ".aws").mkdir(parents=True)
    (job.home / ".aws" / "config").write_text("of the runner\n")
    tiny_image(docker_engine, IMAGE)
    yield job
    docker_engine.docker("rmi", "--force", IMAGE, check=False)


@pytest.mark.parametrize(
    "options", [(), ("--hostname=runner-7",), ("--tmpfs=/__w/elsewhere",)], ids=str
)
def test_a_job_in_a_container_mounts_what_the_engine_has(
    job: Job, options: tuple[str, ...]
) -> None:
    """Mounts name the paths of the engine's machine, whatever the container's name (report 3)."""
    mounts = {job.work: "/__w", job.home: "/github/home"}
    code, out, err = job.run(LAUNCHER, "bash", "-c", SCRIPT, mounts=mounts, options=options)
    assert (code, err) == (0, "")
    assert out.splitlines() == ["repository of the team", "home of the runner"]
    assert (job.work / "_temp" / "summary").read_text() == "sum\n"
    assert (job.repository / "made").read_text() == "made\n"


def test_the_nearest_mount_counts(job: Job) -> None:
    """Of mounts inside each other the inner one has the file (report 3)."""
    other = job.work.parent / "other"
    shutil.copytree(job.work / "web server", other)
    (other / "web" / "a-file").write_text("of the inner mount\n")
    mounts = {job.work: "/__w", other: "/__w/web server", job.home: "/github/home"}
    code, out, err = job.run(LAUNCHER, "bash", "-c", SCRIPT, mounts=mounts)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "repository of the inner mount"


def test_a_local_build_has_a_folder_of_the_engines_machine(job: Job) -> None:
    """Packer's temporary folder has the path by which the engine mounts it (report 3)."""
    script = "[[ -S /var/run/docker.sock && -w $PACKER_TMP_DIR ]] && echo $PACKER_TMP_DIR"
    command = (LAUNCHER, "--engine", "bash", "-c", script)
    code, out, err = job.run(*command, mounts={job.work: "/__w", job.home: "/github/home"})
    assert (code, out, err) == (0, f"{job.repository}/.packer-tmp\n", "")


def test_a_work_folder_that_the_engine_does_not_have_is_named(job: Job) -> None:
    """A work folder in the runner's own container is refused in one line (report 3)."""
    script = f"mkdir -p '/__w/web server'; cp -R /from '{REPOSITORY}'; '{LAUNCHER}' bash -c true"
    code, out, err = job.run("bash", "-c", script, mounts={job.repository: "/from"})
    assert (code, out) == (3, "")
    assert err == (
        f"toolkit.sh: the engine cannot see this folder ({REPOSITORY}), because this is a"
        " container and the folder is not a mount; mount the runner's work folder from the"
        " engine's machine\n"
    )


def test_files_that_the_engine_does_not_have_are_left_out(job: Job) -> None:
    """A home in the container's own layer is not mounted, and stops nothing (report 3)."""
    script = "[[ -e /home/packer/.aws ]] || echo none"
    code, out, err = job.run(LAUNCHER, "bash", "-c", script, mounts={job.work: "/__w"})
    assert (code, out, err) == (0, "none\n", "")
