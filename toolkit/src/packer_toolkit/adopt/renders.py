"""Clone the template, and render its releases with Copier."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from packer_toolkit.adopt.found import FoundAnswers
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.git.addresses import expand_address, remove_secrets
from packer_toolkit.git.command import Git, GitError, build_environment, limit_transfer
from packer_toolkit.repository.answers_file import parse_answers
from packer_toolkit.text.paths import show_path

_MANIFEST = "hooks/demo-manifest.txt"
_BASE_IMAGES = "includes/base_images.jinja"
# How the template refuses an answer: its docs/decisions/0001.
_REFUSED = re.compile(
    r'(?P<question>\w+)="(?P<value>.*?)".*? is refused: (?P<reason>.*)\Z', re.DOTALL
)


class Renders:
    """A clone of the template in a temporary folder, and renders of its releases.

    Attributes:
        source: Address of the template.
        scratch: The temporary folder.
        name: Name of the adopted folder, from which Copier may derive answers.
        answers_file: Path of the answers file.
        data: Answers that the user gave.
    """

    def __init__(
        self, source: str, scratch: Path, name: str, answers_file: str, data: Mapping[str, Any]
    ) -> None:
        self.source = source
        self.scratch = scratch
        self.name = name
        self.answers_file = answers_file
        self.data = data
        self._clone = scratch / "template"

    def fetch(self) -> None:
        """Clone the template.

        Raises:
            RemoteError: It cannot be cloned.
        """
        try:
            command = ["clone", "--quiet", "--no-checkout", "--", expand_address(self.source)]
            limit_transfer(Git(self.scratch)).text(*command, str(self._clone))
        except GitError as error:
            raise RemoteError(
                f"the template {remove_secrets(self.source)} cannot be fetched: "
                f"{remove_secrets(error.reason)}; check the network, and that you may read it"
            ) from None

    def _read_file(self, tag: str, path: str) -> str:
        try:
            return Git(self._clone).text("show", f"{tag}:{path}")
        except GitError:
            return ""

    def list_demo(self, tag: str) -> list[str]:
        """Return the paths of the demo of a release."""
        return self._read_file(tag, _MANIFEST).splitlines()

    def read_base_images(self, tag: str) -> Mapping[str, Any]:
        """Return the base images of a release by answer.

        Raises:
            SetupError: They cannot be read.
        """
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        try:
            # The release is not trusted: outside of the sandbox an expression reaches Python.
            template = ImmutableSandboxedEnvironment().from_string(
                self._read_file(tag, _BASE_IMAGES)
            )
            images = getattr(template.module, "base_images", {})
        except Exception as error:  # An expression may raise any error.
            raise SetupError(
                f"{_BASE_IMAGES} of the release {tag} cannot be read "
                f"({show_path(' '.join(str(error).split()))[:200] or type(error).__name__}); "
                "choose another release with --vcs-ref"
            ) from None
        return images if isinstance(images, Mapping) else {}

    def render(self, tag: str, found: FoundAnswers) -> tuple[Path, dict[str, str]]:
        """Render a release; found values that the template refuses are removed from the answers.

        Returns:
            The render, and why values were removed, by question.

        Raises:
            SetupError: The template refuses an answer that the user gave, or cannot be rendered.
        """
        refused: dict[str, str] = {}
        while True:
            try:
                return self.run_copier(tag, found), refused
            except SetupError as error:
                match = _REFUSED.search(str(error))
                question = match["question"] if match else ""
                if not match or question in self.data or question not in found.answers:
                    raise
                value = found.answers.pop(question)
                reason = match["reason"].partition(". Accepted:")[0]
                refused[question] = f"{value.value} ({value.place}): {reason}"

    def run_copier(self, tag: str, found: FoundAnswers, *, ask: bool = False) -> Path:
        """Render a release, and return its folder.

        Args:
            tag: Of the release.
            found: The answers that were found.
            ask: Whether Copier asks the user for the other answers.

        Raises:
            SetupError: The template refuses an answer, or cannot be rendered.
        """
        import copier
        from copier.errors import CopierError

        answers = {name: value.value for name, value in found.answers.items()}
        answers.update(self.data)
        # The answer to image_name may be derived from the name of the folder.
        destination = Path(tempfile.mkdtemp(dir=self.scratch)) / (self.name or "repository")
        demo = [] if answers.get("keep_demo") is True else self.list_demo(tag)
        try:
            copier.run_copy(
                str(self._clone),
                destination,
                answers,
                answers_file=self.answers_file,
                vcs_ref=tag,
                # Trust in the folder of our clone, such as /tmp/, is not trust in the template.
                settings=copier.Settings(defaults=copier.load_settings().defaults),
                defaults=not ask,
                # The hook would delete the demo and start git; no code of the template runs here.
                skip_tasks=True,
                quiet=True,
                # Patterns, each of which matches one path.
                exclude=["/" + re.sub(r"([*?\[\]!\\#])", r"\\\1", path) for path in demo],
            )
        except KeyboardInterrupt:
            raise
        except Exception as error:
            is_known = isinstance(error, (CopierError, ValueError, TypeError, OSError))
            package = type(error).__module__.split(".")[0]
            if not is_known and package not in {"jinja2", "pydantic", "yaml"}:
                raise
            raise SetupError(_describe(error)) from None
        _record_source(destination / self.answers_file, self.source, tag)
        for empty in sorted(destination.rglob("*"), reverse=True):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
        return destination


def _record_source(file: Path, source: str, tag: str) -> None:
    """Write the address of the template and its release into the answers file.

    Copier has recorded the address of our clone, and perhaps another tag of the release.
    """
    import yaml

    text = file.read_text(encoding="utf-8")
    if not parse_answers(text.encode(), "the template's answers file").get("_commit"):
        raise SetupError(
            "git cannot find the release of the template; unset GIT_DIR and similar variables"
        )
    for key, value in (("_src_path", remove_secrets(source)), ("_commit", tag)):
        line = yaml.safe_dump({key: value}, allow_unicode=True, width=10**6)
        pattern = rf"^{key}:.*(?:\n[ \t]+.*)*\n"
        text, count = re.subn(pattern, line.replace("\\", "\\\\"), text, flags=re.M)
        if count != 1:
            raise SetupError(
                f"the answers file of the template at {tag} has no line {key}; choose another "
                "release with --vcs-ref"
            )
    file.write_text(text, encoding="utf-8")


def _describe(error: Exception) -> str:
    """Return an error of Copier or the template in one line."""
    text = str(error)
    prefix = "'dict object' has no attribute '"
    if text.startswith(prefix):
        return text.removeprefix(prefix).rstrip()[:-1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"Copier cannot render the template: {(lines or [type(error).__name__])[-1]}"


@contextmanager
def prepare_copier() -> Iterator[None]:
    """Give the processes of Copier the environment of our git; plumbum keeps a copy of it."""
    import warnings

    from plumbum import local

    with local.env(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local.env.clear()
        local.env.update(build_environment(Path.cwd()))
        yield
