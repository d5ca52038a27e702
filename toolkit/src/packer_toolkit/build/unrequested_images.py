"""Refuses a build that would create an image that was not requested.

docs/decisions/0030-images-are-requested.md has the reasons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from packer_toolkit.build.arguments import Arguments
from packer_toolkit.build.selection import LOCAL_KINDS, Selection
from packer_toolkit.build.source_settings import find_settings, read_template
from packer_toolkit.build.values import Values
from packer_toolkit.errors import SetupError

VARIABLE = "skip_create_ami"
# The only type of source that can build without creating an image.
_WITH_TEST_BUILD = "amazon-ebs"
_REQUEST = (
    f"to create it, add -var {VARIABLE}=false; for test builds, declare the variable {VARIABLE} "
    f"and write `{VARIABLE} = var.{VARIABLE}` into the source"
)


def read_requested_value(arguments: Arguments, environment: Mapping[str, str]) -> str:
    """Return the value of skip_create_ami that the caller requests: true or false; empty if none.

    The command line takes precedence over the environment.  A value in an *.auto.pkrvars.hcl file
    is not a request, because it is not of the caller.

    Args:
        arguments: Arguments of `packer build`.
        environment: Environment of the caller.
    """
    for text in reversed(arguments.get_all("var")):
        name, _, value = text.partition("=")
        if name == VARIABLE:
            return _normalize(value)
    for file in reversed(arguments.get_all("var-file")):
        from packer_toolkit.hcl.folder import read_value

        if (content := read_value(Path(file), VARIABLE)) is not None:
            return _normalize(str(content))
    return _normalize(environment.get(f"PKR_VAR_{VARIABLE}", ""))


def _normalize(value: str) -> str:
    text = value.strip().strip('"').lower()
    return {"0": "false", "1": "true"}.get(text, text)


def require_request(values: Values, selection: Selection, template: Path) -> None:
    """Make sure that no selected build creates an image.

    Args:
        values: Values of the HCL, with skip_create_ami as Packer gets it.
        selection: Patterns of the build.
        template: Folder or file with the HCL.

    Raises:
        SetupError: If a build would create an image, or if that cannot be ruled out.
    """
    for name in selection.select(values.builds):
        kind = values.kinds[name]
        is_legacy = template.is_file() and not template.name.endswith((".pkr.hcl", ".pkr.json"))
        post_processors = (
            _list_post_processors(name, template)
            if is_legacy
            else values.post_processors.get(name, ())
        )
        imports = [
            part
            for part in post_processors or ()
            if part.partition(".")[0].endswith("-import")
            and not selection.excludes(part.partition(".")[2] or part)
        ]
        if post_processors is None:
            reason = f"{template.name} cannot be read to rule it out"
        elif imports:
            reason = f"its post-processor {imports[0]} creates one"
        elif kind in LOCAL_KINDS:
            continue
        elif kind != _WITH_TEST_BUILD:
            reason = f"sources of the type {kind} have no test build"
        else:
            reason = (
                _explain_legacy_image(name, template)
                if is_legacy
                else _explain_image(name, values, template)
            )
        if reason:
            raise SetupError(
                f"{name} would create an image that was not requested: {reason}; {_REQUEST}"
            )


def _explain_image(name: str, values: Values, template: Path) -> str:
    """Explain why a source of the type amazon-ebs would create an image; empty if it does not."""
    hcl = read_template(template)
    if hcl.unread:
        return f"{hcl.unread[0][0].file} cannot be read to rule it out"
    for file in sorted(template.iterdir()) if template.is_dir() else [template]:
        if file.name.endswith(".pkr.json") and _sets_in_build(file):
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


def _sets_in_build(file: Path) -> bool:
    """Return whether a build in HCL's JSON form sets skip_create_ami, as its source would."""
    document = json.loads(file.read_text(encoding="utf-8-sig"))
    return VARIABLE in json.dumps(dict(document).get("build"))


def _list_post_processors(name: str, template: Path) -> list[str] | None:
    """List the post-processors of a JSON template as in HCL; None if it cannot be read."""
    try:
        document = json.loads(template.read_text(encoding="utf-8-sig"))
        names = []
        for entry in document.get("post-processors") or ():
            for part in entry if isinstance(entry, list) else [entry]:
                processor = {"type": part} if isinstance(part, str) else dict(part)
                only, without = processor.get("only"), processor.get("except")
                if not (only and name not in only) and not (without and name in without):
                    kind, own = processor["type"], processor.get("name")
                    names.append(f"{kind}.{own}" if own else str(kind))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return names


def _explain_legacy_image(name: str, template: Path) -> str:
    """Explain why a build of a JSON template would create an image; empty if it does not."""
    try:
        builders = json.loads(template.read_text(encoding="utf-8-sig"))["builders"]
        own = [each for each in builders if name in (each.get("name"), each.get("type"))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{template.name} cannot be read to rule it out"
    if own and all(str(each.get(VARIABLE)).lower() == "true" for each in own):
        return ""
    return f"its builder in {template.name} does not set {VARIABLE} to true"
