"""Render the template with Copier: as a project has it, and as the new release would be.

Copier has no public way to render as its update does without its own merge.  So this replaces one
step of its `Worker`, which is not part of the public API; tests/updates runs it with the oldest and
the newest Copier, and a Copier of another shape is refused in one line.
"""

from __future__ import annotations

import glob
import importlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.git.addresses import remove_secrets
from packer_toolkit.template.sandbox import find_copier_settings, run_render
from packer_toolkit.template.source import parse_version


@dataclass
class RenderSteps:
    """What happens between the renders.

    Attributes:
        merge: Called when both renders exist; it writes the merged files into the project.
        old: Where the template goes as the project has it; does not exist.
        new: Where it goes as it is in the new release; does not exist.
        migrations: How many migrations have run.
    """

    merge: Callable[[], None]
    old: Path
    new: Path
    migrations: int = 0


@dataclass(frozen=True)
class RenderOptions:
    """What is rendered; JSON can hold all of it.

    Attributes:
        present: The release that the project is at.
        release: The tag to update to.
        data: Answers that are given now.
        trust: Whether the template may run its code, whatever Copier's settings are.
        source: The template's address, for messages.
        clone: A repository on this machine that has both releases.
        answers_file: The answers file's path below the project.
    """

    present: str
    release: str
    data: dict[str, Any]
    trust: bool
    source: str
    clone: str
    answers_file: str


Renderer = Callable[[Path, RenderSteps, RenderOptions, Mapping[str, str]], None]
"""Renders both releases for a copy of a project, with the environment of its process."""


def render_update(
    project: Path, steps: RenderSteps, options: RenderOptions, env: Mapping[str, str]
) -> None:
    """Call `render_in_this_process` in a process of its own.

    Args:
        project: The copy: a clean git repository with the answers file.
        steps: What happens between the renders.
        options: What is rendered.
        env: The whole environment of the process.

    Raises:
        ToolkitError: As `render_in_this_process`.
    """

    def merge(migrations: int) -> None:
        steps.migrations = migrations
        steps.merge()

    paths = {"project": str(project), "old": str(steps.old), "new": str(steps.new)}
    steps.migrations = run_render({**asdict(options), **paths}, merge, env)


def render_in_this_process(project: Path, steps: RenderSteps, options: RenderOptions) -> None:
    """Let Copier update a copy of a project, with the given merge instead of its own.

    Args:
        project: The copy: a clean git repository with the answers file.
        steps: What happens between the renders.
        options: What is rendered.

    Raises:
        SetupError: The template is not trusted, refuses an answer, or cannot be rendered.
        RemoteError: Git cannot read a submodule of the template.
    """
    from copier.errors import CopierError, ForbiddenPathError, TaskError, UnsafeTemplateError
    from plumbum.commands.processes import ProcessExecutionError

    worker = _create_worker_class(options.trust)
    template = f"the template {remove_secrets(options.source)}"
    try:
        # Copier warns of shallow clones and the like, which do not matter to users of an update.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with worker(
                dst_path=project,
                answers_file=Path(options.answers_file),
                data=options.data,
                vcs_ref=options.release,
                defaults=True,
                overwrite=True,
                quiet=True,
            ) as run:
                _set_templates(run, options)
                run.steps = steps
                run.run_update()
    except ToolkitError:
        raise
    except UnsafeTemplateError as error:
        what = str(error).splitlines()[0].partition(": ")[2].rstrip(".")
        raise SetupError(
            f"{template} is not trusted, and it can run code ({what}); review it, then list it "
            f"under trust: in {find_copier_settings()}, or pass --trust once"
        ) from None
    except TaskError as error:
        raise SetupError(
            f"a migration of the template failed with exit code {error.returncode}; nothing was "
            "changed here; read its output above, and report it to the maintainers of the template"
        ) from None
    except ForbiddenPathError as error:
        raise SetupError(
            f"{template} at {options.release} uses a file outside of itself and of this repository "
            f"({str(error).splitlines()[0]}); nothing was changed here; report it to the "
            "maintainers of the template"
        ) from None
    except ProcessExecutionError as error:
        reason = remove_secrets(_find_last_line(str(error.stderr or error)))
        raise RemoteError(
            f"{template} cannot be fetched: {reason}; check the network, and that you may read it "
            "with git"
        ) from None
    except Exception as error:
        is_expected = isinstance(error, (CopierError, ValueError, TypeError, RuntimeError, OSError))
        if not is_expected and type(error).__module__.split(".")[0] not in _LIBRARIES:
            raise
        raise SetupError(explain_refusal(error, options)) from None


def _set_templates(run: Any, options: RenderOptions) -> None:
    """Let Copier read both releases from the clone, and know their versions."""
    present = run.subproject.template
    for template in (present, run.template):
        template.__dict__.update(url_expanded=options.clone, vcs="git")
    # Copier takes versions and names from all tags of a commit, not only a release's.
    present.__dict__["version"] = parse_version(options.present)
    present.ref = options.present
    run.template.__dict__["version"] = parse_version(options.release)
    run.template.__dict__["commit"] = options.release


_LIBRARIES = {"jinja2", "pydantic", "yaml", "copier"}
_PRIVATE_PARTS = (
    *("_apply_update", "_check_unsafe", "_execute_tasks", "_external_data"),
    *("jinja_env", "run_copy", "run_update"),
)


def _create_worker_class(trust: bool) -> Any:
    """Return a subclass of Copier's worker, with our step in place of its merge."""
    try:
        main: Any = importlib.import_module("copier._main")
        answers_map, phase = main.AnswersMap, main.Phase
        for name in _PRIVATE_PARTS:
            getattr(main.Worker, name)
    except (ImportError, AttributeError) as error:
        raise SetupError(
            f"packer-toolkit does not support this version of Copier ({error}); install "
            "packer-toolkit again, with the versions that it requires"
        ) from None

    class worker(main.Worker):  # type: ignore[misc]  # noqa: N801
        """Copier's own, whose trust allows to run code, but not to read files of this machine."""

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
        """A worker that renders both releases aside and leaves the merge to `RenderSteps`."""

        def _apply_update(self) -> None:
            steps: RenderSteps = self.steps
            old_template = self.subproject.template
            settings = {"defaults": True, "quiet": True, "src_path": old_template.url}
            with _open_worker(
                replace(
                    _copy_worker(self, worker),
                    dst_path=steps.old,
                    data=self.subproject.last_answers,
                    vcs_ref=old_template.commit,
                    # As Copier does: what the new release excludes is not in the comparison.
                    exclude=[*self.template.exclude, *self.exclude],
                    **settings,
                ),
                old_template,
            ) as old:
                old.run_copy()
            self._run_migrations("before", old_template)
            # A migration may have changed the answers.
            self.answers = answers_map(external=self._external_data())
            self.subproject.__dict__.pop("last_answers", None)
            steps.new.mkdir(parents=True)
            answers = self.subproject.local_abspath / self.answers_file
            if answers.exists():
                copied = steps.new / self.answers_file
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(answers, copied)
            with _open_worker(
                replace(
                    _copy_worker(self, worker), dst_path=steps.new, vcs_ref=self.vcs_ref, **settings
                ),
                self.template,
            ) as new:
                new.run_copy()
                self.answers = new.answers
                self.answers.external = self._external_data()
            steps.merge()
            self._run_migrations("after", old_template)

        def _run_migrations(self, stage: str, old_template: Any) -> None:
            tasks = self.template.migration_tasks(stage, old_template)
            if not tasks:
                return
            with phase.use(phase.MIGRATE):
                self._execute_tasks(tasks)
            self.steps.migrations += len(tasks)

    return Updater


def _limit_fileglob(places: Sequence[Path]) -> Callable[[str], list[str]]:
    """Return the filter fileglob limited to files below some folders of this machine."""

    def fileglob(pattern: str) -> list[str]:
        tops = [place.resolve() for place in places]
        return [
            name
            for name in glob.glob(pattern)
            if os.path.isfile(name)
            and any(Path(name).resolve().is_relative_to(top) for top in tops)
        ]

    return fileglob


def _copy_worker(worker: Any, kind: Any) -> Any:
    return kind(**{item.name: getattr(worker, item.name) for item in fields(kind) if item.init})


@contextmanager
def _open_worker(worker: Any, template: Any) -> Iterator[Any]:
    """Let a worker use the clone of another worker."""
    with worker:
        worker.__dict__["template"] = template
        yield worker


def _explain_settings_error(error: Exception) -> str:
    """Return why Copier's own settings cannot be read; empty when the error has another cause."""
    import yaml
    from pydantic import ValidationError

    file = find_copier_settings()
    if isinstance(error, ValidationError) and error.title.startswith("Settings"):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif (
        isinstance(error, yaml.MarkedYAMLError)
        and error.problem_mark
        # Copier hands the text on without its name, or as bytes.
        and error.problem_mark.name.startswith(("<", file))
    ):
        reason = f"line {error.problem_mark.line + 1}: {error.problem}"
    else:
        return ""
    return (
        f"Copier's settings {file} are not valid: {reason}; nothing was changed here; fix the file"
    )


def explain_refusal(error: Exception, options: RenderOptions) -> str:
    """Return in one line why Copier or the template refuses an update."""
    settings_error = _explain_settings_error(error)
    if settings_error:
        return settings_error
    text, source = str(error), remove_secrets(options.source)
    # The template's own refusals come in this wrapping: its docs/decisions/0001.
    prefix = "'dict object' has no attribute '"
    if text.startswith(prefix):
        return f"{text.removeprefix(prefix).rstrip()[:-1]}; nothing was changed here"
    if text.startswith("Unknown revision"):
        return (
            f"the template {source} has no {text.rpartition(': ')[2]}, which "
            f"{options.answers_file} names as its release (_commit); nothing was changed here; "
            "push the tag to the template, or set _commit to the release that this repository was "
            "created from"
        )
    reason = remove_secrets(_find_last_line(text)) or type(error).__name__
    return (
        f"Copier cannot render {source} at {options.release}: {reason}; nothing was changed here; "
        "fix that, or report it to the maintainers of the template"
    )


def _find_last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "fatal: " in line]
    return (fatal or lines or [""])[-1].rpartition("fatal: ")[2]
