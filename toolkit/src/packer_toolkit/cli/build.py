"""`packer-toolkit build`."""

from __future__ import annotations

import json
import os
import sys

import click

from packer_toolkit.build.host import Host
from packer_toolkit.build.result import make_error
from packer_toolkit.build.run import Run
from packer_toolkit.cli.options import json_option


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],  # Click would read -h out of -machine-readable
    },
)
@json_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PACKER ARGUMENTS]")
def command(as_json: bool, arguments: tuple[str, ...]) -> None:
    """Build the image with Packer, and clean up after it.

    Accepts the arguments of `packer build`.  By default, it builds on EC2 (-only=amazon-ebs.*);
    -except excludes sources from that.  The build only tests, unless you request an image as in the
    example; a build that would create an image without this request does not start.

    \b
    Example, which creates an image:
      packer-toolkit build -var skip_create_ami=false -var version=1.2.3

    Such a build first deletes unfinished images that a killed build of the same version left
    behind, and builds only the architectures without a finished image.  Then it verifies each
    image: if one is unfinished, the build fails, and everything that it created is deleted.

    Writes build-report.json beside manifest.json: the phases and their durations, the images, the
    InSpec controls and the relevant log lines, without secrets and account IDs.

    Exit code: Packer's; 3 or 4 if nothing was started; 128 + N after signal N.  After the first
    SIGINT or SIGTERM, Packer cleans up, and leftover resources are deleted.  After a second one,
    Packer is killed, resources that can be deleted immediately are deleted, and the others are
    listed.
    """
    stream = sys.stderr if as_json else sys.stdout

    def show(line: str) -> None:
        try:
            stream.write(line)
            stream.flush()
        except OSError:
            # The reader, such as `head`, has closed the pipe, or the terminal was closed.  The
            # build continues, so that it finishes or is cleaned up.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    def echo(line: str) -> None:
        show(f"packer-toolkit: {line}\n")

    report = Run(arguments, Host(show, echo)).run()
    if as_json:
        click.echo(json.dumps(report, indent=2))
    if error := make_error(report):
        raise error
