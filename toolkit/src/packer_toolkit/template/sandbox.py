"""Rendering and migrations in a process of their own, without access to credentials.

A release of the template is code that was not reviewed here.  It gets the variables of `ALLOWED`
and an empty home directory; tokens, cloud credentials, agents and the settings of git stay with the
process that started it.  docs/updating.md states what this prevents and what not.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import click

from packer_toolkit import errors
from packer_toolkit.errors import SetupError, ToolkitError
from packer_toolkit.text.lines import join_lines
from packer_toolkit.text.paths import show_path

ALLOWED = frozenset(
    {
        # To find programs, and the libraries of this Python.
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        # The user's name, language, time zone and terminal, and where temporary files go.
        *("USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "NO_COLOR", "TMPDIR", "TEMP", "TMP"),
        # The trusted certificate authorities: paths of files without secrets.
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
)
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
_CREDENTIALS_IN_URL = re.compile(r"[^/\s]@")
_BOOTSTRAP = """
import json, os, sys
job = json.loads(os.fdopen(int(sys.argv[1]), closefd=False, buffering=1).readline())
sys.path[:] = job["path"]
from packer_toolkit.template.sandbox import serve_render
serve_render(job, int(sys.argv[1]), int(sys.argv[2]))
"""


def build_small_environment(home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for code of the template.

    Args:
        home: An empty directory, which replaces the user's.
        environ: The variables to choose from; None for this process's environment.
    """
    environ = os.environ if environ is None else environ
    allowed = {
        name: value
        for name, value in environ.items()
        if name in ALLOWED
        or name.startswith("LC_")
        or (name.upper() in PROXIES and not _CREDENTIALS_IN_URL.search(value))
    }
    return {
        **allowed,
        "HOME": str(home),
        # Copier reads its settings, such as which templates are trusted, from the user's own file.
        "COPIER_SETTINGS_PATH": find_copier_settings(environ),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def find_copier_settings(environ: Mapping[str, str] | None = None) -> str:
    """Return the path of the user's settings of Copier.

    Args:
        environ: The environment; None for this process's.
    """
    from platformdirs import user_config_path

    path = (os.environ if environ is None else environ).get("COPIER_SETTINGS_PATH")
    return path or str(user_config_path("copier", appauthor=False) / "settings.yml")


def run_render(job: Mapping[str, Any], merge: Callable[[int], None], env: Mapping[str, str]) -> int:
    """Render in a process of its own.

    Args:
        job: Fields of `RenderOptions` and the paths project, old and new, as JSON has them.
        merge: Called between the renders, with the number of migrations that have run.
        env: The whole environment of the process.

    Returns:
        How many migrations have run.

    Raises:
        ToolkitError: As the process reported it.
        SetupError: The process ended without a result.
    """
    with _start_process(env) as (process, requests, replies):
        _send(replies, {"path": sys.path, "options": job})
        for line in requests:
            message = _parse(line)
            event, number = message.get("event"), message.get("migrations")
            if event == "failed":
                raise _parse_error(message)
            if event not in ("merge", "done") or not isinstance(number, int):
                break
            if event == "done":
                return number
            merge(number)
            _send(replies, {"event": "merged"})
        code = process.wait()
    raise SetupError(
        f"the process that renders the template ended early (exit code {code}); nothing was "
        "changed here; its output above shows the reason"
    )


@contextlib.contextmanager
def _start_process(
    env: Mapping[str, str],
) -> Iterator[tuple[subprocess.Popen[bytes], IO[str], IO[str]]]:
    """Start the process, with a pipe in each direction; stop it and its children at the end."""
    to_child, replies = os.pipe()
    requests, from_child = os.pipe()
    with os.fdopen(requests, errors="replace") as incoming, os.fdopen(replies, "w") as outgoing:
        try:
            process = subprocess.Popen(
                # -I: neither the current directory nor PYTHON* variables add modules.
                [sys.executable, "-I", "-c", _BOOTSTRAP, str(to_child), str(from_child)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(to_child, from_child),
                # A group of its own, so that what a migration leaves running is stopped too.
                start_new_session=True,
            )
        finally:
            os.close(to_child)
            os.close(from_child)
        printer = threading.Thread(target=_print_output, args=(process.stdout,), daemon=True)
        printer.start()
        try:
            yield process, incoming, outgoing
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # A migration that left the group may hold the pipe forever.
            printer.join(timeout=2)
            with contextlib.suppress(OSError):
                outgoing.flush()


def _print_output(output: IO[bytes]) -> None:
    """Print the output of migrations on stderr: stdout is for the result, such as JSON."""
    with output:
        for line in output:
            text = line.decode(errors="replace").rstrip("\r\n")
            with contextlib.suppress(OSError, ValueError):
                click.echo(defuse_commands(text), err=True)


def defuse_commands(text: str) -> str:
    """Change output of the template's code so that GitHub's runner finds no command in it."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    # The runner reads ::command:: at the start of a line, also after a carriage return, and
    # ##[command] anywhere.
    lines = text.replace("##[", "## [").splitlines() or [""]
    return "\n".join(f"template: {line}" for line in lines)


def _send(stream: IO[str], message: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the process has ended; reading from it shows that
        stream.write(json.dumps(message) + "\n")
        stream.flush()


def _parse(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _parse_error(message: Mapping[str, Any]) -> ToolkitError:
    """Return the error that the process reported, in one printable line."""
    kind = getattr(errors, str(message.get("kind")), None)
    text = show_path(join_lines(str(message.get("text"))))[:2000]
    if isinstance(kind, type) and issubclass(kind, ToolkitError):
        return kind(text)
    return ToolkitError(text)


def serve_render(job: Mapping[str, Any], reply_fd: int, request_fd: int) -> None:
    """Render as `run_render` asks; this runs in the other process.

    Args:
        job: The message of `run_render`.
        reply_fd: The file descriptor from which replies are read.
        request_fd: The file descriptor to which requests are written.
    """
    from packer_toolkit.template import render

    merged = threading.Semaphore(0)
    threading.Thread(target=_read_replies, args=(reply_fd, merged), daemon=True).start()
    options = dict(job["options"])
    project, old, new = (Path(options.pop(name)) for name in ("project", "old", "new"))

    def merge() -> None:
        _send(requests, {"event": "merge", "migrations": steps.migrations})
        merged.acquire()

    steps = render.RenderSteps(merge, old, new)
    with os.fdopen(request_fd, "w") as requests:
        try:
            render.render_in_this_process(project, steps, render.RenderOptions(**options))
        except Exception as error:
            is_ours = isinstance(error, ToolkitError)
            text = str(error) if is_ours else f"{type(error).__name__}: {error}"
            _send(requests, {"event": "failed", "kind": type(error).__name__, "text": text})
        else:
            _send(requests, {"event": "done", "migrations": steps.migrations})


def _read_replies(reply_fd: int, merged: threading.Semaphore) -> None:
    """Wait for replies; when the other process has ended, stop this one and its children."""
    with os.fdopen(reply_fd) as replies:
        for _ in replies:
            merged.release()
    os.killpg(0, signal.SIGKILL)
