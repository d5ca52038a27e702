"""Write SSM parameters into files and into a file of variables, for Packer files that need them.

Everything is fetched and checked first, then written into a folder beside the target, and only then
moved there: a missing parameter, a denied call or a full disk leaves all files as they were.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packer_toolkit.aws.errors import translate_aws_errors
from packer_toolkit.errors import CommandFailedError, SetupError
from packer_toolkit.git.command import Git
from packer_toolkit.hcl.sources import AUTOMATIC_VALUES

if TYPE_CHECKING:
    import boto3

    from packer_toolkit.hcl.evaluate import Folder

SETTING = "LEGACY_SSM_PARAMETERS"
FOLDER = "legacy-deps"
VARIABLES = "legacy-deps.auto.pkrvars.json"
# The files that were written, so that they may be replaced: path below the repository -> SHA-256.
RECORD = f"{FOLDER}/.written.json"

_BATCH = 10  # names in one call of GetParameters
_ATTEMPTS = 8


@dataclass(frozen=True)
class Parameter:
    """A parameter.

    Attributes:
        name: Its name in SSM, such as /packer/vpc_id.
        kind: String, StringList or SecureString.
        value: Its value; the items of a StringList are separated by commas.
    """

    name: str
    kind: str
    value: str

    @property
    def is_secret(self) -> bool:
        """Whether SSM encrypts it."""
        return self.kind == "SecureString"

    @property
    def file(self) -> str:
        """Its file, relative to the repository: the folder, then the name as a path."""
        return f"{FOLDER}/{_make_path(self.name)}"

    @property
    def variable(self) -> str:
        """The Packer variable that gets its value: the end of its name, as an identifier."""
        return re.sub(r"\W", "_", self.name.rpartition("/")[2], flags=re.ASCII)


@dataclass(frozen=True)
class FilePlan:
    """The files to write.

    Attributes:
        parameters: Parameters that become files.
        variables: The content of the file of variables: name -> value.
        sources: Variable -> name of the parameter that it comes from.
        skipped: Names of secrets that were not requested.
        without_variable: Name of a parameter -> why no variable gets its value.
    """

    parameters: Sequence[Parameter]
    variables: dict[str, Any]
    sources: dict[str, str]
    skipped: Sequence[str]
    without_variable: dict[str, str]


def split_names(text: str) -> list[str]:
    """Return the names and paths in a setting: separated by spaces or commas.

    Raises:
        SetupError: The setting is empty.
    """
    names = list(dict.fromkeys(re.split(r"[\s,]+", text.strip(" \t\n,"))))
    if names == [""]:
        raise SetupError(
            f"{SETTING} in toolkit.env is empty; add names of parameters to it, such as"
            f" {SETTING}=/packer/vpc_id,/packer/network/ (everything below a path that ends in /)"
        )
    return names


def fetch_parameters(
    session: boto3.Session, names: Sequence[str], with_secrets: bool
) -> tuple[list[Parameter], list[str]]:
    """Read parameters from SSM.

    Args:
        session: With the credentials and the region.
        names: Names; one that ends in / names everything below it.
        with_secrets: Whether to decrypt and return SecureStrings.

    Returns:
        The parameters in the order of their names, and the names of skipped secrets.

    Raises:
        CommandFailedError: Parameters do not exist; the message names all of them.
        SetupError, RemoteError: See `translate_aws_errors`.
    """
    parameters: dict[str, Parameter] = {}
    missing: list[str] = []
    from botocore.config import Config

    with translate_aws_errors():
        # Hundreds of parameters are many calls, and SSM throttles early.
        settings = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS})
        ssm = session.client("ssm", config=settings)
        single = [name for name in names if not name.endswith("/")]
        for start in range(0, len(single), _BATCH):
            response = ssm.get_parameters(
                Names=single[start : start + _BATCH], WithDecryption=with_secrets
            )
            missing += response.get("InvalidParameters", [])
            _add(parameters, response["Parameters"])
        for path in (name for name in names if name.endswith("/")):
            pages = ssm.get_paginator("get_parameters_by_path").paginate(
                Path=path.rstrip("/") or "/", Recursive=True, WithDecryption=with_secrets
            )
            entries = pages.build_full_result().get("Parameters", [])
            missing += [] if entries else [f"{path} (no parameter is below it)"]
            _add(parameters, entries)
    if missing:
        region = session.region_name
        raise CommandFailedError(
            f"{region} has no parameter {', '.join(sorted(missing))}; compare {SETTING} in"
            " toolkit.env with `aws ssm describe-parameters`"
        )
    ordered = [parameters[name] for name in sorted(parameters)]
    skipped = [each.name for each in ordered if each.is_secret and not with_secrets]
    return [each for each in ordered if each.name not in skipped], skipped


def _add(parameters: dict[str, Parameter], entries: Iterable[Mapping[str, Any]]) -> None:
    for each in entries:
        parameters[each["Name"]] = Parameter(each["Name"], each["Type"], each["Value"])


def plan_files(root: Path, parameters: Sequence[Parameter], skipped: Sequence[str]) -> FilePlan:
    """Decide what to write.

    Packer warns about the value of a variable that no file declares, and a .json file overrides a
    .hcl file. So only a variable that is declared, and that no other file sets, gets a value.

    Args:
        root: The repository.
        parameters: The fetched parameters.
        skipped: Names of skipped secrets.

    Raises:
        CommandFailedError: Names cannot become files beside each other.
        SetupError: A file of values cannot be read.
    """
    _require_paths(parameters)
    folder = _load_packer(root)
    unread = ", ".join(place.file for place, _ in folder.unread)
    by_variable: dict[str, list[Parameter]] = {}
    for each in parameters:
        by_variable.setdefault(each.variable, []).append(each)
    variables: dict[str, Any] = {}
    sources: dict[str, str] = {}
    without: dict[str, str] = {}
    for variable, candidates in sorted(by_variable.items()):
        definition = folder.variables.get(variable)
        if variable not in folder.types:
            reason = f"no *.pkr.hcl declares a variable {variable}"
            reason += f" ({unread} cannot be parsed)" if unread else ""
        elif definition and definition.file.endswith(AUTOMATIC_VALUES):
            reason = f"{definition.file} sets {variable}"
        elif len(candidates) > 1:
            reason = f"{len(candidates)} parameters are called {variable}"
        else:
            (only,) = candidates
            is_list = folder.types[variable] in ("list", "set")
            variables[variable] = only.value.split(",") if is_list else only.value
            sources[variable] = only.name
            continue
        without |= {each.name: reason for each in candidates}
    return FilePlan(parameters, variables, sources, skipped, without)


def _make_path(name: str) -> str:
    """Return the name of a parameter as a relative path; a shared one is named by its ARN."""
    return re.sub(r"^arn:[^/]*:parameter/", "", name).lstrip("/")


def _require_paths(parameters: Sequence[Parameter]) -> None:
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


def _load_packer(root: Path) -> Folder:
    from packer_toolkit.hcl.folder import load_folder
    from packer_toolkit.hcl.parse import is_hcl

    files = [
        file
        for file in sorted(root.glob("*.pkr*"))
        if is_hcl(file) or (file.name.endswith(AUTOMATIC_VALUES) and file.name != VARIABLES)
    ]
    folder = load_folder(root, files)
    for place, reason in folder.unread:
        if place.file.endswith((".json", AUTOMATIC_VALUES[0])):
            raise SetupError(f"{place}: {reason}; correct or remove the file")
    return folder


def write_files(root: Path, plan: FilePlan, force: bool) -> list[Path]:
    """Write the files.

    Args:
        root: The repository.
        plan: What to write.
        force: Whether to replace files that this command has not written.

    Returns:
        The files, relative to the repository.

    Raises:
        SetupError: Git does not ignore the files.
        CommandFailedError: Other files block them; the message names all of those.
    """
    contents = {each.file: (each.value.encode(), each.is_secret) for each in plan.parameters}
    secrets = {each.name for each in plan.parameters if each.is_secret}
    variables = json.dumps(plan.variables, indent=2, sort_keys=True) + "\n"
    with_secret = not secrets.isdisjoint(plan.sources.values())
    contents[VARIABLES] = (variables.encode(), with_secret)
    _require_ignored(root, list(contents))
    _require_unblocked(root, contents)
    before = _read_record(root)
    if not force:
        _require_own(root, contents, before)
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
        raise SetupError(
            f"{error.filename or root}: {error.strerror}; free space, or correct the permissions"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _remove_stale(root, before, record)
    return [Path(file) for file in record]


def _create(file: Path, data: bytes, secret: bool) -> None:
    mode = 0o600 if secret else 0o666  # less the umask of the user
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(data)


def _require_ignored(root: Path, files: Sequence[str]) -> None:
    """Refuse to write what `git add .` would stage; outside of a git repository, nothing does."""
    try:
        ignored = Git(root).filter_ignored(files)
    except SetupError:
        return
    exposed = sorted(set(files) - ignored)
    if exposed:
        raise SetupError(
            f"git does not ignore {exposed[0]}; add these lines to .gitignore:"
            f" /{FOLDER}/ and /{VARIABLES}"
        )


def _read_record(root: Path) -> dict[str, str]:
    file = root / RECORD
    try:
        data = json.loads(file.read_text()) if file.is_file() else {}
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{file} is not JSON: {error}; delete the file") from error
    return {key: str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def _require_own(
    root: Path, contents: dict[str, tuple[bytes, bool]], before: dict[str, str]
) -> None:
    """Refuse to replace files that this command has not written, or that have changed since."""
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
            " move the files to another place, or overwrite them with --force"
        )


def _require_unblocked(root: Path, files: Iterable[str]) -> None:
    """Refuse to replace a folder by a file, or to write through a symbolic link."""
    blocking = set()
    for file in files:
        target = root / file
        if target.is_dir() and not target.is_symlink():
            blocking.add(file)
        for parent in target.relative_to(root).parents:
            folder = root / parent
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                blocking.add(str(parent))
    if blocking:
        names = ", ".join(sorted(blocking))
        raise CommandFailedError(
            f"these paths conflict with the files to write: {names}; move them to another place"
        )


def _remove_stale(root: Path, before: dict[str, str], now: dict[str, str]) -> None:
    """Delete files of an earlier run that have not changed since and have no parameter anymore."""
    for file in set(before) - set(now):
        target = root / file
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == before[file]:
            target.unlink()
