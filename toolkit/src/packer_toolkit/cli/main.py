"""The commands, and the exit code of each error.

A command's module is imported only when the command is called, and slow libraries such as boto3 and
rich only inside its function, so that `--help` is fast.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

import click

from packer_toolkit.errors import ToolkitError
from packer_toolkit.github.runner_commands import escape_output
from packer_toolkit.signals import TerminatedBySignal, raise_on_termination

# Words of each group and command -> the sentence that `--help` lists, in the order of a first use.
# The command is `command` of the module with the same words: template.check for "template check".
COMMANDS: Mapping[str, str] = {
    "build": "Build the image with Packer, and clean up after it.",
    "cleanup": "Delete AWS resources that interrupted builds left behind.",
    "check": "Run the checks that a pull request must pass.",
    "format": "Format HCL files and shell scripts.",
    "doctor": "Check that this machine can build, and explain how to fix what is missing.",
    "versions": "Show the version of each tool in the toolkit.",
    "collection": "Create, install and update Ansible collections.",
    "ssm-files": "Write SSM parameters to files, for older Packer files.",
    "template": "Update this repository from the template, or connect it to the template.",
    "template check": "Check whether the template has a newer release.",
    "template diff": "Show what an update would change in this repository.",
    "template update": "Update this repository to the latest template release.",
    "template undo": "Undo the last update of this repository.",
    "template pr": "Open or refresh the pull request with the latest template release.",
    "template adopt": "Connect an existing repository to the template so that it receives updates.",
    "template fleet": "Show which template release each repository has.",
    "pipeline": "Plan and report the builds of a GitHub workflow.",
    "pipeline plan": "Decide what this workflow run should build, if anything.",
    "pipeline summary": "Write the build summary of a workflow run.",
    "pipeline pack": "Pack the build artifacts into a single-line job output.",
    "pipeline attach": "Attach the build artifacts to a GitHub release.",
    "pipeline issue": "Open, update or close the issue about failed builds.",
    "pipeline status": "Set the commit status that shows the result of an update's checks.",
}

# Names of 1.x -> today's. Rendered repositories of 1.x call them, so they work until the next major
# release after 2.0; `--help` does not list them (decision record 49).
FORMER_COMMANDS: Mapping[str, str] = {
    "sweep": "cleanup",
    "legacy-deps": "ssm-files",
    "plan": "pipeline plan",
    "report": "pipeline issue",
    "summary": "pipeline summary",
    "bundle": "pipeline pack",
    "attach": "pipeline attach",
    "template-check": "template check",
    "template-diff": "template diff",
    "template-update": "template update",
    "template-pr": "template pr",
    "adopt": "template adopt",
    "fleet": "template fleet",
}


def load_command(words: str) -> click.Command:
    """Import the module of a command, and return the command.

    Args:
        words: A key of COMMANDS.
    """
    if any(name.startswith(f"{words} ") for name in COMMANDS):
        return CommandGroup(words, help=COMMANDS[words])
    module = words.replace("-", "_").replace(" ", ".")
    command: click.Command = importlib.import_module(f"packer_toolkit.cli.{module}").command
    return command


class CommandGroup(click.Group):
    """A group of COMMANDS that imports a command only when it is called.

    As Click's documentation suggests: https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names that `--help` lists, in the order of COMMANDS."""
        del ctx
        return list(self._list_sentences())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by its name or former name; return None for an unknown name."""
        del ctx
        words = f"{self._prefix}{cmd_name}"
        words = FORMER_COMMANDS.get(words, words)
        return load_command(words) if words in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._list_sentences().items()))

    @property
    def _prefix(self) -> str:
        """The words of this group and a space; empty for the first level."""
        return f"{self.name} " if self.name in COMMANDS else ""

    def _list_sentences(self) -> dict[str, str]:
        """Return the sentence of each command of this group by its last word."""
        names = {words.removeprefix(self._prefix): sentence for words, sentence in COMMANDS.items()
                 if words.startswith(self._prefix)}  # fmt: skip
        return {name: sentence for name, sentence in names.items() if " " not in name}


@click.group(
    "packer-toolkit", cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="packer-toolkit")
def group() -> None:
    """Build and check AWS images in a packer-ami repository, and keep it up to date.

    COMMAND --help describes a command.  An error is one line on standard error.  Exit codes: 0
    success, 1 failure (of a build, of a check, or conflicts of an update), 2 wrong command line, 3
    something is missing or wrong on this machine or in this repository, 4 a service cannot be
    reached or refused the request.
    """


def _print_error(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be closed
        click.echo(f"packer-toolkit: {line}", err=True)


def main() -> NoReturn:
    """Run the command line, and exit with a code of `packer_toolkit.errors`."""
    with escape_output():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """Run the command line; return its exit code."""
    try:
        with raise_on_termination():
            result = group.main(prog_name="packer-toolkit", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except ToolkitError as error:
        code = error.code
        _print_error(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        code = error.exit_code
        error.show()
    except click.ClickException as error:
        code = error.exit_code
        context = getattr(error, "ctx", None)
        program = context.command_path if context else "packer-toolkit"
        reason = error.format_message().rstrip(".")
        _print_error(f"{reason}; see: {program} --help")
    except (click.Abort, KeyboardInterrupt):
        code = 128 + signal.SIGINT
        _print_error("interrupted")
    except TerminatedBySignal as error:
        code = 128 + int(error.args[0])
        _print_error("interrupted")
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("PACKER_TOOLKIT_TRACEBACK"):
            raise
        code = ToolkitError.code
        _print_error(
            f"internal error: {type(error).__name__}: {error}; please report it with the traceback "
            "that PACKER_TOOLKIT_TRACEBACK=1 prints"
        )
    return code
