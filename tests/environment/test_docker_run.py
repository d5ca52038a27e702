"""docker-run opens the container on a terminal, with real Docker and the image built here."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from rig.docker.engine import DockerEngine
from rig.repositories.template import git
from rig.run.tasks import Tasks
from rig.run.terminal import CTRL_C, ENTER

ROLE = {"SOL_CET_USER_ROLE": "none"}


def test_a_shell_on_a_terminal(tasks: Tasks) -> None:
    """It reads what is typed, shows its output, survives Ctrl-C, and its exit code is kept."""
    with tasks.terminal("docker-run", env=ROLE) as terminal:
        terminal.wait_for(lambda screen: any(line.endswith(("$", "#")) for line in screen))
        terminal.send("echo $((6 * 7))-$PWD; test -t 0 && echo a terminal", ENTER)
        terminal.wait_for("42-/workspace")
        terminal.wait_for("a terminal")
        terminal.send("sleep 600", ENTER)
        terminal.send("", CTRL_C)
        terminal.send("echo interrupted $?", ENTER)
        terminal.wait_for("interrupted 130")
        terminal.send("exit 37", ENTER)
        assert terminal.wait_for_end() == 37


def test_ctrl_c_ends_a_command(tasks: Tasks, docker_engine: DockerEngine) -> None:
    """The command in the container gets it, and no container is left."""
    script = "trap 'echo cleaned up; exit 9' INT; echo started; while :; do sleep 0.1; done"
    name = f"interrupted-{os.getpid()}"
    env = {**ROLE, "TOOLKIT_DOCKER_ARGS": f"--network=host --name={name}"}
    with tasks.terminal("docker-run", "--", "bash", "-c", script, env=env) as terminal:
        terminal.wait_for("started")
        assert docker_engine.docker("ps", "--quiet", f"--filter=name={name}").stdout
        terminal.send(CTRL_C)
        terminal.wait_for("cleaned up")
        assert terminal.wait_for_end() == 9
    assert docker_engine.docker("ps", "--all", "--quiet", f"--filter=name={name}").stdout == ""


def test_files_belong_to_the_owner_of_the_repository(tasks: Tasks) -> None:
    """Whoever that is: a uid that nothing knows can write, git trusts it, ssh knows its name."""
    subprocess.run(["chown", "-R", "4321:4321", tasks.repository], check=True)
    script = (
        "id -u; echo x >made; mkdir -p new/folder; git status --short made; ssh -G host >/dev/null;"
        " touch ~/in-home; whoami"
    )
    done = tasks.run("docker-run", "--", "sh", "-euc", script, env=ROLE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["4321", "?? made", "user4321"]
    for name in ("made", "new", "new/folder"):
        status = (tasks.repository / name).stat()
        assert (status.st_uid, status.st_gid) == (4321, 4321)


def test_what_is_piped_in_arrives(tasks: Tasks) -> None:
    """Without a terminal, as in CI."""
    done = tasks.run("docker-run", "--", "cat", env=ROLE, stdin="piped\n")
    assert (done.returncode, done.stdout) == (0, "piped\n")


def test_git_knows_a_linked_worktree(tasks: Tasks, tmp_path: Path) -> None:
    """Its files lie elsewhere, at a path with every sign that may do harm."""
    git(tasks.repository, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    linked = Tasks(tmp_path / "linked", tasks.env)
    done = linked.run("docker-run", "--", "git", "rev-parse", "HEAD", env=ROLE)
    assert done.stdout.strip() == git(tasks.repository, "rev-parse", "HEAD"), done.stderr


def test_credentials_of_the_home_are_there(tasks: Tasks, tmp_path: Path) -> None:
    """~/.aws, and a file that a variable names; no value of theirs is on a command line."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws/credentials").write_text(
        "[other]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n"
    )
    env = {**ROLE, "HOME": str(home), "AWS_PROFILE": "other"}
    script = "aws configure list; tr '\\0' ' ' </proc/1/cmdline"
    done = tasks.run("docker-run", "--", "sh", "-c", script, env=env)
    assert "MPLE shared-credentials-file" in " ".join(done.stdout.split()), (
        done.stdout + done.stderr
    )
    assert "secret" not in done.stdout.splitlines()[-1]


def test_the_ssh_agent_is_there(tasks: Tasks, tmp_path: Path) -> None:
    """With its keys, for git over SSH."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            while not socket.exists():
                time.sleep(0.02)
            env = {**ROLE, "SSH_AUTH_SOCK": str(socket)}
            adding = ["ssh-add", "-q", key]
            subprocess.run(adding, env={**os.environ, **env}, check=True, capture_output=True)
            done = tasks.run("docker-run", "--", "ssh-add", "-l", env=env)
        finally:
            agent.terminate()
    assert "(ED25519)" in done.stdout, done.stderr
