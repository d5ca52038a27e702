"""Reads the values of the HCL, and refuses a build that must not start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from packer_toolkit.build.arguments import LOCAL_KINDS, Selection
from packer_toolkit.build.host import Host
from packer_toolkit.build.request import VARIABLE, BuildRequest
from packer_toolkit.build.session_manager import require_session_manager
from packer_toolkit.build.source_settings import (
    UNREADABLE,
    find_settings,
    is_json_template,
    read_json,
    read_template,
)
from packer_toolkit.build.values import InspectError, Values, inspect
from packer_toolkit.errors import SetupError
from packer_toolkit.repository.missing_content import require_content

# The only type of source that can build without creating an image.
_WITH_TEST_BUILD = "amazon-ebs"
_REQUEST = (
    f"to create it, add -var {VARIABLE}=false; for test builds, declare the variable {VARIABLE} "
    f"and write `{VARIABLE} = var.{VARIABLE}` into the source"
)


def validate_request(
    request: BuildRequest, packer: str, host: Host, mask: Callable[[str], str]
) -> None:
    """Read the values of the HCL, and make sure that the build may start.

    Args:
        request: The request; its values, options and arguments are set.
        packer: Path of Packer.
        host: Runs Packer, and prints its output if it cannot read the HCL.
        mask: Masks the secrets of a text.

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
        request.values = read_values(request, packer, host)
    except InspectError as error:
        require_content(request.arguments.folder)
        if not (request.is_image_requested or request.is_local):
            host.show(mask(error.output))
            raise
        # `packer build` will print the whole reason.
        host.echo(mask(str(error)))
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


def read_values(request: BuildRequest, packer: str, host: Host) -> Values:
    """Read the values of the HCL with the requested value of skip_create_ami.

    Args:
        request: The request; arguments that Packer would refuse are removed, and an option that
            overrides the files of the repository is added.
        packer: Path of Packer.
        host: Runs Packer.

    Raises:
        InspectError: If Packer cannot read the HCL.
    """
    name = f"var.{VARIABLE}"
    try:
        values = inspect(packer, request.arguments, request.env, run=host.run_program)
    except InspectError:
        # Packer refuses a value of a variable that is not declared; it is still a request.
        arguments = request.arguments.drop_variable(VARIABLE)
        if arguments == request.arguments:
            raise
        values = inspect(packer, arguments, request.env, run=host.run_program)
        if name in values.raw:
            raise
        request.arguments = arguments
    requested = "false" if request.requested_value == "false" else "true"
    if name in values.raw and values.text(name) != requested:
        # A file such as image.auto.pkrvars.hcl takes precedence over the environment.
        host.echo(
            f"{VARIABLE} is {requested} for this build; the files of the repository are ignored"
        )
        options = (*request.arguments.options, ("var", f"{VARIABLE}={requested}"))
        request.arguments = replace(request.arguments, options=options)
        values = inspect(packer, request.arguments, request.env, run=host.run_program)
        values = replace(values, raw={**values.raw, name: requested})
    return values


def _require_manifest(request: BuildRequest, names: Sequence[str]) -> None:
    """Make sure that manifest.json will name each image, because the verification needs it.

    Raises:
        SetupError: If a selected build on EC2 has no post-processor manifest.
    """
    for name in names:
        post_processors = request.values.post_processors.get(name, ())
        parts = [part for part in post_processors if part.partition(".")[0] == "manifest"]
        if request.values.kinds[name] in LOCAL_KINDS or any(
            not request.selection.excludes_post_processor(part) for part in parts
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


def require_request(values: Values, selection: Selection, template: Path) -> None:
    """Make sure that no selected build creates an image.

    docs/decisions/0030-images-are-requested.md has the reasons.

    Args:
        values: Values of the HCL, with skip_create_ami as Packer gets it.
        selection: Patterns of the build.
        template: Folder or file with the HCL.

    Raises:
        SetupError: If a build would create an image, or if that cannot be ruled out.
    """
    for name in selection.select(values.builds):
        if reason := _explain_image(name, values, selection, template):
            raise SetupError(
                f"{name} would create an image that was not requested: {reason}; {_REQUEST}"
            )


def _explain_image(name: str, values: Values, selection: Selection, template: Path) -> str:
    """Explain why a build would create an image; empty if it does not."""
    is_json = is_json_template(template)
    post_processors: Iterable[str] = values.post_processors.get(name, ())
    builders = []
    if is_json:
        try:
            document = read_json(template)
            post_processors = _list_post_processors(name, document)
            builders = [
                each
                for each in document["builders"]
                if name in (each.get("name"), each.get("type"))
            ]
        except UNREADABLE:
            return f"{template.name} cannot be read to rule it out"
    for each in post_processors:
        is_import = each.partition(".")[0].endswith("-import")
        if is_import and not selection.excludes_post_processor(each):
            return f"its post-processor {each} creates one"
    kind = values.kinds[name]
    if kind in LOCAL_KINDS:
        return ""
    if kind != _WITH_TEST_BUILD:
        return f"sources of the type {kind} have no test build"
    if not is_json:
        return _explain_source(name, values, template)
    if builders and all(str(each.get(VARIABLE)).lower() == "true" for each in builders):
        return ""
    return f"its builder in {template.name} does not set {VARIABLE} to true"


def _list_post_processors(name: str, document: Mapping[str, Any]) -> list[str]:
    """List the post-processors of a build in a JSON template, with the names that HCL has."""
    names = []
    for entry in document.get("post-processors") or ():
        for part in entry if isinstance(entry, list) else [entry]:
            processor = {"type": part} if isinstance(part, str) else dict(part)
            only, without = processor.get("only"), processor.get("except")
            if not (only and name not in only) and not (without and name in without):
                kind, own = processor["type"], processor.get("name")
                names.append(f"{kind}.{own}" if own else str(kind))
    return names


def _explain_source(name: str, values: Values, template: Path) -> str:
    """Explain why a source of the type amazon-ebs would create an image; empty if it does not."""
    hcl = read_template(template)
    if hcl.unread:
        return f"{hcl.unread[0][0].file} cannot be read to rule it out"
    for file in sorted(template.iterdir()) if template.is_dir() else [template]:
        # A build in HCL's JSON form may set it, as its source would.
        if file.name.endswith(".pkr.json") and VARIABLE in json.dumps(read_json(file).get("build")):
            return f"a build in {file.name} sets {VARIABLE}, which cannot be evaluated here"
    settings = find_settings(hcl, name, values, VARIABLE)
    if not settings:
        return "its source is not in the HCL"
    for setting in settings:
        if not setting.is_set:
            return f"its source ({setting.place}) does not set {VARIABLE}"
        if setting.value not in (True, "true"):
            return f"{VARIABLE} is not true in {setting.place}"
    return ""
