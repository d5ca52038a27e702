"""SSM parameters as files and as a variables file, for Packer files that expect them.

All is fetched and checked first, then written into a folder beside the target, and only then moved
into place: a parameter that is missing, a denied call or a full disk leaves everything as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packer_toolkit.aws import identity
from packer_toolkit.errors import CommandFailedError, SetupError

if TYPE_CHECKING:
    import boto3

SETTING = "LEGACY_SSM_PARAMETERS"
FOLDER = "legacy-deps"
VARIABLES = "legacy-deps.auto.pkrvars.json"
# What was written, so that it may be replaced: path below the repository -> SHA-256.
RECORD = f"{FOLDER}/.written.json"

_BATCH = 10  # what GetParameters takes at once
_ATTEMPTS = 8
_AUTO_FILES = ("*.auto.pkrvars.hcl", "*.auto.pkrvars.json")
_VARIABLE = re.compile(r'^[ \t]*variable[ \t]+"?([\w-]+)"?[ \t]*\{(.*?)^[ \t]*\}', re.M | re.S)
_TYPE = re.compile(r"^[ \t]*type[ \t]*=[ \t]*(\w+)", re.M)


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        name: as AWS calls it, such as /packer/vpc_id.
        kind: String, StringList or SecureString.
        value: its value; of a StringList with commas.
    """

    name: str
    kind: str
    value: str

    @property
    def secret(self) -> bool:
        """Tell whether it is kept encrypted."""
        return self.kind == "SecureString"

    @property
    def file(self) -> str:
        """Return its file, relative to the repository: the folder, then the name as a path."""
        return f"{FOLDER}/{_path(self.name)}"

    @property
    def variable(self) -> str:
        """Return the Packer variable that it is for: the end of its name, as an identifier."""
        return re.sub(r"\W", "_", self.name.rpartition("/")[2], flags=re.ASCII)


@dataclass(frozen=True)
class Plan:
    """What is written, and what is not.

    Attributes:
        parameters: those that become files.
        variables: the contents of the variables file: name -> value.
        sources: variable -> name of the parameter that it comes from.
        skipped: names of secrets that were not asked for.
        without_variable: name -> why it is in no variable.
    """

    parameters: Sequence[Parameter]
    variables: dict[str, Any]
    sources: dict[str, str]
    skipped: Sequence[str]
    without_variable: dict[str, str]


def wanted(text: str) -> list[str]:
    """Return the names and paths in a setting: separated by blanks or commas.

    Raises:
        SetupError: when there are none.
    """
    found = list(dict.fromkeys(re.split(r"[\s,]+", text.strip(" \t\n,"))))
    if found == [""]:
        raise SetupError(
            f"{SETTING} in toolkit.env is empty; name parameters there, such as"
            f" {SETTING}=/packer/vpc_id,/packer/network/ (everything below a path that ends in /)"
        )
    return found


def fetch(
    session: boto3.Session, names: Iterable[str], with_secrets: bool
) -> tuple[list[Parameter], list[str]]:
    """Read parameters from SSM.

    Args:
        session: whose credentials and region.
        names: names; one that ends in / stands for everything below it.
        with_secrets: whether SecureStrings are decrypted and returned.

    Returns:
        The parameters in the order of their names, and the names of secrets that were left out.

    Raises:
        CommandFailedError: when some do not exist; the message names all of them.
        SetupError, RemoteError: see `identity.explained`.
    """
    found: dict[str, Parameter] = {}
    missing: list[str] = []
    asked = list(names)
    from botocore.config import Config

    with identity.explained():
        # Hundreds of parameters are many calls, and SSM throttles early.
        settings = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS})
        ssm = session.client("ssm", config=settings)
        single = [name for name in asked if not name.endswith("/")]
        for start in range(0, len(single), _BATCH):
            answer = ssm.get_parameters(
                Names=single[start : start + _BATCH], WithDecryption=with_secrets
            )
            missing += answer.get("InvalidParameters", [])
            _add(found, answer["Parameters"])
        for path in (name for name in asked if name.endswith("/")):
            before = len(found)
            pages = ssm.get_paginator("get_parameters_by_path").paginate(
                Path=path.rstrip("/") or "/", Recursive=True, WithDecryption=with_secrets
            )
            empty = True
            for page in pages:
                empty = empty and not page["Parameters"]
                _add(found, page["Parameters"])
            if empty and len(found) == before:
                missing.append(f"{path} (nothing is below it)")
    if missing:
        region = session.region_name
        raise CommandFailedError(
            f"there is no parameter {', '.join(sorted(missing))} in {region}; compare {SETTING} in"
            " toolkit.env with `aws ssm describe-parameters`"
        )
    parameters = [found[name] for name in sorted(found)]
    skipped = [each.name for each in parameters if each.secret and not with_secrets]
    return [each for each in parameters if each.name not in skipped], skipped


def _add(found: dict[str, Parameter], answer: Iterable[Mapping[str, Any]]) -> None:
    for each in answer:
        found[each["Name"]] = Parameter(each["Name"], each["Type"], each["Value"])


def plan(root: Path, parameters: Sequence[Parameter], skipped: Sequence[str]) -> Plan:
    """Decide what is written.

    Packer warns of a value for a variable that no file declares, and a .json wins over a .hcl.  So
    a parameter becomes a variable only when one of its name is declared, and set nowhere else.

    Args:
        root: the repository.
        parameters: what was fetched.
        skipped: names of secrets that were left out.

    Raises:
        CommandFailedError: when names cannot become files side by side.
    """
    _check_paths(parameters)
    declared, elsewhere = _declared(root), _set_elsewhere(root)
    by_variable: dict[str, list[Parameter]] = {}
    for each in parameters:
        by_variable.setdefault(each.variable, []).append(each)
    variables: dict[str, Any] = {}
    sources: dict[str, str] = {}
    without: dict[str, str] = {}
    for variable, candidates in sorted(by_variable.items()):
        if variable not in declared:
            reason = f"no *.pkr.hcl declares a variable {variable}"
        elif variable in elsewhere:
            reason = f"{elsewhere[variable]} sets {variable}"
        elif len(candidates) > 1:
            reason = f"{len(candidates)} parameters are called {variable}"
        else:
            (only,) = candidates
            variables[variable] = _value(only, declared[variable])
            sources[variable] = only.name
            continue
        without |= {each.name: reason for each in candidates}
    return Plan(parameters, variables, sources, skipped, without)


def _path(name: str) -> str:
    """Return a parameter's name as a relative path; a shared one is named by its ARN."""
    return re.sub(r"^arn:[^/]*:parameter/", "", name).lstrip("/")


def _check_paths(parameters: Sequence[Parameter]) -> None:
    paths = {each.file: each.name for each in parameters}
    for file, name in paths.items():
        parts = Path(file).parts
        if ".." in parts or file in (RECORD, f"{FOLDER}/"):
            raise CommandFailedError(f"{name} cannot become a file; leave it out of {SETTING}")
        for parent in list(Path(file).parents)[:-2]:
            other = paths.get(str(parent))
            if other:
                raise CommandFailedError(
                    f"{other} and {name} cannot both become files: one is a folder of the other;"
                    f" leave one of them out of {SETTING}"
                )


def _declared(root: Path) -> dict[str, str]:
    """Return the variables that the Packer files declare: name -> first word of the type."""
    found = {}
    for file in sorted(root.glob("*.pkr.hcl")):
        for name, body in _VARIABLE.findall(file.read_text()):
            kind = _TYPE.search(body)
            found[name] = kind[1] if kind else "string"
    for file in sorted(root.glob("*.pkr.json")):
        found |= dict.fromkeys(_json(file).get("variable", {}), "string")
    return found


def _set_elsewhere(root: Path) -> dict[str, str]:
    """Return the variables that other files set: name -> file."""
    found: dict[str, str] = {}
    for pattern in _AUTO_FILES:
        for file in sorted(root.glob(pattern)):
            if file.name == VARIABLES:
                continue
            if file.suffix == ".json":
                names: Iterable[str] = _json(file)
            else:
                names = re.findall(r"^([\w-]+)[ \t]*=", file.read_text(), re.M)
            found |= dict.fromkeys(names, file.name)
    return found


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{file} is not JSON: {error}; mend it, or remove it") from error
    return data if isinstance(data, dict) else {}


def _value(parameter: Parameter, kind: str) -> str | list[str]:
    if kind in ("list", "set"):
        return parameter.value.split(",")
    return parameter.value


def write(root: Path, planned: Plan, force: bool) -> list[Path]:
    """Write the files.

    Args:
        root: the repository.
        planned: what to write.
        force: whether files that this command has not written are replaced.

    Returns:
        The files, relative to the repository.

    Raises:
        SetupError: when git would take them into a commit.
        CommandFailedError: when files of somebody else are in the way; the message names all of
            them.
    """
    contents = {each.file: (each.value.encode(), each.secret) for each in planned.parameters}
    secrets = {each.name for each in planned.parameters if each.secret}
    variables = json.dumps(planned.variables, indent=2, sort_keys=True) + "\n"
    with_secret = not secrets.isdisjoint(planned.sources.values())
    contents[VARIABLES] = (variables.encode(), with_secret)
    _check_ignored(root, contents)
    _check_the_way(root, contents)
    before = _record(root)
    if not force:
        _check_foreign(root, contents, before)
    record = {file: hashlib.sha256(data).hexdigest() for file, (data, _) in contents.items()}
    contents[RECORD] = ((json.dumps(record, indent=2) + "\n").encode(), False)
    staging = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=root))
    try:
        for number, (data, secret) in enumerate(contents.values()):
            _create(staging / str(number), data, secret)
        for number, file in enumerate(contents):
            target = root / file
            target.parent.mkdir(parents=True, exist_ok=True)
            (staging / str(number)).replace(target)
    except OSError as error:
        raise SetupError(f"{error.filename or root}: {error.strerror}; make room for it") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _remove_stale(root, before, record)
    return [Path(file) for file in record]


def _create(file: Path, data: bytes, secret: bool) -> None:
    mode = 0o600 if secret else 0o666  # without the person's umask
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(data)


def _check_ignored(root: Path, files: Iterable[str]) -> None:
    """Refuse to write what a `git add .` would take along; where there is no git, nothing does."""
    names = "\0".join(files)
    asked = subprocess.run(
        ["git", "check-ignore", "--stdin", "-z", "--no-index"],
        cwd=root,
        input=names,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode > 1:
        return
    exposed = sorted(set(names.split("\0")) - set(asked.stdout.split("\0")))
    if exposed:
        raise SetupError(
            f"git does not ignore {exposed[0]}; add these lines to .gitignore:"
            f" /{FOLDER}/ and /{VARIABLES}"
        )


def _record(root: Path) -> dict[str, str]:
    file = root / RECORD
    return {key: str(value) for key, value in _json(file).items()} if file.is_file() else {}


def _check_foreign(
    root: Path, contents: dict[str, tuple[bytes, bool]], before: dict[str, str]
) -> None:
    """Refuse to replace files that were not written here, or were changed since."""
    foreign = []
    for file, (data, _) in contents.items():
        target = root / file
        if target.is_symlink():
            foreign.append(file)
        elif target.is_file():
            present = hashlib.sha256(target.read_bytes()).hexdigest()
            if present not in (before.get(file), hashlib.sha256(data).hexdigest()):
                foreign.append(file)
    if foreign:
        raise CommandFailedError(
            f"not written by this command, or changed since: {', '.join(sorted(set(foreign)))};"
            " move them away, or overwrite them with --force"
        )


def _check_the_way(root: Path, files: Iterable[str]) -> None:
    """Refuse to go on where something else than a file, or on the way to it a folder, lies."""
    found = set()
    for file in files:
        target = root / file
        if target.is_dir() and not target.is_symlink():
            found.add(file)
        for parent in target.relative_to(root).parents:
            there = root / parent
            if there.is_symlink() or (there.exists() and not there.is_dir()):
                found.add(str(parent))
    if found:
        raise CommandFailedError(f"in the way: {', '.join(sorted(found))}; move it away")


def _remove_stale(root: Path, before: dict[str, str], now: dict[str, str]) -> None:
    """Remove what an earlier run wrote, nobody has changed since, and no parameter stands for."""
    for file in set(before) - set(now):
        target = root / file
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == before[file]:
            target.unlink()
