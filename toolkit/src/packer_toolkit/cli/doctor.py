"""`packer-toolkit doctor`."""

from __future__ import annotations

import click

from packer_toolkit.cli.options import json_option, print_json
from packer_toolkit.environment.doctor import run_doctor
from packer_toolkit.errors import SetupError

_STYLES = {"ok": ("ok", "green"), "missing": ("MISSING", "red"), "skipped": ("-", "bright_black")}


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Check that this machine can build, and explain how to fix what is missing.

    Checks the repository and its settings, git, Task, Docker or Podman, the toolkit image and its
    registry, the role, the region and the login to AWS.  With a GitHub token in GITHUB_TOKEN, it
    also prints the OIDC subject that the workflows send, and, if iam:GetRole is allowed, compares
    it with the trust policies of their roles.  It changes nothing.

    Exit code 0: this machine can build.  3: something is missing.

    \b
    Examples:
      packer-toolkit doctor
      packer-toolkit doctor --json | jq -r '.checks[] | select(.state == "missing") | .fix'
    """
    checks = run_doctor()
    missing = [check.name for check in checks if check.state == "missing"]
    if as_json:
        print_json({"ok": not missing, "checks": checks})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            word, color = _STYLES[check.state]
            mark = click.style(f"{word:7}", fg=color)
            click.echo(f"{mark}  {check.name:{width}}  {check.found}")
            if check.fix:
                for line in check.fix.splitlines():
                    click.echo(f"{'':{width + 11}}{line}".rstrip())
    if missing:
        raise SetupError(
            f"this machine cannot build, missing: {', '.join(missing)}; apply the fixes above"
        )
