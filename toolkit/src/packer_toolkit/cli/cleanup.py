"""`packer-toolkit sweep`."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from typing import TypedDict

import click

from packer_toolkit.aws import session as aws
from packer_toolkit.aws.partitions import describe_refusal
from packer_toolkit.aws.role import ARN
from packer_toolkit.build.cleanup.find import CredentialsEndedError, Scope, Sweep
from packer_toolkit.build.report import Left, Thing
from packer_toolkit.build.values import Values, inspect, read_arguments
from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError


class Result(TypedDict):
    """What --json prints, together with the counts."""

    repository: str
    regions: list[str]
    run_id: str
    dry_run: bool
    found: list[Thing]
    swept: list[Thing]
    left: list[Left]
    kept: list[Left]


def check_regions(
    ctx: click.Context, option: click.Parameter, regions: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse what cannot be a region."""
    del ctx, option
    for each in regions:
        if not re.fullmatch(r"[a-z]+(-[a-z]+)+-\d+", each):
            raise click.BadParameter(f"{each!r} is no region, such as eu-west-1")
        if reason := describe_refusal(each):
            raise click.BadParameter(f"{each}: {reason}")
    return regions


def check_role(ctx: click.Context, option: click.Parameter, role: str) -> str:
    """Refuse what cannot be a role."""
    del ctx, option
    if role and not ARN.fullmatch(role):
        raise click.BadParameter(f"{role!r} is no ARN of a role: arn:aws:iam::ACCOUNT:role/NAME")
    if reason := describe_refusal(role):
        raise click.BadParameter(f"{role}: {reason}")
    return role


@click.command()
@click.option("--run-id", default="", help="Only what this build made: the tag RunId.")
@click.option("--repository", default="", help="The tag Repository.  [default: from the HCL here]")
@click.option(
    "--region",
    "regions",
    multiple=True,
    callback=check_regions,
    help="Where to look; may be repeated.  [default: region and copy_regions of the HCL here]",
)
@click.option(
    "--assume-role",
    default="",
    callback=check_role,
    help="ARN of the role to look and delete as.  [default: HCL's]",
)
@click.option(
    "--finished-images",
    is_flag=True,
    help="With --run-id: its finished images too.  Otherwise they are kept.",
)
@click.option(
    "--at-most",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Delete nothing if more is found.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the result for a program.")
def command(
    run_id: str,
    repository: str,
    regions: tuple[str, ...],
    assume_role: str,
    finished_images: bool,
    at_most: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete what killed builds of this repository left in the account.

    Goes by the exact tags Repository and ManagedBy=packer.  Without --run-id everything goes whose
    time, the tag ExpiresAt, is past; builds that may be running and finished images stay.
    On a terminal it asks before it deletes; elsewhere it needs --yes.

    Exit code: 0 when nothing is left, 1 when something could not be deleted, 2 for a wrong command
    line, 3 without credentials or HCL, 4 when AWS refused or is out of reach.
    """
    if finished_images and not run_id:
        raise click.UsageError("--finished-images needs --run-id")
    if not (dry_run or yes or sys.stdin.isatty()):
        raise click.UsageError("give --yes to delete, or --dry-run to look")
    values = Values()
    if not (repository and regions):
        values = _values()
    repository = repository or values.table("local.run_tags").get("Repository", "")
    regions = regions or tuple(values.regions)
    if not (repository and regions):
        raise SetupError("the HCL here has no run_tags or region: give --repository and --region")
    role = assume_role or values.text("var.assume_role_arn")
    base = aws.session(role, "packer-toolkit-sweep", regions[0])
    who = aws.identity(base, regions[0])

    def say(line: str) -> None:
        click.echo(line, err=as_json)

    say(f"{who.line()}; {', '.join(regions)}; {repository}")
    sweep = Sweep(base, Scope(repository, regions, run_id, finished_images), say=say)
    try:
        found = sweep.find()
    except CredentialsEndedError as error:
        raise RemoteError(f"{error}: get new ones, and repeat") from None
    except Exception as error:
        raise RemoteError(f"cannot look: {' '.join(str(error).split())}") from None
    going = [each for each in found if not each.kept]
    kept = [each for each in found if each.kept]
    for each in kept:
        say(f"kept    {each.kind} {each.id} in {each.region}: {each.kept}")
    word = "would delete" if dry_run else "found  "
    for each in going:
        extra = f" with {', '.join(each.snapshots)}" if each.snapshots else ""
        say(f"{word} {each.kind} {each.id}{extra} in {each.region}")
    if len(going) > at_most and not dry_run:
        raise CommandFailedError(
            f"{len(going)} things would be deleted, more than {at_most}: look at them with"
            f" --dry-run, then repeat with --at-most {len(going)}"
        )
    result: Result = {
        "repository": repository,
        "regions": list(regions),
        "run_id": run_id,
        "dry_run": dry_run,
        "found": [each.thing for each in going],
        "swept": [],
        "left": [],
        "kept": [{**each.thing, "reason": each.kept} for each in kept],
    }
    if dry_run or not going:
        _end(result, as_json, say)
        return
    if not yes and not click.confirm(f"Delete these {len(going)}?", err=True):
        raise click.Abort
    outcome = sweep.run()
    result["swept"] = outcome.swept
    result["left"] = outcome.left
    for left in outcome.left:
        say(f"LEFT    {left['kind']} {left['id']} in {left['region']}: {left['reason']}")
    _end(result, as_json, say)
    if outcome.left:
        raise CommandFailedError(
            f"{len(outcome.left)} could not be deleted, see above: repeat later"
        )


def _values() -> Values:
    packer = shutil.which("packer")
    if not packer:
        raise SetupError(
            "packer, which reads the HCL, is not on PATH: give --repository and --region"
        )
    return inspect(packer, read_arguments(()), os.environ)


def _end(result: Result, as_json: bool, say: Callable[[str], None]) -> None:
    """Print the counts, and the result for a program."""
    kinds = Counter(thing["kind"] for thing in result["swept"])
    detail = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    counts = {
        "found": len(result["found"]),
        "swept": len(result["swept"]),
        "left": len(result["left"]),
        "kept": len(result["kept"]),
    }
    say(
        f"{counts['found']} to delete, {counts['swept']} deleted"
        + (f" ({detail})" if detail else "")
        + f", {counts['left']} left, {counts['kept']} kept"
    )
    if as_json:
        click.echo(json.dumps({**result, "counts": counts}, indent=2))
