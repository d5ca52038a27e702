"""Runs one `packer-toolkit build`: prepare, run Packer, verify, clean up, report."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packer_toolkit.aws.session import make_clients
from packer_toolkit.build import report as build_report
from packer_toolkit.build.cleanup.after_build import BuildCleanup
from packer_toolkit.build.deadline import enforce_deadline, find_deadline
from packer_toolkit.build.host import Host
from packer_toolkit.build.inspec import read_reports
from packer_toolkit.build.manifest import (
    FILE,
    add_entries,
    delete_manifest,
    read_entries,
    reconstruct_entry,
    verify_images,
)
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.packer_process import PackerProcess
from packer_toolkit.build.preparation import Preparation
from packer_toolkit.build.report import BuildReport, describe_account
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.result import (
    BuildResult,
    add_image_details,
    has_complete_images,
    make_report,
)
from packer_toolkit.errors import ToolkitError
from packer_toolkit.github.actions import warn
from packer_toolkit.repository.git_excludes import exclude_results
from packer_toolkit.signals import ReceivedSignals

# inspec.sh writes the auditor's report of each build into this folder.
INSPEC_REPORTS = "PACKER_TOOLKIT_INSPEC_REPORTS"


@dataclass
class Run:
    """One `packer-toolkit build`.

    Args:
        words: Arguments for `packer build`.
        host: The machine of the build.
        environment: Environment of the build.
    """

    words: Sequence[str]
    host: Host
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def __post_init__(self) -> None:
        self._began = self.host.clock.monotonic()
        self.request = BuildRequest.read(self.words, self.environment)
        self.signals = ReceivedSignals()
        self.mask = Mask(self.environment)
        self.preparation = Preparation(self.request, self.host, self.signals, self.mask)
        self.process = PackerProcess(self.request, self.host, self.signals, self.mask)
        self.result = BuildResult(self.host.clock.time())

    def run(self) -> BuildReport:
        """Build, delete leftovers, and write the report.

        Raises:
            ToolkitError: If the build could not start, or its images could not be verified.
        """
        result, folder = self.result, self.request.arguments.folder
        if excluded := exclude_results(folder):
            self.host.echo(
                f"{', '.join(excluded)}: added to .git/info/exclude, because .gitignore does not "
                "exclude what builds write"
            )
        for file in (folder / build_report.FILE, *folder.glob("packages-*.txt")):
            file.unlink(missing_ok=True)
        with (
            self.signals.record(),
            self.preparation.held,
            tempfile.TemporaryDirectory() as reports,
        ):
            self.request.env[INSPEC_REPORTS] = reports
            try:
                result.code = self._build()
            except ToolkitError as error:
                result.failure, result.code = error, error.code
            result.identity = self.preparation.identity
            result.stop_reason = self.process.stop_reason
            if result.failure is None:
                self._clean_up(folder)
            result.inspec = read_reports(Path(reports), self.mask.everything)
        report = self._report(folder)
        build_report.write_report(report, folder)
        if result.failure is not None:
            raise result.failure
        return report

    def _build(self) -> int:
        """Prepare the build, run Packer, and verify the images; return the exit code."""
        packer = self.preparation.prepare()
        self.signals.check()
        since = self.host.clock.monotonic()
        deadline = None
        if not self.request.is_local:
            identity = self.preparation.identity
            expires_at = describe_account(identity)["expires_at"] if identity else None
            deadline = find_deadline(self.environment, expires_at, since - self._began)
        with enforce_deadline(deadline, warn, self._stop):
            code = self.process.run(packer)
        self.result.packer_seconds = self.host.clock.monotonic() - since
        if code == 0 and self.request.build_type == "image":
            code = self._verify()
        code = 128 - code if code < 0 else code
        return (self.signals.exit_code or code) if code else 0

    def _stop(self, reason: str) -> None:
        warn(reason)
        self.process.stop(reason)

    def _verify(self) -> int:
        """Return 0 if the images are finished, and 1 otherwise, whatever Packer returned."""
        request, preparation = self.request, self.preparation
        if request.make_scope() is None:
            return 0
        folder, state = request.arguments.folder, preparation.state
        problems = verify_images(
            preparation.clients,
            request.values,
            read_entries(folder, self.result.started),
            len(state.missing or request.architectures),
            lambda: self.signals.has_any,
            self.host.clock,
        )
        for problem in problems:
            self.host.echo(f"Verification failed: {problem}")
        self.result.unfinished = problems
        if state.finished and not problems:
            entries = [
                reconstruct_entry(request.values, state.version, images)
                for images in state.finished.values()
            ]
            add_entries(folder / FILE, entries)
            self.host.echo(f"{FILE} also names the finished images for {', '.join(state.finished)}")
        return 1 if problems else 0

    def _has_complete_images(self) -> bool:
        finished_before = list(self.preparation.state.finished)
        return has_complete_images(self.request, self.process.output, finished_before)

    def _clean_up(self, folder: Path) -> None:
        """Delete the leftovers of the build, and the manifest of deleted images."""
        output, code = self.process.output, self.result.code
        is_complete = self._has_complete_images()
        if (code or output.has_failed_cleanup) and not self.request.is_local:
            cleanup = BuildCleanup(self.request, output, self.signals, self.host)
            self.result.deletion = cleanup.run(
                has_failed=code != 0, has_complete_images=is_complete
            )
        is_retained = self.request.keeps_leftovers or is_complete
        if code and self.request.build_type == "image" and not is_retained:
            delete_manifest(folder, self.result.started)

    def _report(self, folder: Path) -> BuildReport:
        """Make the report; AWS adds names and sizes of images."""
        request, result = self.request, self.result
        has_images = result.code == 0 or self._has_complete_images()
        if has_images and request.build_type != "test":
            result.entries = read_entries(folder, self.result.started)
        result.seconds = self.host.clock.monotonic() - self._began
        report = make_report(request, self.process.output, result, self.mask)
        is_expired = result.deletion.has_expired_credentials
        if not request.is_local and result.failure is None and not is_expired:
            with contextlib.suppress(Exception):
                session = self.host.connect(request.role, "packer-toolkit", request.region)
                add_image_details(report["builds"], make_clients(session), request.region)
        return report
