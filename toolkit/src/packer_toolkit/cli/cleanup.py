"""`packer-toolkit cleanup`."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from packer_toolkit.aws.partitions import describe_refusal
from packer_toolkit.aws.role import ARN
from packer_toolkit.cli.options import dry_run_option, json_option, renamed_option, yes_option
from packer_toolkit.errors import CommandFailedError
from packer_toolkit.text.lines import format_count

if TYPE_CHECKING:
    from packer_toolkit.build.cleanup.request import Leftovers


def validate_regions(
    ctx: click.Context, option: click.Parameter, regions: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the regions; raise an error for a string that cannot be a region."""
    del ctx, option
    for region in regions:
        if not re.fullmatch(r"[a-z]+(-[a-z]+)+-\d+", region):
            raise click.BadParameter(f"{region!r} must be a region, such as eu-west-1")
        if reason := describe_refusal(region):
            raise click.BadParameter(f"{region}: {reason}")
    return regions


def validate_role(ctx: click.Context, option: click.Parameter, role: str) -> str:
    """Return the role; raise an error for a string that cannot be the ARN of a role."""
    del ctx, option
    if role and not ARN.fullmatch(role):
        raise click.BadParameter(
            f"{role!r} must be the ARN of a role, such as arn:aws:iam::ACCOUNT:role/NAME"
        )
    if reason := describe_refusal(role):
        raise click.BadParameter(f"{role}: {reason}")
    return role


@click.command()
@click.option(
    "--run-id",
    default="",
    metavar="ID",
    help="Delete the resources of this build only, by its tag RunId, expired or not.  "
    "[default: expired resources of all builds]",
)
@click.option(
    "--repository",
    default="",
    metavar="NAME",
    help="Value of the tag Repository.  [default: from the HCL in this folder]",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    callback=validate_regions,
    metavar="CODE",
    help="Region to search; may be repeated.  [default: region and copy_regions of the HCL]",
)
@click.option(
    "--assume-role",
    default="",
    callback=validate_role,
    metavar="ARN",
    help="ARN of the role to assume.  [default: assume_role_arn of the HCL]",
)
@click.option(
    "--finished-images",
    is_flag=True,
    help="With --run-id, delete the finished images of the build, too.",
)
@renamed_option(
    "--max-deletions",
    former=("--at-most",),
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    metavar="NUMBER",
    help="Delete nothing if more resources than this would be deleted.",
)
@dry_run_option
@yes_option
@json_option
def command(
    run_id: str,
    repository: str,
    regions: tuple[str, ...],
    assume_role: str,
    finished_images: bool,
    max_deletions: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete AWS resources that interrupted builds left behind.

    Finds resources of this repository by their exact tags Repository and ManagedBy=packer.  Without
    --run-id, it deletes those whose tag ExpiresAt has passed; resources of builds that may be
    running, and finished images, are retained.  On a terminal it asks for confirmation; elsewhere
    --yes is required.

    Exit code 0: no resource to delete remains.  1: a resource could not be deleted, or more than
    --max-deletions would be deleted.  3: the credentials or the HCL are missing.  4: AWS cannot be
    reached or refused the request.
    """
    from packer_toolkit.build.cleanup.request import find_leftovers
    from packer_toolkit.build.cleanup.scope import Scope

    if finished_images and not run_id:
        raise click.UsageError("--finished-images needs --run-id")
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("add --yes to delete the resources, or --dry-run to list them")

    def echo(line: str) -> None:
        click.echo(line, err=as_json)

    scope = Scope(repository, regions, run_id, finished_images)
    leftovers = find_leftovers(scope, assume_role, echo)
    _print_leftovers(leftovers, dry_run, echo)
    count = len(leftovers.deletable)
    if count > max_deletions and not dry_run:
        raise CommandFailedError(
            f"{format_count(count, 'resource')} would be deleted, more than {max_deletions}; list"
            f" them with --dry-run, then repeat the command with --max-deletions {count}"
        )
    if dry_run or not count:
        _print_result(leftovers.make_result(dry_run=dry_run), as_json, echo)
        return
    if not yes and not click.confirm(f"Delete {format_count(count, 'resource')}?", err=True):
        raise click.Abort
    result = leftovers.delete()
    _print_result(result, as_json, echo)
    if result["left"]:
        raise CommandFailedError(
            f"{format_count(len(result['left']), 'resource')} could not be deleted (see above);"
            " repeat the command later"
        )


def _print_leftovers(leftovers: Leftovers, dry_run: bool, echo: Callable[[str], None]) -> None:
    for resource in leftovers.retained:
        echo(f"retained {resource.kind} {resource.id} in {resource.region}: {resource.retained}")
    word = "would delete" if dry_run else "found   "
    for resource in leftovers.deletable:
        extra = f" with {', '.join(resource.snapshots)}" if resource.snapshots else ""
        echo(f"{word} {resource.kind} {resource.id}{extra} in {resource.region}")


def _print_result(result: dict[str, Any], as_json: bool, echo: Callable[[str], None]) -> None:
    for each in result["left"]:
        echo(f"not deleted: {each['kind']} {each['id']} in {each['region']}: {each['reason']}")
    kinds = Counter(each["kind"] for each in result["swept"])
    detail = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    counts = {key: len(result[key]) for key in ("found", "swept", "left", "kept")}
    echo(
        f"{counts['found']} to delete, {counts['swept']} deleted"
        + (f" ({detail})" if detail else "")
        + f", {counts['left']} not deleted, {counts['kept']} retained"
    )
    if as_json:
        click.echo(json.dumps({**result, "counts": counts}, indent=2))
