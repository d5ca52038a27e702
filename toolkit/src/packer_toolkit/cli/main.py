"""The command line: which commands there are, and how each of them ends.

A command is imported when it is called, and boto3, rich and the like inside it: `--help` is asked
for more often than anything else.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import NoReturn

import click

from packer_toolkit.errors import ToolkitError
from packer_toolkit.github.runner_commands import escape_output

# Name -> what `--help` says about it, in the order a person needs them; the command is `command` of
# the module that MODULES names.
COMMANDS: Mapping[str, str] = {
    "build": "Build the image with Packer, time its phases, leave nothing behind.",
    "sweep": "Delete what killed builds left in the account.",
    "check": "Check everything that a pull request is checked for.",
    "format": "Format what can be formatted: HCL and shell.",
    "doctor": "Tell what is missing here to build, and how to get it.",
    "versions": "Show the versions of everything in the toolkit.",
    "collection": "Make, install and update Ansible collections.",
    "legacy-deps": "Write SSM parameters into files, for older Packer files.",
    "plan": "Decide what a run of the workflow has to build, and whether.",
    "report": "Open, update or close the issue about failed builds.",
    "summary": "Write the summary of a build that a person reads.",
    "bundle": "Make one line of a build's records, for a later job.",
    "attach": "Attach a build's records to its GitHub release.",
    "template-check": "Is there a newer release of the template, and what is in it?",
    "template-diff": "Show what an update would change here.",
    "template-update": "Take the template's newest release, and say how it went.",
    "template-pr": "Open or refresh the pull request with the template's newest release.",
    "adopt": "Bring a repository that was made by hand under the template.",
    "fleet": "Show which repository is at which release of the template.",
}

# Name -> module below packer_toolkit.cli.
MODULES: Mapping[str, str] = {
    "build": "build",
    "sweep": "cleanup",
    "check": "check",
    "format": "format",
    "doctor": "doctor",
    "versions": "versions",
    "collection": "collection",
    "legacy-deps": "ssm_files",
    "plan": "pipeline.plan",
    "report": "pipeline.issue",
    "summary": "pipeline.summary",
    "bundle": "pipeline.pack",
    "attach": "pipeline.attach",
    "template-check": "template.check",
    "template-diff": "template.diff",
    "template-update": "template.update",
    "template-pr": "template.pr",
    "adopt": "template.adopt",
    "fleet": "template.fleet",
}


class LazyGroup(click.Group):
    """A group that imports a command only when it is called.

    As Click's documentation suggests: https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of COMMANDS."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"packer_toolkit.cli.{MODULES[cmd_name]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="packer-toolkit")
def group() -> None:
    """Build, check and report on a packer-ami repository.

    Every command has its own --help.  Errors are one line on stderr; exit codes: 1 the answer is
    no, 2 wrong command line, 3 something is missing here, 4 a service refused or is out of reach.
    """


class _EndedBySignal(BaseException):
    """SIGTERM or SIGHUP came: as with Ctrl-C, whatever is open is left in order."""


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Take SIGTERM and SIGHUP: Python would end at once, and leave its temporary folders."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        signal.signal(number, signal.SIG_DFL)  # a second one does not wait
        raise _EndedBySignal(number)

    both = (signal.SIGTERM, signal.SIGHUP)
    # Not what `nohup` has asked to ignore.
    taken = [number for number in both if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be closed
        click.echo(f"packer-toolkit: {line}", err=True)


def main() -> NoReturn:
    """Run the command line, and end with an exit code of `packer_toolkit.errors`."""
    with escape_output():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """Run the command line; return its exit code."""
    try:
        with _signals():
            result = group.main(prog_name="packer-toolkit", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except ToolkitError as error:
        code = error.code
        _say(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        code = error.exit_code
        error.show()
    except click.ClickException as error:
        code = error.exit_code
        context = getattr(error, "ctx", None)
        program = context.command_path if context else "packer-toolkit"
        reason = error.format_message().rstrip(".")
        _say(f"{reason}; see: {program} --help")
    except (click.Abort, KeyboardInterrupt):
        code = 128 + signal.SIGINT
        _say("interrupted")
    except _EndedBySignal as ended:
        code = 128 + int(ended.args[0])
        _say("interrupted")
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("PACKER_TOOLKIT_TRACEBACK"):
            raise
        code = ToolkitError.code
        _say(
            "a defect of the toolkit, please report it: "
            f"{type(error).__name__}: {error} (PACKER_TOOLKIT_TRACEBACK=1 shows where)"
        )
    return code
