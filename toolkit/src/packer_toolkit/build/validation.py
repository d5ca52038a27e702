"""Reads the values of the HCL, and refuses a build that must not start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from packer_toolkit.build.console import Console
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.selection import LOCAL_KINDS
from packer_toolkit.build.session_manager import require_session_manager
from packer_toolkit.build.unrequested_images import VARIABLE, require_request
from packer_toolkit.build.values import InspectError, Values, inspect
from packer_toolkit.errors import SetupError
from packer_toolkit.process import Runner, run_program
from packer_toolkit.repository.missing_content import require_content


def validate_request(
    request: BuildRequest,
    packer: str,
    console: Console,
    mask: Callable[[str], str],
    run: Runner = run_program,
) -> None:
    """Read the values of the HCL, and make sure that the build may start.

    Args:
        request: The request; its values, options and arguments are set.
        packer: Path of Packer.
        console: Prints the output of Packer if it cannot read the HCL.
        mask: Masks the secrets of a text.
        run: Runs a program.

    Raises:
        SetupError: If no build is selected, or one lacks a requirement or would create an image
            that was not requested.
    """
    if len(request.arguments.words) > 1:
        raise SetupError(
            f"packer build accepts one folder or file after all options, not "
            f"{len(request.arguments.words)}: {' '.join(request.arguments.words)}"
        )
    template = request.arguments.template
    try:
        request.values = read_values(request, packer, console.echo, run)
    except InspectError as error:
        require_content(request.arguments.folder)
        if not (request.is_image_requested or request.is_local):
            console.show(mask(error.output))
            raise
        # `packer build` will print the whole reason.
        console.echo(mask(str(error)))
        return
    names = request.selection.select(request.values.builds)
    if not names:
        existing = ", ".join(sorted(request.values.builds)) or "none"
        raise SetupError(
            f"-only={','.join(request.selection.only)} and -except="
            f"{','.join(request.selection.without)} select no build; existing builds: {existing}"
        )
    require_session_manager(request.values, names, template, request.env)
    if request.build_type == "image" and request.make_scope() is not None:
        _require_manifest(request, names)
    if not request.is_image_requested:
        require_request(request.values, request.selection, template)


def read_values(
    request: BuildRequest, packer: str, echo: Callable[[str], None], run: Runner = run_program
) -> Values:
    """Read the values of the HCL with the requested value of skip_create_ami.

    Args:
        request: The request; arguments that Packer would refuse are removed, and an option that
            overrides the files of the repository is added.
        packer: Path of Packer.
        echo: Prints a line for the user.
        run: Runs a program.

    Raises:
        InspectError: If Packer cannot read the HCL.
    """
    name = f"var.{VARIABLE}"
    try:
        values = inspect(packer, request.arguments, request.env, run=run)
    except InspectError:
        # Packer refuses a value of a variable that is not declared; it is still a request.
        arguments = request.arguments.drop_variable(VARIABLE)
        if arguments == request.arguments:
            raise
        values = inspect(packer, arguments, request.env, run=run)
        if name in values.raw:
            raise
        request.arguments = arguments
    requested = "false" if request.requested_value == "false" else "true"
    if name in values.raw and values.text(name) != requested:
        # A file such as image.auto.pkrvars.hcl takes precedence over the environment.
        echo(f"{VARIABLE} is {requested} for this build; the files of the repository are ignored")
        options = (*request.arguments.options, ("var", f"{VARIABLE}={requested}"))
        request.arguments = replace(request.arguments, options=options)
        values = inspect(packer, request.arguments, request.env, run=run)
        values = replace(values, raw={**values.raw, name: requested})
    return values


def _require_manifest(request: BuildRequest, names: Sequence[str]) -> None:
    """Make sure that manifest.json will name each image, because the verification needs it.

    Raises:
        SetupError: If a selected build on EC2 has no post-processor manifest.
    """
    for name in names:
        parts = [
            part
            for part in request.values.post_processors.get(name, ())
            if part.partition(".")[0] == "manifest"
        ]
        if request.values.kinds[name] in LOCAL_KINDS or any(
            not request.selection.excludes(part.partition(".")[2] or part) for part in parts
        ):
            continue
        if parts:
            raise SetupError(
                f"-except={','.join(request.selection.without)}: it excludes the post-processor "
                f"{parts[0]}, which lists the image of {name} for its verification; use "
                "-except=BUILD with names of builds only"
            )
        raise SetupError(
            f"{name}: its image cannot be verified, because its build block has no post-processor "
            'manifest; add post-processor "manifest" as in build.pkr.hcl of the template'
        )
