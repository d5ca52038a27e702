"""`packer-toolkit legacy-deps`."""

from __future__ import annotations

import json

import click

from packer_toolkit.aws import identity
from packer_toolkit.repository import ssm_files
from packer_toolkit.repository.settings import read_settings, require_repository


@click.command
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--with-secrets", is_flag=True, help="Write SecureStrings too (file mode 0600).")
@click.option("--force", is_flag=True, help="Overwrite files that this command has not written.")
@click.option("--region", help="Region of the parameters; by default AWS_REGION.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
def command(
    names: tuple[str, ...], with_secrets: bool, force: bool, region: str | None, as_json: bool
) -> None:
    """Write SSM parameters into files, for older Packer files.

    NAMEs of parameters, or of paths that end in /, for everything below them; by default
    LEGACY_SSM_PARAMETERS of toolkit.env, separated by spaces or commas.

    /packer/vpc_id becomes the file legacy-deps/packer/vpc_id, its value without a line break.  If
    a *.pkr.hcl declares a variable vpc_id that no other *.auto.pkrvars file sets, the value is also
    in legacy-deps.auto.pkrvars.json.  Git ignores all of these files.  Either all files are written
    or none: a missing parameter is an error (exit code 1), and so is a refused call (4).

    \b
    Examples:
      packer-toolkit legacy-deps
      packer-toolkit legacy-deps /packer/network/ /packer/token --with-secrets
    """
    root = require_repository()
    values = read_settings()
    requested = list(names) or ssm_files.split_names(values.get(ssm_files.SETTING, ""))
    session = identity.session(region or values.get("AWS_REGION"))
    parameters, skipped = ssm_files.fetch_parameters(session, requested, with_secrets)
    plan = ssm_files.plan_files(root, parameters, skipped)
    ssm_files.write_files(root, plan, force)
    for name in skipped:
        click.echo(f"skipped secret {name} (include it with --with-secrets)", err=True)
    if as_json:
        click.echo(json.dumps(_report(plan), indent=2))
        return
    click.echo(f"{len(parameters)} files in {ssm_files.FOLDER}/")
    click.echo(f"{len(plan.variables)} variables in {ssm_files.VARIABLES}")
    for name, reason in plan.without_variable.items():
        click.echo(f"{name}: written as a file only ({reason})", err=True)


def _report(plan: ssm_files.FilePlan) -> dict[str, object]:
    variables = {name: variable for variable, name in plan.sources.items()}
    return {
        "parameters": [
            {
                "name": each.name,
                "file": each.file,
                "variable": variables.get(each.name),
                "secret": each.is_secret,
            }
            for each in plan.parameters
        ],
        "skipped": list(plan.skipped),
        "without_variable": plan.without_variable,
    }
