"""Reads JSON templates, Packer's form from before HCL.

https://developer.hashicorp.com/packer/docs/templates/legacy_json_templates
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packer_toolkit.hcl.sources import UNKNOWN, Packer, Place, Source, Value

_LARGEST = 1_000_000  # bytes; a template that a person wrote is smaller
_CALL = re.compile(r"\{\{\s*(?P<what>[a-z_.]+)\s*(?:[`\"'](?P<name>[^`\"']*)[`\"'])?[^}]*\}\}")


def read(repository: Path, files: list[Path]) -> Packer:
    """Read the JSON templates of one folder; other JSON is left alone.

    Args:
        repository: places are relative to it.
        files: everything in the folder.
    """
    packer = Packer()
    documents = {}
    for path in files:
        if path.suffix != ".json" or path.name.endswith((".pkr.json", ".pkrvars.json")):
            continue
        file = path.relative_to(repository).as_posix()
        if path.stat().st_size > _LARGEST:
            continue
        try:
            text = path.read_text(encoding="utf-8-sig")
            document = json.loads(text)
        except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
            if isinstance(error, OSError) or '"builders"' in path.read_text(errors="replace"):
                packer.unread.append((Place(file, line), "it is no JSON"))
            continue
        if isinstance(document, dict):
            documents[file] = (document, text)
    templates = {
        file: (document, text)
        for file, (document, text) in documents.items()
        if isinstance(document.get("builders"), list)
    }
    # Files for -var-file: plain values only.
    given = [
        (file, document, text)
        for file, (document, text) in documents.items()
        if file not in templates and document and all(map(_is_plain, document.values()))
    ]
    for file, (document, text) in templates.items():
        variables = _variables(document, file, text)
        if len(given) == 1:
            for name, value in given[0][1].items():
                if name in variables and not variables[name].known:
                    place = Place(given[0][0], _line(given[0][2], name, 0))
                    variables[name] = Value(value, place)
        packer.variables.update(variables)
        packer.sources += _sources(document, file, text, variables)
    return packer


def _variables(document: Mapping[str, Any], file: str, text: str) -> dict[str, Value]:
    given = document.get("variables") or {}
    return {
        name: Value(_expand(value, {}), Place(file, _line(text, name, 0)))
        for name, value in (given if isinstance(given, dict) else {}).items()
    }


def _sources(
    document: Mapping[str, Any], file: str, text: str, variables: Mapping[str, Value]
) -> list[Source]:
    sources: list[Source] = []
    seen: dict[str, int] = {}
    for builder in document["builders"]:
        if not isinstance(builder, dict) or not str(builder.get("type")).startswith("amazon-"):
            continue
        place = Place(file, _line(text, "type", len(sources), str(builder["type"])))
        source = Source(str(builder["type"]), str(builder.get("name", "")), place)
        for name, raw in builder.items():
            # After where this builder begins: a variable of that name stands before it.
            line = _line(text, name, seen.get(name, 0), after='"builders"')
            seen[name] = seen.get(name, 0) + 1
            _add(source, name, raw, Place(file, line), variables, text)
        sources.append(source)
    return sources


def _add(
    source: Source, path: str, raw: Any, place: Place, variables: Mapping[str, Value], text: str
) -> None:
    if isinstance(raw, dict):
        for name, part in raw.items():
            below = Place(place.file, _line_from(text, name, place.line))
            _add(source, f"{path}.{name}", part, below, variables, text)
    elif isinstance(raw, list) and any(isinstance(part, dict) for part in raw):
        for part in raw:
            _add(source, path, part, place, variables, text)
    else:
        used = re.fullmatch(r"\{\{\s*user\s+[`\"']([^`\"']+)[`\"']\s*\}\}", str(raw))
        if used and used[1] in variables:
            source.add(path, Value(variables[used[1]].value, variables[used[1]].place))
        else:
            source.add(path, Value(_expand(raw, variables), place))


def _expand(raw: Any, variables: Mapping[str, Value]) -> Any:
    """Put the variables' values in; what only a build knows is UNKNOWN."""
    if isinstance(raw, list):
        return [_expand(part, variables) for part in raw]
    if not isinstance(raw, str):
        return raw

    def one(match: re.Match[str]) -> str:
        if match["what"] == "user" and match["name"] in variables:
            return str(variables[match["name"]].value)
        return UNKNOWN

    return re.sub(r"\{\{.*?\}\}", UNKNOWN, _CALL.sub(one, raw))


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, bool))


def _line_from(text: str, name: str, line: int) -> int:
    """Return the first line of a key from a line on, or that line."""
    for number, content in enumerate(text.splitlines()[max(line - 1, 0) :], start=line):
        if re.search(rf'"{re.escape(name)}"\s*:', content):
            return number
    return line


def _line(text: str, name: str, skip: int, value: str = "", after: str = "") -> int:
    """Return the line of a key, of several the one after `skip` others; 0 when it is not found."""
    start = max(text.find(after), 0) if after else 0
    pattern = rf'"{re.escape(name)}"\s*:' + (rf'\s*"{re.escape(value)}"' if value else "")
    found = [match.start() for match in re.compile(pattern).finditer(text, start)]
    if not found:
        return 0
    return text.count("\n", 0, found[min(skip, len(found) - 1)]) + 1
