"""Write the text of the issue about failed builds, and of the comments on it."""

from __future__ import annotations

from collections.abc import Mapping

from packer_toolkit.build.inspec import write_results
from packer_toolkit.github.oidc import Subject
from packer_toolkit.pipeline.advice import suggest_fixes
from packer_toolkit.pipeline.issue_state import IssueState, LastSuccess
from packer_toolkit.pipeline.outcome import BuildOutcome
from packer_toolkit.text.markdown import format_code, format_code_block, format_table

_FOOT = (
    "---\n`packer-toolkit pipeline issue` manages this issue: further failures are added as "
    "comments, and the next successful build closes it."
)


def write_title(outcome: BuildOutcome) -> str:
    """Return the title of a new issue."""
    return f"The {outcome.kind} build of {outcome.image_name} fails"


def write_description(outcome: BuildOutcome, last_success: LastSuccess) -> str:
    """Return the text of a new issue.

    Args:
        outcome: The failed build.
        last_success: The last successful build.
    """
    return f"{_describe_build(outcome)}\n\n{_describe_failure(outcome, last_success)}\n\n{_FOOT}\n"


def write_comment(outcome: BuildOutcome, last_success: LastSuccess, failures: int) -> str:
    """Return the comment on a further failure.

    Args:
        outcome: The failed build.
        last_success: See `write_description`.
        failures: How many runs have failed in a row.
    """
    heading = f"{_describe_build(outcome)} {failures} runs in a row have failed."
    return f"{heading}\n\n{_describe_failure(outcome, last_success)}\n"


def write_closing_comment(outcome: BuildOutcome, state: IssueState) -> str:
    """Return the comment that closes the issue.

    Args:
        outcome: The successful build.
        state: The state of the issue.
    """
    image = format_code(outcome.image_name)
    parts = [f"The {outcome.kind} build of {image} passes again{_link_run(outcome)}."]
    if outcome.base_images:
        images = [f"{name} {_show_image(id_)}" for name, id_ in sorted(outcome.base_images.items())]
        parts.append(f"Base image: {', '.join(images)}.")
    if state.kind == "release" and outcome.kind != "release":
        release = format_code(state.version)
        parts.append(f"The release {release} is still not built: start its run again.")
    return "\n\n".join(parts) + "\n"


def _describe_build(outcome: BuildOutcome) -> str:
    is_release = outcome.kind == "release" and outcome.version
    version = f" {format_code(outcome.version)}" if is_release else ""
    image = format_code(outcome.image_name)
    return f"The {outcome.kind} build of {image}{version} failed{_link_run(outcome)}."


def _link_run(outcome: BuildOutcome) -> str:
    return f": [run]({outcome.run_url})" if outcome.run_url else ""


def _describe_failure(outcome: BuildOutcome, last_success: LastSuccess) -> str:
    """Return what the issue and its comments have in common."""
    steps = [(format_code(failed.build), format_code(failed.step))
             for failed in outcome.failed_steps]  # fmt: skip
    success = (
        f"Last successful build: [run]({last_success.url}) of commit "
        f"{format_code(last_success.commit)}."
    )
    parts = [
        format_table(("Build", "Failed step"), steps)
        if steps
        else "The log of the run shows what failed.",
        *_compare_base_images(outcome, last_success),
        success if last_success.url else "No successful build is recorded yet.",
    ]
    if outcome.lines:
        parts += ["### Last lines of the output", format_code_block(outcome.lines)]
    if outcome.inspec:
        parts += ["### InSpec", *write_results(outcome.inspec)]
    fixes = suggest_fixes(outcome.lines, " ".join(failed.step for failed in outcome.failed_steps))
    parts += ["### What to try", "\n".join(f"- {text}" for text in fixes)]
    if outcome.rejected_subject:
        parts.append(_explain_rejected_subject(outcome))
    if outcome.leftovers:
        leftovers = "\n".join(f"- {format_code(resource)}" for resource in outcome.leftovers)
        parts += ["### Leftover resources", leftovers, "Delete them: `packer-toolkit cleanup`."]
    return "\n\n".join(parts)


def _compare_base_images(outcome: BuildOutcome, last_success: LastSuccess) -> list[str]:
    now, before = outcome.base_images, last_success.parents
    rows = [
        (format_code(name), _show_image(now.get(name)), _show_image(before.get(name)))
        for name in sorted({*now, *before})
    ]
    head = ("Architecture", "Base image now", "At the last successful build")
    parts = [format_table(head, rows)] if rows else []
    if any(now[name]["id"] != before[name].get("id") for name in {*now} & {*before}):
        parts.append("The base image has changed since the last successful build.")
    return parts


def _show_image(image: Mapping[str, str] | None) -> str:
    values = [format_code(image[key]) for key in ("id", "name") if image.get(key)] if image else []
    return " ".join(values) or "unknown"


def _explain_rejected_subject(outcome: BuildOutcome) -> str:
    """Return what the trust policy of the role must accept."""
    subject = outcome.rejected_subject
    prefix = ":".join(subject.split(":")[:2])
    ending = ":*"
    if outcome.kind == "release" and f"{prefix}:ref:refs/tags/" in subject:
        ending = ":ref:refs/tags/" + ("v*" if ":ref:refs/tags/v" in subject else "*")
    patterns = [accepted + ending for accepted in Subject(prefix).prefixes]
    return (
        "### Rejected OIDC subject\n\n"
        f"This run sent the subject\n\n{format_code_block([subject])}\n\n"
        "The trust policy of the role must accept it. These values of the condition on `sub` "
        f"accept it, and no other repository:\n\n{format_code_block(patterns)}"
    )
