"""Rendering and migrations in a process of their own, with an environment that opens nothing.

A release of the template is code that nobody here has reviewed.  It gets the variables of
`ALLOWED` and an empty home directory; tokens, cloud credentials, agents and the settings of git
stay with the process that started it.  docs/updating.md states what this prevents and what not.
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
from packer_toolkit.text.paths import show_path

ALLOWED = frozenset(
    {
        # To find programs, and the libraries of this Python.
        *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        # Who and where: the user's name, language, time zone, terminal, temporary files.
        *("USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "NO_COLOR", "TMPDIR", "TEMP", "TMP"),
        # Which certificate authorities are trusted: files, without a secret.
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
)
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
_CREDENTIALS_IN_URL = re.compile(r"[^/\s]@")
_BOOTSTRAP = """
import json, os, sys
job = json.loads(os.fdopen(int(sys.argv[1]), closefd=False, buffering=1).readline())
sys.path[:] = job["path"]
from packer_toolkit.template.sandbox import work
work(job, int(sys.argv[1]), int(sys.argv[2]))
"""


def small_environment(home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for code of the template.

    Args:
        home: an empty directory, which takes the place of the user's.
        environ: what to choose from; by default this process's environment.
    """
    given = os.environ if environ is None else environ
    kept = {
        name: value
        for name, value in given.items()
        if name in ALLOWED
        or name.startswith("LC_")
        or (name.upper() in PROXIES and not _CREDENTIALS_IN_URL.search(value))
    }
    return {
        **kept,
        "HOME": str(home),
        # Copier reads its settings, such as which templates are trusted, from the user's own file.
        "COPIER_SETTINGS_PATH": _copier_settings(given),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _copier_settings(environ: Mapping[str, str]) -> str:
    from platformdirs import user_config_path

    path = environ.get("COPIER_SETTINGS_PATH")
    return path or str(user_config_path("copier", appauthor=False) / "settings.yml")


def run(job: Mapping[str, Any], merge: Callable[[int], None], env: Mapping[str, str]) -> int:
    """Render in a process of its own.

    Args:
        job: keyword arguments of `packer_toolkit.template.render.update_here`, as JSON has them.
        merge: called between the renders, with the number of migrations that have run.
        env: the process's whole environment.

    Returns:
        How many migrations have run.

    Raises:
        ToolkitError: as the process reported it.
        SetupError: when the process ended without a result.
    """
    with _process(env) as (process, requests, replies):
        _send(replies, {"path": sys.path, "options": job})
        for line in requests:
            message = _parse(line)
            event, number = message.get("event"), message.get("migrations")
            if event == "failed":
                raise _error(message)
            if event not in ("merge", "done") or not isinstance(number, int):
                break
            if event == "done":
                return number
            merge(number)
            _send(replies, {"event": "merged"})
        code = process.wait()
    raise SetupError(
        f"rendering the template ended early (exit code {code}) and nothing was changed here; "
        "what it printed shows the reason"
    )


@contextlib.contextmanager
def _process(
    env: Mapping[str, str],
) -> Iterator[tuple[subprocess.Popen[bytes], IO[str], IO[str]]]:
    """Start the process, with a pipe in each direction; stop it and its children in the end."""
    to_child, replies = os.pipe()
    requests, from_child = os.pipe()
    with os.fdopen(requests, errors="replace") as incoming, os.fdopen(replies, "w") as outgoing:
        try:
            process = subprocess.Popen(
                # -I: neither the present directory nor PYTHON* variables add modules.
                [sys.executable, "-I", "-c", _BOOTSTRAP, str(to_child), str(from_child)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(to_child, from_child),
                # A group of its own, so that what a migration leaves running ends with it.
                start_new_session=True,
            )
        finally:
            os.close(to_child)
            os.close(from_child)
        printer = threading.Thread(target=_show, args=(process.stdout,), daemon=True)
        printer.start()
        try:
            yield process, incoming, outgoing
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # A migration that left the group may hold the pipe for ever.
            printer.join(timeout=2)
            with contextlib.suppress(OSError):
                outgoing.flush()


def _show(output: IO[bytes] | None) -> None:
    """Print what migrations print, on stderr: stdout is for the result, maybe for JSON."""
    if output is None:
        return
    with output:
        for line in output:
            text = line.decode(errors="replace").rstrip("\r\n")
            with contextlib.suppress(OSError, ValueError):
                click.echo(harmless(text), err=True)


def harmless(text: str) -> str:
    """Return output of the template's code so that GitHub's runner finds no command in it."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    # The runner reads ::command:: at the start of a line, which a carriage return ends, too, and
    # ##[command] anywhere.
    lines = text.replace("##[", "## [").splitlines() or [""]
    return "\n".join(f"template: {line}" for line in lines)


def _send(stream: IO[str], message: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the process has ended; reading shows it
        stream.write(json.dumps(message) + "\n")
        stream.flush()


def _parse(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _error(message: Mapping[str, Any]) -> ToolkitError:
    """Return the error that the process reported, in one printable line."""
    kind = getattr(errors, str(message.get("kind")), None)
    text = show_path(" ".join(str(message.get("text")).split()))[:2000]
    if isinstance(kind, type) and issubclass(kind, ToolkitError):
        return kind(text)
    return ToolkitError(text)


def work(job: Mapping[str, Any], reply_fd: int, request_fd: int) -> None:
    """Do the job: the other end of `run`."""
    from packer_toolkit.template import render

    requests = os.fdopen(request_fd, "w")
    merged = threading.Semaphore(0)
    threading.Thread(target=_follow, args=(reply_fd, merged), daemon=True).start()
    options = dict(job["options"])

    def merge() -> None:
        _send(requests, {"event": "merge", "migrations": steps.migrations})
        merged.acquire()

    steps = render.Steps(merge, Path(options.pop("old")), Path(options.pop("new")))
    try:
        render.update_here(Path(options.pop("project")), steps, **options)
    except Exception as error:
        known = isinstance(error, ToolkitError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        _send(requests, {"event": "failed", "kind": type(error).__name__, "text": text})
    else:
        _send(requests, {"event": "done", "migrations": steps.migrations})


def _follow(reply_fd: int, merged: threading.Semaphore) -> None:
    """Wait for replies; without anyone to reply, end, with everything that was started here."""
    with os.fdopen(reply_fd) as replies:
        for _ in replies:
            merged.release()
    os.killpg(0, signal.SIGKILL)
