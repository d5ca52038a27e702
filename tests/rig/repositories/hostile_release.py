"""A small template whose second release does what a test orders."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rig.repositories.template import git, release, render

_FIRST = """\
_min_copier_version: "9.18.0"
_subdirectory: template
_preserve_symlinks: true
name: {type: str, default: web}
# By these an answers file is known to be this template's.
image_name: {type: str, default: web}
parent_image: {type: str, default: debian-12}
aws_management_account: {type: str, default: "111122223333"}
"""
_ANSWERS = "{{ _copier_conf.answers_file }}.jinja"


def make_template(
    folder: Path,
    config: str = "",
    files: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    migration: str = "",
    stage: str = "after",
) -> Path:
    """Make a template with v1.0.0, which is harmless, and v1.1.0.

    Args:
        folder: where it goes; does not exist.
        config: more lines of copier.yml in v1.1.0.
        files: more files of v1.1.0, by path below template/.
        links: more links of v1.1.0, the same way.
        migration: a shell script that v1.1.0 runs.
        stage: when it runs, before or after the merge.
    """
    (folder / "template").mkdir(parents=True)
    git(folder, "init", "--quiet", "-b", "main")
    (folder / "copier.yml").write_text(_FIRST)
    (folder / "template" / _ANSWERS).write_text("{{ _copier_answers | to_nice_yaml -}}\n")
    (folder / "template" / "build.hcl").write_text("one\ntwo\nthree\n")
    (folder / "CHANGELOG.md").write_text("## 1.0.0\n\n- First.\n")
    release(folder, "v1.0.0")
    (folder / "template" / "build.hcl").write_text("one\ntwo\nthree\nfour\n")
    (folder / "CHANGELOG.md").write_text("## 1.1.0\n\n- Better.\n\n## 1.0.0\n\n- First.\n")
    for path, text in (files or {}).items():
        file = folder / "template" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for path, target in (links or {}).items():
        (folder / "template" / path).symlink_to(target)
    if migration:
        (folder / "migration.sh").write_text(migration)
        config += (
            "_migrations:\n"
            f"  - {{version: v1.1.0, when: \"{{{{ _stage == '{stage}' }}}}\",\n"
            "     command: [sh, '{{ _copier_conf.src_path }}/migration.sh']}\n"
        )
    (folder / "copier.yml").write_text(_FIRST + config)
    release(folder, "v1.1.0")
    return folder


def make_project(template: Path, folder: Path) -> Path:
    """Return a committed repository of the template's first release."""
    render(template, folder, vcs_ref="v1.0.0")
    git(folder, "init", "--quiet", "--template=", "-b", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "From the template")
    return folder


def add_origin(project: Path) -> Path:
    """Return a bare clone of a repository, which becomes its origin."""
    bare = project.with_name("remote.git")
    git(project.parent, "clone", "--quiet", "--bare", str(project), str(bare))
    git(project, "remote", "add", "origin", str(bare))
    return bare


def lend_git_directory(template: Path) -> None:
    """Commit a submodule in the template: a link to a commit, without .gitmodules."""
    commit = git(template, "rev-parse", "HEAD")
    git(template, "update-index", "--add", "--cacheinfo", f"160000,{commit},template/vendor")
    shutil.rmtree(template / "template" / "vendor", ignore_errors=True)
    git(template, "commit", "--quiet", "-m", "A submodule")
    git(template, "tag", "--force", "v1.1.0")
