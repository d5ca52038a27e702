"""Finish a new repository: remove the demo, initialize git, print the next steps.

Copier runs this after `copier copy` and `copier recopy`, never during `copier update`, with the
new repository as working directory and one argument: a JSON object with the fields of `Job`.

When a task fails, Copier deletes the whole new repository.  If a step fails, this program therefore
only prints a line to stderr that explains how to finish it manually, and exits with 0.
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
# The only file name in template/ that contains a Jinja expression.
_ANSWERS_FILE = "{{ _copier_conf.answers_file }}"
_MAX_LISTED_PATHS = 20

# Variables with the git configuration and identity of the user or the runner, which are respected.
# Every other GIT_* variable points git to another repository (a git hook that calls Copier has
# GIT_DIR and GIT_INDEX_FILE set) or changes how its commands behave.
_ALLOWED_GIT_VARIABLES = {
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

# The commands need no network, but the repository may be on a slow network file system.
_GIT_TIMEOUT_SECONDS = 300

# Global hooks and those of init.templateDir are disabled: they are meant for a team's own commits,
# and one that prompts, hangs or fails would leave the repository incomplete.
_GIT = (
    *("git", "-c", "core.hooksPath=/dev/null", "-c", "user.useConfigOnly=true"),
    *("-c", "log.showSignature=false"),
    # After a single commit, maintenance would only start two more processes.
    *("-c", "maintenance.auto=false"),
)


@dataclass(frozen=True)
class Job:
    """The values that Copier passes to this hook.

    Attributes:
        answers_file: Path of the answers file, relative to the new repository.
        destination: Path of the new repository as the user entered it.
        github_host: Answer to the question of that name.
        github_organization: Answer to the question of that name.
        image_name: Answer to the question of that name.
        keep_demo: Answer to the question of that name.
        quiet: Whether Copier runs with --quiet.
        start_git: Answer to the question of that name.
        template: Folder with the whole template, at the version that was rendered.
        secret_address: The recorded address of the template if the original one contains a user,
            a password or a token; otherwise empty.
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
        """Parse the argument of this program.

        Args:
            text: A JSON object.

        Returns:
            The job.

        Raises:
            ValueError: If the object does not have exactly the fields above, with their types.
        """
        values = {"secret_address": "", **dict(json.loads(text))}
        expected = {field.name: field.type for field in fields(cls)}
        types = {name: type(value).__name__ for name, value in values.items()}
        if types != expected:
            name = Path(__file__).name
            raise ValueError(f"copier.yml passes {types} to {name}, which expects {expected}")
        return cls(**values)


# ---------------------------------------------------------------------------------------- git


class GitError(RuntimeError):
    """A git command failed; the message is the line of git's output that has the reason."""

    def __init__(self, output: str) -> None:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        reasons = [line for line in lines if line.startswith(("fatal:", "error:"))]
        super().__init__((reasons or lines or ["git gave no reason"])[0])


Git = Callable[..., str]
Step = Callable[[Job, Path], list[str]]


def create_git_runner(folder: Path) -> Git:
    """Return a function that runs a git command in a folder and returns its output.

    The function uses GitPython where it is installed, and the git command otherwise; a plain
    `uvx copier` has no GitPython.  Both receive the same arguments and behave alike: only the
    command runner of GitPython is used, because `Repo.init` expands `$NAME` in the path and
    `repo.index.commit` invents an author.

    Args:
        folder: Working directory of the commands.

    Returns:
        The function.  It raises GitError if the command fails, and OSError if git is missing.
    """
    # Copier runs this program with -B, to keep the template clean.  GitPython is an installed
    # package: without its bytecode, every copy would compile it, which takes half a second.
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    try:
        # Without git, GitPython fails on its first import only.
        if not shutil.which("git"):
            raise ImportError
        from git.cmd import Git as GitCommand
    except ImportError:
        return lambda *args: _check_result(*_run_command(folder, args))
    runner = GitCommand(folder)
    return lambda *args: _check_result(
        *runner.execute(
            [*_GIT, *args],
            with_extended_output=True,
            with_exceptions=False,
            kill_after_timeout=None if sys.platform == "win32" else _GIT_TIMEOUT_SECONDS,
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
            timeout=_GIT_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise GitError(
            f"git {args[0]} did not finish within {_GIT_TIMEOUT_SECONDS} seconds"
        ) from None
    return result.returncode, result.stdout, result.stderr


def _check_result(status: int | None, out: str | bytes, err: str | bytes) -> str:
    if status:
        raise GitError(_decode(err))
    return _decode(out)


def _decode(output: str | bytes) -> str:
    return output if isinstance(output, str) else os.fsdecode(output)


def scrub_environment() -> None:
    """Remove variables that redirect git to another repository, and set its language to English."""
    for name in list(os.environ):
        if name.startswith("GIT_") and name not in _ALLOWED_GIT_VARIABLES:
            del os.environ[name]
    # git must not fetch missing objects of a partial clone (git 2.44), nor prompt for a password.
    os.environ.update(LC_ALL="C", GIT_NO_LAZY_FETCH="1", GIT_TERMINAL_PROMPT="0")


def _can_run(git: Git, *args: str) -> bool:
    try:
        git(*args)
    except GitError:
        return False
    return True


def find_enclosing_repository(folder: Path) -> Path | None:
    """Return the nearest folder, from this one upwards, that contains a `.git` with content.

    The search does not use git, so it also finds a repository that git refuses to read.  As in
    git, it stops at the boundary of the file system.

    Args:
        folder: Folder to start from.

    Returns:
        The top folder of the repository, or None.
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
        return True  # it has content that this user may not read
    except OSError:
        return False


def find_tracked_paths(git: Git, root: Path, paths: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the paths that are in the last commit, and those that are only in the index.

    Args:
        git: Function from `create_git_runner`, for the folder that the paths are relative to.
        root: Top folder of the repository.
        paths: Paths relative to the folder of `git`.

    Returns:
        The paths in the last commit, and the paths that are only in the index.

    Raises:
        GitError: If git cannot read the repository.
    """
    # If the repository is broken, git silently continues with the one that encloses it.
    top = git("rev-parse", "--show-toplevel").rstrip("\n")
    if not root.samefile(top):
        raise GitError(f"git uses the repository {top} instead")
    index = set(git("ls-files", "-z", "--", *paths).split("\0"))
    head: set[str] = set()
    if _can_run(git, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"):
        head = set(git("ls-tree", "-r", "-z", "--name-only", "HEAD", *paths).split("\0"))
    elif _can_run(git, "reflog", "exists", "HEAD"):
        # Unlike in a new repository, commits have existed.
        raise GitError("HEAD does not refer to a commit")
    return head & set(paths), (index - head) & set(paths)


# --------------------------------------------------------------------------------- the demo


def remove_demo(job: Job, project: Path) -> list[str]:
    """Remove the template's demo files, but none of the team's files.

    On `copier recopy`, Copier has just overwritten any files at the demo's paths.  Files that git
    tracks there are restored; committing is up to the user.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        One line for each kind of path that was not removed.
    """
    if job.keep_demo:
        return []
    template = Path(job.template)
    manifest = (template / MANIFEST).read_text(encoding="utf-8").splitlines()
    unsafe = [entry for entry in manifest if not is_plain_path(entry)]
    lines = _format_line(
        "The template's list of demo files has invalid entries, which were skipped; please report "
        "this to the template's maintainers: {}",
        unsafe,
    )

    present = [
        entry for entry in manifest if entry not in unsafe and os.path.lexists(project / entry)
    ]
    demo = [entry for entry in present if is_template_file(entry, project, template / "template")]
    lines += _format_line(
        "Not removed, because they differ from the template's demo: {}",
        [entry for entry in present if entry not in demo],
    )
    root = find_enclosing_repository(project)
    if not demo:
        return lines

    restored: set[str] = set()
    if root:
        try:
            restored = _restore_tracked(create_git_runner(project), root, demo)
        except (GitError, OSError) as error:
            return [
                *lines,
                f"The demo was not removed, because git cannot read the repository {root} "
                f"({error}); delete the files that are not yours: {format_paths(demo)}",
            ]
    lines += _format_line(
        "Restored from git, because they may be yours: {0}; if they are the demo, remove them "
        "with: git rm -- {0}",
        [entry for entry in demo if entry in restored],
    )
    failed = [
        f"{entry} ({reason})"
        for entry in demo
        if entry not in restored and (reason := _remove(entry, project))
    ]
    return [*lines, *_format_line("Some demo files could not be removed; delete them: {}", failed)]


def _is_own_file(path: str, project: Path) -> bool:
    """Return whether a path is a regular file in regular folders, without symbolic links."""
    parents = [project / parent for parent in PurePosixPath(path).parents]
    if any(parent.is_symlink() for parent in parents if parent != project):
        return False
    return (project / path).is_file() and not (project / path).is_symlink()


def is_plain_path(entry: str) -> bool:
    """Return whether a line of the manifest is the path of one file in the repository."""
    parts = entry.split("/")
    return (
        not set(parts) & {"", ".", "..", ".git"}
        and not set(entry) & set("*?[]!\\\0")
        and entry == entry.strip()
    )


def is_template_file(entry: str, project: Path, template: Path) -> bool:
    """Return whether a file has the same content as in the template, without symbolic links."""
    if not (_is_own_file(entry, project) and _is_own_file(entry, template)):
        return False
    return (template / entry).read_bytes() == (project / entry).read_bytes()


def _restore_tracked(git: Git, root: Path, paths: Sequence[str]) -> set[str]:
    in_head, only_in_index = find_tracked_paths(git, root, paths)
    command = ("--literal-pathspecs", "restore", "--ignore-skip-worktree-bits", "--worktree")
    if in_head:
        git(*command, "--source=HEAD", "--", *sorted(in_head))
    if only_in_index:
        git(*command, "--", *sorted(only_in_index))
    return in_head | only_in_index


def _remove(entry: str, project: Path) -> str:
    """Remove a file and the folders that become empty; return the reason of a failure, or ""."""
    try:
        (project / entry).unlink()
    except OSError as error:
        return error.strerror or str(error)
    with suppress(OSError):  # stops at the first folder that is not empty
        for parent in PurePosixPath(entry).parents[:-1]:
            (project / parent).rmdir()
    return ""


# --------------------------------------------------------------------------- the template's release

# The form of a release tag in docs/releasing.md.
_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-?(a|b|rc|alpha|beta)\.?(\d+))?")
_COMMIT = re.compile(rb"(?m)^_commit: *['\"]?([^'\"\s]+)['\"]?[ \t]*\r?$")
# An answers file with at least three of these belongs to this template: docs/decisions/0026.
_QUESTION = re.compile("(?m)^(image_name|parent_image|aws_management_account|toolkit_image):")
# In its clone, Copier commits the uncommitted changes of a template with this subject.
_DRAFT = "Copier automated commit for draft changes"


def parse_recorded_version(answers: bytes) -> str:
    """Return the version of the template in an answers file, or "" if it has none."""
    match = _COMMIT.search(answers)
    return os.fsdecode(match[1]) if match else ""


def record_release(job: Job, project: Path) -> list[str]:
    """Record the release of the template in the answers file.

    Copier records `git describe --tags`, which may be another tag of the same commit.  If the
    commit has no release tag, updates do not work as documented, so this step reports it.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        One line if the template was not rendered at a release.
    """
    file = project / job.answers_file
    if not file.is_file() or not (recorded := parse_recorded_version(text := file.read_bytes())):
        return []  # check_recorded_version reports it
    git = create_git_runner(Path(job.template))
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
            f"This clone of the template has no release tags, so {job.answers_file} records "
            f"{recorded} as the release, and updates will be refused; run git fetch --tags in the "
            "clone (with --unshallow for a shallow clone), or use the template's URL, and copy "
            "again"
        ]
    is_draft = git("log", "-1", "--format=%s", "HEAD").strip() == _DRAFT
    state = "uncommitted changes, which updates cannot read" if is_draft else "not a release"
    return [
        f"The template was copied at {recorded} ({state}), so updates do not work as documented; "
        f"copy again from a release, such as with --vcs-ref {known[-1]}"
    ]


def sort_releases(tags: Iterable[str]) -> list[str]:
    """Return the tags that are releases, newest last.

    Tags such as 2027.1.31 count as releases only if no release tag starts with v.

    Args:
        tags: Names of git tags.

    Returns:
        The release tags in the order of their versions.
    """
    matches = {tag: match for tag in tags if (match := _RELEASE.fullmatch(tag))}

    def order(tag: str) -> tuple[object, ...]:
        major, minor, patch, stage, number = matches[tag].groups()
        # A final release comes after its prereleases.
        return int(major), int(minor), int(patch), stage or "z", int(number or 0)

    return sorted([tag for tag in matches if tag.startswith("v")] or matches, key=order)


def check_answers_file(job: Job, project: Path) -> list[str]:
    """Report if Copier has overwritten the answers file of another template.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        One line, or nothing.
    """
    if not find_enclosing_repository(project):
        return []
    try:
        committed = create_git_runner(project)("show", f"HEAD:./{job.answers_file}")
    except (GitError, OSError):
        return []  # no committed answers file
    if not re.search("(?m)^_src_path:", committed) or len(set(_QUESTION.findall(committed))) >= 3:
        return []
    file = shlex.quote(job.answers_file)
    return [
        f"Copier has overwritten {job.answers_file}, the answers file of another template; restore "
        f"it with git checkout HEAD -- {file}, and copy again with --answers-file "
        ".copier-answers.packer-ami.yml"
    ]


# ------------------------------------------------------------------------------ the first commit


def find_rendered_paths(job: Job, project: Path) -> list[str]:
    """Return the paths of the files that Copier rendered, relative to the repository.

    The folder may already have contained files: some with names that the template also uses, which
    the user chose to keep, and some that must never be pushed, such as .env.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        The paths, sorted.
    """
    template = Path(job.template, "template")
    is_known = (project / job.answers_file).is_file()
    answers_file = job.answers_file if is_known else ".copier-answers.yml"
    fetched_at = Path(job.template, "copier.yml").stat().st_mtime_ns
    # Copier fetches the template before it renders, so rendered files are newer, unless the clocks
    # of two file systems differ.
    is_reliable = (project / answers_file).stat().st_mtime_ns >= fetched_at
    paths = []
    for source in sorted(template.rglob("*")):
        name = source.relative_to(template).as_posix()
        path = name.removesuffix(".jinja").replace(_ANSWERS_FILE, answers_file)
        if source.is_dir() or not _is_own_file(path, project):
            continue
        if path == name:
            is_rendered = is_template_file(path, project, template)
        else:
            is_rendered = not is_reliable or (project / path).stat().st_mtime_ns >= fetched_at
        if is_rendered:
            paths.append(path)
    return paths


def find_other_paths(project: Path, rendered: Sequence[str]) -> list[str]:
    """Return all other paths in a folder.

    Args:
        project: The folder.
        rendered: Paths of the files that Copier rendered.

    Returns:
        The paths, sorted; a folder without rendered files is listed as one path.
    """
    parents = {parent.as_posix() for path in rendered for parent in PurePosixPath(path).parents}
    known = {*rendered, ".git"}
    others = []
    for folder, folders, files in os.walk(project):
        prefix = (
            "" if Path(folder) == project else f"{Path(folder).relative_to(project).as_posix()}/"
        )
        for name in list(folders):
            if f"{prefix}{name}" not in parents or os.path.islink(Path(folder, name)):
                folders.remove(name)
                files.append(name)
        others += [f"{prefix}{name}" for name in files if f"{prefix}{name}" not in known]
    return sorted(others)


def format_add_command(rendered: Sequence[str], others: Sequence[str]) -> str:
    """Return the shell command that stages the rendered files."""
    if not others:
        return "git add --all"
    without = format_paths([f":(exclude,literal){path}" for path in others])
    return min(f"git add --all -- . {without}", f"git add -- {format_paths(rendered)}", key=len)


def start_git(job: Job, project: Path) -> list[str]:
    """Create a git repository and commit the rendered files, unless a repository exists.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        One line about what remains to be done, or nothing.
    """
    if not job.start_git:
        return []
    message = f"Create packer-ami-{job.image_name} from the template"
    root = find_enclosing_repository(project)
    if root == project:
        return []
    rendered = find_rendered_paths(job, project)
    others = find_other_paths(project, rendered)
    commit = f"{format_add_command(rendered, others)} && git commit -m {shlex.quote(message)}"
    if root:
        return [
            f"No git repository was created, because this folder is inside the repository {root}; "
            f"commit it there with: {commit}"
        ]
    remaining = f"git init -b main && {commit}"
    try:
        git = create_git_runner(project)
        git("init", "--quiet", "-b", "main")
        remaining = commit
        # Forced, because the user's global ignore file may match a file of the template.
        git("--literal-pathspecs", "add", "--force", "--", *rendered)
        try:
            git("commit", "--quiet", "--no-gpg-sign", "-m", message)
        except GitError:
            if _has_identity(git):
                raise
            return [
                "No commit was created, because git has no name and email for you; run: "
                "git config --global user.name 'YOUR NAME' && "
                f"git config --global user.email 'YOU@EXAMPLE.COM' && {commit}"
            ]
    except GitError as error:
        # The toolkit explains the same error in git/command.py, which this program cannot import.
        if "dubious ownership" in str(error):
            trust = f"git config --global --add safe.directory {shlex.quote(str(project))}"
            remaining = f"{trust} && {remaining}"
        return [f"Git could not be set up ({error}); run: {remaining}"]
    except FileNotFoundError:
        return [
            f"Git is not installed, so there is no repository; install git, and run: {remaining}"
        ]
    return _format_line(
        "Not in the first commit, because the template did not create them: {}; commit those that "
        "others may read with: git add -- PATH && git commit",
        _exclude_ignored(git, others),
    )


def _exclude_ignored(git: Git, paths: Sequence[str]) -> list[str]:
    try:
        ignored = set(git("-c", "core.quotePath=false", "check-ignore", "--", *paths).splitlines())
    except (GitError, OSError):  # no path is ignored, or the command line is too long
        ignored = set()
    return [path for path in paths if path not in ignored]


def _has_identity(git: Git) -> bool:
    """Return whether git has a configured name and email address for a commit."""
    return all(_can_run(git, "var", name) for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"))


# ---------------------------------------------------------------------------------- messages


def check_recorded_version(job: Job, project: Path) -> list[str]:
    """Report if Copier could not record the template's version.

    Copier fails to do so silently if GIT_DIR is set, if the checkout of the template belongs to
    another user, or if the template is not a git repository.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        One line, or nothing.
    """
    if parse_recorded_version((project / job.answers_file).read_bytes()):
        return []
    return [
        f"`copier update` cannot work here: {job.answers_file} has no _commit, because Copier "
        "could not read the template as a git repository; unset GIT_DIR and similar variables, or "
        "use the template's URL or your own clone, and copy again"
    ]


def explain_login(job: Job, project: Path) -> list[str]:
    """Explain how updates authenticate if the recorded address has no credentials.

    Args:
        job: Values from Copier.
        project: The new repository.

    Returns:
        One line, or nothing.
    """
    del project
    if not job.secret_address:
        return []
    return [
        f"{job.answers_file} records the template's address without your credentials: "
        f"{job.secret_address}; updates use git's own authentication, such as gh auth setup-git or "
        "a credential helper, and the weekly workflow uses the secret TEMPLATE_UPDATE_TOKEN"
    ]


def format_next_steps(job: Job, project: Path, before: Path | None) -> list[str]:
    """Return the lines with the next steps for the user.

    Args:
        job: Values from Copier.
        project: The new repository.
        before: The git repository that contained the folder before this hook ran, or None.

    Returns:
        A heading and three steps.
    """
    enter = "" if job.destination == "." else f"cd {shlex.quote(job.destination)}, and "
    if before == project:
        share = "review the changes with git status and git diff, and commit them"
    elif before:
        share = (
            "commit it in the enclosing repository, and push; its workflows do not run there, "
            "because GitHub reads .github/workflows only at the top of a repository, and a "
            "repository has one pipeline for one image: docs/pipeline.md of the template"
        )
    else:
        repository = f"{job.github_organization}/packer-ami-{job.image_name}"
        first = (
            "" if find_enclosing_repository(project) else "run git init -b main, commit, and then "
        )
        share = (
            f"create an empty repository {repository} on {job.github_host}, {first}run: git remote "
            f"add origin https://{job.github_host}/{repository}.git && git push -u origin main"
        )
    return [
        f"packer-ami-{job.image_name} is ready. Next steps:",
        f"  1. Review it: {enter}check the values in README.md and image.auto.pkrvars.hcl",
        "  2. Build it locally, without AWS: packer init . && packer build -only=docker.local .",
        f"  3. Share it: {share}",
    ]


def _format_line(sentence: str, paths: Sequence[str]) -> list[str]:
    hidden = len(paths) - _MAX_LISTED_PATHS
    more = f" and {hidden} more" if hidden > 0 else ""
    return [sentence.format(format_paths(paths[:_MAX_LISTED_PATHS]) + more)] if paths else []


def format_paths(paths: Iterable[str]) -> str:
    """Return paths as quoted words for a shell, on one line."""
    return " ".join(map(_quote, paths))


def _quote(path: str) -> str:
    if path.isprintable():
        return shlex.quote(path)
    escaped = (
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
        for byte in os.fsencode(path)
    )
    return f"$'{''.join(escaped)}'"


def print_line(line: str) -> None:
    """Print a line to stderr, like Copier, and ignore a closed terminal."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr)


def main(arguments: Sequence[str]) -> None:
    """Run all steps in order, even if one fails."""
    (text,) = arguments
    job = Job.from_json(text)
    scrub_environment()
    notes: list[str] = []
    try:
        project = Path.cwd()
        before = find_enclosing_repository(project)
        # The release must be recorded before start_git creates the first commit.
        before_git = (remove_demo, record_release, check_answers_file)
        for step in (*before_git, start_git, check_recorded_version, explain_login):
            notes += _run_step(step, job, project)
    except OSError as error:
        notes.append(
            f"The new repository cannot be read ({error}); check its permissions and copy again"
        )
    else:
        if not job.quiet:
            for line in format_next_steps(job, project, before):
                print_line(line)
    for note in notes:
        print_line(f"Note: {note}")


def _run_step(step: Step, job: Job, project: Path) -> list[str]:
    try:
        return step(job, project)
    except Exception as error:
        subject = (step.__doc__ or "").splitlines()[0].rstrip(".")
        return [f"This step failed: {subject} ({str(error) or repr(error)})"]


if __name__ == "__main__":
    main(sys.argv[1:])
