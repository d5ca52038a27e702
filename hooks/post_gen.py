"""Finish a new repository: take the demo out, start git, say what comes next.

Copier runs this after `copier copy` and `copier recopy`, never during `copier update`, with the
new repository as working directory and one argument: a JSON object with the fields of `Job`.

A failing task makes Copier delete the whole new repository.  So whatever goes wrong here ends in
one line on stderr that says what was left undone and how to do it by hand, and in exit code 0.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

MANIFEST = "hooks/demo-manifest.txt"
# The one name in template/ that Copier renders.
_ANSWERS_FILE = "{{ _copier_conf.answers_file }}"
_MOST_SHOWN = 20

# What a person or a runner may set for git, and is respected: their configuration, their name.
# Every other GIT_* variable either points git at some other repository (a git hook that calls
# Copier has GIT_DIR and GIT_INDEX_FILE set) or changes what its commands do.
_KEPT_GIT_VARIABLES = {
    "GIT_AUTHOR_DATE",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_DATE",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
}

# Seconds; git uses no network here, except on a file system that is far away.
_GIT_SECONDS = 300

# Hooks of the machine or of init.templateDir check a team's own commits; ours is made of the
# template's files, and a hook that asks, hangs or refuses would leave the repository half done.
_GIT = (
    *("git", "-c", "core.hooksPath=/dev/null", "-c", "user.useConfigOnly=true"),
    *("-c", "log.showSignature=false"),
    *(
        "-c",
        "maintenance.auto=false",
    ),  # one commit needs no tidying up, which starts two more processes
)


@dataclass(frozen=True)
class Job:
    """What Copier hands over.

    Attributes:
        answers_file: where Copier has recorded the answers, below the new repository.
        destination: the new repository as the person typed it.
        github_host: answer to the question of that name.
        github_organization: answer to the question of that name.
        image_name: answer to the question of that name.
        keep_demo: answer to the question of that name.
        quiet: whether Copier runs with --quiet.
        start_git: answer to the question of that name.
        template: folder with the whole template, of the version that was rendered.
        secret_address: the template's address as recorded, where the one that was given holds a
            user, a password or a token; otherwise empty.
    """

    answers_file: str
    destination: str
    github_host: str
    github_organization: str
    image_name: str
    keep_demo: bool
    quiet: bool
    start_git: bool
    template: str
    secret_address: str = ""

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read the argument of this program.

        Raises:
            ValueError: when it is not an object with exactly the fields above, each of its type.
        """
        given = {"secret_address": "", **dict(json.loads(text))}
        wanted = {field.name: field.type for field in fields(cls)}
        found = {name: type(value).__name__ for name, value in given.items()}
        if found != wanted:
            raise ValueError(f"copier.yml and {Path(__file__).name} disagree: {found} != {wanted}")
        return cls(**given)


# ---------------------------------------------------------------------------------------- git


class GitError(RuntimeError):
    """A git command failed; the message is git's own line about it."""

    def __init__(self, output: str) -> None:
        said = [line.strip() for line in output.splitlines() if line.strip()]
        reasons = [line for line in said if line.startswith(("fatal:", "error:"))]
        super().__init__((reasons or said or ["git does not say why"])[0])


Git = Callable[..., str]
Step = Callable[[Job, Path], list[str]]


def git_for(folder: Path) -> Git:
    """Return a function that runs one git command in a folder and returns what it printed.

    GitPython is taken where it is installed, and the git command otherwise; a plain
    `uvx copier` has no GitPython.  Both get the same arguments, hence do the same: of GitPython
    only its runner is used, because `Repo.init` expands `$NAME` in the path and
    `repo.index.commit` invents an author.

    The function raises GitError when the command fails, and OSError when there is no git.
    """
    # Copier runs us with -B.  An installed package is no litter in the template, and without
    # its bytecode GitPython would be compiled on every single copy, which takes half a second.
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    try:
        # GitPython refuses its first import without git, and no later one.
        if not shutil.which("git"):
            raise ImportError
        from git.cmd import Git as GitCommand
    except ImportError:
        return lambda *args: _checked(*_run_command(folder, args))
    runner = GitCommand(folder)
    return lambda *args: _checked(
        *runner.execute(
            [*_GIT, *args],
            with_extended_output=True,
            with_exceptions=False,
            kill_after_timeout=None if sys.platform == "win32" else _GIT_SECONDS,
        )
    )


def _run_command(folder: Path, args: Sequence[str]) -> tuple[int, str, str]:
    try:
        result = subprocess.run(
            [*_GIT, *args],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            timeout=_GIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git {args[0]} did not end within {_GIT_SECONDS} seconds") from None
    return result.returncode, result.stdout, result.stderr


def _checked(status: int | None, out: str | bytes, err: str | bytes) -> str:
    if status:
        raise GitError(_text(err))
    return _text(out)


def _text(output: str | bytes) -> str:
    return output if isinstance(output, str) else os.fsdecode(output)


def scrub_environment() -> None:
    """Remove from our environment what would lead git elsewhere, and ask it for plain English."""
    for name in list(os.environ):
        if name.startswith("GIT_") and name not in _KEPT_GIT_VARIABLES:
            del os.environ[name]
    # What a partial clone lacks is not fetched (git 2.44), and nothing asks for a password.
    os.environ.update(LC_ALL="C", GIT_NO_LAZY_FETCH="1", GIT_TERMINAL_PROMPT="0")


def _succeeds(git: Git, *args: str) -> bool:
    try:
        git(*args)
    except GitError:
        return False
    return True


def enclosing_repository(folder: Path) -> Path | None:
    """Return the nearest folder, from this one upwards, that holds a `.git` with something in it.

    Looked up without git, so that a repository which git refuses to read counts as one.  Like
    git, the search ends where another file system begins.
    """
    device = folder.stat().st_dev
    for candidate in (folder, *folder.parents):
        if candidate.stat().st_dev != device:
            break
        if _is_repository(candidate / ".git"):
            return candidate
    return None


def _is_repository(dot_git: Path) -> bool:
    try:
        return dot_git.is_file() or any(dot_git.iterdir())
    except PermissionError:
        return True  # there is something that we may not see
    except OSError:
        return False


def tracked_paths(git: Git, root: Path, paths: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return which paths the last commit holds, and which only the index does.

    Args:
        git: from `git_for`, in the folder that the paths are relative to.
        root: the repository's top folder.
        paths: relative to the folder of `git`.

    Raises:
        GitError: when git cannot read the repository.
    """
    # In a broken repository git silently goes on to the one around it.
    top = git("rev-parse", "--show-toplevel").rstrip("\n")
    if not root.samefile(top):
        raise GitError(f"git takes {top} for the repository")
    index = set(git("ls-files", "-z", "--", *paths).split("\0"))
    head: set[str] = set()
    if _succeeds(git, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
        head = set(git("ls-tree", "-r", "-z", "--name-only", "HEAD", *paths).split("\0"))
    elif _succeeds(git, "reflog", "exists", "HEAD"):
        # Not just a repository without a commit: there were some.
        raise GitError("HEAD names no commit")
    return head & set(paths), (index - head) & set(paths)


# --------------------------------------------------------------------------------- the demo


def strip_demo(job: Job, here: Path) -> list[str]:
    """Remove the template's demo files, and nothing that is the team's.

    On `copier recopy` Copier has just overwritten what stood at the demo's paths.  What git
    tracks there is put back; committing is left to the person.

    Returns:
        One line for each kind of path that was left.
    """
    if job.keep_demo:
        return []
    template = Path(job.template)
    manifest = (template / MANIFEST).read_text(encoding="utf-8").splitlines()
    unsafe = [entry for entry in manifest if not is_plain_path(entry)]
    lines = _line("The demo's list is wrong, please report it. Left alone: {}", unsafe)

    present = [entry for entry in manifest if entry not in unsafe and os.path.lexists(here / entry)]
    ours = [entry for entry in present if is_the_templates(entry, here, template / "template")]
    lines += _line(
        "Left alone, because they are not the demo as the template has it: {}",
        [entry for entry in present if entry not in ours],
    )
    root = enclosing_repository(here)
    if not ours:
        return lines

    restored: set[str] = set()
    if root:
        try:
            restored = _restore_tracked(git_for(here), root, ours)
        except (GitError, OSError) as error:
            return [
                *lines,
                f"The demo was left in: git cannot read the repository {root} ({error}), and "
                f"files of yours may be among these: {shown(ours)}",
            ]
    lines += _line(
        "Left as git has them, because they may be yours: {0}; if they are the demo, remove them "
        "with: git rm -- {0}",
        [entry for entry in ours if entry in restored],
    )
    failed = [
        f"{entry} ({reason})"
        for entry in ours
        if entry not in restored and (reason := _remove(entry, here))
    ]
    return [*lines, *_line("Could not remove, please do: {}", failed)]


def _is_own_file(path: str, here: Path) -> bool:
    """Return whether a path is a file, reached through real folders."""
    parents = [here / parent for parent in PurePosixPath(path).parents]
    if any(parent.is_symlink() for parent in parents if parent != here):
        return False
    return (here / path).is_file() and not (here / path).is_symlink()


def is_plain_path(entry: str) -> bool:
    """Tell whether a line of the manifest names one file below the repository."""
    parts = entry.split("/")
    return (
        not set(parts) & {"", ".", "..", ".git"}
        and not set(entry) & set("*?[]!\\\0")
        and entry == entry.strip()
    )


def is_the_templates(entry: str, here: Path, template: Path) -> bool:
    """Tell whether a path holds what the template has there, reached through real folders."""
    if not (_is_own_file(entry, here) and _is_own_file(entry, template)):
        return False
    return (template / entry).read_bytes() == (here / entry).read_bytes()


def _restore_tracked(git: Git, root: Path, paths: Sequence[str]) -> set[str]:
    in_head, only_in_index = tracked_paths(git, root, paths)
    command = ("--literal-pathspecs", "restore", "--ignore-skip-worktree-bits", "--worktree")
    if in_head:
        git(*command, "--source=HEAD", "--", *sorted(in_head))
    if only_in_index:
        git(*command, "--", *sorted(only_in_index))
    return in_head | only_in_index


def _remove(entry: str, here: Path) -> str:
    """Remove a file and the folders that are empty then; return why it did not work."""
    try:
        (here / entry).unlink()
    except OSError as error:
        return error.strerror or str(error)
    with suppress(OSError):  # the first folder that is not empty
        for parent in PurePosixPath(entry).parents[:-1]:
            (here / parent).rmdir()
    return ""


# --------------------------------------------------------------------------- the template's release

# docs/releasing.md: this is the one form of a release's tag.
_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-?(a|b|rc|alpha|beta)\.?(\d+))?")
_COMMIT = re.compile(rb"(?m)^_commit: *['\"]?([^'\"\s]+)['\"]?[ \t]*\r?$")
# An answers file with three of these is one of this template: docs/decisions/0026.
_QUESTION = re.compile("(?m)^(image_name|parent_image|aws_management_account|toolkit_image):")
# Copier commits the uncommitted changes of a template under this subject, in its own clone.
_DRAFT = "Copier automated commit for draft changes"


def recorded_version(answers: bytes) -> str:
    """Return the version of the template in the text of an answers file, "" without one."""
    match = _COMMIT.search(answers)
    return os.fsdecode(match[1]) if match else ""


def record_release(job: Job, here: Path) -> list[str]:
    """Record the release of the template that was rendered.

    Copier records `git describe --tags`, which may name another tag of the release's commit.
    Without a release at that commit updates cannot work as documented, so a line reports it now.

    Returns:
        One line when the template was not rendered at a release.
    """
    file = here / job.answers_file
    if not file.is_file() or not (recorded := recorded_version(text := file.read_bytes())):
        return []  # check_updatable reports it
    git = git_for(Path(job.template))
    try:
        releases = sort_releases(git("tag", "--points-at", "HEAD").split())
    except FileNotFoundError:
        return []  # start_git reports that git is missing
    if recorded in releases:
        return []
    if releases:
        line = f"_commit: {releases[-1]}".encode()
        file.write_bytes(_COMMIT.sub(lambda _: line, text, count=1))
        return []
    known = sort_releases(git("tag").split())
    if not known:
        return [
            f"The template has no release tag here, so {job.answers_file} names {recorded} as its "
            "release and updates are refused; run git fetch --tags in the template's clone (with "
            "--unshallow for a shallow clone), or use the template's URL, and copy again"
        ]
    draft = git("log", "-1", "--format=%s", "HEAD").strip() == _DRAFT
    what = "uncommitted changes, which no update can read" if draft else "not a release"
    return [
        f"The template was copied at {recorded} ({what}), so updates do not work as documented; "
        f"copy again from a release, such as --vcs-ref {known[-1]}"
    ]


def sort_releases(tags: Iterable[str]) -> list[str]:
    """Return the releases among tags, the newest last.

    Tags such as 2027.1.31 are releases only where none begins with v.
    """
    matches = {tag: match for tag in tags if (match := _RELEASE.fullmatch(tag))}

    def order(tag: str) -> tuple[object, ...]:
        major, minor, patch, stage, number = matches[tag].groups()
        # A final release comes after its prereleases.
        return int(major), int(minor), int(patch), stage or "z", int(number or 0)

    return sorted([tag for tag in matches if tag.startswith("v")] or matches, key=order)


def check_answers_file(job: Job, here: Path) -> list[str]:
    """Report that Copier has overwritten the answers file of another template.

    Returns:
        One line, or nothing.
    """
    if not enclosing_repository(here):
        return []
    try:
        before = git_for(here)("show", f"HEAD:./{job.answers_file}")
    except (GitError, OSError):
        return []  # there was none
    if not re.search("(?m)^_src_path:", before) or len(set(_QUESTION.findall(before))) >= 3:
        return []
    file = shlex.quote(job.answers_file)
    return [
        f"{job.answers_file} was the answers file of another template; restore it with git "
        f"checkout HEAD -- {file}, and copy again with --answers-file "
        ".copier-answers.packer-ami.yml"
    ]


# ------------------------------------------------------------------------------ the first commit


def rendered_paths(job: Job, here: Path) -> list[str]:
    """Return the paths that hold what the template rendered, relative to the repository.

    The folder may have held files before: others of the same name that the user chose to keep, and
    files that must never be pushed, such as .env.
    """
    template = Path(job.template, "template")
    is_known = (here / job.answers_file).is_file()
    answers_file = job.answers_file if is_known else ".copier-answers.yml"
    began = Path(job.template, "copier.yml").stat().st_mtime_ns
    # Copier fetches the template before it renders, so what it wrote is newer, unless the clocks of
    # two file systems differ.
    is_reliable = (here / answers_file).stat().st_mtime_ns >= began
    paths = []
    for source in sorted(template.rglob("*")):
        name = source.relative_to(template).as_posix()
        path = name.removesuffix(".jinja").replace(_ANSWERS_FILE, answers_file)
        if source.is_dir() or not _is_own_file(path, here):
            continue
        if path == name:
            is_rendered = is_the_templates(path, here, template)
        else:
            is_rendered = not is_reliable or (here / path).stat().st_mtime_ns >= began
        if is_rendered:
            paths.append(path)
    return paths


def other_paths(here: Path, rendered: Sequence[str]) -> list[str]:
    """Return the other files of a folder; of one without anything rendered, the folder alone."""
    parents = {parent.as_posix() for path in rendered for parent in PurePosixPath(path).parents}
    known = {*rendered, ".git"}
    others = []
    for folder, folders, files in os.walk(here):
        prefix = "" if Path(folder) == here else f"{Path(folder).relative_to(here).as_posix()}/"
        for name in list(folders):
            if f"{prefix}{name}" not in parents or os.path.islink(Path(folder, name)):
                folders.remove(name)
                files.append(name)
        others += [f"{prefix}{name}" for name in files if f"{prefix}{name}" not in known]
    return sorted(others)


def add_command(rendered: Sequence[str], others: Sequence[str]) -> str:
    """Return the shell command that stages what the template rendered."""
    if not others:
        return "git add --all"
    without = shown([f":(exclude,literal){path}" for path in others])
    return min(f"git add --all -- . {without}", f"git add -- {shown(rendered)}", key=len)


def start_git(job: Job, here: Path) -> list[str]:
    """Make a repository with one commit of what was rendered, unless there is one already.

    Returns:
        One line of what was left undone, or nothing.
    """
    if not job.start_git:
        return []
    message = f"Start packer-ami-{job.image_name} from its template"
    root = enclosing_repository(here)
    if root == here:
        return []
    rendered = rendered_paths(job, here)
    others = other_paths(here, rendered)
    commit = f"{add_command(rendered, others)} && git commit -m {shlex.quote(message)}"
    if root:
        return [
            f"No git repository was started, because this is inside the repository {root}; "
            f"commit it there with: {commit}"
        ]
    undone = f"git init -b main && {commit}"
    try:
        git = git_for(here)
        git("init", "--quiet", "-b", "main")
        undone = commit
        # Forced, because the user's own ignore file may match a file of the template.
        git("--literal-pathspecs", "add", "--force", "--", *rendered)
        try:
            git("commit", "--quiet", "--no-gpg-sign", "-m", message)
        except GitError:
            if _has_identity(git):
                raise
            return [
                "No commit was made, because git does not know your name; do it with: "
                "git config --global user.name 'YOUR NAME' && "
                f"git config --global user.email 'YOU@EXAMPLE.COM' && {commit}"
            ]
    except GitError as error:
        if "dubious ownership" in str(error):
            trust = f"git config --global --add safe.directory {shlex.quote(str(here))}"
            undone = f"{trust} && {undone}"
        return [f"Git was not started ({error}); do it with: {undone}"]
    except FileNotFoundError:
        return [f"Git was not started, because it is not installed; then do: {undone}"]
    return _line(
        "Not in the first commit, because the template did not make it: {}; commit what others may "
        "read with: git add -- PATH && git commit",
        _not_ignored(git, others),
    )


def _not_ignored(git: Git, paths: Sequence[str]) -> list[str]:
    try:
        ignored = set(git("-c", "core.quotePath=false", "check-ignore", "--", *paths).splitlines())
    except (GitError, OSError):  # none of them, or too many for a command
        ignored = set()
    return [path for path in paths if path not in ignored]


def _has_identity(git: Git) -> bool:
    """Tell whether git knows a name and an address for a commit, without guessing them."""
    return all(_succeeds(git, "var", name) for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"))


# ---------------------------------------------------------------------------------- what to say


def check_updatable(job: Job, here: Path) -> list[str]:
    """Say so when Copier could not record the template's version.

    That happens without an error: with GIT_DIR set, with a template checkout that belongs to
    somebody else, with a template that is no git repository.
    """
    if recorded_version((here / job.answers_file).read_bytes()):
        return []
    return [
        f"`copier update` cannot work here: {job.answers_file} has no _commit, because Copier "
        "could not read the template as a git repository; unset GIT_DIR and the like, or use the "
        "template's URL or a checkout of your own, and copy again"
    ]


def explain_login(job: Job, here: Path) -> list[str]:
    """Explain how updates log in when the login was left out of the recorded address."""
    del here
    if not job.secret_address:
        return []
    return [
        f"{job.answers_file} names the template without your login: {job.secret_address}; updates "
        "log in as git does, such as after gh auth setup-git or with a credential helper, and "
        "the weekly workflow with the secret TEMPLATE_UPDATE_TOKEN"
    ]


def next_steps(job: Job, here: Path, before: Path | None) -> list[str]:
    """Return three lines that lead from here to a repository that others can use.

    Args:
        job: what Copier handed over.
        here: the new repository.
        before: the git repository that was here or around before we started.
    """
    enter = "" if job.destination == "." else f"cd {shlex.quote(job.destination)}, and "
    if before == here:
        share = "look at what has changed with git status and git diff, and commit it"
    elif before:
        share = (
            "commit it in the repository around it, and push; its workflows do not run there, "
            "because GitHub reads .github/workflows at the top alone, and a repository has one "
            "pipeline for one image: docs/pipeline.md of the template"
        )
    else:
        repository = f"{job.github_organization}/packer-ami-{job.image_name}"
        first = "" if enclosing_repository(here) else "git init -b main, commit, "
        share = (
            f"create an empty repository {repository} on {job.github_host}, then {first}git remote "
            f"add origin https://{job.github_host}/{repository}.git && git push -u origin main"
        )
    return [
        f"packer-ami-{job.image_name} is there. What comes next:",
        f"  1. Look: {enter}check the values in README.md and image.auto.pkrvars.hcl",
        "  2. Build it here, without AWS: packer init . && packer build -only=docker.local .",
        f"  3. Share it: {share}",
    ]


def _line(sentence: str, paths: Sequence[str]) -> list[str]:
    more = f" and {len(paths) - _MOST_SHOWN} more" if len(paths) > _MOST_SHOWN else ""
    return [sentence.format(shown(paths[:_MOST_SHOWN]) + more)] if paths else []


def shown(paths: Iterable[str]) -> str:
    """Return paths as words for the shell, in one line."""
    return " ".join(map(_quote, paths))


def _quote(path: str) -> str:
    if path.isprintable():
        return shlex.quote(path)
    escaped = (
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
        for byte in os.fsencode(path)
    )
    return f"$'{''.join(escaped)}'"


def say(line: str) -> None:
    """Print to stderr, like Copier; a closed terminal is no reason to fail."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr)


def main(arguments: Sequence[str]) -> None:
    """Take the steps one after the other, whatever becomes of each."""
    (text,) = arguments
    job = Job.from_json(text)
    scrub_environment()
    notes: list[str] = []
    try:
        here = Path.cwd()
        before = enclosing_repository(here)
        # The release is recorded before the first commit, which start_git makes.
        before_git = (strip_demo, record_release, check_answers_file)
        for step in (*before_git, start_git, check_updatable, explain_login):
            notes += _whatever_happens(step, job, here)
    except OSError as error:
        notes.append(f"The new repository cannot be read ({error})")
    else:
        if not job.quiet:
            for line in next_steps(job, here, before):
                say(line)
    for note in notes:
        say(f"Note: {note}")


def _whatever_happens(step: Step, job: Job, here: Path) -> list[str]:
    try:
        return step(job, here)
    except Exception as error:
        subject = (step.__doc__ or "").splitlines()[0].rstrip(".")
        return [f"This did not work: {subject} ({str(error) or repr(error)})"]


if __name__ == "__main__":
    main(sys.argv[1:])
