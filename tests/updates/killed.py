"""`python killed.py POINT FOLDER ARGUMENT...`: packer-toolkit, killed while it changes a folder.

POINT counts what the process does to files below FOLDER: 1 is the first.  With 0 it is not killed,
and says at the end how often it would have changed something.  KILL_WITH in the environment is the
number of the signal.
"""

from __future__ import annotations

import os
import sys

_CHANGES = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.truncate", "os.utime", "shutil.rmtree",
}  # fmt: skip

point, folder, *arguments = sys.argv[1:]
count = 0


def look(event: str, details: tuple[object, ...]) -> None:
    """Count what changes the folder, before it happens."""
    global count
    if event == "open":
        writes = isinstance(details[1], str) and set("wax+") & set(details[1])
        writes = writes or (isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR))
        if not writes:
            return
    elif event not in _CHANGES:
        return
    if not str(details[0]).startswith(folder):
        return
    count += 1
    if count == int(point):
        os.kill(os.getpid(), int(os.environ["KILL_WITH"]))


sys.addaudithook(look)
sys.argv[1:] = arguments
try:
    from packer_toolkit.cli.main import main

    main()
finally:
    sys.stderr.write(f"changes: {count}\n")
