"""The baseline: what the template would have made here, and what of it the team takes."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from packer_toolkit.adopt import answers as answers_module
from packer_toolkit.adopt import ci_config as surroundings
from packer_toolkit.adopt.answers import Found
from packer_toolkit.aws import partitions
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import expand_address, remove_secrets
from packer_toolkit.git.command import Git, GitError, build_environment
from packer_toolkit.git.network import limit_transfer
from packer_toolkit.hcl.sources import Packer, Place, Value
from packer_toolkit.repository.answers_file import (
    BESIDE_ANOTHER,
    DEFAULT,
    find_answers_files,
    names_template,
    parse_answers,
)
from packer_toolkit.template.clean_state import require_committed
from packer_toolkit.template.project import Project
from packer_toolkit.template.source import TemplateRelease, find_release, list_releases
from packer_toolkit.text.paths import show_path

MANIFEST = "hooks/demo-manifest.txt"
_QUESTION = re.compile(
    "(image|parent|aws|github)_.+|toolkit_image|personal_role_variable|keep_demo|start_git"
)
_BASE_IMAGES = "includes/base_images.jinja"
# The template's own refusals: its docs/decisions/0001.
_REFUSED = re.compile(
    r'(?P<question>\w+)="(?P<value>.*?)".*? is refused: (?P<reason>.*)\Z', re.DOTALL
)

State = Literal["missing", "same", "different", "in the way", "ignored"]
Origin = Literal["found", "given", "asked", "default"]


class Answer(NamedTuple):
    """An answer of the baseline.

    Attributes:
        value: the answer.
        origin: who gave it.
        place: where it was found, None when it was not.
    """

    value: Any
    origin: Origin
    place: Place | None


@dataclass
class Adoption:
    """What an adoption comes to, before anything is written.

    Attributes:
        folder: the folder that is adopted.
        source: the template's address, as it will be recorded.
        release: the template's release that becomes the baseline.
        render: what the template makes of the answers.
        answers: by question.
        found: what was read here.
        answers_file: path of the answers file, below the folder.
        refused: found values that the template does not take: question -> why.
        files: the template's files by path, and what is here in their place.
    """

    folder: Path
    source: str
    release: str
    render: Path
    answers: dict[str, Answer]
    found: Found
    answers_file: str
    refused: dict[str, str] = field(default_factory=dict)
    files: dict[str, State] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Return the template's files that are not here."""
        return [path for path, state in self.files.items() if state == "missing"]

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """Return the missing files that patterns choose.

        Args:
            patterns: all, none, paths, folders, or patterns such as inspec/*.

        Raises:
            SetupError: when one chooses nothing.
        """
        chosen: set[str] = set()
        for pattern in patterns:
            if pattern == "none":
                continue
            hits = {
                path
                for path in self.files
                if pattern == "all"
                or path.startswith(f"{pattern.rstrip('/')}/")
                or fnmatchcase(path, pattern)
            }
            if not hits:
                raise SetupError(f"--accept {pattern}: the template has no such file")
            chosen |= hits
        return [path for path in self.missing() if path in chosen]

    def diff(self, accepted: Sequence[str]) -> str:
        """Return what is going to be written, as a diff."""
        return "".join(self._diff(path) for path in sorted([*accepted, self.answers_file]))

    def differences(self) -> str:
        """Return how the team's files differ from the template's; they stay as they are."""
        paths = [path for path, state in self.files.items() if state == "different"]
        return "".join(self._diff(path) for path in paths)

    def _diff(self, path: str) -> str:
        here, new = self.folder / path, self.render / path
        before = here.read_bytes() if here.is_file() else b""
        name = show_path(path)
        mode = "100755" if os.access(new, os.X_OK) else "100644"
        lines = difflib.unified_diff(
            before.decode(errors="replace").splitlines(keepends=True),
            new.read_bytes().decode(errors="replace").splitlines(keepends=True),
            f"a/{name}" if here.is_file() else "/dev/null",
            f"b/{name}",
        )
        text = f"diff --git a/{name} b/{name}\n"
        text += "" if here.is_file() else f"new file mode {mode}\n"
        for line in lines:
            text += line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        return text

    def write(self, accepted: Sequence[str]) -> list[str]:
        """Add the accepted files, and the answers file last.

        Returns:
            The paths that were written.

        Raises:
            SetupError: when one cannot be written; what was written is removed again.
        """
        written: list[Path] = []
        folders: list[Path] = []
        try:
            for path in accepted:
                here = self.folder / path
                _make_folders(here.parent, self.folder, folders)
                # x: whoever has put a file there since keeps it.
                with here.open("xb") as file:
                    written.append(here)
                    file.write((self.render / path).read_bytes())
                shutil.copymode(self.render / path, here)
            partial = self.folder / f"{self.answers_file}.partial"
            _make_folders(partial.parent, self.folder, folders)
            written.append(partial)
            shutil.copyfile(self.render / self.answers_file, partial)
            partial.replace(self.folder / self.answers_file)
        except OSError as error:
            for file_written in written:
                file_written.unlink(missing_ok=True)
            for folder in reversed(folders):
                with suppress(OSError):
                    folder.rmdir()
            raise SetupError(
                f"{error.filename} cannot be written: {error.strerror}; nothing was added"
            ) from None
        return [*accepted, self.answers_file]


def _make_folders(folder: Path, top: Path, made: list[Path]) -> None:
    for part in [*reversed(folder.relative_to(top).parents), folder.relative_to(top)]:
        here = top / part
        if not here.is_dir():
            here.mkdir()
            made.append(here)


# ------------------------------------------------------------------------------------- preparing


def require_repository(folder: Path) -> Git:
    """Make sure that a folder can be adopted.

    Raises:
        SetupError: when it cannot, with what to do first.
    """
    git = Git(folder)
    try:
        git.text("rev-parse", "--show-toplevel")
        git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except GitError as error:
        if "dubious ownership" in error.reason:
            raise SetupError(f"{folder} belongs to somebody else, and git refuses it") from None
        raise SetupError(
            f"{folder} is no git repository with a commit; git init, and commit everything first"
        ) from None
    return git


def choose_file(folder: Path, wanted: str | None, git: Git) -> str:
    """Choose the path of the answers file that is added: not that of another template's.

    Args:
        folder: the folder that is adopted.
        wanted: the path that the user gave, relative to the folder; None for the default.
        git: git in the folder.

    Raises:
        SetupError: this template has an answers file here, or the file cannot be added there.
    """
    for path in find_answers_files(folder):
        answers = parse_answers((folder / path).read_bytes(), str(folder / path))
        if answers.get("_commit"):
            raise SetupError(
                f"{folder / path} names {remove_secrets(str(answers.get('_src_path')))} at "
                f"{answers['_commit']} already; look for a newer "
                "release with: task template-check"
            )
        return path
    if wanted is None:
        wanted = BESIDE_ANOTHER if _is_of_another_template(folder / DEFAULT) else DEFAULT
    place = Path(os.path.normpath(folder / wanted))
    if not place.is_relative_to(folder) or place == folder:
        raise SetupError(f"--answers-file {wanted}: it is outside of {folder}; go there")
    if os.path.lexists(place):
        if place.is_symlink() or not place.is_file():
            raise SetupError(f"{place} is not a file; delete it first")
        if _is_of_another_template(place):
            raise SetupError(
                f"{place} is an answers file of another template; choose another name: "
                f"--answers-file {BESIDE_ANOTHER}"
            )
    path = place.relative_to(folder).as_posix()
    if git.run("check-ignore", "--quiet", "--no-index", "--", path).returncode == 0:
        raise SetupError(f"git ignores {path} here; take it out of .gitignore first")
    return path


def _is_of_another_template(file: Path) -> bool:
    """Report whether a file holds the answers to another template's questions."""
    if not file.is_file() or not names_template(file.read_bytes()):
        return False
    try:
        answers = parse_answers(file.read_bytes(), str(file))
    except SetupError:
        return True
    # Copier records no release where it could not read the template as a git repository.
    names = [name for name in answers if not name.startswith("_")]
    return "_commit" in answers or not all(_QUESTION.fullmatch(name) for name in names)


def recorded(folder: Path, path: str) -> dict[str, Any]:
    """Return the answers of an answers file that names no release, {} when there is none."""
    file = folder / path
    if not file.is_file():
        return {}
    answers = parse_answers(file.read_bytes(), str(file))
    return {name: value for name, value in answers.items() if not name.startswith("_")}


def template_of_this_command() -> str | None:
    """Return the template's address, when this command was installed from it, as uvx does."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = json.loads(distribution("packer-toolkit").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    return str(origin["url"]) if origin.get("vcs_info", {}).get("vcs") == "git" else None


@contextmanager
def prepared(
    folder: Path,
    template: str,
    *,
    release: str | None,
    chosen: Path | None,
    data: Mapping[str, Any],
    ask: bool,
    write: bool,
    guess: bool,
    say: Callable[[str], None],
    answers_file: str | None = None,
) -> Iterator[Adoption]:
    """Work out an adoption; nothing here is written.

    Args:
        folder: the repository, or a folder of one.
        template: the template's address.
        release: the baseline; None: the release that is most like what is here.
        chosen: the folder with the Packer files; None: it is looked for.
        data: answers that were given.
        ask: whether a person is asked for what is not found.
        write: whether the adoption is going to be written: then everything must be committed.
        guess: whether answers may all be defaults, because there is no Packer file.
        say: tells a person what takes time.
        answers_file: the path of the answers file; None: chosen here.

    Yields:
        The adoption; its render is gone afterwards.
    """
    git = require_repository(folder)
    answers_file = choose_file(folder, answers_file, git)
    noted = recorded(folder, answers_file)
    if write:
        # What was added can then be told from a person's own work, committed alone and taken back.
        require_committed(Project(folder.absolute()))
    if chosen and not chosen.is_relative_to(folder):
        raise SetupError(f"{chosen} is not in {folder}")
    source = str(Path(template).expanduser().resolve()) if _is_folder(template) else template
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch, _for_copier():
        work = _Work(folder, git, source, Path(scratch), data, noted, answers_file, say)
        yield work.adoption(release, chosen, ask, guess)


def _is_folder(template: str) -> bool:
    return "://" not in template and Path(template).expanduser().is_dir()


class _Work:
    """A clone of the template in a temporary folder, and renders of it."""

    def __init__(
        self,
        folder: Path,
        git: Git,
        source: str,
        scratch: Path,
        data: Mapping[str, Any],
        noted: Mapping[str, Any],
        answers_file: str,
        say: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.git = git
        self.source = source
        self.scratch = scratch
        self.clone = scratch / "template"
        self.data = data
        self.noted = noted
        self.answers_file = answers_file
        self.say = say

    def adoption(
        self, release: str | None, chosen: Path | None, ask: bool, guess: bool
    ) -> Adoption:
        listed = list_releases(self.source, "--template")
        known = [item for item in listed if not item.version.is_prerelease]
        if release:
            release = find_release(self.source, release, "--template").tag
        elif not known:
            raise RemoteError(
                f"the template {remove_secrets(self.source)} has no release: no tag such as v1.0.0"
            )
        self._get_template()
        found = Found()
        packer = answers_module.read_packer(self.folder, chosen, found)
        if not (found.folder or guess):
            raise SetupError(
                f"{self.folder} has no Packer file with a source of an AMI, so that all answers "
                "would be guesses; give the folder that has one, or --defaults"
            )
        around = surroundings.read(self.folder, self.git)
        notes = list(found.notes)
        tag = release or known[-1].tag
        self._find(packer, around, tag, found)
        if not release and len(known) > 1:
            nearest = self._nearest(known, found)
            if nearest != tag:
                tag = nearest
                found = Found(found.folder, {}, list(notes))
                self._find(packer, around, tag, found)
        _refuse_other_partitions(found, self.data)
        render, refused = self._render(tag, found)
        if ask:
            render = self._ask(tag, found)
        answers = self._answers(render, found, ask)
        adoption = Adoption(
            self.folder, self.source, tag, render, answers, found, self.answers_file, refused
        )
        adoption.files = self._compare(render)
        return adoption

    def _get_template(self) -> None:
        try:
            command = ["clone", "--quiet", "--no-checkout", "--", expand_address(self.source)]
            limit_transfer(Git(self.scratch)).text(*command, str(self.clone))
        except GitError as error:
            raise RemoteError(
                f"the template {remove_secrets(self.source)} cannot be fetched: "
                f"{remove_secrets(error.reason)}"
            ) from None

    def _file(self, tag: str, path: str) -> str:
        try:
            return Git(self.clone).text("show", f"{tag}:{path}")
        except GitError:
            return ""

    def _find(
        self, packer: Packer, around: surroundings.Surroundings, tag: str, found: Found
    ) -> None:
        """Find the answers; those of an answers file without a release come before others."""
        for question, value in self.noted.items():
            found.add(question, value, Place(self.answers_file, 0))
        images = self._base_images(tag)
        answers_module.find(self.folder, packer, around, images, found)
        found.add("start_git", True, Place("git", 0))
        demo = self._file(tag, MANIFEST).splitlines()
        has_demo = bool(demo) and all((self.folder / path).is_file() for path in demo)
        where = demo[0] if has_demo else "none of its files"
        found.add("keep_demo", has_demo, Place(where, 0))

    def _base_images(self, tag: str) -> Mapping[str, Any]:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        try:
            # The release is not trusted: outside of the sandbox an expression reaches Python.
            template = ImmutableSandboxedEnvironment().from_string(self._file(tag, _BASE_IMAGES))
            images = getattr(template.module, "base_images", {})
        except Exception as error:  # Whatever an expression raises.
            raise SetupError(
                f"{_BASE_IMAGES} of the release {tag} cannot be read "
                f"({show_path(' '.join(str(error).split()))[:200] or type(error).__name__}); "
                "choose another release with --release"
            ) from None
        return images if isinstance(images, Mapping) else {}

    # ------------------------------------------------------------------------------- rendering

    def _render(self, tag: str, found: Found) -> tuple[Path, dict[str, str]]:
        """Let Copier render; found values that the template refuses are dropped.

        Returns:
            Where the render is, and why values were dropped, by question.
        """
        refused: dict[str, str] = {}
        while True:
            answers = self._for_copier(found)
            try:
                return self._copy(tag, answers, ask=False), refused
            except SetupError as error:
                match = _REFUSED.search(str(error))
                question = match["question"] if match else ""
                if not match or question in self.data or question not in found.answers:
                    raise
                value = found.answers.pop(question)
                reason = match["reason"].partition(". Accepted:")[0]
                refused[question] = f"{value.value} ({value.place}): {reason}"

    def _ask(self, tag: str, found: Found) -> Path:
        self.say("What was not found is asked; Enter takes the default.")
        return self._copy(tag, self._for_copier(found), ask=True)

    def _for_copier(self, found: Found) -> dict[str, Any]:
        return {**{name: value.value for name, value in found.answers.items()}, **self.data}

    def _copy(self, tag: str, answers: Mapping[str, Any], ask: bool) -> Path:
        import copier
        from copier.errors import CopierError

        # The answer to image_name may be made from the folder's name.
        parent = Path(tempfile.mkdtemp(dir=self.scratch))
        destination = parent / (self.folder.name or "repository")
        demo = self._file(tag, MANIFEST).splitlines()
        try:
            copier.run_copy(
                str(self.clone),
                destination,
                dict(answers),
                answers_file=self.answers_file,
                vcs_ref=tag,
                # Trust in the folder of our clone, such as /tmp/, is not trust in the template.
                settings=copier.Settings(defaults=copier.load_settings().defaults),
                defaults=not ask,
                # The hook would strip the demo and start git; nothing of the template's runs here.
                skip_tasks=True,
                quiet=True,
                exclude=[] if answers.get("keep_demo") is True else [_literally(p) for p in demo],
            )
        except KeyboardInterrupt:
            raise
        except (CopierError, ValueError, TypeError, OSError) as error:
            raise SetupError(_one_line(error)) from None
        except Exception as error:
            if type(error).__module__.split(".")[0] not in {"jinja2", "pydantic", "yaml"}:
                raise
            raise SetupError(_one_line(error)) from None
        self._name_source(destination / self.answers_file, tag)
        for empty in sorted(destination.rglob("*"), reverse=True):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
        return destination

    def _name_source(self, file: Path, tag: str) -> None:
        """Put the template's own address and release into the answers file.

        Copier has recorded the address of our clone, and perhaps another tag of the release.
        """
        import yaml

        text = file.read_text(encoding="utf-8")
        if not parse_answers(text.encode(), "the template's answers file").get("_commit"):
            raise SetupError("git cannot tell the template's release; unset GIT_DIR and the like")
        for key, value in (("_src_path", remove_secrets(self.source)), ("_commit", tag)):
            line = yaml.safe_dump({key: value}, allow_unicode=True, width=10**6)
            pattern = rf"^{key}:.*(?:\n[ \t]+.*)*\n"
            text, count = re.subn(pattern, line.replace("\\", "\\\\"), text, flags=re.M)
            if count != 1:
                raise SetupError(f"the template's answers file has no {key} of one line")
        file.write_text(text, encoding="utf-8")

    def _answers(self, render: Path, found: Found, asked: bool) -> dict[str, Answer]:
        text = (render / self.answers_file).read_bytes()
        made = parse_answers(text, "the template's answers file")
        answers: dict[str, Answer] = {}
        for name, value in made.items():
            if name.startswith("_"):
                continue
            here: Value | None = found.answers.get(name)
            if name in self.data:
                answers[name] = Answer(value, "given", None)
            elif here:
                answers[name] = Answer(value, "found", here.place)
            else:
                answers[name] = Answer(value, "asked" if asked else "default", None)
        return answers

    # ----------------------------------------------------------------------------- comparing

    def _nearest(self, known: Sequence[TemplateRelease], found: Found) -> str:
        """Return the release that is most like what is here.

        A copy of an older release must be compared with that release: with the newest one, what
        the template has changed since would count as the team's own edits, and stay as it was.
        """
        self.say(f"Comparing with {len(known)} releases.")
        renders: dict[str, tuple[Path, dict[str, State]]] = {}
        for release in known:
            mine = Found(found.folder, dict(found.answers), [])
            try:
                render, _ = self._render(release.tag, mine)
            except SetupError:
                continue
            renders[release.tag] = render, self._compare(render)
        # A hand-made README.md is no copy of the template's, and would speak for its shortest one.
        here = {
            path
            for render, states in renders.values()
            for path, state in states.items()
            if state == "same"
            or (state == "different" and _is_copy(self.folder / path, render / path))
        }
        if not here:
            return known[-1].tag
        # Only files that are here count, and the same ones for every release: all lines of one
        # that a release has not yet, or no longer.  A file that is not here says nothing: either
        # the team deleted it, or the release that has it is newer than the copy.
        scores: dict[str, int] = {}
        for tag, (render, states) in renders.items():
            scores[tag] = sum(
                _distance(self.folder / path, render / path)
                for path in here
                if states.get(path) != "same"
            )
            lines = "line differs" if scores[tag] == 1 else "lines differ"
            self.say(f"Compared with {tag}: {scores[tag]} {lines}.")
        # Of several the oldest: what a newer one has and is not here then comes with the next
        # update, where a person sees it and may delete it.  With the newest one it would count as
        # deleted and never come.
        return min(scores, key=lambda tag: scores[tag])

    def _compare(self, render: Path) -> dict[str, State]:
        paths = [
            path.relative_to(render).as_posix()
            for path in sorted(render.rglob("*"))
            if not path.is_dir() or path.is_symlink()
        ]
        states: dict[str, State] = {}
        for path in paths:
            if path != self.answers_file:
                states[path] = self._state(path, render)
        missing = [path for path, state in states.items() if state == "missing"]
        if missing:
            given = "\0".join(missing).encode("utf-8", "surrogateescape")
            done = self.git.run("check-ignore", "-z", "--stdin", "--no-index", stdin=given)
            for path in os.fsdecode(done.stdout).split("\0"):
                if path in states:
                    states[path] = "ignored"
        return states

    def _state(self, path: str, render: Path) -> State:
        here = self.folder / path
        for parent in list(here.parents)[: path.count("/")]:
            if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
                return "in the way"
        if not os.path.lexists(here):
            return "missing"
        if here.is_dir() or here.is_symlink() or not here.is_file():
            return "in the way"
        return "same" if here.read_bytes() == (render / path).read_bytes() else "different"


def _refuse_other_partitions(found: Found, given: Mapping[str, Any]) -> None:
    """Refuse a repository that builds in another partition; a default region would be wrong there.

    Args:
        found: Gets notes on values that are left out, where the region is a supported one.
        given: Answers that were given.

    Raises:
        SetupError: No supported region is known.
    """
    values = [(value, partitions.describe_refusal(str(value.value))) for value in found.unsupported]
    if values and "aws_region" not in given and "aws_region" not in found.answers:
        value, reason = values[0]
        raise SetupError(
            f"{value.value} ({value.place}): {reason}; nothing was added, and with --data "
            "aws_region=REGION it is adopted for a region of that partition"
        )
    found.notes += [f"{value.value} ({value.place}) was left out: {why}" for value, why in values]


def _distance(here: Path, there: Path) -> int:
    """Return how many lines one of two files has and the other has not."""
    one, other = _lines(here), _lines(there)
    return (one - other).total() + (other - one).total()


def _is_copy(here: Path, there: Path) -> bool:
    """Tell whether two files have at least half of their lines in common."""
    one, other = _lines(here), _lines(there)
    return 2 * (one & other).total() >= max(one.total(), other.total())


def _lines(file: Path) -> Counter[bytes]:
    """Return how often each line stands in a file; one that is not there has none."""
    return Counter(file.read_bytes().splitlines() if file.is_file() else [])


def _literally(path: str) -> str:
    """Return a pattern of Copier's that matches one path."""
    return "/" + re.sub(r"([*?\[\]!\\#])", r"\\\1", path)


def _one_line(error: Exception) -> str:
    """Return what Copier or the template says, in one line."""
    text = str(error)
    prefix = "'dict object' has no attribute '"
    if text.startswith(prefix):
        return text.removeprefix(prefix).rstrip()[:-1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Copier cannot render the template: {(lines or [type(error).__name__])[-1]}"


@contextmanager
def _for_copier() -> Iterator[None]:
    """Give Copier's processes the environment that git gets here; plumbum keeps a copy of it."""
    import warnings

    from plumbum import local

    with local.env(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local.env.clear()
        local.env.update(build_environment(Path.cwd()))
        yield
