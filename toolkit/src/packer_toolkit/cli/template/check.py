"""`packer-toolkit template check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from packer_toolkit.cli.options import answers_file_option, json_option
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.template.changelog import read_news
from packer_toolkit.template.source import describe_up_to_date, find_newest_release


@click.command()
@answers_file_option
@json_option
def command(answers_file: str | None, as_json: bool) -> int:
    """Check whether the template has a newer release.

    Prints the changelog of the releases since the recorded one.

    Exit code 0: this repository has the latest release.  1: a newer one exists.  3: this
    repository does not record its template.  4: the template cannot be read.
    """
    from packer_toolkit.template.journal import find_project

    project = find_project(Path.cwd(), answers_file)
    release = find_newest_release(project.source, project.answers_file)
    present = project.version
    newer = release.version > present
    news = read_news(project.source, present, release) if newer else ""
    if as_json:
        result = {
            "template": remove_secrets(project.source),
            "release": project.release,
            "newest": release.tag,
            "newer": newer,
            "changelog": news,
        }
        click.echo(json.dumps(result, indent=2))
        return int(newer)
    if not newer:
        click.echo(describe_up_to_date(project.release))
        return 0
    click.echo(
        f"The template has a newer release: {release.tag}; this repository is at {project.release}."
    )
    click.echo(f"\n{news}\n" if news else "Its changelog has no entry for it.")
    sys.stdout.flush()
    click.echo(
        "Show what it would change: task template-diff.  Update: task template-update.", err=True
    )
    return 1
