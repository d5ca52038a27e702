"""Read JSON templates, the form of Packer before HCL.

https://developer.hashicorp.com/packer/docs/templates/legacy_json_templates
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packer_toolkit.hcl.sources import UNKNOWN, Packer, Place, Source, Value

_MOST_BYTES = 1_000_000  # a template that a team wrote is smaller
_CALL = re.compile(r"\{\{\s*(?P<what>[a-z_.]+)\s*(?:[`\"'](?P<name>[^`\"']*)[`\"'])?[^}]*\}\}")
_USER = re.compile(r"\{\{\s*user\s+[`\"']([^`\"']+)[`\"']\s*\}\}")


def read_json_templates(repository: Path, files: list[Path]) -> Packer:
    """Read the JSON templates of one folder; other JSON is left out.

    Args:
        repository: Places are relative to it.
        files: All files of the folder.
    """
    packer = Packer()
    documents: dict[str, Mapping[str, Any]] = {}
    for path in files:
        is_hcl = path.name.endswith((".pkr.json", ".pkrvars.json"))
        if path.suffix != ".json" or is_hcl or path.stat().st_size > _MOST_BYTES:
            continue
        file = path.relative_to(repository).as_posix()
        try:
            document = _load(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
            if isinstance(error, OSError) or '"builders"' in path.read_text(errors="replace"):
                packer.unread.append((Place(file, line), "it is not JSON"))
            continue
        if isinstance(document, dict):
            documents[file] = document
    templates = {
        file: document
        for file, document in documents.items()
        if isinstance(document.get("builders"), list)
    }
    # Files for -var-file: strings, numbers and booleans only.
    value_files = [
        (file, document)
        for file, document in documents.items()
        if file not in templates
        and document
        and all(isinstance(value, (str, int)) for value in document.values())
    ]
    for file, document in templates.items():
        variables = _read_variables(document, file)
        if len(value_files) == 1:
            for name, value in value_files[0][1].items():
                if name in variables and not variables[name].known:
                    place = _find_place(value_files[0][1], name, value_files[0][0])
                    variables[name] = Value(value, place)
        packer.variables.update(variables)
        for builder in document["builders"]:
            if isinstance(builder, dict) and str(builder.get("type")).startswith("amazon-"):
                packer.sources.append(_read_builder(builder, file, variables))
    return packer


def _load(text: str) -> Any:
    """Parse JSON, with the lines of its keys where ruamel.yaml can read it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    document = json.loads(text)
    yaml = YAML()
    yaml.allow_duplicate_keys = True
    try:
        return yaml.load(text.expandtabs())
    except (YAMLError, ValueError):
        return document


def _find_place(mapping: Any, key: str, file: str) -> Place:
    return Place(file, mapping.lc.key(key)[0] + 1 if hasattr(mapping, "lc") else 0)


def _read_variables(document: Mapping[str, Any], file: str) -> dict[str, Value]:
    variables = document.get("variables")
    return {
        name: Value(_expand(value, {}), _find_place(variables, name, file))
        for name, value in (variables if isinstance(variables, dict) else {}).items()
    }


def _read_builder(builder: Mapping[str, Any], file: str, variables: Mapping[str, Value]) -> Source:
    place = _find_place(builder, "type", file)
    source = Source(str(builder["type"]), str(builder.get("name", "")), place)
    for name, value in builder.items():
        _add(source, name, value, _find_place(builder, name, file), variables)
    return source


def _add(source: Source, path: str, raw: Any, place: Place, variables: Mapping[str, Value]) -> None:
    if isinstance(raw, dict):
        for name, part in raw.items():
            _add(source, f"{path}.{name}", part, _find_place(raw, name, place.file), variables)
    elif isinstance(raw, list) and any(isinstance(part, dict) for part in raw):
        for part in raw:
            _add(source, path, part, place, variables)
    else:
        used = _USER.fullmatch(str(raw))
        variable = variables.get(used[1]) if used else None
        source.add(path, variable or Value(_expand(raw, variables), place))


def _expand(raw: Any, variables: Mapping[str, Value]) -> Any:
    """Put the values of variables into a value; what only a build knows is UNKNOWN."""
    if isinstance(raw, list):
        return [_expand(part, variables) for part in raw]
    if not isinstance(raw, str):
        return raw

    def replace(match: re.Match[str]) -> str:
        if match["what"] == "user" and match["name"] in variables:
            return str(variables[match["name"]].value)
        return UNKNOWN

    return re.sub(r"\{\{.*?\}\}", UNKNOWN, _CALL.sub(replace, raw))
