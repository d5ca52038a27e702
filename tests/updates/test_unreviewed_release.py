"""What a malicious release can reach: rendering and migrations get no secret of the user."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from packer_toolkit.template.sandbox import build_small_environment, defuse_commands
from rig.github import GitHub
from rig.repositories.hostile_release import add_origin, make_project, make_template
from rig.repositories.template import git

pytestmark = pytest.mark.integration

NAME = "globex/packer-ami-web"
SECRET = "s3cr3t-0123456789"  # noqa: S105 - opens nothing
# Each is set to a value with SECRET in it; none may arrive.
SECRETS = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ANSIBLE_VAULT_PASSWORD_FILE",
    "API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "COPIER_ANYTHING",
    "DATABASE_URL",
    "DOCKER_AUTH_CONFIG",
    "DOCKER_HOST",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "GIT_ASKPASS",
    "GIT_SSH_COMMAND",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GPG_AGENT_INFO",
    "KUBECONFIG",
    "NPM_TOKEN",
    "PACKER_TOKEN",
    "PGPASSWORD",
    "PIP_INDEX_URL",
    "PKR_VAR_password",
    "SSH_AUTH_SOCK",
    "TEMPLATE_UPDATE_TOKEN",
    "UV_INDEX_URL",
    "VAULT_TOKEN",
    "XDG_RUNTIME_DIR",
)


@pytest.fixture
def loot(tmp_path: Path) -> Path:
    """Return a folder into which the release's code writes what it finds."""
    folder = tmp_path / "loot"
    folder.mkdir()
    return folder


def run(
    project: Path, command: str, github: GitHub | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run `packer-toolkit COMMAND` in a process of its own, among secrets."""
    api = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": NAME} if github else {}
    home = project.with_name("user")
    (home / ".aws").mkdir(parents=True, exist_ok=True)
    (home / ".aws" / "credentials").write_text(SECRET)
    (home / ".netrc").write_text(f"machine github.example password {SECRET}\n")
    secrets = {name: f"x{SECRET}" for name in SECRETS if name != "GIT_SSH_COMMAND"}
    env = {
        **os.environ,
        **secrets,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.https://github.example/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {SECRET}",
        "HTTPS_PROXY": f"http://me:{SECRET}@proxy.example:3128",
        "https_proxy": f"http://{SECRET}@proxy.example:3128",
        "HOME": str(home),
        **api,
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "packer_toolkit", *command.split()],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def found(loot: Path) -> dict[str, str]:
    """Return what the release's code has written, by name."""
    return {file.name: file.read_text(errors="replace") for file in loot.iterdir()}


COMMANDS = (
    "template-update --trust",
    "template-update --trust --dry-run",
    "template-diff --trust",
    "template-pr --trust",
    "template-pr --trust --dry-run",
    "template-pr --trust --save=/dev/null",
)


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_migration_finds_no_secret(
    tmp_path: Path, loot: Path, github: GitHub, command: str, stage: str
) -> None:
    """A migration finds no secret in its environment, its parent's, git's or HOME (review C3)."""
    migration = (
        f"env >{loot}/environment\n"
        f"tr '\\0' '\\n' </proc/$PPID/environ >{loot}/parent\n"
        f"git config --list --show-origin >{loot}/git\n"
        f"find . ~ -type f -exec grep -l {SECRET} {{}} + >{loot}/files\n"
        f"echo planted >~/.bashrc\n"
        f"cat /proc/$PPID/cmdline >{loot}/arguments\n"
    )
    template = make_template(tmp_path / "template", migration=migration, stage=stage)
    project = make_project(template, tmp_path / "web")
    add_origin(project)
    github.repository(NAME)
    done = run(project, command, github)
    assert done.returncode == 0, done.stderr
    loot_found = found(loot)
    assert set(loot_found) == {"environment", "parent", "git", "files", "arguments"}
    assert "PATH=" in loot_found["environment"]
    for name, text in loot_found.items():
        assert SECRET not in text, name
    assert loot_found["files"] == ""
    names = {line.partition("=")[0] for line in loot_found["environment"].splitlines()}
    assert not names & {*SECRETS}
    assert not (tmp_path / "user" / ".bashrc").exists()


def test_a_task_and_an_extension_find_no_secret(tmp_path: Path, loot: Path) -> None:
    """Tasks and Jinja extensions of a release run without the user's secrets too (review C3)."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "spy.py").write_text(
        "import os, pathlib\nfrom jinja2.ext import Extension\n"
        f"pathlib.Path('{loot}/module').write_text(str(dict(os.environ)))\n"
        "class Spy(Extension):\n    pass\n"
    )
    config = f"_jinja_extensions: [spy.Spy]\n_tasks: ['env >{loot}/task']\n"
    template = make_template(tmp_path / "template", config)
    project = make_project(template, tmp_path / "web")
    done = run(project, "template-update --trust", PYTHONPATH=str(tmp_path / "modules"))
    assert done.returncode == 0, done.stderr
    assert set(found(loot)) == {"module", "task"}
    assert SECRET not in str(found(loot))


def test_configuration_that_a_migration_leaves_gets_no_secret(tmp_path: Path, loot: Path) -> None:
    """Programs that a migration names in git's configuration run without secrets (review C3)."""
    spy = f"sh -c 'env >>{loot}/git; cat'"
    migration = (
        f'git config core.fsmonitor "env >>{loot}/git; false"\n'
        f'git config filter.spy.clean "{spy}"\n'
        f'git config diff.spy.textconv "{spy}"\n'
        "mkdir -p .git/info; echo '* filter=spy diff=spy' >.git/info/attributes\n"
        "echo noted >note.txt\n"
    )
    template = make_template(tmp_path / "template", migration=migration, stage="before")
    project = make_project(template, tmp_path / "web")
    for command in ("template-diff --trust", "template-update --trust"):
        done = run(project, command)
        assert done.returncode == 0, done.stderr
    assert "PATH=" in str(found(loot))
    assert SECRET not in str(found(loot))
    assert "fsmonitor" not in (project / ".git/config").read_text()


ATTACKS: Mapping[str, Callable[[Path], Path]] = {
    "external data by relative path": lambda folder: make_template(
        folder,
        "_external_data: {stolen: ../../user/.aws/credentials}\n",
        {"stolen.txt.jinja": "{{ _external_data.stolen }}\n"},
    ),
    "external data by absolute path": lambda folder: make_template(
        folder,
        f"_external_data: {{stolen: {folder.with_name('user')}/.aws/credentials}}\n",
        {"stolen.txt.jinja": "{{ _external_data.stolen }}\n"},
    ),
    "include by relative path": lambda folder: make_template(
        folder, "", {"stolen.txt.jinja": "{% include '../../user/.aws/credentials' %}\n"}
    ),
    "include by absolute path": lambda folder: make_template(
        folder,
        "",
        {"stolen.txt.jinja": f"{{% include '{folder.with_name('user')}/.aws/credentials' %}}\n"},
    ),
    "include through a link": lambda folder: make_template(
        folder,
        "",
        {"stolen.txt.jinja": "{% include 'template/inside' %}\n"},
        {"inside": f"{folder.with_name('user')}/.aws/credentials"},
    ),
    "link that is followed": lambda folder: make_template(
        folder,
        "_preserve_symlinks: false\n",
        links={"stolen.txt": f"{folder.with_name('user')}/.aws/credentials"},
    ),
    "subdirectory outside": lambda folder: make_template(folder, "_subdirectory: ../user\n"),
    "link to an absolute path": lambda folder: make_template(
        folder, links={"stolen.txt": f"{folder.with_name('user')}/.aws/credentials"}
    ),
    "link out of the repository": lambda folder: make_template(
        folder, links={"stolen.txt": "../user/.aws/credentials"}
    ),
    "link into .git": lambda folder: make_template(folder, links={"hooks": ".git/hooks"}),
    "submodules": lambda folder: make_template(
        folder, "", {".gitmodules": '[submodule "x"]\npath = x\nurl = https://x.example\n'}
    ),
    "repository in the repository": lambda folder: make_template(
        folder,
        migration="git init -q vendor && cd vendor && "
        "git -c user.name=x -c user.email=x@x commit -q --allow-empty -m x\n",
    ),
    "path outside by name": lambda folder: make_template(
        folder, "", {"{{ '..' }}/{{ '..' }}/user/planted": "planted\n"}
    ),
    "short name of .git": lambda folder: make_template(
        folder, "", {"{{ 'GIT' }}~1/config": "planted\n"}
    ),
}


@pytest.mark.parametrize(
    ("attack", "command"),
    [
        *((attack, "template-update --trust") for attack in ATTACKS),
        ("external data by absolute path", "template-pr --trust"),
        ("link out of the repository", "template-pr --trust"),
        ("repository in the repository", "template-diff --trust"),
    ],
)
def test_a_release_neither_reads_nor_writes_outside_of_the_repository(
    tmp_path: Path, github: GitHub, attack: str, command: str
) -> None:
    """A release that reaches out of the repository is refused in one line (review C3)."""
    project = make_project(make_template(tmp_path / "first"), tmp_path / "web")
    template = ATTACKS[attack](tmp_path / "template")
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace(str(tmp_path / "first"), str(template)))
    git(project, "commit", "--quiet", "--all", "-m", "Another template")
    remote = add_origin(project)
    github.repository(NAME)
    done = run(project, command, github)
    assert done.returncode == 3, (done.stdout, done.stderr)
    errors = [line for line in done.stderr.splitlines() if line.startswith("packer-toolkit: ")]
    assert len(errors) == 1, done.stderr
    assert "nothing was changed here" in errors[0]
    assert SECRET not in done.stdout + done.stderr
    assert git(project, "status", "--porcelain") == ""
    assert git(remote, "branch", "--list", "update-from-template") == ""
    assert sorted(file.name for file in (tmp_path / "user").iterdir()) == [".aws", ".netrc"]


def test_a_hook_that_is_rendered_is_not_installed(tmp_path: Path) -> None:
    """What a release renders below .git does not get into the repository (review C3)."""
    template = make_template(
        tmp_path / "template", "_exclude: [nothing]\n", {"{{ '.git' }}/hooks/post-checkout": "x\n"}
    )
    project = make_project(template, tmp_path / "web")
    done = run(project, "template-update --trust")
    assert done.returncode in (0, 3), done.stderr
    assert not (project / ".git/hooks/post-checkout").exists()


def test_what_a_migration_leaves_running_is_ended(tmp_path: Path, loot: Path) -> None:
    """A process that a migration leaves in the background ends with the update (review C3)."""
    migration = f"(sleep 3; echo late >{loot}/late) &\n"
    template = make_template(tmp_path / "template", migration=migration)
    project = make_project(template, tmp_path / "web")
    done = run(project, "template-update --trust")
    assert done.returncode == 0, done.stderr
    subprocess.run(["sleep", "4"], check=True)
    assert found(loot) == {}


def test_what_a_migration_prints_commands_no_runner(tmp_path: Path) -> None:
    """Lines of a migration are no commands for GitHub's runner, and not on stdout (review C3)."""
    migration = "echo '::set-output name=commit::0'; echo '##[add-mask]a' >&2; echo ' ::error::x'\n"
    template = make_template(tmp_path / "template", migration=migration)
    project = make_project(template, tmp_path / "web")
    done = run(project, "template-update --trust", GITHUB_ACTIONS="true")
    assert done.returncode == 0, done.stderr
    assert "set-output" not in done.stdout
    assert "template: ::set-output name=commit::0" in done.stderr
    for line in done.stderr.splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\v", "\x85", "\u2028"])
def test_no_line_end_begins_a_command_of_the_runner(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Whatever ends a line of a migration's output, the next one is prefixed (review C3)."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    shown = defuse_commands(f"progress{end}::error title=x::evil{end}##[error]y")
    assert shown == "template: progress\ntemplate: ::error title=x::evil\ntemplate: ## [error]y"


def test_a_pull_request_never_changes_the_template(tmp_path: Path, github: GitHub) -> None:
    """A release that rewrites the template's address in the answers file is refused (review C3)."""
    migration = "sed -i 's|_src_path: .*|_src_path: https://evil.example/template.git|' .copier*\n"
    template = make_template(tmp_path / "template", migration=migration)
    project = make_project(template, tmp_path / "web")
    remote = add_origin(project)
    github.repository(NAME)
    done = run(project, "template-pr --trust", github)
    assert (done.returncode, "of the same template" in done.stderr) == (3, True), done.stderr
    assert git(remote, "branch", "--list", "update-from-template") == ""


def test_without_trust_no_code_runs(tmp_path: Path, loot: Path) -> None:
    """Without trust a release with migrations, tasks or extensions is refused (review C3)."""
    for number, config in enumerate(
        (f"_tasks: ['touch {loot}/x']\n", "_jinja_extensions: [spy.Spy]\n", "")
    ):
        migration = "" if config else f"touch {loot}/x\n"
        template = make_template(tmp_path / f"t{number}", config, migration=migration)
        project = make_project(template, tmp_path / f"web{number}")
        done = run(project, "template-update")
        assert (done.returncode, "is not trusted" in done.stderr) == (3, True), done.stderr
    assert found(loot) == {}


def test_trust_comes_from_the_settings_of_the_user(tmp_path: Path, loot: Path) -> None:
    """Copier's settings.yml in the user's home directory still grants trust."""
    template = make_template(tmp_path / "template", migration=f"touch {loot}/ran\n")
    project = make_project(template, tmp_path / "web")
    settings = tmp_path / "user" / ".config" / "copier" / "settings.yml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"trust: ['{template}']\n")
    done = run(project, "template-update", XDG_CONFIG_HOME="")
    assert done.returncode == 0, done.stderr
    assert set(found(loot)) == {"ran"}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("PATH", "/bin", True),
        ("LC_ALL", "C.UTF-8", True),
        ("SSL_CERT_FILE", "/etc/ca.pem", True),
        ("HTTPS_PROXY", "http://proxy.example:3128", True),
        ("https_proxy", "proxy.example:3128", True),
        ("NO_PROXY", ".example,10.0.0.0/8", True),
        ("HTTPS_PROXY", "http://me:pass@proxy.example:3128", False),
        ("http_proxy", "http://token@proxy.example", False),
        ("ALL_PROXY", "me:pass@proxy.example:1080", False),
        ("GITHUB_TOKEN", "x", False),
        ("GIT_CONFIG_COUNT", "1", False),
        ("PYTHONPATH", "/somewhere", False),
        ("LD_PRELOAD", "/evil.so", False),
        ("BASH_ENV", "/somewhere", False),
        ("lc_token", "x", False),
    ],
)
def test_the_variables_that_are_passed(tmp_path: Path, name: str, value: str, kept: bool) -> None:
    """Code of a release gets the variables of a short list, and proxies without a password."""
    assert (name in build_small_environment(tmp_path, {name: value})) is kept


def test_fileglob_lists_no_file_of_the_machine(
    small: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jinja's fileglob finds files of the template and the repository only (review C3)."""
    own = tmp_path / "own"
    git(tmp_path, "clone", "--quiet", str(small), str(own))
    secret = tmp_path / "s3cr3t-name"
    secret.touch()
    (own / "link-to-it").symlink_to(secret)
    listing = f"{{{{ ('{secret.parent}/s3*' | fileglob) ~ ('/etc/host*' | fileglob) }}}}"
    within = "{{ (_copier_conf.src_path | string ~ '/copier.y*') | fileglob | length }}"
    escaped = "{{ (_copier_conf.src_path | string ~ '/link*') | fileglob | length }}"
    (own / "template" / "listed.txt.jinja").write_text(f"{listing} {within} {escaped}\n")
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "-m", "Release v3.0.0")
    git(own, "tag", "v3.0.0")
    answers = project / ".copier-answers.yml"
    answers.write_text(answers.read_text().replace(str(small), str(own)))
    git(project, "commit", "--quiet", "--all", "-m", "Elsewhere")
    monkeypatch.chdir(project)
    command = [sys.executable, "-m", "packer_toolkit", "template-update"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (project / "listed.txt").read_text() == "[][] 1 0\n"
