"""`packer-toolkit legacy-deps`."""

from __future__ import annotations

import json

import click

from packer_toolkit.aws.session import open_session
from packer_toolkit.repository import settings
from packer_toolkit.repository import ssm_files as legacy_deps


@click.command
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--with-secrets", is_flag=True, help="Also SecureStrings, into files of mode 0600.")
@click.option("--force", is_flag=True, help="Overwrite files that this command has not written.")
@click.option("--region", help="Region of the parameters; by default AWS_REGION.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
def command(
    names: tuple[str, ...], with_secrets: bool, force: bool, region: str | None, as_json: bool
) -> None:
    """Write SSM parameters into files, for older Packer files.

    NAMEs of parameters, or of paths that end in / and stand for everything below them; by default
    LEGACY_SSM_PARAMETERS of toolkit.env, separated by blanks or commas.

    /packer/vpc_id becomes the file legacy-deps/packer/vpc_id, its value without a line's end.  If
    a *.pkr.hcl declares a variable vpc_id that no other *.auto.pkrvars file sets, the value is in
    legacy-deps.auto.pkrvars.json too.  Git ignores all of it.  Either everything is written or
    nothing: a parameter that does not exist is an error (exit code 1), a refused call too (4).

    \b
    Examples:
      packer-toolkit legacy-deps
      packer-toolkit legacy-deps /packer/network/ /packer/token --with-secrets
    """
    root = settings.require_repository()
    values = settings.settings()
    asked = list(names) or legacy_deps.wanted(values.get(legacy_deps.SETTING, ""))
    session = open_session(region or values.get("AWS_REGION"))
    parameters, skipped = legacy_deps.fetch(session, asked, with_secrets)
    planned = legacy_deps.plan(root, parameters, skipped)
    legacy_deps.write(root, planned, force)
    for name in skipped:
        click.echo(f"{name} is a secret: left out, --with-secrets takes it along", err=True)
    if as_json:
        click.echo(json.dumps(_report(planned), indent=2))
        return
    click.echo(f"{len(parameters)} files in {legacy_deps.FOLDER}/")
    click.echo(f"{len(planned.variables)} variables in {legacy_deps.VARIABLES}")
    for name, reason in planned.without_variable.items():
        click.echo(f"{name}: only a file: {reason}", err=True)


def _report(planned: legacy_deps.Plan) -> dict[str, object]:
    variables = {name: variable for variable, name in planned.sources.items()}
    return {
        "parameters": [
            {
                "name": each.name,
                "file": each.file,
                "variable": variables.get(each.name),
                "secret": each.secret,
            }
            for each in planned.parameters
        ],
        "skipped": list(planned.skipped),
        "without_variable": planned.without_variable,
    }
