"""Runs `packer build` so that it ends well: watched, timed, and with nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from packer_toolkit.aws import session as aws
from packer_toolkit.aws.identity import Identity
from packer_toolkit.build import inspec as inspec_report
from packer_toolkit.build import release_images as build_release
from packer_toolkit.build import report as build_report
from packer_toolkit.build import source_amis
from packer_toolkit.build.cleanup.find import MANAGED_BY, Outcome, Scope, Sweep, advice
from packer_toolkit.build.deadline import Deadline, deadline, watched
from packer_toolkit.build.git_values import set_git_values
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.output import PackerOutput
from packer_toolkit.build.report import BuildReport, Inspec, Kind, Left, Parent, describe_account
from packer_toolkit.build.selection import (
    DEFAULT_ONLY,
    EC2_BUILDS,
    LOCAL_BUILD,
    LOCAL_KINDS,
    Selection,
)
from packer_toolkit.build.session_manager import SessionWatch, require_session_manager
from packer_toolkit.build.shared_keys import require_shareable_keys
from packer_toolkit.build.unrequested_images import VARIABLE, find_wish, require_request
from packer_toolkit.build.values import (
    WITH_VALUE,
    Arguments,
    InspectError,
    Values,
    inspect,
    read_arguments,
)
from packer_toolkit.build.version_images import Release
from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError, ToolkitError
from packer_toolkit.github.actions import warn
from packer_toolkit.github.runner_commands import escape_commands
from packer_toolkit.repository.galaxy_install import Options, hold_requirements
from packer_toolkit.repository.git_excludes import exclude_results
from packer_toolkit.repository.missing_content import require_content

# inspec.sh writes the auditor's report of each build into this folder.
INSPEC_REPORTS = "PACKER_TOOLKIT_INSPEC_REPORTS"
# A call that was on its way when Packer was ended is carried out within this time.
_SETTLE_SECONDS = 5.0
_LONGEST_SWEEP_SECONDS = 900.0


class EndedError(ToolkitError):
    """A signal ended the build before Packer ran."""

    code = 130


@dataclass
class Signals:
    """Signals that ask us to end: the first one politely, the second one is in a hurry.

    Attributes:
        received: Numbers, oldest first.
        on_signal: Called with the number of signals so far.
    """

    received: list[int] = field(default_factory=list)
    on_signal: Callable[[int], None] = lambda _: None

    @contextlib.contextmanager
    def handled(self) -> Iterator[Signals]:
        """Take SIGINT, SIGTERM and SIGHUP until the end of the block, SIGHUP not under `nohup`."""
        names = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            names.append(signal.SIGHUP)
        before = {name: signal.signal(name, self._take) for name in names}
        try:
            yield self
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    @property
    def hurry(self) -> bool:
        """Whether somebody has lost patience."""
        return len(self.received) > 1

    @property
    def exit_code(self) -> int:
        """128 + N of the first signal; 0 when there was none."""
        return 128 + self.received[0] if self.received else 0

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received.append(number)
        if len(self.received) > 2:
            os.write(2, b"packer-toolkit: ended at once; what remains was not looked at\n")
            os._exit(self.exit_code)
        self.on_signal(len(self.received))

    def check(self) -> None:
        """Raise when a signal has come."""
        if self.received:
            error = EndedError("ended by a signal before Packer ran; nothing was started")
            error.code = self.exit_code
            raise error


@dataclass
class Run:
    """One `packer-toolkit build`.

    Args:
        words: Arguments for `packer build`.
        show: Writes a line of Packer for the person who watches; it has its end.
        say: Writes a line of ours.
        environment: The environment.
    """

    words: Sequence[str]
    show: Callable[[str], None]
    say: Callable[[str], None]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def __post_init__(self) -> None:
        self.arguments: Arguments = read_arguments(self.words)
        self.started = datetime.now(timezone.utc)
        self.began = time.monotonic()
        self.signals = Signals()
        self.mask = Mask(self.environment)
        self.output = PackerOutput()
        self.sessions = SessionWatch()
        self.values = Values()
        self.held = contextlib.ExitStack()
        self.who: Identity | None = None
        self.env = dict(self.environment)
        self.wish = find_wish(self.arguments, self.environment)
        if not self.env.get("PKR_VAR_skip_create_ami"):
            self.env["PKR_VAR_skip_create_ami"] = "true"
        if not self.env.get("PKR_VAR_run_id"):
            self.env["PKR_VAR_run_id"] = new_run_id(self.environment)
        set_git_values(self.env, self.arguments.folder)
        self.selection = Selection.of(self.arguments)
        self._chosen: list[str] = []  # options that the build adds to those of the caller
        self._process: subprocess.Popen[str] | None = None
        self._given_up = False
        self._interrupted: dict[str, str] = {}
        self._stopped = ""
        self._there_before: frozenset[str] = frozenset()
        self._release = Release("")
        self._unfinished: list[str] = []

    # -- What is asked for

    @property
    def only_local(self) -> bool:
        """Whether no build on EC2 is selected: then nothing of AWS is touched."""
        names = self.values.builds or (*EC2_BUILDS, LOCAL_BUILD)
        selected = self.selection.of_builds(names)
        return all(
            self.values.kinds.get(name, name.partition(".")[0]) in LOCAL_KINDS for name in selected
        )

    @property
    def kind(self) -> Kind:
        """What is built."""
        if self.only_local:
            return "local"
        return "image" if self.is_image_requested else "test"

    @property
    def is_image_requested(self) -> bool:
        """Whether the caller asks for an image, with skip_create_ami=false."""
        return self.wish == "false" and not self.values.is_true("var.skip_create_ami")

    @property
    def options(self) -> list[str]:
        """The options of `packer build`."""
        given = [f"-{name}={value}" if value or name in WITH_VALUE else f"-{name}"
                 for name, value in self.arguments.options]  # fmt: skip
        given += self._chosen
        return given if self.arguments.all("only") else [f"-only={DEFAULT_ONLY}", *given]

    @property
    def run_id(self) -> str:
        """Value of the tag RunId."""
        return (
            self.values.text("var.run_id")
            or self.values.table("local.run_tags").get("RunId", "")
            or self.env["PKR_VAR_run_id"]
        )

    @property
    def interactive(self) -> bool:
        """Whether Packer wants to talk with the person; then its output is not read."""
        options = dict(self.arguments.options)
        return "debug" in options or options.get("on-error") == "ask"

    @property
    def keeps_leftovers(self) -> bool:
        """Whether the person asked for what a failed build leaves, to look at it."""
        return self.arguments.last("on-error") == "abort" or self.interactive

    def scope(self) -> Scope | None:
        """Tell what a sweep may delete; None when the HCL does not tag what it makes as ours does."""  # noqa: E501
        tags = self.values.table("local.run_tags")
        if tags.get("ManagedBy") != MANAGED_BY or not tags.get("Repository"):
            return None
        if not self.values.regions:
            return None
        regions = tuple(self.values.regions)
        return Scope(tags["Repository"], regions, self.run_id, True, self._there_before)

    # -- The run

    def __call__(self) -> BuildReport:
        """Build, sweep, and write the report."""
        folder = self.arguments.folder
        if excluded := exclude_results(folder):
            names = ", ".join(excluded)
            self.say(f".gitignore does not name what builds write; .git/info/exclude does: {names}")
        with contextlib.suppress(FileNotFoundError):
            (folder / build_report.FILE).unlink()
            for packages in folder.glob("packages-*.txt"):
                packages.unlink()
        outcome = Outcome()
        inspected: list[Inspec] = []
        packer_seconds = 0.0
        failure: ToolkitError | None = None
        with self.signals.handled(), self.held, tempfile.TemporaryDirectory() as reports:
            self.env[INSPEC_REPORTS] = reports
            code = 0
            try:
                packer = self._prepare()
                self.signals.check()
                since = time.monotonic()
                with watched(self._deadline(), warn, self._stop):
                    code = self._packer(packer, since)
                packer_seconds = time.monotonic() - since
                if code == 0 and self.kind == "image":
                    code = self._verify_images()
            except ToolkitError as error:
                failure, code = error, error.code
            if code < 0:
                code = 128 - code
            if failure is None:
                code = (self.signals.exit_code or code) if code else 0
                if (code or self.output.trouble) and not self.only_local:
                    outcome = self._sweep(failed=code != 0)
                is_retained = self.keeps_leftovers or self._are_images_complete()
                if code and self.kind == "image" and not is_retained:
                    _forget_manifest(folder, self.started)
            inspected = inspec_report.read_reports(Path(reports), self.mask.everything)
        report = self._report(code, packer_seconds, outcome, inspected, failure)
        build_report.write(report, folder)
        if failure is not None:
            raise failure
        return report

    def _prepare(self) -> str:
        packer = shutil.which("packer", path=self.env.get("PATH"))
        if not packer:
            raise SetupError("packer is not on PATH: build in the toolkit image, or install Packer")
        folder = self.arguments.words[:1] or ("",)
        template = list(folder) if folder[0] else ["."]
        asking: list[BaseException] = []

        def ask_who() -> None:
            try:
                self.who = aws.identity(aws.session(), self.values.text("var.region"))
                self._note_what_is_there()
            except BaseException as error:  # noqa: BLE001,RUF100 - raised again below
                asking.append(error)

        self._inspect(packer)
        if "local.roles" in self.values.raw:
            require_content(self.arguments.folder)
        asker = threading.Thread(target=ask_who, daemon=True)
        if not self.only_local:
            asker.start()
        init = subprocess.run(
            [packer, "init", *template],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            check=False,
        )
        if init.returncode:
            self.show(self.mask.secrets(init.stdout))
            raise SetupError(
                "packer init failed, see above: its plugins are neither here nor to be had"
            )
        self._install_requirements()
        if not self.only_local:
            while asker.is_alive() and not self.signals.received:
                asker.join(0.1)
            self.signals.check()
            if asking:
                raise asking[0]
            role = self.values.text("var.assume_role_arn")
            if self.who:
                assumes = f"; Packer assumes {role}" if role else ""
                self.say(f"{self.who.line()}{assumes}")
            if self.kind == "image":
                require_shareable_keys(self.values, build_release.make_clients(self._session))
                self._read_release()
            # A refusal for want of a source AMI comes before anything is deleted.
            self._choose_source_amis()
            if self.kind == "image":
                self._prepare_release()
                self.signals.check()
        what = {"local": "local build", "test": "test build, no image", "image": "image"}
        self.say(f"Run {self.run_id}: {what[self.kind]}")
        return packer

    def _install_requirements(self) -> None:
        """Install what requirements.yml names once for all builds, and keep it until they end."""
        if not self.values.is_true("var.install_requirements"):
            return
        options = Options(refresh=True, check_signals=self.signals.check, report=self.say)
        root = self.arguments.folder.absolute()
        self.held.enter_context(hold_requirements(root, options))
        self.env["PKR_VAR_install_requirements"] = "false"

    def _inspect(self, packer: str) -> None:
        """Read the values of the HCL, and make sure that no image is made without a request.

        Raises:
            SetupError: When no build is selected, or one would make an image without a request.
        """
        if len(self.arguments.words) > 1:
            raise SetupError(
                f"{len(self.arguments.words)} templates are given; packer build takes one folder "
                "or file, after all options"
            )
        try:
            self.values = self._ask_for_values(packer)
        except InspectError as error:
            require_content(self.arguments.folder)
            if not (self.is_image_requested or self.only_local):
                self.show(self.mask.secrets(error.output))
                raise
            # `packer build` is about to show the whole reason.
            self.say(self.mask.secrets(str(error)))
            return
        selected = self.selection.of_builds(self.values.builds)
        if not selected:
            there = ", ".join(sorted(self.values.builds)) or "none"
            raise SetupError(
                f"-only={','.join(self.selection.only)} and -except="
                f"{','.join(self.selection.without)} select no build; there are: {there}"
            )
        template = Path((*self.arguments.words, ".")[0])
        require_session_manager(self.values, selected, template, self.env)
        if self.kind == "image" and self.scope() is not None:
            self._require_manifest(selected)
        if not self.is_image_requested:
            require_request(self.values, self.selection, template)

    def _require_manifest(self, selected: Sequence[str]) -> None:
        """Make sure that manifest.json will name each image, which is verified by it afterwards.

        Raises:
            SetupError: When a selected build on EC2 has no post-processor manifest.
        """
        for name in selected:
            parts = [
                part
                for part in self.values.post_processors.get(name, ())
                if part.partition(".")[0] == "manifest"
            ]
            if self.values.kinds[name] in LOCAL_KINDS or any(
                not self.selection.leaves_out(part.partition(".")[2] or part) for part in parts
            ):
                continue
            if parts:
                without = ",".join(self.selection.without)
                raise SetupError(
                    f"-except={without}: it leaves out the post-processor {parts[0]}, which lists "
                    f"the image of {name} for its verification; use -except=BUILD with names of "
                    "builds only"
                )
            raise SetupError(
                f"{name}: its image cannot be verified, because its build block has no "
                'post-processor manifest; add post-processor "manifest" as in build.pkr.hcl of '
                "the template"
            )

    def _ask_for_values(self, packer: str) -> Values:
        name = f"var.{VARIABLE}"
        try:
            values = inspect(packer, self.arguments, self.env)
        except InspectError:
            # Packer refuses a value of a variable that is not declared; the request counts for us.
            plain = self.arguments.without_variable(VARIABLE)
            if plain == self.arguments:
                raise
            values = inspect(packer, plain, self.env)
            if name in values.raw:
                raise
            self.arguments = plain
        wish = "false" if self.wish == "false" else "true"
        if name in values.raw and values.text(name) != wish:
            # A file such as image.auto.pkrvars.hcl comes before the environment.
            self.say(
                f"{VARIABLE} is {wish} for this build, whatever the files of the repository set"
            )
            options = (*self.arguments.options, ("var", f"{VARIABLE}={wish}"))
            self.arguments = replace(self.arguments, options=options)
            values = inspect(packer, self.arguments, self.env)
            values = replace(values, raw={**values.raw, name: wish})
        return values

    def _note_what_is_there(self) -> None:
        """Remember finished images of this run id: one that was given may name two builds.

        Raises:
            RemoteError: When nobody can be asked: a sweep could take away what is in use.
        """
        given = self.environment.get("PKR_VAR_run_id") or self.run_id != self.env["PKR_VAR_run_id"]
        scope = self.scope()
        if not given or scope is None:
            return
        role = self.values.text("var.assume_role_arn")
        base = aws.session(role, "packer-toolkit", scope.regions[0])
        try:
            self._there_before = Sweep(base, scope).image_ids()
        except Exception as error:
            reason = " ".join(str(error).split())
            raise RemoteError(
                f"cannot look for images of the run {self.run_id}: {reason}"
            ) from None

    @cached_property
    def _session(self) -> Any:
        role, name = self.values.text("var.assume_role_arn"), self.values.text("var.image_name")
        return aws.session(role, f"build-{name}", self.values.text("var.region"))

    def _choose_source_amis(self) -> None:
        """Make Packer take another source AMI where the newest match must not be taken.

        Only the owner of an image sees the tags that show it.
        """
        role = self.values.text("var.assume_role_arn")
        account = role.split(":")[4] if role.count(":") > 4 else self.who and self.who.account
        if not {"self", account} & set(self.values.texts("var.source_ami_owners")):
            return
        client = build_release.make_clients(self._session)(self.values.text("var.region"))
        built = self._release.missing or build_release.select_architectures(
            self.values, self.arguments
        )
        choices = source_amis.find_source_amis(client, self.values, built or None)
        self._chosen += source_amis.make_arguments(choices, self.values)
        for line in source_amis.describe_rejected(choices):
            self.say(line)

    def _read_release(self) -> None:
        """Find out which images of a given version are missing."""
        if self.values.text("var.version") and self.scope() is not None:
            self._release = build_release.read_missing(self._session, self.values, self.arguments)

    def _prepare_release(self) -> None:
        """Delete what blocks the names of the images of a given version."""
        scope = self.scope()
        if not self.values.text("var.version") or scope is None:
            return

        def should_stop() -> bool:
            return bool(self.signals.received)

        release = self._release
        build_release.delete_unfinished(
            self._session, self.values, release, should_stop=should_stop, show=self.say
        )
        if release.finished:
            finished, missing = ", ".join(release.finished), ", ".join(release.missing)
            self.say(
                f"Version {release.version} is finished for {finished}: only {missing} is built"
            )
        build_release.sweep_earlier_attempts(
            self._session, scope, self.environment, should_stop=should_stop, show=self.say
        )
        if release.finished:
            self._chosen.append(f"-var=architectures={json.dumps(release.missing)}")

    def _verify_images(self) -> int:
        """Return 0 when the images are finished, and 1 otherwise, whatever Packer thinks."""
        if self.scope() is None:
            return 0
        folder = self.arguments.folder
        selected = build_release.select_architectures(self.values, self.arguments)
        self._unfinished = build_release.verify_images(
            build_release.make_clients(self._session),
            self.values,
            _manifest(folder, self.started),
            len(self._release.missing or selected),
            lambda: bool(self.signals.received),
        )
        for problem in self._unfinished:
            self.say(f"UNFINISHED: {problem}")
        if self._unfinished:
            return 1
        if self._release.finished:
            file = folder / "manifest.json"
            added = build_release.complete_manifest(file, self.values, self._release)
            self.say(f"manifest.json also names the finished images for {', '.join(added)}")
        return 0

    def _packer(self, packer: str, since: float) -> int:
        if not sys.stdout.isatty() and not self.env.get("GITHUB_ACTIONS"):
            self.env.setdefault("PACKER_NO_COLOR", "1")
        command = [packer, "build", *self.options, *(self.arguments.words or ["."])]
        if self.interactive:
            return self._packer_with_person(command)
        # In a session of its own: a terminal's Ctrl-C is for us, who hand on one signal.  Packer
        # takes a second one as an order to leave everything behind.
        self._process = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        process = self._process
        self.signals.on_signal = self._hand_on
        if self.signals.received:
            self._hand_on(len(self.signals.received))

        def read() -> None:
            mask = self.mask.follow()
            is_job = self.environment.get("GITHUB_ACTIONS") == "true"
            for line in process.stdout or ():
                masked = mask(line)
                elapsed = time.monotonic() - since
                name, text = self.output.read(line, elapsed, masked)
                if reason := self.sessions.read(name, text, elapsed):
                    self._stop_sessions(self.mask.secrets(reason))
                elif self.sessions.is_repetition(text):
                    continue
                self.show(escape_commands(masked) if is_job else masked)
                if self.output.helpless and not self._given_up:
                    # It would try each call for minutes, all of them for a quarter of an hour.
                    self._given_up = True
                    self.say("Packer's credentials have ended, it cannot clean up: it is ended")
                    _signal_group(process, signal.SIGKILL)

        def read_log() -> None:
            """Pass on what PACKER_LOG adds, which repeats the output."""
            mask = self.mask.follow()
            for line in process.stderr or ():
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(mask(line))

        readers = [threading.Thread(target=each, daemon=True) for each in (read, read_log)]
        for reader in readers:
            reader.start()
        code = process.wait()
        _join(readers, 5)  # children that outlive Packer may hold the pipes
        _signal_group(process, signal.SIGKILL)
        _join(readers, 5)
        for pipe, reader in zip((process.stdout, process.stderr), readers, strict=True):
            if pipe and not reader.is_alive():
                pipe.close()
        self.signals.on_signal = lambda _: None
        return 1 if self._given_up else code

    def _deadline(self) -> Deadline | None:
        """Tell by when the build has to be over; None when it does not matter, or nobody knows."""
        if self.only_local:
            return None
        expires_at = describe_account(self.who)["expires_at"] if self.who else None
        return deadline(self.environment, expires_at, time.monotonic() - self.began)

    def _stop(self, line: str) -> None:
        """End the build as a signal from outside does, and remember why."""
        self._stopped = line
        warn(line)
        os.kill(os.getpid(), signal.SIGTERM)

    def _stop_sessions(self, reason: str) -> None:
        """Let Packer clean up, instead of starting sessions until ssh_timeout has passed."""
        self._stopped = f"{reason}; the build is stopped"
        self.say(self._stopped)
        if self._process:
            _signal_leader(self._process, signal.SIGTERM)

    def _packer_with_person(self, command: list[str]) -> int:
        process = subprocess.Popen(command, env=self.env)
        # The terminal has given it Ctrl-C already; other signals are handed on.
        self.signals.on_signal = lambda _: (
            None if self.signals.received[-1] == signal.SIGINT else process.terminate()
        )
        code = process.wait()
        self.signals.on_signal = lambda _: None
        return code

    def _hand_on(self, count: int) -> None:
        if self._process is None:
            return
        name = signal.Signals(self.signals.received[-1]).name
        if count == 1:
            self._interrupted = self.output.running()
            self.say(f"{name}: Packer cleans up; once more, and it is not waited for")
            _signal_leader(self._process, signal.SIGTERM)
        else:
            self.say(f"{name}, the second: Packer is ended, what can be deleted at once is")
            _signal_group(self._process, signal.SIGKILL)

    # -- Afterwards

    def _sweep(self, *, failed: bool) -> Outcome:
        scope = self.scope()
        if scope is None:
            self.say("No sweep: the HCL has no run_tags by which to know what this build made")
            return Outcome()
        is_complete = self._are_images_complete()
        if not failed or is_complete:
            scope = replace(scope, finished=False)
        if failed and is_complete:
            for each in self._made("image"):
                self.say(
                    f"Kept: image {each['id']} in {each['region']} is finished, and no build on "
                    "EC2 failed; delete it with: " + advice(replace(scope, finished=True))
                )
        if self.keeps_leftovers:
            self.say(f"What remains was asked for; delete it with: {advice(scope)}")
            return Outcome()
        role = self.values.text("var.assume_role_arn")
        outcome = self._sweep_as(role, scope)
        if role and outcome.left and not outcome.swept:
            # Perhaps the role cannot be assumed any more, and the base credentials may do it.
            second = self._sweep_as("", scope)
            if not second.left:
                outcome = second
        if outcome.credentials_ended:
            known = {(each["kind"], each["id"]) for each in outcome.left}
            outcome.left += [
                each for each in self._made() if (each["kind"], each["id"]) not in known
            ]
        for each in outcome.left:
            self.say(f"LEFT: {each['kind']} {each['id']} in {each['region']}: {each['reason']}")
        if outcome.left or outcome.credentials_ended:
            ended = outcome.credentials_ended
            why = "The credentials have ended. With new ones" if ended else "Not all is gone. Later"
            self.say(f"{why}, run: {advice(scope, role)}")
        elif outcome.swept:
            self.say(f"Swept {len(outcome.swept)} things that Packer had left; nothing remains")
        else:
            self.say("Nothing remains of this build")
        return outcome

    def _sweep_as(self, role: str, scope: Scope) -> Outcome:
        on_its_way = any(each.is_creating for each in self.output.builds.values())
        settle = _SETTLE_SECONDS if self.signals.received and on_its_way else 0.0
        try:
            base = aws.session(
                role, f"sweep-{self.values.text('var.image_name')}", scope.regions[0]
            )
            return Sweep(
                base,
                scope,
                seconds=_LONGEST_SWEEP_SECONDS,
                hurry=lambda: self.signals.hurry,
                say=self.say,
            ).run(settle_seconds=settle)
        except Exception as error:
            reason = " ".join(str(error).split())
            left: list[Left] = [
                {"kind": "region", "id": each, "region": each, "reason": reason}
                for each in scope.regions
            ]
            return Outcome(left=left)

    def _are_images_complete(self) -> bool:
        """Return whether all selected builds that make images finished, and a local one failed.

        A release is all architectures or none, so that the images of a build that failed on EC2 go
        together with those of its siblings.
        """
        states: dict[bool, list[bool]] = {True: [], False: []}
        for name in self.selection.of_builds(self.values.builds):
            if name.removeprefix("amazon-ebs.") in self._release.finished:
                continue  # an earlier build finished it, and Packer did not build it again
            build = self.output.builds.get(name)
            is_finished = build is not None and build.ok and name not in self._interrupted
            states[self.values.kinds[name] in LOCAL_KINDS].append(is_finished)
        return not all(states[True]) and bool(states[False]) and all(states[False])

    def _made(self, *kinds: str) -> Iterator[Left]:
        """List what Packer said that it made, for when nobody can be asked."""
        region = self.values.text("var.region")
        for build in self.output.builds.values():
            for kind, name in build.made:
                if kinds and kind not in kinds:
                    continue
                reason = "made by this build, and cannot be looked for"
                yield {"kind": kind, "id": name, "region": region, "reason": reason}

    def _report(
        self,
        code: int,
        packer_seconds: float,
        outcome: Outcome,
        inspected: list[Inspec],
        failure: ToolkitError | None,
    ) -> BuildReport:
        folder = self.arguments.folder
        values = self.values
        builds = self.output.report(packer_seconds)
        has_images = (code == 0 or self._are_images_complete()) and self.kind != "test"
        made = _manifest(folder, self.started) if has_images else []
        for build in builds:
            architecture = build["name"].rpartition(".")[2]
            build["instance_type"] = values.table("var.instance_types").get(architecture)
            if build["failed_step"]:
                build["failed_step"] = self.mask.everything(build["failed_step"])
            if code and build["name"] in self._interrupted:
                # Packer says that it "finished".
                build["ok"] = False
                build["failed_step"] = build["failed_step"] or self._interrupted[build["name"]]
            if self._unfinished and build["name"].startswith("amazon-ebs."):
                build["ok"] = False
                build["failed_step"] = build["failed_step"] or "verification of the image"
            for entry in made:
                # The entry's own name is that of the source block, the same for all architectures.
                name = entry.get("custom_data", {}).get("architecture") or entry["name"]
                if f"{entry['builder_type']}.{name}" == build["name"]:
                    build["images"] += _images(entry)
        if not self.only_local and failure is None and not outcome.credentials_ended:
            self._look_up(builds)
        lines = [str(failure)] if failure else self.output.last_lines()
        if self._stopped:
            lines.append(self._stopped)
        lines += self._unfinished
        facts = made[0].get("custom_data", {}) if made else {}
        return {
            "schema": build_report.SCHEMA,
            "image_name": values.text("var.image_name"),
            "version": facts.get("version") or values.text("local.version"),
            "commit": values.table("local.image_tags").get("Commit", ""),
            "template_version": values.table("local.image_tags").get("TemplateVersion", ""),
            "toolkit_version": self.env.get("PACKER_TOOLKIT_VERSION") or version("packer-toolkit"),
            "kind": self.kind,
            "started_at": self.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": round(time.monotonic() - self.began, 1),
            "exit_code": code,
            "run_id": self.run_id,
            "account": describe_account(self.who) if self.who else None,
            "builds": builds,
            "inspec": inspected,
            "last_lines": self.mask.lines(lines, self.output.builds),
            "swept": outcome.swept,
            "left": [
                {**each, "reason": self.mask.everything(each["reason"])} for each in outcome.left
            ],
        }

    def _look_up(self, builds: list[build_report.Build]) -> None:
        """Ask for the names of parents and the sizes of images; without an answer they stay open."""  # noqa: E501
        wanted: dict[str, set[str]] = {}
        home = self.values.text("var.region")
        for build in builds:
            if build["parent"]:
                wanted.setdefault(home, set()).add(build["parent"]["id"])
            for image in build["images"]:
                wanted.setdefault(image["region"], set()).add(image["id"])
        described: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(Exception):
            session = aws.session(self.values.text("var.assume_role_arn"), region=home)
            for region, ids in wanted.items():
                client = session.client("ec2", region_name=region, config=aws.config())
                for image in client.describe_images(ImageIds=sorted(ids))["Images"]:
                    described[image["ImageId"]] = image
        for build in builds:
            if build["parent"] and build["parent"]["id"] in described:
                name = str(described[build["parent"]["id"]].get("Name", ""))
                build["parent"] = Parent(id=build["parent"]["id"], name=name)
            for each in build["images"]:
                mappings = described.get(each["id"], {}).get("BlockDeviceMappings", [])
                sizes = [mapping["Ebs"].get("VolumeSize", 0) for mapping in mappings
                         if "Ebs" in mapping]  # fmt: skip
                each["size_gib"] = sum(sizes) if sizes else None


def new_run_id(environment: Mapping[str, str]) -> str:
    """Name a build: the workflow's run and attempt when there is one, and something of its own.

    The last part tells two builds of one run apart: a sweep after one must not touch the other.
    """
    run, attempt = environment.get("GITHUB_RUN_ID"), environment.get("GITHUB_RUN_ATTEMPT", "1")
    own = secrets.token_hex(4)
    return f"{run}-{attempt}-{own}" if run else f"local-{own}"


def _manifest(folder: Path, since: datetime) -> list[dict[str, Any]]:
    """Return the entries of the last run in manifest.json, when it was written since then."""
    try:
        file = folder / "manifest.json"
        if file.stat().st_mtime < since.timestamp() - 1:
            return []
        data = json.loads(file.read_text())
        return [e for e in data["builds"] if e["packer_run_uuid"] == data["last_run_uuid"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _forget_manifest(folder: Path, since: datetime) -> None:
    """Delete the manifest that a failed build wrote: the images that it names are deleted."""
    if _manifest(folder, since):
        (folder / "manifest.json").unlink()


def _images(entry: dict[str, Any]) -> list[build_report.Image]:
    """List the images of an entry of the manifest, such as eu-west-1:ami-1,us-east-1:ami-2."""
    pairs = (pair.partition(":") for pair in str(entry.get("artifact_id", "")).split(","))
    return [{"region": region, "id": name, "size_gib": None}
            for region, _, name in pairs if name.startswith("ami-")]  # fmt: skip


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _signal_leader(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _signal_group(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def verdict(report: BuildReport) -> ToolkitError | None:
    """Put a failed build into one line; None for a good one."""
    code = report["exit_code"]
    if code == 0:
        return None
    failed = [
        f"{build['name']} in {build['failed_step']}" if build["failed_step"] else build["name"]
        for build in report["builds"]
        if not build["ok"]
    ]
    if code > 128:
        error = EndedError(f"the build was ended by {signal.Signals(code - 128).name}")
        error.code = code
        return error
    where = f": {', '.join(failed)}" if failed else ""
    error_ = CommandFailedError(f"the build failed{where}; see above, and {build_report.FILE}")
    error_.code = code
    return error_
