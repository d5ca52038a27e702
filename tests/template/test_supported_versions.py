"""Copy and update work on each Python and with the oldest Copier that copier.yml admits."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from rig.host.cache import cache_dir, fingerprint, locked
from rig.host.machine import HOST_ENV
from rig.host.tools import missing, require
from rig.repositories.copier_command import other_copier, run_copier
from rig.repositories.hook import manifest, tree, without_gitpython
from rig.repositories.template import ROOT, git, release, snapshot

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
OLDEST_COPIER = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with v1.0.0, and v1.1.0 which changes the build."""
    template = snapshot(tmp_path_factory.mktemp("two") / "template")
    build = template / "template" / "build.pkr.hcl"
    build.write_text(f"{build.read_text()}# learnt in v1.1.0\n")
    release(template, "v1.1.0")
    return template


def _copy(python: Path, template: Path, new: Path) -> None:
    outcome = run_copier(
        "copy", "--trust", "--defaults", "--quiet", "--vcs-ref=v1.0.0", str(template), str(new),
        cwd=new.parent, python=python,
    )  # fmt: skip
    assert (outcome.code, outcome.complaints) == (0, [])
    assert git(new, "rev-list", "--count", "HEAD") == "1"
    assert git(new, "status", "--porcelain") == ""
    assert not set(tree(new)) & set(manifest())


def _update(python: Path, new: Path) -> None:
    outcome = run_copier("update", "--trust", "--defaults", "--quiet", cwd=new, python=python)
    assert (outcome.code, outcome.complaints) == (0, [])
    assert git(new, "diff", "--name-only").split() == [".copier-answers.yml", "build.pkr.hcl"]
    assert git(new, "ls-files", "--others") == ""


def test_oldest_copier_without_gitpython(two_releases: Path, tmp_path: Path) -> None:
    """The environment really has no GitPython, like that of a plain `uvx copier`."""
    python = other_copier(OLDEST_COPIER)
    check = "import copier, importlib.util; print(importlib.util.find_spec('git'))"
    result = subprocess.run([python, "-c", check], check=True, capture_output=True, text=True)
    assert result.stdout == "None\n"
    _copy(python, two_releases, tmp_path / "new")
    _update(python, tmp_path / "new")


@pytest.mark.parametrize("version", PYTHONS)
def test_each_python(
    two_releases: Path, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With GitPython, and then without it; an update does not use it."""
    python = _environment(version)
    _copy(python, two_releases, tmp_path / "with")
    _update(python, tmp_path / "with")
    monkeypatch.setenv("PYTHONPATH", str(without_gitpython()))
    _copy(python, two_releases, tmp_path / "without")


def _interpreter(version: str) -> str:
    """Return the path of a Python of this machine; skip the test where there is none."""
    # pyenv's shims answer only for the versions that PYENV_VERSION names, and uv asks the shims.
    pyenv = Path(HOST_ENV.get("PYENV_ROOT", Path(HOST_ENV.get("HOME", "/")) / ".pyenv"))
    installed = ":".join(sorted(path.name for path in (pyenv / "versions").glob("3.*")))
    result = subprocess.run(
        [require("uv"), "python", "find", "--no-project", "--no-python-downloads", version],
        cwd=ROOT,
        env={**HOST_ENV, **({"PYENV_VERSION": installed} if installed else {})},
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        # In CI, too: which Pythons there are is the machine's affair.
        pytest.skip(f"Python {version} is not installed")
    return result.stdout.strip()


def _environment(version: str) -> Path:
    """Return the interpreter of an environment with Copier and GitPython, from the cache.

    Both, and what they need, as in uv.lock. Where that is not cached and cannot be downloaded, the
    calling test is skipped, or failed in CI.
    """
    interpreter = _interpreter(version)
    key = fingerprint(ROOT / "uv.lock", os.path.realpath(interpreter))
    name = f"python-{version}-{key}"
    folder = cache_dir("pythons") / name
    with locked(name):
        if not (folder / "complete").exists():
            locked_versions = folder.with_suffix(".constraints")
            locked_versions.write_text(
                _uv("export", "--frozen", "--no-dev", "--no-hashes", "--no-annotate")
            )
            _uv("venv", "--quiet", "--clear", f"--python={interpreter}", str(folder))
            wanted = [
                f"{name}=={importlib.metadata.version(name)}" for name in ("copier", "gitpython")
            ]
            install = ["pip", "install", "--quiet", f"--python={folder}/bin/python"]
            _uv(*install, f"--constraint={locked_versions}", "--compile-bytecode", *wanted)
            (folder / "complete").touch()
    return folder / "bin" / "python"


def _uv(*args: str) -> str:
    result = subprocess.run(
        [require("uv"), *args],
        cwd=ROOT,
        env=dict(HOST_ENV),
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        missing(f"uv cannot make the environment: {result.stderr}")
    return result.stdout
