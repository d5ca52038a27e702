"""Prepares a build on EC2: the images of its version that exist, and its source AMIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from packer_toolkit.build.release_images import (
    delete_earlier_attempts,
    delete_unfinished,
    make_delete,
    read_missing,
    select_architectures,
)
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.shared_keys import require_shareable_keys
from packer_toolkit.build.source_amis import describe_rejected, find_source_amis, make_arguments
from packer_toolkit.build.version_images import VersionState
from packer_toolkit.signals import ReceivedSignals

if TYPE_CHECKING:
    from packer_toolkit.aws.session import Clients


def prepare_images(
    request: BuildRequest,
    clients: Clients,
    account: str,
    signals: ReceivedSignals,
    echo: Callable[[str], None],
) -> VersionState:
    """Read the state of the version, choose the source AMIs, and delete unfinished images.

    Args:
        request: The request; options may be added.
        clients: Returns the EC2 client of a region.
        account: ID of the account of the credentials.
        signals: Signals that stop the preparation.
        echo: Prints a line for the user.

    Raises:
        ToolkitError: If the build must not start.
    """
    state = VersionState("")
    is_image = request.build_type == "image"
    has_version = bool(request.values.text("var.version")) and request.make_scope() is not None
    if is_image:
        require_shareable_keys(request.values, clients)
        if has_version:
            state = read_missing(clients, request.values, request.arguments)
    # A missing source AMI stops the build before anything is deleted.
    choose_source_amis(request, clients, account, state, echo)
    if is_image and has_version:
        _delete_unfinished(request, clients, state, signals, echo)
    signals.check()
    return state


def choose_source_amis(
    request: BuildRequest,
    clients: Clients,
    account: str,
    state: VersionState,
    echo: Callable[[str], None],
) -> None:
    """Make Packer use another source AMI if the newest match must not be used.

    Only the owner of an image sees the tags that show it.

    Args:
        request: The request; an option may be added.
        clients: Returns the EC2 client of a region.
        account: ID of the account of the credentials; a role has its own.
        state: State of the version that is built.
        echo: Prints a line for the user.

    Raises:
        CommandFailedError: If there is no usable source AMI.
        RemoteError: If EC2 refuses the call.
    """
    values = request.values
    account = request.role.split(":")[4] if request.role.count(":") > 4 else account
    if not {"self", account} & set(values.texts("var.source_ami_owners")):
        return
    architectures = state.missing or select_architectures(values, request.arguments)
    choices = find_source_amis(clients(request.region), values, architectures or None)
    request.more_options += make_arguments(choices, values)
    for line in describe_rejected(choices):
        echo(line)


def _delete_unfinished(
    request: BuildRequest,
    clients: Clients,
    state: VersionState,
    signals: ReceivedSignals,
    echo: Callable[[str], None],
) -> None:
    """Delete the images that block the names of the version."""

    def should_stop() -> bool:
        return signals.has_any

    scope = request.make_scope()
    delete = make_delete(clients, should_stop, echo)
    delete_unfinished(
        clients, request.values, state, delete=delete, should_stop=should_stop, echo=echo
    )
    if state.finished:
        finished, missing = ", ".join(state.finished), ", ".join(state.missing)
        echo(f"Version {state.version} is finished for {finished}: only {missing} is built")
        request.more_options.append(f"-var=architectures={json.dumps(state.missing)}")
    if scope is not None:
        delete_earlier_attempts(scope, request.environment, delete, echo)
