"""`packer-toolkit build`."""

from __future__ import annotations

import json
import os
import sys

import click

from packer_toolkit.build.console import Console
from packer_toolkit.build.outcome import make_error
from packer_toolkit.build.run import Run


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],  # -h would be found in -machine-readable
    },
)
@click.option("--json", "as_json", is_flag=True, help="Print the report; the rest goes to stderr.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PACKER ARGUMENTS]")
def command(as_json: bool, arguments: tuple[str, ...]) -> None:
    """Build with Packer, and leave nothing behind when the build fails or is ended.

    Takes the arguments of `packer build`.  Without -only it builds on EC2 (-only=amazon-ebs.*),
    which -except narrows.  It makes an image on request only; a build that would make one without
    a request does not start.
    The image itself: packer-toolkit build -var skip_create_ami=false -var version=1.2.3

    Images of that version which a killed build left unfinished are deleted first, and only the
    architectures are built that are not finished.  Afterwards each image is verified: a build that
    leaves an unfinished one fails, and what it made is deleted.

    Writes build-report.json beside manifest.json: phases with their times, images, controls, the
    lines that matter, without secrets and account numbers.

    Exit code: Packer's; 3 or 4 when nothing was started; 128 + N when signal N ended it.  After
    the first SIGINT or SIGTERM Packer cleans up and what it leaves is swept; the second one waits
    for nothing, deletes what goes at once and says what remains.
    """
    stream = sys.stderr if as_json else sys.stdout

    def show(line: str) -> None:
        try:
            stream.write(line)
            stream.flush()
        except OSError:
            # Nobody reads any more: `head` has seen enough, or the terminal was closed.  The build
            # goes on to its good end, or is cleaned up after.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def echo(line: str) -> None:
        show(f"packer-toolkit: {line}\n")

    report = Run(arguments, Console(show, echo)).run()
    if as_json:
        click.echo(json.dumps(report, indent=2))
    if error := make_error(report):
        raise error
