"""Prepares a build on EC2: the images of its version that exist, and its source AMIs.

Packer refuses a name that any image has: the leftovers of a killed build are deleted first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from packer_toolkit.aws.session import Clients
from packer_toolkit.build.cleanup.delete import LeftoverDeleter
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.scope import NEVER, DeletionResult, Scope, describe_leftover
from packer_toolkit.build.host import Host, format_time
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.source_amis import describe_rejected, find_source_amis, make_arguments
from packer_toolkit.build.values import Values
from packer_toolkit.build.version_images import (
    VersionState,
    explain_refusal,
    get_repository,
    read_version_state,
)
from packer_toolkit.errors import CommandFailedError, RemoteError, SetupError
from packer_toolkit.signals import ReceivedSignals

_MOST_ATTEMPTS = 5  # earlier attempts of a workflow run whose leftovers are deleted
_CONSUMERS = ("var.ami_users", "var.ami_org_arns", "var.ami_ou_arns")
_KEYS = "local.kms_key_ids"
# The key that AWS manages for the volumes of an account; other accounts cannot use it.
_MANAGED = "alias/aws/ebs"

Delete = Callable[[Scope], DeletionResult]


def prepare_images(
    request: BuildRequest,
    clients: Clients,
    account: str,
    signals: ReceivedSignals,
    host: Host,
) -> VersionState:
    """Read the state of the version, choose the source AMIs, and delete unfinished images.

    Args:
        request: The request; options may be added.
        clients: Returns the EC2 client of a region.
        account: ID of the account of the credentials.
        signals: Signals that stop the preparation.
        host: Prints for the user, and waits.

    Returns:
        The state of the version: finished images are not built again.

    Raises:
        ToolkitError: If the build must not start.
    """

    def should_stop() -> bool:
        return signals.has_any

    def delete(scope: Scope) -> DeletionResult:
        finder = LeftoverFinder(clients, scope, host.clock)
        return LeftoverDeleter(finder, is_forced=should_stop, echo=host.echo).run()

    echo = host.echo
    values, version = request.values, request.values.text("var.version")
    scope = request.make_scope() if version and request.build_type == "image" else None
    state = VersionState("")
    if request.build_type == "image":
        require_shareable_keys(values, clients)
    if scope is not None:
        state = read_version_state(clients, values, version, request.architectures)
        if request.architectures and not state.missing:
            images = ", ".join(
                f"{images[0].name} is {images[0].id} in {images[0].region}"
                for images in state.finished.values()
            )
            raise CommandFailedError(
                f"version {version}: it exists already, {images}; build another version"
            )
    # A missing source AMI stops the build before anything is deleted.
    choose_source_amis(request, clients, account, state, echo)
    if scope is not None:
        delete_unfinished(clients, values, state, delete=delete, should_stop=should_stop, echo=echo)
        if state.finished:
            finished, missing = ", ".join(state.finished), ", ".join(state.missing)
            echo(f"Version {version} is finished for {finished}: only {missing} is built")
            request.more_options.append(f"-var=architectures={json.dumps(state.missing)}")
        delete_earlier_attempts(scope, request.environment, delete, echo)
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
    architectures = state.missing or request.architectures
    choices = find_source_amis(clients(request.region), values, architectures or None)
    request.more_options += make_arguments(choices, values)
    for line in describe_rejected(choices):
        echo(line)


def delete_unfinished(
    clients: Clients,
    values: Values,
    state: VersionState,
    *,
    delete: Delete,
    should_stop: Callable[[], bool] = lambda: False,
    echo: Callable[[str], None] = lambda _: None,
) -> None:
    """Delete the unfinished images of a version, and the other leftovers of their killed builds.

    Args:
        clients: Returns the EC2 client of a region.
        values: Values of the HCL.
        state: State of the version.
        delete: Deletes the resources of a scope.
        should_stop: Returns whether nothing is waited for any more.
        echo: Prints a line for the user.

    Raises:
        RemoteError: If an image cannot be deleted, so that Packer could not use its name.
    """
    repository = get_repository(values)
    for image in state.unfinished:
        echo(f"Unfinished: {image.name}, {image.describe()}; it is deleted and built again")
    # An image that looks finished in one region loses that mark first: if this is interrupted, no
    # part of the image counts as finished.
    tags = {"ExpiresAt": format_time(time.time()), "Version": ""}
    for image in state.unfinished:
        if image.tags.get("ExpiresAt") == NEVER:
            with explain_refusal(
                f"{image.id} in {image.region} belongs to an unfinished image and cannot be tagged",
                "start again with a role that has the permission ec2:CreateTags",
            ):
                clients(image.region).create_tags(
                    Resources=[image.id],
                    # A time beside a Version would look like a released image that a developer
                    # marked.
                    Tags=[{"Key": name, "Value": value} for name, value in tags.items()],
                )
    finished = frozenset(image.id for images in state.finished.values() for image in images)
    blocking = {image.id for image in state.unfinished} | set(values.regions)
    for run_id in dict.fromkeys(image.run_id for image in state.unfinished):
        scope = Scope(repository, tuple(values.regions), run_id, never=finished)
        for leftover in delete(scope).leftovers:
            if leftover["id"] in blocking and not should_stop():
                raise RemoteError(
                    f"{leftover['id']} in {leftover['region']} belongs to an unfinished build of "
                    f"version {state.version} and cannot be deleted: {leftover['reason']}; delete "
                    f"it with packer-toolkit cleanup --run-id {run_id}, then build again"
                )


def delete_earlier_attempts(
    scope: Scope, environment: Mapping[str, str], delete: Delete, echo: Callable[[str], None]
) -> None:
    """Delete the leftovers of earlier attempts of this workflow run, but no finished image.

    GitHub starts another attempt only after the earlier one has ended, so that nothing uses them.

    Args:
        scope: Scope of this build.
        environment: Environment of the build.
        delete: Deletes the resources of a scope.
        echo: Prints a line for the user.
    """
    run, attempt = environment.get("GITHUB_RUN_ID"), environment.get("GITHUB_RUN_ATTEMPT", "")
    if not attempt.isdecimal() or scope.run_id != f"{run}-{attempt}":
        return
    for number in range(max(1, int(attempt) - _MOST_ATTEMPTS), int(attempt)):
        earlier = replace(scope, run_id=f"{run}-{number}", finished=False)
        for each in delete(earlier).leftovers:
            echo(describe_leftover(each))


def require_shareable_keys(values: Values, clients: Clients) -> None:
    """Make sure that no image that is shared is encrypted with a key that AWS manages.

    EC2 refuses that only when the image is finished.  Without a key in the HCL, EC2 uses the
    default key of the account, which other accounts may be able to use; if EC2 does not return it,
    the build continues.

    Args:
        values: Values of the HCL.
        clients: Returns the EC2 client of a region.

    Raises:
        SetupError: If the image could not be shared.
    """
    if _KEYS not in values.raw or not any(values.texts(name) for name in _CONSUMERS):
        return
    keys = values.table(_KEYS)
    for region in values.regions:
        key = keys.get(region) or _read_default_key(clients(region))
        if key.endswith(_MANAGED):
            raise SetupError(
                f"kms_key_id: an image that is encrypted with {_MANAGED} in {region} cannot be "
                "shared; set kms_key_id in image.auto.pkrvars.hcl to a customer managed key, such "
                "as alias/packer-ami, or do not share the image"
            )


def _read_default_key(client: Any) -> str:
    """Return the default key of the account for volumes; empty if EC2 refuses the call."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client.get_ebs_default_kms_key_id()["KmsKeyId"])
    except (BotoCoreError, ClientError):
        return ""
