"""Collect the outcome of a build, as issues and commit statuses show it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packer_toolkit.build.masking import Mask
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.text.lines import join_lines

_MOST_LINES = 40
_LONGEST_LINE = 400


@dataclass(frozen=True)
class FailedStep:
    """A step that failed, and the build or job that it belongs to."""

    build: str
    step: str


@dataclass(frozen=True)
class RunContext:
    """What the workflow run knows about a build, whether the build wrote a report or not.

    Attributes:
        kind: daily, release or test.
        image_name: Name of the image.
        version: Version of the image; only that of a release identifies an image.
        run_url: URL of the run.
        commit: SHA of the built commit.
        failed_steps: Failed steps.
        lines: The last lines of the output that explain the failure.
        rejected_subject: Subject of the run's OIDC token, when AWS rejected it.
    """

    kind: str
    image_name: str = ""
    version: str = ""
    run_url: str = ""
    commit: str = ""
    failed_steps: Sequence[FailedStep] = ()
    lines: Sequence[str] = ()
    rejected_subject: str = ""


@dataclass(frozen=True)
class BuildOutcome(RunContext):
    """The outcome of one build, without secrets and account IDs.

    Attributes:
        base_images: ID and name of the base image, by architecture.
        leftovers: Resources that could not be deleted.
        inspec: Results of the controls, as in the build report; empty when none ran.
    """

    base_images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    leftovers: Sequence[str] = ()
    inspec: Sequence[Mapping[str, Any]] = ()


def mask_last_lines(report: Mapping[str, Any], mask: Mask, log: Sequence[str] = ()) -> list[str]:
    """Return the last lines of a build's output, without secrets and account IDs.

    They are masked together before any is cut, because a private key is known by its first line.

    Args:
        report: The build report; its own mask did not know the secrets of this job.
        mask: Knows the secrets of this job.
        log: Lines of the job's log, for a build without a report.
    """
    text = "\n".join(map(str, report.get("last_lines") or log))
    names = {str(build.get("name")) for build in report.get("builds", [])}
    return mask.lines(text.splitlines(), names)


def collect_outcome(artifacts: BuildArtifacts, run: RunContext) -> BuildOutcome:
    """Collect the outcome of a build from its artifacts and its run.

    Args:
        artifacts: The artifacts of the build, which may have no report.
        run: What the run knows; the report takes precedence, except for the version.
    """
    report = artifacts.report
    # The build masked its report, but nothing masked the rest.
    mask = Mask(os.environ)

    def clean(value: Any) -> str:
        return mask.everything(join_lines(str(value or "")))[:_LONGEST_LINE]

    builds = report.get("builds", [])
    lines = [line[:_LONGEST_LINE].rstrip() for line in mask_last_lines(report, mask, run.lines)]
    return BuildOutcome(
        kind=run.kind,
        image_name=clean(report.get("image_name") or run.image_name) or "this image",
        version=clean(run.version or report.get("version")),
        run_url=run.run_url,
        commit=clean(report.get("commit") or run.commit),
        failed_steps=[
            FailedStep(clean(build.get("name")), clean(build.get("failed_step") or "unknown"))
            for build in builds
            if not build.get("ok")
        ]
        or [FailedStep(clean(failed.build), clean(failed.step)) for failed in run.failed_steps],
        lines=lines[-_MOST_LINES:],
        base_images={
            str(build.get("name", "")).rpartition(".")[2]: {
                "id": clean(build["parent"].get("id")),
                "name": clean(build["parent"].get("name")),
            }
            for build in builds
            if build.get("parent")
        },
        leftovers=[
            clean(f"{resource.get('kind')} {resource.get('id')} in {resource.get('region')}")
            for resource in report.get("left", [])
        ],
        inspec=[_clean_strings(result, clean) for result in report.get("inspec", [])],
        rejected_subject=run.rejected_subject,
    )


def _clean_strings(value: Any, clean: Callable[[Any], str]) -> Any:
    """Return a JSON value with each of its strings cleaned."""
    if isinstance(value, dict):
        return {name: _clean_strings(each, clean) for name, each in value.items()}
    if isinstance(value, list):
        return [_clean_strings(each, clean) for each in value]
    return clean(value) if isinstance(value, str) else value
