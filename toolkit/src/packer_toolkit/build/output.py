"""Reads the output of Packer: the phases and resources of each build, and why it failed."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from packer_toolkit.build.report import Build, Phase

# The phases in the order of a build: the name, and the lines with which it starts.
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

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_TIME = r"(?:\d{4}-\d\d-\d\dT\S+: )?"
_LINE = re.compile(rf"^{_TIME}(?:==>|   ) {_TIME}([\w-]+(?:\.[\w-]+)+): ?(.*)$")
_END_OF_BUILD = re.compile(r"^(?:==> )?Build '([^']+)' (finished|errored) after .*?(?:\.|: (.*))$")
_SCRIPT = re.compile(r"Provisioning with shell script: (.*)$")
_TASK = re.compile(r"^TASK \[(.*?)\] \*")
_FAILED_TASK = re.compile(r"^(?:fatal|failed): \[")
_ERRORS = "Provisioning step had errors"
# Kind of a resource -> how the amazon plugin prints that it creates one.
_RESOURCES = {
    "instance": re.compile(r"^Instance ID: (i-[0-9a-f]+)"),
    "key-pair": re.compile(r"^Creating temporary keypair: (\S+)"),
    "security-group": re.compile(r"^Creating temporary security group for this instance: (\S+)"),
    "image": re.compile(r"^AMI: (ami-[0-9a-f]+)"),
}
_BASE_IMAGE = re.compile(r"^Found Image ID: (ami-[0-9a-f]+)")
# How the plugin prints that its own clean-up failed.
_FAILED_CLEANUP = re.compile(
    r"may still be around|[Pp]lease delete .* manually"
    r"|[Ee]rror (?:cleaning|deleting|deregistering|terminating)(?! SSM)"
)
# How it prints that its clean-up failed because of the credentials: another attempt cannot succeed.
_INVALID_CREDENTIALS = re.compile(
    r"Error terminating instance, may still be around: .*"
    r"(?:RequestExpired|ExpiredToken|AuthFailure|UnrecognizedClient|InvalidClientTokenId)"
)
_NOISE = re.compile(
    r"^$|^(?:==>|   ) \S+: *$|: Adding tag: |: output will be in this color|Wait completed after"
    r"|Waiting for SSH to become available"
)
_MOST_LINES = 40
_LONGEST = 500


@dataclass
class Progress:
    """The progress of one build.

    Attributes:
        marks: Phases and their start, in seconds since the start of Packer.
        resources: Kind and ID of the resources that it has created.
        ended: End of the build, in the same seconds; None while it runs.
        error: Reason of a failure, as Packer prints it.
        step: Script or task that ran last, for the name of the failed step.
    """

    name: str
    marks: list[tuple[str, float]] = field(default_factory=lambda: [(START, 0.0)])
    resources: list[tuple[str, str]] = field(default_factory=list)
    base_image: str | None = None
    ended: float | None = None
    ok: bool = False
    error: str = ""
    step: str = ""
    failed_in: str | None = None
    failed_step: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))

    @property
    def phase(self) -> str:
        """Return the current phase."""
        return self.marks[-1][0]

    @property
    def is_creating(self) -> bool:
        """Whether it may have ended while a call that creates a resource was pending."""
        phases = [name for name, _ in self.marks if name != END]
        launching = phases[-1] == LAUNCH and not any(
            kind == "instance" for kind, _ in self.resources
        )
        return launching or phases[-1] == IMAGE

    def begin(self, phase: str, time: float) -> None:
        """Enter a phase."""
        if phase != self.phase:
            self.marks.append((phase, time))

    def sum_phases(self, until: float) -> list[Phase]:
        """Return the duration of each phase, in the order of their first start."""
        ends = [time for _, time in self.marks[1:]] + [self.ended or until]
        sums: dict[str, float] = {}
        for (name, since), end in zip(self.marks, ends, strict=True):
            sums[name] = sums.get(name, 0.0) + max(0.0, end - since)
        return [{"name": name, "seconds": round(seconds, 2)} for name, seconds in sums.items()]


class PackerOutput:
    """What is known from the lines of `packer build` that were read.

    Attributes:
        builds: Progress of each build by its name.
        interrupted: Step that each running build was in when a signal interrupted it.
        has_failed_cleanup: Whether a part of Packer's clean-up failed.
        has_invalid_credentials: Whether it failed because the credentials have expired.
    """

    def __init__(self) -> None:
        self.builds: dict[str, Progress] = {}
        self.interrupted: dict[str, str] = {}
        self.has_failed_cleanup = False
        self.has_invalid_credentials = False
        self._others: deque[str] = deque(maxlen=_MOST_LINES)

    def read(self, line: str, time: float, masked: str | None = None) -> tuple[str, str]:
        """Read a line; return the name of its build, empty for Packer itself, and its text.

        Args:
            line: The line, with or without its line break and colors.
            time: Seconds since the start of Packer.
            masked: The line without secrets, for the last lines; None if it has no secrets.
        """
        shown = _COLOR.sub("", line if masked is None else masked).rstrip()
        text = _COLOR.sub("", line).rstrip()
        if _FAILED_CLEANUP.search(text):
            self.has_failed_cleanup = True
        if _INVALID_CREDENTIALS.search(text):
            self.has_invalid_credentials = True
        if end := _END_OF_BUILD.match(text):
            build = self.builds.setdefault(end[1], Progress(end[1]))
            build.ended, build.ok, build.error = time, end[2] == "finished", end[3] or ""
            if not build.ok and build.failed_in is None:
                phases = [name for name, _ in build.marks if name != END]
                build.failed_in, build.failed_step = phases[-1], build.failed_step or build.step
        match = _LINE.match(text)
        if match:
            build = self.builds.setdefault(match[1], Progress(match[1]))
            self._read_build_line(build, match[2].strip(), time)
            if build.failed_in is None and not _NOISE.search(text):
                visible = _LINE.match(shown)
                build.lines.append((visible[2] if visible else shown).strip()[:_LONGEST])
        elif not _NOISE.search(text):
            self._others.append(shown.strip()[:_LONGEST])
        return (match[1], match[2].strip()) if match else ("", text)

    def make_builds(self, until: float) -> list[Build]:
        """Return the part of the build report that the output determines.

        Args:
            until: Seconds from the start of Packer to its end.
        """
        return [
            {
                "name": build.name,
                "ok": build.ok,
                "failed_step": None if build.ok else _describe_step(build),
                "parent": {"id": build.base_image, "name": ""} if build.base_image else None,
                "instance_type": None,
                "phases": build.sum_phases(until),
                "images": [],
            }
            for build in self.builds.values()
        ]

    def interrupt(self) -> None:
        """Record that a signal interrupts the builds that are running."""
        builds = self.builds.values()
        self.interrupted = {
            each.name: _describe_step(each) for each in builds if each.ended is None
        }

    def get_last_lines(self) -> list[str]:
        """Return the last lines of each failed build up to its error, and of Packer itself."""
        failed = [build for build in self.builds.values() if not build.ok]
        lines = []
        for build in failed:
            shown = list(build.lines)[-_MOST_LINES // len(failed) :]
            lines += [f"{build.name}: {line}" for line in shown]
        return list(dict.fromkeys([*lines, *self._others]))

    def _read_build_line(self, build: Progress, text: str, time: float) -> None:
        if text.startswith(_ERRORS) and build.failed_in is None:
            build.failed_in, build.failed_step = build.phase, build.failed_step or build.step
        for kind, pattern in _RESOURCES.items():
            if match := pattern.match(text):
                build.resources.append((kind, match[1]))
        if match := _BASE_IMAGE.match(text):
            build.base_image = match[1]
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
                    name = SHELL  # the first local script only looks for an auditor
                if name in (ANSIBLE, INSPEC):
                    build.step = ""
                if build.failed_in is None:
                    build.failed_step = ""
                build.begin(name, time)
                break


def _describe_step(build: Progress) -> str:
    phase = build.failed_in or build.phase
    step = build.failed_step or (build.step if build.failed_in is None else "")
    return f"{phase}: {step}" if step and phase in (SHELL, ANSIBLE, CLEAN_UP) else phase
