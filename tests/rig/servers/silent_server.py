"""A server that accepts connections and never answers, as behind a firewall or on a dead host."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def silent_server() -> Iterator[str]:
    """Yield host and port of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def find_processes(text: str) -> list[str]:
    """Return the command lines of running processes that have a text in them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def has_ended(text: str) -> bool:
    """Check whether no process with a text in its command line runs; killed ones take a moment."""
    end = time.monotonic() + 5
    while find_processes(text) and time.monotonic() < end:
        time.sleep(0.05)
    return not find_processes(text)
