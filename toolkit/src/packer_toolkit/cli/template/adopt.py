"""`packer-toolkit template adopt`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packer_toolkit.cli.options import (
    collect_answers,
    data_options,
    dry_run_option,
    json_option,
    renamed_option,
)
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.text.paths import show_path

if TYPE_CHECKING:
    from packer_toolkit.adopt.adoption import Adoption

_STATES = {
    "missing": "missing",
    "same": "same as in the template",
    "different": "different; yours is kept",
    "in the way": "blocked by a path of yours, which is kept",
    "ignored": "missing, and ignored by git",
}


@click.command()
@click.argument(
    "folder",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--template",
    metavar="URL",
    help="URL of the template.  [default: the one that this command was installed from, as with "
    "uvx]",
)
@renamed_option(
    "--vcs-ref",
    "release",
    former=("--release",),
    metavar="VERSION",
    help="Template release that updates start from.  [default: the one most similar to this "
    "repository]",
)
@click.option(
    "--packer",
    "chosen",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the Packer files.  [default: the one nearest to FOLDER]",
)
@data_options
@click.option(
    "--answers-file",
    "-a",
    metavar="FILE",
    help="Answers file to add.  [default: .copier-answers.yml, or "
    ".copier-answers.packer-ami.yml beside the one of another template]",
)
@click.option(
    "--defaults",
    is_flag=True,
    help="Ask no questions; use the default of each question without a detected answer.",
)
@click.option(
    "--accept",
    multiple=True,
    metavar="PATTERN",
    help="Missing files of the template to add: all, none, a path, a folder, or a pattern such as "
    "'inspec/*'; may be repeated.  [default: ask on a terminal, otherwise none]",
)
@click.option(
    "--diff",
    "show_differences",
    is_flag=True,
    help="Also show how your files differ from those of the template.",
)
@dry_run_option
@json_option
def command(
    folder: Path,
    template: str | None,
    release: str | None,
    chosen: Path | None,
    data: tuple[str, ...],
    data_file: Path | None,
    answers_file: str | None,
    defaults: bool,
    accept: tuple[str, ...],
    show_differences: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Connect an existing repository to the template so that it receives updates.

    Detects answers to the template's questions in the Packer files (HCL and JSON), the workflows
    and the git remote of FOLDER (default: this folder), asks for the others, and adds
    .copier-answers.yml, which updates need; --data overrides a detected answer.  Of the template's
    files, only those that you accept are added; your files are not changed.  Nothing is committed.

    All changes must be committed first, except for --dry-run, which asks no questions.

    Exit code 0: connected.  3: the repository cannot be connected; nothing was written.  4: the
    template cannot be read.
    """
    from packer_toolkit.adopt.prepare import AdoptionRequest, find_own_template, prepare_adoption

    source = template or find_own_template()
    if not source:
        raise click.UsageError(
            "give --template URL: this command was not installed from a template"
        )
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    ask = terminal and not (defaults or dry_run or as_json)
    request = AdoptionRequest(
        folder.resolve(),
        source,
        release=release,
        packer_folder=chosen.resolve() if chosen else None,
        data=collect_answers(data, data_file),
        ask=ask,
        write=not dry_run,
        # A user at a terminal is asked, or will be after a dry run.
        allow_defaults=defaults or ask or (dry_run and terminal),
        answers_file=answers_file,
        report=lambda line: click.echo(line, err=True),
    )
    with prepare_adoption(request) as adoption:
        if not as_json:
            _print_adoption(adoption)
        accepted = adoption.match_missing(accept or ["none"])
        if ask and not accept:
            accepted = _ask_files(adoption)
        diff = adoption.diff_added(accepted)
        if show_differences:
            diff = adoption.diff_different() + diff
        if not as_json:
            click.echo(f"\nThis {'would be' if dry_run or ask else 'is'} added:\n")
            click.echo(diff.encode("utf-8", "surrogateescape"), nl=False)
            sys.stdout.flush()
        if ask and not _ask_confirmation(len(accepted) + 1):
            click.echo("Nothing was written.", err=True)
            return 0
        written = [] if dry_run else adoption.write(accepted)
        if as_json:
            click.echo(json.dumps(_make_json(adoption, accepted, written, diff, dry_run), indent=2))
        elif written:
            _print_next_steps(adoption, folder, len(written))
    return 0


def _print_adoption(adoption: Adoption) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # For a file or another program: one line each, whatever its length.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    click.echo(f"Baseline: {adoption.release} of {remove_secrets(adoption.source)}")
    if adoption.found.folder:
        click.echo(f"Packer files: {adoption.found.folder}")
    table = Table(box=box.SIMPLE, pad_edge=False, title="Answers", title_justify="left")
    for column in ("Question", "Answer", "From"):
        table.add_column(column, overflow="fold")
    for name, answer in adoption.answers.items():
        value = ", ".join(answer.value) if isinstance(answer.value, list) else str(answer.value)
        origin = f"found: {answer.place}" if answer.place else answer.origin
        table.add_row(_make_text(name), _make_text(value), _make_text(origin))
    console.print(table)
    for question, reason in adoption.refused.items():
        click.echo(f"No answer to {question} was taken: {show_path(reason)}", err=True)
    for note in adoption.found.notes:
        click.echo(f"Note: {show_path(note)}", err=True)
    files = Table(box=box.SIMPLE, pad_edge=False, title="Files", title_justify="left")
    for column in ("File of the template", "In this repository"):
        files.add_column(column, overflow="fold")
    for path, state in adoption.files.items():
        files.add_row(_make_text(path), _STATES[state])
    console.print(files)


def _make_text(text: str) -> Any:
    from rich.text import Text

    return Text(show_path(text))


def _ask_files(adoption: Adoption) -> list[str]:
    """Ask which of the missing files to add; none is selected beforehand."""
    import questionary

    missing = adoption.list_missing()
    if not missing:
        return []
    question = questionary.checkbox(
        "Which files of the template do you want to add? Later updates do not add the others.",
        choices=missing,
        instruction="(space selects, a selects all, Enter confirms)",
    )
    return list(question.unsafe_ask())


def _ask_confirmation(count: int) -> bool:
    import questionary

    files = "this file" if count == 1 else f"these {count} files"
    return bool(questionary.confirm(f"Add {files}?", default=True).unsafe_ask())


def _print_next_steps(adoption: Adoption, folder: Path, count: int) -> None:
    """Print how to commit the added files, and which command to run next."""
    from packer_toolkit.adopt.adoption import describe_commit, find_runner

    files = "1 file" if count == 1 else f"{count} files"
    commit = describe_commit(adoption.folder, folder, adoption.release)
    click.echo(f"Added {files}. Commit: {commit}", err=True)
    place = "" if adoption.folder == Path.cwd() else f", in {shlex.quote(str(folder))}"
    runner = find_runner(adoption.folder, adoption.source, adoption.release)
    # The names of 1.x: the release that was adopted, and its toolkit, may be one of 1.x.
    click.echo(
        f"Then{place}: {runner} template-check (or template-diff, template-update)", err=True
    )


def _make_json(
    adoption: Adoption, accepted: Sequence[str], written: Sequence[str], diff: str, dry_run: bool
) -> dict[str, Any]:
    return {
        "template": remove_secrets(adoption.source),
        "release": adoption.release,
        "packer": adoption.found.folder,
        "answers": {
            name: {
                "value": answer.value,
                "from": answer.origin,
                "place": str(answer.place) if answer.place else None,
            }
            for name, answer in adoption.answers.items()
        },
        "refused": adoption.refused,
        "notes": adoption.found.notes,
        "files": adoption.files,
        "accepted": list(accepted),
        "written": list(written),
        "dry_run": dry_run,
        "diff": diff,
    }
