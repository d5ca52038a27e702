"""Renders of the template, by Copier: as a project has it, and as it would be now.

Copier has no public way to render as its update does, without then putting the team's changes
back itself.  So this takes the place of one step of its `Worker`, which is not part of the public
API; tests/updates runs it with the oldest and the newest Copier, and another shape of it is an
error in one line.
"""

from __future__ import annotations

import glob
import importlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.git.addresses import without_secret
from packer_toolkit.template import sandbox as confined
from packer_toolkit.template.source import parse_version


@dataclass
class Steps:
    """What happens between the renders.

    Attributes:
        merge: called when both renders are there; it leaves the merged files in the project.
        old: where the template goes as the project has it; does not exist.
        new: where it goes as it is in the new release; does not exist.
        migrations: how many have run.
    """

    merge: Callable[[], None]
    old: Path
    new: Path
    migrations: int = 0


def update(project: Path, steps: Steps, *, env: Mapping[str, str], **options: Any) -> None:
    """Call `update_here` in a process of its own.

    Args:
        project: the copy: a clean git repository with the answers file.
        steps: what happens between the renders.
        env: the process's whole environment.
        options: the other arguments of `update_here`; JSON can hold them.

    Raises:
        ToolkitError: as `update_here`.
    """

    def merge(migrations: int) -> None:
        steps.migrations = migrations
        steps.merge()

    places = {"project": str(project), "old": str(steps.old), "new": str(steps.new)}
    steps.migrations = confined.run({**options, **places}, merge, env)


def update_here(
    project: Path,
    steps: Steps,
    *,
    present: str,
    release: str,
    data: Mapping[str, Any],
    trust: bool,
    source: str,
    clone: str,
    answers_file: str,
) -> None:
    """Let Copier update a copy of a project, with the given merge instead of its own.

    Args:
        project: the copy: a clean git repository with the answers file.
        steps: what happens between the renders.
        present: the release that the project is at.
        release: the tag to update to.
        data: answers that are given now.
        trust: whether the template may run its code, whatever Copier's settings say.
        source: the template's address, for messages.
        clone: a repository on this machine that has both releases.
        answers_file: the answers file's path below the project.

    Raises:
        SetupError: when the template is not trusted, refuses an answer, or cannot be rendered.
        RemoteError: when git cannot get a submodule of the template.
    """
    from copier.errors import CopierError, ForbiddenPathError, TaskError, UnsafeTemplateError
    from plumbum.commands.processes import ProcessExecutionError

    worker = _worker_class(trust)
    try:
        # Copier warns of shallow clones and the like, which are no matter of an update's reader.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with worker(
                dst_path=project,
                answers_file=Path(answers_file),
                data=dict(data),
                vcs_ref=release,
                defaults=True,
                overwrite=True,
                quiet=True,
            ) as run:
                run.steps = steps
                for template in (run.subproject.template, run.template):
                    template.__dict__.update(url_expanded=clone, vcs="git")
                # Copier takes versions and names from all tags of a commit, not only a release's.
                run.subproject.template.__dict__["version"] = parse_version(present)
                run.subproject.template.ref = present
                run.template.__dict__["version"] = parse_version(release)
                run.template.__dict__["commit"] = release
                run.run_update()
    except ToolkitError:
        raise
    except UnsafeTemplateError as error:
        what = str(error).splitlines()[0].partition(": ")[2].rstrip(".")
        raise SetupError(
            f"the template {without_secret(source)} is not trusted, and it can run code ({what}); "
            f"read it, then list it below trust: in {_settings()}, or give --trust for this once"
        ) from None
    except TaskError as error:
        raise SetupError(
            f"a migration of the template failed with exit code {error.returncode} and nothing was "
            "changed here; what it printed says why"
        ) from None
    except ForbiddenPathError as error:
        raise SetupError(
            f"the template {without_secret(source)} at {release} uses a file outside of itself and "
            f"of this repository ({str(error).splitlines()[0]}); nothing was changed here"
        ) from None
    except ProcessExecutionError as error:
        reason = without_secret(_last_line(str(error.stderr or error)))
        raise RemoteError(
            f"the template {without_secret(source)} cannot be fetched: {reason}; check the "
            "network, and that you may read it with git"
        ) from None
    except (CopierError, ValueError, TypeError, RuntimeError, OSError) as error:
        raise SetupError(_refusal(error, source, release, answers_file)) from None
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"jinja2", "pydantic", "yaml", "copier"}:
            raise
        raise SetupError(_refusal(error, source, release, answers_file)) from None


_PRIVATE_PARTS = (
    *("_apply_update", "_check_unsafe", "_execute_tasks", "_external_data"),
    *("jinja_env", "run_copy", "run_update"),
)


def _worker_class(trust: bool) -> Any:
    """Return Copier's worker, with our step in place of its merge."""
    try:
        main: Any = importlib.import_module("copier._main")
        answers_map, phase = main.AnswersMap, main.Phase
        for name in _PRIVATE_PARTS:
            getattr(main.Worker, name)
    except (ImportError, AttributeError) as error:
        raise SetupError(
            f"this Copier is one that packer-toolkit does not know ({error}); use the release of "
            "Copier that the toolkit's image has"
        ) from None

    class worker(main.Worker):  # type: ignore[misc]  # noqa: N801
        """Copier's own, whose trust means running code, and not reading files of this machine."""

        def _check_unsafe(self, mode: Any) -> None:
            if not trust:
                super()._check_unsafe(mode)

        @cached_property
        def jinja_env(self) -> Any:
            environment = super().jinja_env
            places = (Path(self.dst_path), Path(self.template.local_abspath))
            environment.filters["fileglob"] = _limit_fileglob(places)
            return environment

    class Updater(worker):
        """A worker that renders both releases aside and leaves the merge to `Steps`."""

        def _apply_update(self) -> None:
            steps: Steps = self.steps
            old_template = self.subproject.template
            aside = {"defaults": True, "quiet": True, "src_path": old_template.url}
            with _as_worker(
                replace(
                    _plain(self, worker),
                    dst_path=steps.old,
                    data=self.subproject.last_answers,
                    vcs_ref=old_template.commit,
                    # As Copier does: what the new release excludes is not in the comparison.
                    exclude=[*self.template.exclude, *self.exclude],
                    **aside,
                ),
                old_template,
            ) as old:
                old.run_copy()
            self._migrate("before", old_template)
            # A migration may have changed the answers.
            self.answers = answers_map(external=self._external_data())
            self.subproject.__dict__.pop("last_answers", None)
            steps.new.mkdir(parents=True)
            answers = self.subproject.local_abspath / self.answers_file
            if answers.exists():
                copied = steps.new / self.answers_file
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(answers, copied)
            with _as_worker(
                replace(_plain(self, worker), dst_path=steps.new, vcs_ref=self.vcs_ref, **aside),
                self.template,
            ) as new:
                new.run_copy()
                self.answers = new.answers
                self.answers.external = self._external_data()
            steps.merge()
            self._migrate("after", old_template)

        def _migrate(self, stage: str, old_template: Any) -> None:
            tasks = self.template.migration_tasks(stage, old_template)
            if not tasks:
                return
            with phase.use(phase.MIGRATE):
                self._execute_tasks(tasks)
            self.steps.migrations += len(tasks)

    return Updater


def _limit_fileglob(places: Sequence[Path]) -> Callable[[str], list[str]]:
    """Return the filter fileglob for files below some folders: others of a machine stay unknown."""

    def fileglob(pattern: str) -> list[str]:
        tops = [place.resolve() for place in places]
        return [
            name
            for name in glob.glob(pattern)
            if os.path.isfile(name)
            and any(Path(name).resolve().is_relative_to(top) for top in tops)
        ]

    return fileglob


def _plain(worker: Any, kind: Any) -> Any:
    """Return a worker of Copier's own class with the same settings."""
    return kind(**{item.name: getattr(worker, item.name) for item in fields(kind) if item.init})


@contextmanager
def _as_worker(worker: Any, template: Any) -> Iterator[Any]:
    """Let a worker use a clone that another one has already."""
    with worker:
        worker.__dict__["template"] = template
        yield worker


def _settings() -> str:
    from platformdirs import user_config_path

    own = os.environ.get("COPIER_SETTINGS_PATH")
    return own or str(user_config_path("copier", appauthor=False) / "settings.yml")


def _of_settings(error: Exception) -> str:
    """Return one line when it is Copier's own settings that are wrong, not the template."""
    import yaml
    from pydantic import ValidationError

    if isinstance(error, ValidationError) and error.title.startswith("Settings"):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif (
        isinstance(error, yaml.MarkedYAMLError)
        and error.problem_mark
        # Copier hands the text on without its name, or as bytes.
        and error.problem_mark.name.startswith(("<", _settings()))
    ):
        reason = f"line {error.problem_mark.line + 1}: {error.problem}"
    else:
        return ""
    return f"Copier's settings {_settings()} cannot be used: {reason}; nothing was changed here"


def _refusal(error: Exception, source: str, release: str, answers_file: str) -> str:
    """Return one line for what Copier or a template says against an update."""
    wrong_settings = _of_settings(error)
    if wrong_settings:
        return wrong_settings
    text = str(error)
    # The template's own refusals come in this wrapping: its docs/decisions/0001.
    prefix = "'dict object' has no attribute '"
    if text.startswith(prefix):
        return f"{text.removeprefix(prefix).rstrip()[:-1]}; nothing was changed here"
    if text.startswith("Unknown revision"):
        return (
            f"the template {without_secret(source)} has no {text.rpartition(': ')[2]}, which "
            f"{answers_file} names as its release (_commit): fetch the template's tags, or set "
            "it to the release that this repository was made from; nothing was changed here"
        )
    return (
        f"Copier cannot render {without_secret(source)} at {release}: "
        f"{without_secret(_last_line(text)) or type(error).__name__}; nothing was changed here"
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "fatal: " in line]
    return (fatal or lines or [""])[-1].rpartition("fatal: ")[2]
