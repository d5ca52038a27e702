"""Each fault ends as docs/operating.md says: what the build prints, its exit code, what remains.

The table there holds the expectations, the functions here bring the faults about.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rig.ec2.rig import Ec2, Fault, Finished
from rig.repository import FULL_ANSWERS, add_role, add_script, build, small_repository
from rig.template import ROOT
from rig.tools import Packer

T = TypeVar("T")

RUN_TAGS = {"ManagedBy": "packer", "Repository": "packer-ami-small", "RunId": "run-77"}
ROLE = ("-var", "assume_role_arn=arn:aws:iam::123456789012:role/packer-ami-builder")
WAIT = "- name: Wait for the end\n  ansible.builtin.command: sleep 60\n"


# --- The table --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        id: Its name, for the functions below.
        says: What the output holds.
        code: Exit code.
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
    if line.startswith("| `")
    for row in [read_row(line)]
}


# --- The functions that bring the faults about ------------------------------------------------


@dataclass(frozen=True)
class Site:
    """What a function needs to bring about its fault."""

    ec2: Ec2
    packer: Packer
    template: Path
    folder: Path

    def repository(self, **answers: Any) -> Path:
        """Render a small repository."""
        return small_repository(self.template, self.folder / "packer-ami-small", **answers)

    def build(self, repository: Path, *options: str, **more: Any) -> Finished:
        """Build it as a run with a known id."""
        more["env"] = {"PKR_VAR_run_id": "run-77", **more.get("env", {})}
        return build(self.ec2, self.packer, repository, *options, **more)


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
    repository = site.repository()
    values = repository / "image.auto.pkrvars.hcl"
    values.write_text(values.read_text().replace("debian-12-", "debian-99-"))
    return site.build(repository)


@of_row("ssh-closed")
def ssh_closed(site: Site) -> Finished:
    """The instance never listens on port 22."""
    site.ec2.ssh_never_opens()
    return site.build(site.repository(), "-var", "ssh_timeout=3s")


@of_row("script-disconnected")
def script_disconnected(site: Site) -> Finished:
    """The connection breaks while a script runs."""
    repository = site.repository()
    add_script(repository, "10-wait.sh", "touch /srv/now", "sleep 60")
    site.ec2.ssh_drops(marker="/srv/now")
    return site.build(repository, timeout=50)


@of_row("ansible-disconnected")
def ansible_disconnected(site: Site) -> Finished:
    """The connection breaks while a task runs."""
    repository = site.repository()
    add_role(
        repository, "wait", WAIT.replace("command: sleep", "shell: touch /srv/now; exec sleep")
    )
    site.ec2.ssh_drops(marker="/srv/now")
    return site.build(repository, timeout=50)


@of_row("script-fails")
def script_fails(site: Site) -> Finished:
    """A script of the team ends with an error."""
    repository = site.repository()
    add_script(repository, "10-fail.sh", "exit 3")
    return site.build(repository)


@of_row("role-fails")
def role_fails(site: Site) -> Finished:
    """A task of the team fails."""
    repository = site.repository()
    add_role(repository, "fail", "- name: Fail\n  ansible.builtin.fail:\n    msg: out of luck\n")
    return site.build(repository)


@of_row("control-fails")
def control_fails(site: Site) -> Finished:
    """A control fails: by order, where the auditor is the rig's stand-in."""
    repository = site.repository()
    controls = repository / "inspec/controls/baseline.rb"
    controls.write_text(controls.read_text().replace(" do\n", " do\n  # rig: fail\n", 1))
    done = site.build(repository)
    assert not site.ec2.calls("CreateImage")
    return done


@of_row("disk-full")
def disk_full(site: Site) -> Finished:
    """A script writes more than the disk holds."""
    repository = site.repository()
    add_script(repository, "10-fill.sh", "head --bytes=100K /dev/zero >/srv/file")
    site.ec2.disk_full("/srv", kilobytes=64)
    return site.build(repository)


@of_row("image-refused")
def image_refused(site: Site) -> Finished:
    """EC2 refuses to create the image."""
    site.ec2.fault("CreateImage", "deny")
    return site.build(site.repository())


@of_row("throttled-for-good")
def throttled_for_good(site: Site) -> Finished:
    """EC2 throttles longer than the client has patience, here two attempts."""
    fault = site.ec2.fault("RunInstances", "throttle")
    done = site.build(site.repository(), "-var", "max_retries=2")
    assert fault.hits == 2
    return done


@of_row("one-of-two")
def one_of_two(site: Site) -> Finished:
    """EC2 refuses the image of one architecture."""
    repository = site.repository(image_architectures=["x86_64", "arm64"])
    site.ec2.fault("CreateImage", "deny", at=1)
    return site.build(repository)


@of_row("sharing-refused")
def sharing_refused(site: Site) -> Finished:
    """Something fails after the copies to other regions were made."""
    repository = site.repository(aws_copy_regions="us-east-1")
    site.ec2.fault("ModifyImageAttribute", "deny")
    return site.build(repository)


@of_row("token-renewed")
def token_renewed(site: Site) -> Finished:
    """The session of the assumed role ends in the middle, the base credentials live on."""
    repository = site.repository()
    add_script(repository, "10-wait.sh", "sleep 4")
    site.ec2.sessions(seconds=4)
    done = site.build(repository, *ROLE)
    # Each of Packer's two clients assumes the role at its first call, and later again.
    assert len(site.ec2.calls("AssumeRole")) > 2
    return done


@of_row("token-expired")
def token_expired(site: Site) -> Finished:
    """The credentials end after the instance was started."""
    repository = site.repository()
    add_script(repository, "10-wait.sh", "touch /srv/now", "sleep 3")

    def expire() -> None:
        (run,) = _wait_for(lambda: site.ec2.calls("RunInstances"))
        (instance_id,) = (name for name in run.ids if name.startswith("i-"))
        _wait_for(lambda: site.ec2.instance_sh(instance_id, "ls /srv").strip())
        site.ec2.expire_key()

    with ThreadPoolExecutor() as pool:
        expiring = pool.submit(expire)
        # Fewer attempts than Packer's ten: they would take a quarter of an hour.
        done = site.build(repository, "-var", "max_retries=2")
        expiring.result()
    return done


@of_row("sigterm")
def sigterm_while_the_instance_starts(site: Site) -> Finished:
    """The instance is pending."""
    site.ec2.pace(running=2)
    return site.build(site.repository(), kill_at="RunInstances")


@of_row("sigterm")
def sigterm_while_the_instance_stops(site: Site) -> Finished:
    """Everything was provisioned."""
    site.ec2.pace(stopped=2)
    return site.build(site.repository(), kill_at="StopInstances")


@of_row("sigterm")
def sigterm_in_a_script(site: Site) -> Finished:
    """A script runs; Packer alone gets the signal."""
    repository = site.repository()
    add_script(repository, "10-wait.sh", "echo now", "sleep 60")
    return site.build(repository, kill_when="now", timeout=50)


@of_row("sigterm")
def sigterm_in_ansible(site: Site) -> Finished:
    """A task runs; all processes get the signal, as a runner does it."""
    repository = site.repository()
    add_role(repository, "wait", WAIT)
    return site.build(repository, kill_when="Wait for the end", whole_group=True, timeout=50)


@of_row("sigterm-launching")
def sigterm_launching(site: Site) -> Finished:
    """The answer of RunInstances, with the instance's id, is still on its way."""
    return site.build(site.repository(), kill_at="RunInstances", kill_moment="during")


@of_row("sigterm-image-pending")
def sigterm_image_pending(site: Site) -> Finished:
    """The image exists and is not available yet."""
    site.ec2.pace(available=4)
    return site.build(site.repository(), kill_at="CreateImage")


@of_row("sigterm-copying")
def sigterm_copying(site: Site) -> Finished:
    """The copy exists and is not available yet; that it takes long is what `hold` is for."""
    repository = site.repository(aws_copy_regions="us-east-1")
    return site.build(repository, kill_at="CopyImage", kill_moment="during")


@of_row("sigkill")
def sigkill_of_a_building_instance(site: Site) -> Finished:
    """Packer and its children are gone at once, while an instance runs."""
    site.ec2.pace(stopped=2)
    return site.build(
        site.repository(),
        kill_at="StopInstances",
        with_signal=signal.SIGKILL,
        whole_group=True,
    )


@of_row("sigkill-copying")
def sigkill_copying(site: Site) -> Finished:
    """The same when the image is there and its copy on the way."""
    repository = site.repository(aws_copy_regions="us-east-1")
    return site.build(
        repository,
        kill_at="CopyImage",
        with_signal=signal.SIGKILL,
        kill_moment="during",
        whole_group=True,
    )


def _wait_for(ask: Callable[[], T]) -> T:
    """Ask until there is an answer."""
    for _ in range(300):
        if found := ask():
            return found
        time.sleep(0.1)
    raise TimeoutError


# --- The tests --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTS)
def test_a_fault_ends_as_the_table_says(
    name: str, ec2: Ec2, packer: Packer, template: Path, tmp_path: Path
) -> None:
    """Message, exit code and leftovers are those of the row."""
    row, act = ROWS[ACTS[name][0]], ACTS[name][1]
    done = act(Site(ec2, packer, template, tmp_path))
    assert done.code == row.code, done.output
    for said in row.says:
        assert said in done.output
    left = ec2.leftovers()
    assert set(left) == row.remains, done.output
    for kind, things in left.items():
        lacking = [thing for thing in things if not _tagged(thing["tags"], finished=row.finished)]
        if kind in row.untagged:
            assert lacking  # otherwise the row says too little good of Packer
            assert {thing["id"] for thing in lacking} <= _snapshots_of_tagged_images(ec2, left)
        else:
            assert lacking == []


def test_each_row_of_the_table_has_its_test() -> None:
    """And no row is missing."""
    assert {row for row, _ in ACTS.values()} | {"throttled"} == set(ROWS)


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


# --- Throttling of every call -----------------------------------------------------------------

ACTIONS = [
    line.partition(":")[2]
    for line in (ROOT / "docs/aws-actions.txt").read_text().splitlines()
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
    done = build(ec2, packer, repository)
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
