"""What the issue and the statuses say about a build, taken from its records."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packer_toolkit.build.masking import Mask
from packer_toolkit.pipeline.artifacts import Records

_MOST_LINES = 40
_LONGEST_LINE = 400


@dataclass(frozen=True)
class FailedStep:
    """A step that failed, and the build or job that it belongs to."""

    build: str
    step: str


@dataclass(frozen=True)
class Facts:
    """One run, as others are told about it; nothing in it is secret.

    Attributes:
        kind: daily, release or test.
        name: of the image.
        version: of the image; only a release has one that means something.
        run_url: the run, as a link.
        commit: that was built.
        failed: what failed.
        lines: the last lines that matter.
        parents: architecture -> id and name of the parent image.
        left: what could not be cleaned up.
        inspec: Results of the controls, as in the build report; empty when none were run.
        subject: of the run's OIDC token, when AWS has rejected it.
    """

    kind: str
    name: str
    version: str = ""
    run_url: str = ""
    commit: str = ""
    failed: Sequence[FailedStep] = ()
    lines: Sequence[str] = ()
    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left: Sequence[str] = ()
    inspec: Sequence[Mapping[str, Any]] = ()
    subject: str = ""


def published_lines(report: Mapping[str, Any], mask: Mask, log: Sequence[str] = ()) -> list[str]:
    """Return the last lines of a build that matter, without secrets and account IDs.

    They are masked together before any is cut, because a private key is known by its first line.

    Args:
        report: The build report; its own mask did not know the secrets of this job.
        mask: Knows these.
        log: Lines of the workflow's log, for a build without a report.
    """
    text = "\n".join(map(str, report.get("last_lines") or log))
    builds = report.get("builds") or []
    names = {str(build.get("name")) for build in builds if isinstance(build, dict)}
    return mask.lines(text.splitlines(), names)


def facts(
    records: Records,
    *,
    kind: str,
    name: str = "",
    version: str = "",
    run_url: str = "",
    commit: str = "",
    failed: Sequence[FailedStep] = (),
    log: Sequence[str] = (),
    subject: str = "",
) -> Facts:
    """Take the facts of a run from its records, without secrets and account numbers.

    Args:
        records: of the build, as far as there are any.
        kind: daily, release or test.
        name: of the image, where the records do not say it.
        version: likewise.
        run_url: the run, as a link.
        commit: likewise.
        failed: steps of the workflow that failed, for a build without a report.
        log: lines of the workflow's log, likewise.
        subject: of the run's OIDC token, when AWS has rejected it.
    """
    report = records.report
    # The build has masked its report already; what comes from elsewhere has not been.
    mask = Mask(os.environ)

    def clean(value: Any) -> str:
        return mask.everything(" ".join(str(value or "").split()))[:_LONGEST_LINE]

    builds = [build for build in report.get("builds") or [] if isinstance(build, dict)]
    own = [
        FailedStep(clean(build.get("name")), clean(build.get("failed_step") or "not known"))
        for build in builds
        if not build.get("ok")
    ]
    lines = [line[:_LONGEST_LINE].rstrip() for line in published_lines(report, mask, log)]
    return Facts(
        kind=kind,
        name=clean(report.get("image_name") or name) or "this image",
        version=clean(version or report.get("version")),
        run_url=run_url,
        commit=clean(report.get("commit") or commit),
        failed=own or [FailedStep(clean(one.build), clean(one.step)) for one in failed],
        lines=lines[-_MOST_LINES:],
        parents={
            str(build.get("name", "")).rpartition(".")[2]: {
                "id": clean(build["parent"].get("id")),
                "name": clean(build["parent"].get("name")),
            }
            for build in builds
            if isinstance(build.get("parent"), dict)
        },
        left=[
            clean(f"{thing.get('kind')} {thing.get('id')} in {thing.get('region')}")
            for thing in report.get("left") or []
            if isinstance(thing, dict)
        ],
        inspec=[
            _clean(result, clean)
            for result in report.get("inspec") or []
            if isinstance(result, dict)
        ],
        subject=subject,
    )


def _clean(value: Any, clean: Callable[[Any], str]) -> Any:
    """Return a value of JSON with each of its strings cleaned."""
    if isinstance(value, dict):
        return {name: _clean(each, clean) for name, each in value.items()}
    if isinstance(value, list):
        return [_clean(each, clean) for each in value]
    return clean(value) if isinstance(value, str) else value
