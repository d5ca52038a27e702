"""`packer-toolkit ssm-files`."""

from __future__ import annotations

import click

from packer_toolkit.aws.session import open_session
from packer_toolkit.cli.options import json_option, print_json
from packer_toolkit.repository import ssm_files
from packer_toolkit.repository.settings import read_settings, require_repository


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--with-secrets", is_flag=True, help="Include SecureStrings, in files of mode 0600.")
@click.option("--force", is_flag=True, help="Overwrite files that this command did not write.")
@click.option("--region", metavar="CODE", help="Region of the parameters.  [default: AWS_REGION]")
@json_option
def command(
    names: tuple[str, ...], with_secrets: bool, force: bool, region: str | None, as_json: bool
) -> None:
    """Write SSM parameters to files, for older Packer files.

    NAME is a parameter, or a path that ends in / and includes every parameter below it.  The
    default is LEGACY_SSM_PARAMETERS of toolkit.env, a list separated by spaces or commas.

    The value of /packer/vpc_id is written to legacy-deps/packer/vpc_id, without a newline at its
    end.  If a *.pkr.hcl file declares a variable vpc_id that no other *.auto.pkrvars file sets, the
    value is also in legacy-deps.auto.pkrvars.json.  Git ignores these files.

    Exit code 0: all files were written.  1: a parameter does not exist; nothing was written.  4:
    AWS cannot be reached or refused the request; nothing was written.

    \b
    Examples:
      packer-toolkit ssm-files
      packer-toolkit ssm-files /packer/network/ /packer/token --with-secrets
    """
    root = require_repository()
    values = read_settings()
    requested = list(names) or ssm_files.split_names(values.get(ssm_files.SETTING, ""))
    session = open_session(region or values.get("AWS_REGION"))
    parameters, skipped = ssm_files.fetch_parameters(session, requested, with_secrets)
    plan = ssm_files.plan_files(root, parameters, skipped)
    ssm_files.write_files(root, plan, force)
    for name in skipped:
        click.echo(f"skipped secret {name} (include it with --with-secrets)", err=True)
    if as_json:
        print_json(_make_json(plan))
        return
    click.echo(f"{len(parameters)} files in {ssm_files.FOLDER}/")
    click.echo(f"{len(plan.variables)} variables in {ssm_files.VARIABLES}")
    for name, reason in plan.without_variable.items():
        click.echo(f"{name}: written as a file only ({reason})", err=True)


def _make_json(plan: ssm_files.FilePlan) -> dict[str, object]:
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
