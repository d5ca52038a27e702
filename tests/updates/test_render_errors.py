"""What renders refuse, and what the process that renders gets, without a render."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from packer_toolkit.errors import RemoteError, SetupError, ToolkitError
from packer_toolkit.git.command import Git
from packer_toolkit.template import allowed_changes, render, sandbox
from packer_toolkit.template.allowed_changes import require_harmless
from packer_toolkit.template.render import RenderOptions, explain_refusal
from packer_toolkit.template.sandbox import (
    build_small_environment,
    defuse_commands,
    find_copier_settings,
)
from packer_toolkit.template.trees import SUBMODULE, Entry
from packer_toolkit.text.paths import join_paths
from rig.repositories.template import git

OPTIONS = RenderOptions("v1.0.0", "v1.1.0", {}, False, "https://u:pw@h.example/t", "/c", "a.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'dict object' has no attribute 'x=\"1\" is refused: y'", 'x="1" is refused: y; nothing'),
        ("Unknown revision: v1.0.0", "the template https://h.example/t has no v1.0.0, which a.yml"),
        ("x\nfatal: no such\nhint", "Copier cannot render https://h.example/t at v1.1.0: no such;"),
        ("", "Copier cannot render https://h.example/t at v1.1.0: ValueError; nothing was changed"),
    ],
)
def test_a_refusal_is_one_line(text: str, message: str) -> None:
    """The template's own refusal and Copier's errors become one line without passwords."""
    reason = explain_refusal(ValueError(text), OPTIONS)
    assert message in reason
    assert "\n" not in reason
    assert "pw" not in reason


def test_unusable_settings_of_copier_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the line of an error in Copier's settings are named."""
    monkeypatch.setenv("COPIER_SETTINGS_PATH", "/x/settings.yml")
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load("a: [\n")
    reason = explain_refusal(caught.value, OPTIONS)
    assert reason.startswith("Copier's settings /x/settings.yml are not valid: line 2: ")


def test_another_copier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Copier without the step that is replaced is refused in one line."""
    monkeypatch.setattr(render, "_PRIVATE_PARTS", ("_gone",))
    with pytest.raises(SetupError, match="does not support this version of Copier"):
        render._create_worker_class(trust=True)


def test_fileglob_is_limited(tmp_path: Path) -> None:
    """The filter fileglob finds files below its folders, and no links that lead out."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    (inside / "file").touch()
    outside.touch()
    (inside / "link").symlink_to(outside)
    fileglob = render._limit_fileglob([inside])
    assert fileglob(f"{tmp_path}/*/*") == [str(inside / "file")]
    assert fileglob(f"{tmp_path}/*") == []


def test_the_process_gets_no_credentials(tmp_path: Path) -> None:
    """Variables that are not listed, and proxies with a password, are left out."""
    env = build_small_environment(
        tmp_path,
        {
            "PATH": "/bin",
            "LC_ALL": "C",
            "AWS_SECRET_ACCESS_KEY": "x",
            "SSH_AUTH_SOCK": "x",
            "https_proxy": "http://proxy:3128",
            "HTTP_PROXY": "http://user:pw@proxy:3128",
        },
    )
    assert {*env} == {
        *("PATH", "LC_ALL", "https_proxy", "HOME", "COPIER_SETTINGS_PATH"),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_TERMINAL_PROMPT"),
    }
    assert env["HOME"] == str(tmp_path)
    assert env["COPIER_SETTINGS_PATH"] == find_copier_settings({})


def test_output_of_the_template_commands_no_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """On GitHub each line of output gets a prefix, so that the runner reads no command."""
    assert defuse_commands("::warning::x") == "::warning::x"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert defuse_commands("a\r::warning::x") == "template: a\ntemplate: ::warning::x"
    assert defuse_commands("##[error]x") == "template: ## [error]x"
    assert defuse_commands("") == "template: "


def test_errors_of_the_process_keep_their_class(capsys: pytest.CaptureFixture[str]) -> None:
    """An error has the class that was reported if it is one of ours, and one line."""
    error = sandbox._parse_error({"kind": "RemoteError", "text": "a\nb\x1b"})
    assert (type(error), str(error)) == (RemoteError, "a b\\x1b")
    assert type(sandbox._parse_error({"kind": "os"})) is ToolkitError
    assert sandbox._parse("{") == sandbox._parse("[]") == {}
    reading, writing = os.pipe()
    os.write(writing, b"one\xff\r\ntwo\n")
    os.close(writing)
    sandbox._print_output(os.fdopen(reading, "rb"))
    assert capsys.readouterr().err == "one\ufffd\ntwo\n"


def test_a_job_reports_its_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process reports its merge, and the error or the number of its migrations."""
    monkeypatch.setattr(
        sandbox.threading, "Thread", lambda **_: SimpleNamespace(start=lambda: None)
    )
    monkeypatch.setattr(
        sandbox.threading,
        "Semaphore",
        lambda _: SimpleNamespace(acquire=lambda: None, release=lambda: None),
    )
    options = {**vars(OPTIONS), "project": "p", "old": "o", "new": "n"}
    outcomes = (None, SetupError("refused"), ValueError("broken"))
    printed = []
    for outcome in outcomes:

        def run(project: Path, steps: render.RenderSteps, _: RenderOptions) -> None:
            assert (project, steps.old, steps.new) == (Path("p"), Path("o"), Path("n"))
            steps.migrations = 2
            steps.merge()
            if outcome:  # noqa: B023
                raise outcome  # noqa: B023

        monkeypatch.setattr(render, "render_in_this_process", run)
        file = tmp_path / "requests"
        sandbox.serve_render({"options": options}, 0, os.open(file, os.O_WRONLY | os.O_CREAT))
        printed.append(file.read_text().splitlines()[-1])
        file.unlink()
    assert printed == [
        '{"event": "done", "migrations": 2}',
        '{"event": "failed", "kind": "SetupError", "text": "refused"}',
        '{"event": "failed", "kind": "ValueError", "text": "ValueError: broken"}',
    ]


def store(folder: Path, text: str) -> str:
    """Return the ID of an object with a text."""
    return Git(folder).text("hash-object", "-w", "--stdin", stdin=text.encode())


@pytest.mark.parametrize(
    ("path", "mode", "text", "message"),
    [
        ("../x", "100644", "", "outside of the repository's folder"),
        (f"{'x' * 1001}", "100644", "", "not a valid file name"),
        ("a/.GIT /x", "100644", "", "in git's own directory"),
        ("git~1", "100644", "", "in git's own directory"),
        (".g\u200cit/x", "100644", "", "in git's own directory"),
        (".gitmodules", "100644", "", "declares submodules"),
        ("x", SUBMODULE, "", "is a submodule"),
        ("x", "100600", "", "its mode is 100600"),
        ("x/y", "120000", "../../z", "leads out of the repository, to ../../z"),
        ("x", "120000", "/etc/passwd", "leads out"),
        ("x", "120000", "a\\b", "leads out"),
        ("x", "120000", ".git/config", "into git's own directory"),
    ],
)
def test_files_that_leave_the_repository_are_refused(
    tmp_path: Path, path: str, mode: str, text: str, message: str
) -> None:
    """Only files and links of the repository may be written."""
    git(tmp_path, "init", "--quiet", "--template=")
    tree = {path: Entry(mode, store(tmp_path, text))}
    with pytest.raises(SetupError, match=message.replace(".", r"\.")):
        require_harmless(Git(tmp_path), {}, tree)


def test_files_of_unusual_size_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file, a large update and many files are refused; what the team has counts not."""
    git(tmp_path, "init", "--quiet", "--template=")
    here, link = Git(tmp_path), store(tmp_path, "../out")
    small, large = (Entry("100644", store(tmp_path, "x" * size)) for size in (5, 30))
    monkeypatch.setattr(allowed_changes, "_LARGE_FILE", 20)
    with pytest.raises(SetupError, match="it has 30 bytes, over 20 more than any file"):
        require_harmless(here, {}, {"x": large})
    monkeypatch.setattr(allowed_changes, "_LARGE_UPDATE", 8)
    with pytest.raises(SetupError, match="with it the update adds more than 8 bytes"):
        require_harmless(here, {}, {"x": small, "y": small})
    require_harmless(here, {"x": large}, {"y": large})
    require_harmless(here, {"x": Entry("120000", link)}, {"y": Entry("120000", link)})
    monkeypatch.setattr(allowed_changes, "_MANY_FILES", 1)
    with pytest.raises(SetupError, match="because of the update: it changes 2 files, more than 1"):
        require_harmless(here, {}, {"x": small, "y": small})


def test_paths_are_joined_for_one_line() -> None:
    """The first paths are named, escaped, and the others counted."""
    assert join_paths(["a", "b\n", "c\udcff", "d", "e"]) == "a, b\\n, c\\xff and 2 more"
