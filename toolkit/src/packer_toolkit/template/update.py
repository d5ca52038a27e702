"""What an update comes to, worked out beside the repository, and written into it in one go."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from packer_toolkit.errors import SetupError
from packer_toolkit.git.command import Git, GitError
from packer_toolkit.repository.answers_file import parse_answers
from packer_toolkit.template import render
from packer_toolkit.template.allowed_changes import require_harmless
from packer_toolkit.template.clone import clone_template
from packer_toolkit.template.hidden_changes import require_seen_by_git
from packer_toolkit.template.merge import (
    Conflict,
    Merged,
    merge,
    template_renames,
)
from packer_toolkit.template.partial_clones import fetch_missing
from packer_toolkit.template.path_names import (
    find_case_renames,
    find_collisions,
    find_other_name,
    group_by_fold,
    ignores_case,
)
from packer_toolkit.template.project import Project
from packer_toolkit.template.sandbox import small_environment
from packer_toolkit.template.source import is_release, named, newest
from packer_toolkit.template.trees import Entry, Tree, read_tree, write_tree
from packer_toolkit.text.paths import join_paths

Change = Literal["added", "changed", "deleted"]


class Answers(TypedDict):
    """How the recorded answers come out of an update, by question.

    Attributes:
        new: questions that the release asks for the first time -> the answer.
        changed: recorded answers that are others now -> [before, after].
        gone: answers to questions that are no longer asked.
    """

    new: dict[str, Any]
    changed: dict[str, list[Any]]
    gone: dict[str, Any]


@dataclass
class Plan:
    """An update that was worked out and not yet written.

    Attributes:
        project: the repository.
        release: the release to update to.
        sandbox: git in a repository beside it that has all objects.
        before: the project's files.
        after: its files after the update; conflicts between lines are marked in them.
        after_tree: the same as a tree object of the sandbox.
        merged: the merge, with its conflicts.
        answers: what became of the answers.
        in_the_way: files that git does not know, where the release has some of its own.
        case_renames: old and new paths that are one on this file system, which ignores case.
        collisions: a new path and a file, of which this file system can have only one.
    """

    project: Project
    release: str
    sandbox: Git
    before: Tree
    after: Tree
    after_tree: str
    merged: Merged
    answers: Answers
    in_the_way: list[str]
    changes: dict[str, Change] = field(init=False)
    case_renames: dict[str, str] = field(default_factory=dict)
    collisions: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if ignores_case(self.project.folder, self.project.answers_file):
            self.case_renames = find_case_renames(self.before, self.after)
            self.collisions = find_collisions(self.before, self.after)
        self.changes = {}
        for path in sorted({*self.before, *self.after}):
            if path not in self.before:
                self.changes[path] = "added"
            elif path not in self.after:
                self.changes[path] = "deleted"
            elif self.before[path] != self.after[path]:
                self.changes[path] = "changed"

    @property
    def conflicts(self) -> list[Conflict]:
        """The conflicts, by path."""
        return [self.merged.conflicts[path] for path in sorted(self.merged.conflicts)]

    def ignored(self) -> list[str]:
        """Return the new files that git would ignore, and so leave out of the next commit."""
        added = [path for path, change in self.changes.items() if change == "added"]
        text = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in added)
        done = self.project.git.run("check-ignore", "-z", "--stdin", stdin=text)
        return sorted(os.fsdecode(path) for path in done.stdout.split(b"\0") if path)

    def diff(self, colour: bool = False) -> str:
        """Return what the update changes, as git shows it."""
        options = ["-c", "core.quotePath=false", "diff", "--no-ext-diff", "--no-textconv"]
        options += ["--color=always" if colour else "--color=never", "--no-renames"]
        return self.sandbox.text(*options, self.project.tree, self.after_tree)


def target(project: Project, wanted: str | None) -> str:
    """Return the release to update to: the one that is wanted, or the newest.

    Raises:
        SetupError: when there is no such release, or it is older than the present one.
        RemoteError: when the template cannot be read.
    """
    source, file = project.source, project.answers_file
    release = newest(source, file) if wanted is None else named(source, wanted, file)
    present = project.version
    if wanted is None and release.version < present and not is_release(project.release):
        # Made from a commit that no release has yet.
        return project.release
    if release.version < present:
        raise SetupError(
            f"this repository is at {project.release}, and {release.tag} is older; updates only go "
            "forward: git revert the commit of the update to go back"
        )
    return release.tag


@contextmanager
def planned(
    project: Project,
    release: str,
    data: Mapping[str, Any],
    trust: bool,
    clone: Path | None = None,
) -> Iterator[Plan]:
    """Work out an update.

    Nothing of the repository is written; what it takes lies in a temporary folder until the end.

    Args:
        project: the repository; what is not committed is left out.
        release: the template's release to update to.
        data: answers that are given now.
        trust: whether the template may run its code, whatever Copier's settings say.
        clone: the template on this machine; by default it is fetched first.

    Yields:
        The update.

    Raises:
        SetupError: when it cannot be done.
        RemoteError: when the template cannot be fetched.
    """
    if project.version:
        project.require_committed_answers()
    with tempfile.TemporaryDirectory(prefix="packer-toolkit-") as scratch:
        here = clone or clone_template(project, Path(scratch, "template.git"))
        plan = _Planner(project, Path(scratch)).plan(release, data, trust, here)
        require_harmless(plan.sandbox, plan.before, plan.after)
        yield plan


# A person's own settings must not change what is compared; Copier's git reads these.
_CONFIG = f"""\
[core]
\tautocrlf = false
\tfileMode = true
\thooksPath = {os.devnull}
[status]
\tshowUntrackedFiles = all
"""


class _Planner:
    """A temporary folder, with a copy of the project and both renders of the template."""

    def __init__(self, project: Project, scratch: Path) -> None:
        self.project = project
        self.scratch = scratch
        # A default answer may be made from the folder's name.
        name = project.folder.name or "project"
        self.copy = scratch / "project" / name
        # Templates tell by this name, which is Copier's own, that answers come from the file.
        self.old = scratch / "copier._main.old_copy.packer-toolkit" / name
        self.new = scratch / "new" / name
        home = scratch / "home"
        home.mkdir()
        self.env = small_environment(home)
        names = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", "packer-toolkit"), ("EMAIL", "packer-toolkit@invalid"))
        }
        # Migrations can write this repository's configuration, which can name programs to run.
        self.git = Git(self.copy, names, base=self.env)
        self.merged = Merged({})
        self.written = ""
        self.steps = render.Steps(merge=self._merge, old=self.old, new=self.new)

    def plan(self, release: str, data: Mapping[str, Any], trust: bool, clone: Path) -> Plan:
        """Work out the update."""
        self._copy_project()
        before = read_tree(self.git, self.project.tree)
        render.update(
            self.copy,
            self.steps,
            env=self.env,
            present=self.project.release,
            release=release,
            data=data,
            trust=trust,
            source=self.project.source,
            answers_file=self.project.answers_file,
            clone=str(clone),
        )
        after = self.merged.tree
        if self.steps.migrations:
            # Those after the merge have worked on its files.
            if self._touched(self.written):
                after = read_tree(self.git, self._snapshot(self.copy, after))
            self._heed_migrations(after)
        return Plan(
            project=self.project,
            release=release,
            sandbox=self.git,
            before=before,
            after=after,
            after_tree=write_tree(self.git, after, self.scratch / "index"),
            merged=self.merged,
            answers=self._compare_answers(),
            in_the_way=_in_the_way(self.project.folder, before, after),
        )

    def _copy_project(self) -> None:
        """Make a repository with the project's files and nothing else; it borrows the objects."""
        self.copy.mkdir(parents=True)
        here = self.project.git
        objects = Path(here.text("rev-parse", "--git-path", "objects"))
        kind = here.text("rev-parse", "--show-object-format")
        self.git.text("init", "--quiet", f"--object-format={kind}", "--template=", "-b", "main")
        information = self.copy / ".git" / "objects" / "info"
        information.mkdir(exist_ok=True)
        borrowed = (self.project.folder / objects).resolve()
        # A path with a line break or a quote would need git's quoting.
        (information / "alternates").write_bytes(_quoted(borrowed) + b"\n")
        with (self.copy / ".git" / "config").open("a") as config:
            config.write(_CONFIG)
        fetch_missing(here, self.project.tree)
        commit = self.git.text("commit-tree", "-m", "The project", self.project.tree)
        self.git.text("update-ref", "HEAD", commit)
        self.git.text("read-tree", "HEAD")
        self.git.text("checkout-index", "--all", "--quiet")
        self.git.text("update-index", "-q", "--refresh")

    def _snapshot(self, folder: Path, known: Tree | None = None) -> str:
        """Return the tree of a folder's files; ignored ones only where they are known already."""
        index = self.scratch / "snapshot-index"
        at = replace(self.git, folder=folder).with_env(
            GIT_INDEX_FILE=str(index),
            GIT_DIR=str(self.copy / ".git"),
            GIT_WORK_TREE=str(folder),
        )
        try:
            if known is None:
                # A render: all of it, also what it tells git to ignore.
                at.text("add", "--all", "--force", ".")
            else:
                at.text("read-tree", write_tree(self.git, known, self.scratch / "index"))
                at.text("add", "--all", ".")
            return at.text("write-tree")
        except GitError as error:
            raise SetupError(
                f"git does not take the files of the release ({error.reason}); nothing was changed "
                "here, report it to the maintainers of the template"
            ) from None
        finally:
            index.unlink(missing_ok=True)

    def _merge(self) -> None:
        before = read_tree(self.git, self.project.tree)
        mine = dict(before)
        if self.steps.migrations and self._touched(self.project.tree):
            mine = read_tree(self.git, self._snapshot(self.copy, before))
        old, new = self._snapshot(self.old), self._snapshot(self.new)
        base, theirs = read_tree(self.git, old), read_tree(self.git, new)
        renames = template_renames(self.git, old, new)
        for was, now in renames:
            if was not in mine and now in mine and now not in before:
                # A migration has renamed it already.
                base[now] = base.pop(was)
        # The answers are Copier's: not merged, but written by the new release.
        answers_file = self.project.answers_file
        for tree in (base, mine):
            tree.pop(answers_file, None)
        answers = theirs.pop(answers_file, None)
        self.merged = merge(self.git, base, mine, theirs, renames)
        if answers:
            self.merged.tree[answers_file] = answers
        self._check_out(self.merged.tree)

    def _check_out(self, tree: Tree) -> None:
        """Put the merged files into the copy: migrations after the update work on them."""
        self.written = write_tree(self.git, tree, self.scratch / "index")
        self.git.text("read-tree", "--reset", "-u", self.written)

    def _touched(self, tree: str) -> bool:
        """Tell whether migrations have changed the copy, or its index, since a tree was put there.

        Most have nothing to do in most updates; a snapshot takes three times as long.
        """
        changed = ["ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard"]
        if self.git.raw(*changed):
            return True
        return self.git.run("write-tree").stdout.decode().strip() != tree

    def _heed_migrations(self, after: Tree) -> None:
        """Take over the conflicts that migrations left in the index, and drop those they solved."""
        for path in [path for path in self.merged.conflicts if path in self.merged.tree]:
            if path not in after:
                del self.merged.conflicts[path]
        stages: dict[str, dict[str, Entry]] = {}
        for line in self.git.fields("ls-files", "--unmerged", "-z"):
            meta, _, path = line.partition("\t")
            mode, oid, stage = meta.split(" ")
            stages.setdefault(path, {})[stage] = Entry(mode, oid)
        for path, sides in stages.items():
            if path not in self.merged.conflicts:
                base, ours, theirs = (sides.get(stage) for stage in "123")
                self.merged.conflicts[path] = Conflict(path, "both changed", base, ours, theirs)

    def _compare_answers(self) -> Answers:
        old = self.project.answers
        file = self.new / self.project.answers_file
        new = parse_answers(file.read_bytes(), "the new answers file") if file.exists() else {}
        questions = [name for name in {**old, **new} if not name.startswith("_")]
        return {
            "new": {name: new[name] for name in questions if name not in old},
            "changed": {
                name: [old[name], new[name]]
                for name in questions
                if name in old and name in new and old[name] != new[name]
            },
            "gone": {name: old[name] for name in questions if name not in new},
        }


def _in_the_way(folder: Path, before: Tree, after: Tree) -> list[str]:
    """Return what an update would overwrite though git does not know it, such as ignored files."""
    found: set[str] = set()
    known = group_by_fold(before)

    def is_known(path: str) -> bool:
        # Another name of a file that git knows: the update renames it, or it is a collision.
        return path in before or find_other_name(folder, path, known) is not None

    for path in after:
        if path in before and after[path] == before[path]:
            continue
        for above in reversed(list((folder / path).parents)[: path.count("/")]):
            name = above.relative_to(folder).as_posix()
            if above.is_symlink() or (above.exists() and not above.is_dir()):
                # Where a folder has to be.
                if not is_known(name):
                    found.add(name)
                break
        else:
            found.update(item for item in _unknown(folder, path) if not is_known(item))
    return sorted(found)


def find_obstacles(plan: Plan) -> list[str]:
    """Return what an update would overwrite now though git does not know it."""
    return _in_the_way(plan.project.folder, plan.before, plan.after)


def _unknown(folder: Path, path: str) -> Iterator[str]:
    """Yield the files at a path, or below it if it is a folder."""
    place = folder / path
    if place.is_symlink() or place.is_file():
        yield path
    elif place.is_dir():
        for item in _files(place):
            yield f"{path}/{item.relative_to(place).as_posix()}"


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        for name in files:
            yield Path(place, name)
        for name in folders:
            if Path(place, name).is_symlink():
                yield Path(place, name)


def _quoted(path: Path) -> bytes:
    raw = os.fsencode(path)
    if b"\n" in raw or raw.startswith((b'"', b"#")):
        raise SetupError(f"the name of the folder {path} is one that git cannot borrow from")
    return raw


def require_seen(plan: Plan) -> None:
    """Make sure that git sees what is in the places that an update changes.

    Raises:
        SetupError: when it does not know it, or was told not to look.
    """
    if plan.in_the_way:
        raise SetupError(
            f"{join_paths(plan.in_the_way)} would be overwritten: git does not know it, and the "
            "release has a file there; rename it, or git add --force it and commit"
        )
    if plan.collisions:
        new, old = plan.collisions[0]
        raise SetupError(
            f"{join_paths([new])} and {join_paths([old])} are one file on this file system, which "
            "ignores case; rename or remove yours and commit that, or update on another machine"
        )
    changed = [path for path in plan.changes if path in plan.before]
    added = [path for path in plan.changes if path not in plan.before]
    require_seen_by_git(plan.project, changed, added)
