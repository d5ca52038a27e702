"""Entry point of the image: prepare a user, a network and access to AWS, then run the command.

It runs before every command, so it imports no more than it needs.
"""

from __future__ import annotations

import os
import pwd
import sys
from typing import NoReturn

from packer_toolkit.aws import role as aws_role
from packer_toolkit.environment import network
from packer_toolkit.errors import ToolkitError
from packer_toolkit.repository.settings import read_settings

_USERS = "/etc/passwd"


def main() -> NoReturn:
    """Prepare the environment and run the command line, by default a shell."""
    command = sys.argv[1:] or ["bash"]
    try:
        prepare()
    except ToolkitError as error:
        _stop(str(error), error.code)
    except OSError as error:
        _stop(f"no folder can be written ({error}); add --tmpfs=/tmp to docker run", 3)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command of the user
    except FileNotFoundError:
        _stop(f"{command[0]} is not in the toolkit image", 127)  # the shell's codes
    except OSError as error:
        _stop(f"{command[0]} cannot be executed: {error.strerror}", 126)


def _stop(reason: str, code: int) -> NoReturn:
    sys.stderr.write(f"packer-toolkit: {reason}\n")
    sys.exit(code)


def prepare() -> None:
    """Change the environment of this process so that the tools work for its user."""
    if not os.access(os.environ.get("HOME", ""), os.W_OK):
        import tempfile  # slow to import

        os.environ["HOME"] = tempfile.mkdtemp(prefix="home-")
    _add_user(os.environ["HOME"])
    os.environ.update(network.find_changes(os.environ))
    for name, value in aws_role.make_environment(read_settings()).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _add_user(home: str) -> None:
    """Give the UID a name and a home; ssh and Ansible refuse to work without."""
    uid, gid = os.getuid(), os.getgid()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        try:
            with open(_USERS, "a") as passwd:
                passwd.write(f"user{uid}:x:{uid}:{gid}:packer-toolkit:{home}:/bin/bash\n")
        except OSError:
            sys.stderr.write(
                f"packer-toolkit: uid {uid} has no name, so ssh will refuse to work:"
                " add --group-add=0 to docker run\n"
            )


if __name__ == "__main__":
    main()
