"""`packer-toolkit doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from packer_toolkit.environment.doctor import run_doctor
from packer_toolkit.errors import SetupError

_STYLES = {"ok": ("ok", "green"), "missing": ("MISSING", "red"), "skipped": ("-", "bright_black")}


@click.command
@click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
def command(as_json: bool) -> None:
    """Tell what is missing here to build, and how to get it.

    Looks at the repository and its settings, git, Task, Docker or Podman, the toolkit's image and
    the registry that it comes from, the role, the region and the login to AWS.  With a token of
    GitHub it also prints the OIDC subject that the workflows send, and compares the trust policies
    of their roles with it where iam:GetRole is allowed.  It changes nothing.
    Something is missing: exit code 3.

    \b
    Examples:
      packer-toolkit doctor
      packer-toolkit doctor --json | jq -r '.checks[] | select(.state == "missing") | .fix'
    """
    checks = run_doctor()
    missing = [check.name for check in checks if check.state == "missing"]
    if as_json:
        entries = [asdict(check) for check in checks]
        click.echo(json.dumps({"ok": not missing, "checks": entries}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            word, colour = _STYLES[check.state]
            mark = click.style(f"{word:7}", fg=colour)
            click.echo(f"{mark}  {check.name:{width}}  {check.found}")
            if check.fix:
                for line in check.fix.splitlines():
                    click.echo(f"{'':{width + 11}}{line}".rstrip())
    if missing:
        raise SetupError(f"cannot build here, missing: {', '.join(missing)} (see the fixes above)")
