"""Keeps a build from making an image that was not requested.

docs/decisions/0030-images-are-requested.md has the reasons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from packer_toolkit.build.selection import LOCAL_KINDS, Selection
from packer_toolkit.build.source_settings import find_settings, read_template
from packer_toolkit.build.values import Arguments, Values
from packer_toolkit.errors import SetupError

VARIABLE = "skip_create_ami"
# The one kind of source that can build without making an image.
_WITH_TEST_BUILD = "amazon-ebs"
_REQUEST = (
    f"to create it, add -var {VARIABLE}=false; for test builds, declare the variable {VARIABLE} "
    f"and write `{VARIABLE} = var.{VARIABLE}` into the source"
)


def find_wish(arguments: Arguments, environment: Mapping[str, str]) -> str:
    """Return what the caller asks of skip_create_ami: true or false; empty when nothing.

    The command line comes before the environment.  A value in an *.auto.pkrvars.hcl file was not
    given by the caller, and does not count.

    Args:
        arguments: Of `packer build`.
        environment: The environment of the caller.
    """
    for text in reversed(arguments.all("var")):
        name, _, value = text.partition("=")
        if name == VARIABLE:
            return _as_wish(value)
    for file in reversed(arguments.all("var-file")):
        from packer_toolkit.hcl.folder import read_value

        if (given := read_value(Path(file), VARIABLE)) is not None:
            return _as_wish(str(given))
    return _as_wish(environment.get(f"PKR_VAR_{VARIABLE}", ""))


def _as_wish(value: str) -> str:
    text = value.strip().strip('"').lower()
    return {"0": "false", "1": "true"}.get(text, text)


def require_request(values: Values, selection: Selection, template: Path) -> None:
    """Make sure that no selected build makes an image.

    Args:
        values: Of `packer inspect`, with skip_create_ami as the build gets it.
        selection: The patterns of the build.
        template: The folder or file with the HCL.

    Raises:
        SetupError: When a build would make one, or that cannot be excluded.
    """
    for name in selection.of_builds(values.builds):
        kind = values.kinds[name]
        is_legacy = template.is_file() and not template.name.endswith((".pkr.hcl", ".pkr.json"))
        post_processors = (
            _list_post_processors_of_json(name, template)
            if is_legacy
            else values.post_processors.get(name, ())
        )
        imports = [
            part
            for part in post_processors or ()
            if part.partition(".")[0].endswith("-import")
            and not selection.leaves_out(part.partition(".")[2] or part)
        ]
        if post_processors is None:
            reason = f"{template.name} cannot be read to rule it out"
        elif imports:
            reason = f"its post-processor {imports[0]} makes one"
        elif kind in LOCAL_KINDS:
            continue
        elif kind != _WITH_TEST_BUILD:
            reason = f"sources of the type {kind} have no test build"
        else:
            reason = (
                _why_json_creates(name, template)
                if is_legacy
                else _why_ebs_creates(name, values, template)
            )
        if reason:
            raise SetupError(
                f"{name} would create an image that was not requested: {reason}; {_REQUEST}"
            )


def _why_ebs_creates(name: str, values: Values, template: Path) -> str:
    """Return why a source of the type amazon-ebs would make an image; empty when it does not."""
    read = read_template(template)
    if read.unread:
        return f"{read.unread[0][0].file} cannot be read to rule it out"
    for file in sorted(template.iterdir()) if template.is_dir() else [template]:
        if file.name.endswith(".pkr.json") and _sets_in_build(file):
            return f"a build in {file.name} sets {VARIABLE}, which cannot be evaluated here"
    candidates = find_settings(read, name, values, VARIABLE)
    if not candidates:
        return "its source is not found"
    for setting in candidates:
        if not setting.is_set:
            return f"its source ({setting.place}) does not set {VARIABLE}"
        if setting.value not in (True, "true"):
            return f"{VARIABLE} is not true in {setting.place}"
    return ""


def _sets_in_build(file: Path) -> bool:
    """Return whether a build in HCL's JSON form sets skip_create_ami, as its source would."""
    document = json.loads(file.read_text(encoding="utf-8-sig"))
    return VARIABLE in json.dumps(dict(document).get("build"))


def _list_post_processors_of_json(name: str, template: Path) -> list[str] | None:
    """List what a JSON template runs after a build, as in HCL; None when it cannot be read."""
    try:
        document = json.loads(template.read_text(encoding="utf-8-sig"))
        listed = []
        for entry in document.get("post-processors") or ():
            for part in entry if isinstance(entry, list) else [entry]:
                given = {"type": part} if isinstance(part, str) else dict(part)
                only, without = given.get("only"), given.get("except")
                if not (only and name not in only) and not (without and name in without):
                    own = given.get("name")
                    listed.append(f"{given['type']}.{own}" if own else str(given["type"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return listed


def _why_json_creates(name: str, template: Path) -> str:
    try:
        builders = json.loads(template.read_text(encoding="utf-8-sig"))["builders"]
        chosen = [each for each in builders if name in (each.get("name"), each.get("type"))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{template.name} cannot be read to rule it out"
    if chosen and all(str(each.get(VARIABLE)).lower() == "true" for each in chosen):
        return ""
    return f"its builder in {template.name} does not set {VARIABLE} to true"
