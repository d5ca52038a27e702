"""Reads Packer's output line by line: which build is where, since when, and what went wrong."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from packer_toolkit.build_report import Build, Phase

# The phases in the order of a build: a name, and the lines with which it begins.
PHASES: tuple[tuple[str, str], ...] = (
    ("start", r"(?!)"),
    ("parent, key pair, security group", r"Prevalidating any provided VPC"),
    ("instance, until login", r"Launching a source AWS instance|Starting docker container"),
    ("shell", r"Connected to SSH!|Provisioning with shell script|Using docker communicator"),
    ("ansible", r"Provisioning with Ansible"),
    ("inspec", r"Running local shell script"),
    ("clean-up", r"Provisioning with shell script: .*(?:\bcleanup|/provisioners/validate)\.sh$"),
    ("image, copies", r"Stopping the source instance|Creating AMI|Committing the container"),
    ("termination", r"Terminating the source AWS instance|Killing the container"),
)
_BEGINNINGS = {name: re.compile(text) for name, text in PHASES}
START, _, LAUNCH, SHELL, ANSIBLE, INSPEC, CLEAN_UP, IMAGE, END = _BEGINNINGS

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TIME = r"(?:\d{4}-\d\d-\d\dT\S+: )?"
_LINE = re.compile(rf"^{_TIME}(?:==>|   ) {_TIME}([\w-]+(?:\.[\w-]+)+): ?(.*)$")
_ENDED = re.compile(r"^(?:==> )?Build '([^']+)' (finished|errored) after .*?(?:\.|: (.*))$")
_SCRIPT = re.compile(r"Provisioning with shell script: (.*)$")
_TASK = re.compile(r"^TASK \[(.*?)\] \*")
_FAILED_TASK = re.compile(r"^(?:fatal|failed): \[")
_ERRORS = "Provisioning step had errors"
# What the amazon plugin tells of the things that it makes; kind -> how.
_MADE = {
    "instance": re.compile(r"^Instance ID: (i-[0-9a-f]+)"),
    "key-pair": re.compile(r"^Creating temporary keypair: (\S+)"),
    "security-group": re.compile(r"^Creating temporary security group for this instance: (\S+)"),
    "image": re.compile(r"^AMI: (ami-[0-9a-f]+)"),
}
_PARENT = re.compile(r"^Found Image ID: (ami-[0-9a-f]+)")
# In which the plugin says that its own clean-up failed.
_TROUBLE = re.compile(
    r"may still be around|[Pp]lease delete .* manually"
    r"|[Ee]rror (?:cleaning|deleting|deregistering|terminating)(?! SSM)"
)
# Its clean-up has begun, and fails for a reason that another attempt does not mend.
_HELPLESS = re.compile(
    r"Error terminating instance, may still be around: .*"
    r"(?:RequestExpired|ExpiredToken|AuthFailure|UnrecognizedClient|InvalidClientTokenId)"
)
_NOISE = re.compile(
    r"^$|^(?:==>|   ) \S+: *$|: Adding tag: |: output will be in this color|Wait completed after"
    r"|Waiting for SSH to become available"
)
_KEPT_LINES = 40
_LONGEST = 500


@dataclass
class Progress:
    """One build so far.

    Attributes:
        marks: Phases and when they began, in seconds since the start of Packer.
        made: Kind and id of what it has made.
        ended: When it ended; None while it runs.
        error: What Packer gives as the reason of a failure.
        step: The script or task that ran last, for the name of the failed step.
    """

    name: str
    marks: list[tuple[str, float]] = field(default_factory=lambda: [(START, 0.0)])
    made: list[tuple[str, str]] = field(default_factory=list)
    parent: str | None = None
    ended: float | None = None
    ok: bool = False
    error: str = ""
    step: str = ""
    failed_in: str | None = None
    failed_step: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    @property
    def phase(self) -> str:
        """The present phase."""
        return self.marks[-1][0]

    @property
    def is_creating(self) -> bool:
        """Whether it may have ended while a call that creates something was on its way."""
        phases = [name for name, _ in self.marks if name != END]
        launching = phases[-1] == LAUNCH and not any(kind == "instance" for kind, _ in self.made)
        return launching or phases[-1] == IMAGE

    def begin(self, phase: str, time: float) -> None:
        """Enter a phase."""
        if phase != self.phase:
            self.marks.append((phase, time))

    def phases(self, until: float) -> list[Phase]:
        """Sum up the phases, in the order of their first beginning."""
        ends = [time for _, time in self.marks[1:]] + [self.ended or until]
        sums: dict[str, float] = {}
        for (name, since), end in zip(self.marks, ends, strict=True):
            sums[name] = sums.get(name, 0.0) + max(0.0, end - since)
        return [{"name": name, "seconds": round(seconds, 2)} for name, seconds in sums.items()]


class PackerOutput:
    """Understands the lines of `packer build` as they come.

    Attributes:
        builds: By name.
        trouble: Packer says that its clean-up failed in part.
        helpless: It does, because its credentials have ended.
    """

    def __init__(self) -> None:
        self.builds: dict[str, Progress] = {}
        self.trouble = False
        self.helpless = False
        self._others: deque[str] = deque(maxlen=_KEPT_LINES)

    def read(self, line: str, time: float, masked: str | None = None) -> tuple[str, str]:
        """Take one line; return the name of its build, empty for Packer itself, and its text.

        Args:
            line: With or without its end and colours.
            time: When it came, in seconds since the start of Packer.
            masked: The line without secrets, of which the last lines are made; None: there are no
                secrets in it.
        """
        shown = _COLOUR.sub("", line if masked is None else masked).rstrip()
        text = _COLOUR.sub("", line).rstrip()
        if _TROUBLE.search(text):
            self.trouble = True
        if _HELPLESS.search(text):
            self.helpless = True
        if ended := _ENDED.match(text):
            build = self._build(ended[1])
            build.ended, build.ok, build.error = time, ended[2] == "finished", ended[3] or ""
            if not build.ok and build.failed_in is None:
                phases = [name for name, _ in build.marks if name != END]
                build.failed_in, build.failed_step = phases[-1], build.failed_step or build.step
        found = _LINE.match(text)
        if found:
            build = self._build(found[1])
            self._follow(build, found[2].strip(), time)
            if build.failed_in is None and not _NOISE.search(text):
                visible = _LINE.match(shown)
                build.lines.append((visible[2] if visible else shown).strip()[:_LONGEST])
        elif not _NOISE.search(text):
            self._others.append(shown.strip()[:_LONGEST])
        return (found[1], found[2].strip()) if found else ("", text)

    def report(self, until: float) -> list[Build]:
        """Sum up all builds.

        Args:
            until: When Packer ended, in seconds since its start.
        """
        return [
            {
                "name": build.name,
                "ok": build.ok,
                "failed_step": None if build.ok else _failed_step(build),
                "parent": {"id": build.parent, "name": ""} if build.parent else None,
                "instance_type": None,
                "phases": build.phases(until),
                "images": [],
            }
            for build in self.builds.values()
        ]

    def running(self) -> dict[str, str]:
        """Return the step that each build is in which has not ended yet, by its name."""
        builds = self.builds.values()
        return {build.name: _failed_step(build) for build in builds if build.ended is None}

    def last_lines(self) -> list[str]:
        """Pick what matters: the end of each failed build up to its error, and Packer's words."""
        failed = [build for build in self.builds.values() if not build.ok]
        lines = []
        for build in failed:
            shown = list(build.lines)[-_KEPT_LINES // len(failed) :]
            lines += [f"{build.name}: {line}" for line in shown]
        return list(dict.fromkeys([*lines, *self._others]))

    def _build(self, name: str) -> Progress:
        return self.builds.setdefault(name, Progress(name))

    def _follow(self, build: Progress, text: str, time: float) -> None:
        if text.startswith(_ERRORS) and build.failed_in is None:
            build.failed_in, build.failed_step = build.phase, build.failed_step or build.step
        for kind, made in _MADE.items():
            if found := made.match(text):
                build.made.append((kind, found[1]))
        if found := _PARENT.match(text):
            build.parent = found[1]
        if script := _SCRIPT.search(text):
            build.step = script[1].rpartition("/")[2]
        elif task := _TASK.match(text):
            build.step = task[1]
        elif _FAILED_TASK.match(text) and build.phase == ANSIBLE:
            build.failed_step = build.step
        elif text == "...ignoring":
            build.failed_step = ""
        for name in reversed(_BEGINNINGS):
            if _BEGINNINGS[name].match(text):
                if name == INSPEC and build.phase != ANSIBLE:
                    name = SHELL  # the first one only looks for an auditor
                if name in (ANSIBLE, INSPEC):
                    build.step = ""
                if build.failed_in is None:
                    build.failed_step = ""
                build.begin(name, time)
                break


def _failed_step(build: Progress) -> str:
    phase = build.failed_in or build.phase
    step = build.failed_step or (build.step if build.failed_in is None else "")
    return f"{phase}: {step}" if step and phase in (SHELL, ANSIBLE, CLEAN_UP) else phase
