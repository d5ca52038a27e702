"""Each fault ends as docs/operating.md says: what the build prints, its exit code, what remains.

The table there holds the expectations, the functions here bring the faults about.  All builds run
through `packer-toolkit build`, as the repository's own tasks do.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from packer_toolkit.pipeline.advice import suggest_fixes
from rig.aws.rig import Ec2, Fault, Finished
from rig.host.tools import Packer
from rig.repositories.repository import (
    FULL_ANSWERS,
    ROLE,
    SMALL_CONTROL,
    TOOLKIT,
    add_control,
    add_role,
    add_script,
    build as plain,
    build_report,
    small_repository,
    toolkit_build,
    toolkit_env,
)
from rig.repositories.template import ROOT, git

T = TypeVar("T")

RUN_TAGS = {"ManagedBy": "packer", "Repository": "packer-ami-small", "RunId": "run-77"}
WAIT = "- name: Wait for the end\n  ansible.builtin.shell: touch /srv/now; exec sleep 60\n"


# --- The table --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        id: Its name, for the functions below.
        says: What the output holds.
        code: Exit code, as a shell shows it.
        remains: Kinds of things that are left, as the rig names them.
        untagged: Those of them that may lack the run's tags.
        finished: The images that are left are finished ones.
    """

    id: str
    says: tuple[str, ...]
    code: int
    remains: frozenset[str]
    untagged: frozenset[str]
    finished: bool


def read_row(line: str) -> Row:
    """Read one line of the table."""
    id_, _, says, code, remains, _ = (cell.strip() for cell in line.strip().strip("|").split(" | "))
    finished = remains.startswith("finished")
    kinds = {"nothing": [], "finished image": ["image", "snapshot"]}.get(remains)
    if kinds is None:
        kinds = remains.split(", ")
    names = {kind: kind.removesuffix(" without tags").replace(" ", "-") for kind in kinds}
    return Row(
        id=id_.strip("`"),
        says=tuple(re.findall(r"`([^`]+)`", says)),
        code=int(code),
        remains=frozenset(names.values()),
        untagged=frozenset(names[kind] for kind in kinds if kind.endswith(" without tags")),
        finished=finished,
    )


ROWS = {
    row.id: row
    for line in (ROOT / "docs/operating.md").read_text().splitlines()
    if line.startswith("| `") and line.count(" | ") == 5
    for row in [read_row(line)]
}


# --- The functions that bring the faults about ------------------------------------------------


@dataclass
class Renders:
    """Rendered repositories, each made once and then copied."""

    template: Path
    folder: Path
    made: dict[str, Path] = field(default_factory=dict)

    def copy(self, destination: Path, answers: Mapping[str, Any]) -> Path:
        """Copy a small repository with these answers."""
        key = repr(sorted(answers.items()))
        if key not in self.made:
            home = self.folder / str(len(self.made)) / "packer-ami-small"
            self.made[key] = small_repository(self.template, home, **answers)
        return Path(shutil.copytree(self.made[key], destination))


@pytest.fixture(scope="module")
def renders(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Renders:
    """Return the repositories of this worker."""
    return Renders(template, tmp_path_factory.mktemp("renders"))


@dataclass(frozen=True)
class Site:
    """What a function needs to bring about its fault."""

    ec2: Ec2
    packer: Packer
    renders: Renders
    folder: Path

    @property
    def path(self) -> Path:
        """The repository's folder."""
        return self.folder / "packer-ami-small"

    def repository(self, **answers: Any) -> Path:
        """Render a small repository."""
        return self.renders.copy(self.path, answers)

    def build(self, *options: str, **more: Any) -> Finished:
        """Build an image as a run with a known id."""
        more["env"] = {"PKR_VAR_run_id": "run-77", **more.get("env", {})}
        self.commit()
        options = ("-var", "skip_create_ami=false", *options)
        return toolkit_build(self.ec2, self.packer, self.path, *options, **more)

    def plain_build(self, **more: Any) -> Finished:
        """The same by `packer build`, without what packer-toolkit adds."""
        self.commit()
        options = ("-var", "skip_create_ami=false", "-var", "run_id=run-77")
        return plain(self.ec2, self.packer, self.path, *options, **more)

    def commit(self) -> None:
        """Commit what the test has changed, as a team does before it builds."""
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--allow-empty", "--message=Change")

    def sweep(self, *options: str) -> Finished:
        """Run `packer-toolkit cleanup` in the repository."""
        command = [*TOOLKIT, "sweep", *options]
        return self.ec2.run(command, cwd=self.path, env=toolkit_env(self.packer))


Act = Callable[[Site], Finished]
ACTS: dict[str, tuple[str, Act]] = {}


def of_row(row: str) -> Callable[[Act], Act]:
    """Say which row of the table a function brings about."""

    def note(act: Act) -> Act:
        ACTS[act.__name__] = (row, act)
        return act

    return note


@of_row("parent-missing")
def parent_missing(site: Site) -> Finished:
    """No image has the name that is looked for."""
    values = site.repository() / "image.auto.pkrvars.hcl"
    values.write_text(values.read_text().replace("debian-12-", "debian-99-"))
    return site.build()


@of_row("ssh-closed")
def ssh_closed(site: Site) -> Finished:
    """The instance never listens on port 22."""
    site.repository()
    site.ec2.ssh_never_opens()
    return site.build("-var", "ssh_timeout=3s")


@of_row("script-disconnected")
def script_disconnected(site: Site) -> Finished:
    """The connection breaks while a script runs."""
    add_script(site.repository(), "10-wait.sh", "touch /srv/now", "sleep 60")
    site.ec2.ssh_drops(marker="/srv/now")
    return site.build(timeout=50)


@of_row("ansible-disconnected")
def ansible_disconnected(site: Site) -> Finished:
    """The connection breaks while a task runs."""
    add_role(site.repository(), "wait", WAIT)
    site.ec2.ssh_drops(marker="/srv/now")
    return site.build(timeout=50)


@of_row("script-fails")
def script_fails(site: Site) -> Finished:
    """A script of the team ends with an error."""
    add_script(site.repository(), "10-fail.sh", "exit 3")
    return site.build()


@of_row("role-fails")
def role_fails(site: Site) -> Finished:
    """A task of the team fails."""
    role = "- name: Fail\n  ansible.builtin.fail:\n    msg: out of luck\n"
    add_role(site.repository(), "fail", role)
    return site.build()


@of_row("control-fails")
def control_fails(site: Site) -> Finished:
    """A control does not hold for the machine."""
    add_control(site.repository(), "small", SMALL_CONTROL.replace("/etc/os-release", "/nowhere"))
    done = site.build()
    assert not site.ec2.calls("CreateImage")
    (inspec,) = build_report(site.path)["inspec"]
    assert inspec["failed"] == len(inspec["failures"]) == 1
    assert "Script exited with non-zero exit status: 1." in done.output
    return done


@of_row("no-control")
def profile_skipped(site: Site) -> Finished:
    """The profile is for another operating system, by a typo."""
    about = site.repository() / "inspec/inspec.yml"
    about.write_text(about.read_text().replace("platform-family", "platform-famly"))
    done = site.build()
    assert not site.ec2.calls("CreateImage")
    (inspec,) = build_report(site.path)["inspec"]
    assert (inspec["passed"], inspec["checks"]) == (0, 0)
    (unloaded,) = inspec["unloaded"]
    assert unloaded["status"] == "skipped"
    assert "on unsupported platform: 'debian/12" in unloaded["reason"]
    return done


@of_row("no-control")
def controls_skipped(site: Site) -> Finished:
    """No control is meant for this machine."""
    text = SMALL_CONTROL.replace("  describe", "  only_if('no web') { false }\n\n  describe")
    add_control(site.repository(), "small", text)
    done = site.build()
    assert not site.ec2.calls("CreateImage")
    (inspec,) = build_report(site.path)["inspec"]
    assert inspec["skips"] == ["small-os-release: Skipped control due to only_if condition: no web"]
    return done


@of_row("profile-broken")
def profile_broken(site: Site) -> Finished:
    """A control file raises an error."""
    add_control(site.repository(), "broken", "nonsense\n")
    done = site.build()
    assert not site.ec2.calls("CreateImage")
    (inspec,) = build_report(site.path)["inspec"]
    assert [each["status"] for each in inspec["unloaded"]] == ["failed"]
    return done


@of_row("clean-up-incomplete")
def clean_up_incomplete(site: Site) -> Finished:
    """A team has deleted a line of cleanup.sh."""
    clean_up = site.repository() / "provisioners/cleanup.sh"
    text, count = re.subn(r"^rm -f /root/\.\*_history.*\n", "", clean_up.read_text(), flags=re.M)
    assert count == 1
    clean_up.write_text(text)
    add_script(site.path, "10-work.sh", "echo secret >/root/.bash_history")
    done = site.build()
    assert not site.ec2.calls("CreateImage")
    (tip, *_) = suggest_fixes(build_report(site.path)["last_lines"])
    assert "`provisioners/validate.sh`" in tip
    return done


@of_row("disk-full")
def disk_full(site: Site) -> Finished:
    """A script writes more than the disk holds."""
    add_script(site.repository(), "10-fill.sh", "head --bytes=100K /dev/zero >/srv/file")
    site.ec2.disk_full("/srv", kilobytes=64)
    return site.build()


@of_row("image-refused")
def image_refused(site: Site) -> Finished:
    """EC2 refuses to create the image."""
    site.repository()
    site.ec2.fault("CreateImage", "deny")
    return site.build()


@of_row("copy-refused")
def copy_refused(site: Site) -> Finished:
    """EC2 refuses the copy."""
    site.repository(aws_copy_regions="us-east-1")
    site.ec2.fault("CopyImage", "deny")
    return site.build()


@of_row("sharing-refused")
def sharing_refused(site: Site) -> Finished:
    """Something fails after the copies to other regions were made."""
    site.repository(aws_copy_regions="us-east-1")
    site.ec2.fault("ModifyImageAttribute", "deny")
    return site.build()


@of_row("one-of-two")
def one_of_two(site: Site) -> Finished:
    """EC2 refuses the image of one architecture."""
    site.repository(image_architectures=["x86_64", "arm64"])
    site.ec2.fault("CreateImage", "deny", at=1)
    return site.build()


@of_row("throttled-for-good")
def throttled_for_good(site: Site) -> Finished:
    """EC2 throttles longer than the client has patience, here two attempts."""
    site.repository()
    fault = site.ec2.fault("RunInstances", "throttle")
    done = site.build("-var", "max_retries=2")
    assert fault.hits == 2
    return done


@of_row("token-renewed")
def token_renewed(site: Site) -> Finished:
    """The session of the assumed role ends in the middle, the base credentials live on."""
    add_script(site.repository(), "10-wait.sh", "sleep 4")
    site.ec2.sessions(seconds=4)
    done = site.build(*ROLE)
    # Each of Packer's two clients assumes the role at its first call, and later again.
    assert len(site.ec2.calls("AssumeRole")) > 2
    return done


@of_row("session-revoked")
def session_revoked(site: Site) -> Finished:
    """Packer's sessions end while a script runs, though AWS has promised more."""
    add_script(site.repository(), "10-wait.sh", "touch /srv/now", "sleep 3")

    def revoke() -> None:
        for access_key in {call.access_key for call in site.ec2.calls("RunInstances")}:
            assert access_key
            site.ec2.expire_key(access_key)

    with _when_the_script_runs(site, revoke):
        return site.build("-var", "max_retries=1", *ROLE)


@of_row("token-expired")
def token_expired(site: Site) -> Finished:
    """The credentials end after the instance was started; with new ones the sweep removes all."""
    add_script(site.repository(), "10-wait.sh", "touch /srv/now", "sleep 3")
    with _when_the_script_runs(site, site.ec2.expire_key):
        # Fewer attempts than Packer's ten: they would take a quarter of an hour.
        done = site.build("-var", "max_retries=1")
    left = {thing["kind"] for thing in build_report(site.path)["left"]}
    assert left >= {"instance", "key-pair", "security-group"}
    return done


@of_row("credentials-dead")
def credentials_dead(site: Site) -> Finished:
    """They do not count any more when the build begins."""
    site.repository()
    site.ec2.expire_key()
    done = site.build()
    assert {call.action for call in site.ec2.calls()} == {"GetCallerIdentity"}
    return done


@of_row("sigterm")
def sigterm_while_the_instance_starts(site: Site) -> Finished:
    """The instance is pending."""
    site.repository()
    site.ec2.pace(running=2)
    return site.build(kill_at="RunInstances")


@of_row("sigterm")
def sigterm_while_the_instance_stops(site: Site) -> Finished:
    """Everything was provisioned."""
    site.repository()
    site.ec2.pace(stopped=2)
    return site.build(kill_at="StopInstances")


@of_row("sigterm")
def sigterm_in_a_script(site: Site) -> Finished:
    """A script runs."""
    add_script(site.repository(), "10-wait.sh", "echo now", "sleep 60")
    return site.build(kill_when=": now", timeout=50)


@of_row("sigint")
def sigint_in_ansible(site: Site) -> Finished:
    """A task runs."""
    add_role(site.repository(), "wait", WAIT)
    return site.build(kill_when="Wait for the end", with_signal=signal.SIGINT, timeout=50)


@of_row("sighup")
def sighup_in_a_script(site: Site) -> Finished:
    """A script runs."""
    add_script(site.repository(), "10-wait.sh", "echo now", "sleep 60")
    return site.build(kill_when=": now", with_signal=signal.SIGHUP, timeout=50)


@of_row("sigterm-launching")
def sigterm_launching(site: Site) -> Finished:
    """The answer of RunInstances, with the instance's id, is still on its way."""
    site.repository()
    return site.build(kill_at="RunInstances", kill_moment="during")


@of_row("sigterm-image")
def sigterm_image_pending(site: Site) -> Finished:
    """The image exists and is not available yet."""
    site.repository()
    site.ec2.pace(available=4)
    return site.build(kill_at="CreateImage")


@of_row("sigterm-image")
def sigterm_copying(site: Site) -> Finished:
    """The copy exists and is not available yet; that it takes long is what `hold` is for."""
    site.repository(aws_copy_regions="us-east-1")
    return site.build(kill_at="CopyImage", kill_moment="during")


@of_row("sigterm-twice")
def sigterm_twice(site: Site) -> Finished:
    """The second one comes at once; the group cannot go while the instance is ending."""
    add_script(site.repository(), "10-wait.sh", "echo now", "sleep 60")
    site.ec2.fault("DeleteSecurityGroup", code="DependencyViolation")
    return site.build(kill_when=[": now", "Received SIGTERM: waiting for Packer"], timeout=50)


@of_row("sigkill")
def sigkill_of_a_building_instance(site: Site) -> Finished:
    """The command, Packer and their children are gone at once, while an instance runs."""
    site.repository()
    site.ec2.pace(stopped=20)
    return site.build(kill_at="StopInstances", with_signal=signal.SIGKILL, everything=True)


@of_row("sigkill-copying")
def sigkill_copying(site: Site) -> Finished:
    """The same when the image is there and its copy on the way."""
    site.repository(aws_copy_regions="us-east-1")
    return site.build(
        kill_at="CopyImage", kill_moment="during", with_signal=signal.SIGKILL, everything=True
    )


class _when_the_script_runs:  # noqa: N801 - reads as a sentence
    """Do something as soon as 10-wait.sh has made its mark on the instance."""

    def __init__(self, site: Site, act: Callable[[], None]) -> None:
        self.site, self.act = site, act
        self.pool = ThreadPoolExecutor(1)

    def __enter__(self) -> None:
        self.acting = self.pool.submit(self._act)

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()
        self.acting.result()

    def _act(self) -> None:
        (run,) = _wait_for(lambda: self.site.ec2.calls("RunInstances"))
        (instance_id,) = (name for name in run.ids if name.startswith("i-"))
        _wait_for(lambda: self.site.ec2.instance_sh(instance_id, "ls /srv").strip())
        self.act()


def _wait_for(ask: Callable[[], T]) -> T:
    """Ask until there is an answer."""
    for _ in range(600):
        if found := ask():
            return found
        time.sleep(0.1)
    raise TimeoutError


# --- The tests --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTS)
def test_a_fault_ends_as_the_table_says(
    name: str, ec2: Ec2, packer: Packer, renders: Renders, tmp_path: Path
) -> None:
    """Message, exit code and leftovers are those of the row; git is clean (inspec 2, inspec 4)."""
    row, act = ROWS[ACTS[name][0]], ACTS[name][1]
    site = Site(ec2, packer, renders, tmp_path)
    done = act(site)
    assert (128 - done.code if done.code < 0 else done.code) == row.code, done.output
    for said in row.says:
        assert said in done.output, done.output
    assert "Traceback" not in done.output
    assert git(site.path, "status", "--porcelain") == ""
    left = ec2.leftovers()
    assert set(left) == row.remains, done.output
    for kind, things in left.items():
        lacking = [thing for thing in things if not _tagged(thing["tags"], finished=row.finished)]
        if kind in row.untagged:
            assert lacking  # otherwise the row says too little good of Packer
            assert {thing["id"] for thing in lacking} <= _snapshots_of_tagged_images(ec2, left)
        else:
            assert lacking == []
    if done.code >= 0:
        report = build_report(site.path)
        assert report["exit_code"] == row.code
        assert bool(report["left"]) == (row.code != 0 and bool(row.remains))
    if row.remains and not row.finished:
        ec2.clear_faults()
        ec2.expire_key(after_calls=10_000)  # the key counts again
        swept = site.sweep(*_advice(done.output), "--yes")
        assert swept.code == 0, swept.output
        assert ec2.leftovers() == {}, swept.output


def test_each_row_of_the_table_has_its_test() -> None:
    """And no row is missing."""
    assert {row for row, _ in ACTS.values()} | {"throttled"} == set(ROWS)


def _advice(output: str) -> list[str]:
    """Return the options of the sweep that a build recommends; SIGKILL leaves no time for that."""
    found = re.search(r"packer-toolkit cleanup (.*)", output)
    return shlex.split(found[1]) if found else ["--run-id", "run-77", "--finished-images"]


def _tagged(tags: Mapping[str, str], *, finished: bool) -> bool:
    until = "never" if finished else r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    return RUN_TAGS.items() <= tags.items() and bool(re.fullmatch(until, tags["ExpiresAt"]))


def _snapshots_of_tagged_images(ec2: Ec2, left: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """List the snapshots that a sweeper finds through their images."""
    return {
        mapping["Ebs"]["SnapshotId"]
        for thing in left["image"]
        if _tagged(thing["tags"], finished=False)
        for image in ec2.client(region_name=thing["region"]).describe_images(
            ImageIds=[thing["id"]]
        )["Images"]
        for mapping in image["BlockDeviceMappings"]
    }


# --- Without packer-toolkit ---------------------------------------------------------------------

# Name of a row -> kinds of things that it says remain.
PLAIN_ROWS = {
    name.strip("`"): frozenset(remains.split(", "))
    for line in (ROOT / "docs/operating.md").read_text().splitlines()
    if line.startswith("| `plain-")
    for name, _, remains in [[cell.strip() for cell in line.strip("|").split(" | ")]]
}


def plain_launching(site: Site) -> Finished:
    """The answer of RunInstances is still on its way."""
    site.repository()
    return site.plain_build(kill_at="RunInstances", kill_moment="during")


def plain_image(site: Site) -> Finished:
    """The image is not available yet."""
    site.repository()
    site.ec2.pace(available=4)
    return site.plain_build(kill_at="CreateImage")


def plain_copy(site: Site) -> Finished:
    """EC2 refuses the copy of the second of two images."""
    site.repository(image_architectures=["x86_64", "arm64"], aws_copy_regions="us-east-1")
    site.ec2.fault("CopyImage", "deny", at=2)
    return site.plain_build()


@pytest.mark.parametrize("act", [plain_launching, plain_image, plain_copy])
def test_what_plain_packer_leaves_can_be_swept(
    act: Act, ec2: Ec2, packer: Packer, renders: Renders, tmp_path: Path
) -> None:
    """It is what docs/operating.md says, and carries the run's tags."""
    site = Site(ec2, packer, renders, tmp_path)
    done = act(site)
    assert done.code == 1, done.output
    assert set(PLAIN_ROWS) == {"plain-launching", "plain-image", "plain-copy"}
    left = ec2.leftovers()
    assert {kind.replace("-", " ") for kind in left} == PLAIN_ROWS[act.__name__.replace("_", "-")]
    for thing in (thing for things in left.values() for thing in things):
        assert RUN_TAGS.items() <= thing["tags"].items()
    swept = site.sweep("--run-id", "run-77", "--finished-images", "--yes")
    assert swept.code == 0, swept.output
    assert ec2.leftovers() == {}


# --- Throttling of every call -----------------------------------------------------------------

ACTIONS = [
    line.partition(":")[2]
    for name in ("aws-actions.txt", "aws-actions-release.txt")
    for line in (ROOT / "docs" / name).read_text().splitlines()
    if not line.startswith("#")
]


@dataclass(frozen=True)
class Throttled:
    """A build with everything, in which the first two calls of each action were throttled."""

    done: Finished
    hits: Mapping[str, int]


@pytest.fixture(scope="module")
def throttled(
    ec2_of_the_worker: Ec2,
    packer: Packer,
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Throttled]:
    """Return such a build, without the demo's scripts and roles, which call nothing."""
    ec2 = ec2_of_the_worker
    ec2.reset()
    answers = {name: value for name, value in FULL_ANSWERS.items() if name != "keep_demo"}
    folder = tmp_path_factory.mktemp("throttled") / "packer-ami-web-server"
    repository = small_repository(template, folder, **answers)
    faults: dict[str, Fault] = {
        action: ec2.fault(action, "throttle", first=2) for action in ACTIONS
    }
    done = toolkit_build(ec2, packer, repository, "-var", "skip_create_ami=false", *ROLE)
    yield Throttled(done, {action: fault.hits for action, fault in faults.items()})
    ec2.reset()


@pytest.mark.xdist_group("ec2-throttled")
@pytest.mark.parametrize("action", ACTIONS)
def test_throttling_of_each_call_is_survived(action: str, throttled: Throttled) -> None:
    """The call is repeated, and the build makes its images."""
    assert throttled.hits[action] == 2
    assert throttled.done.code == ROWS["throttled"].code, throttled.done.output
    for said in ROWS["throttled"].says:
        assert said in throttled.done.output
