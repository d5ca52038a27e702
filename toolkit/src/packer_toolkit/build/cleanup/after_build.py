"""Deletes what Packer left behind after a build, and prints what remains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from packer_toolkit.aws.session import make_clients
from packer_toolkit.build.cleanup.delete import LeftoverDeleter
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.scope import (
    DeletionResult,
    Scope,
    describe_leftover,
    make_region_leftover,
)
from packer_toolkit.build.host import Host
from packer_toolkit.build.output import PackerOutput
from packer_toolkit.build.report import Leftover
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.signals import ReceivedSignals

# Time for a call that was pending when Packer was killed.
_SETTLE_SECONDS = 5.0
_TIMEOUT = 900.0


@dataclass
class BuildCleanup:
    """The clean-up after a build.

    Args:
        request: The request.
        output: Output of Packer.
        signals: Signals that force the clean-up to end.
        host: Opens sessions of AWS, prints for the user, and waits.
    """

    request: BuildRequest
    output: PackerOutput
    signals: ReceivedSignals
    host: Host

    def run(self, *, has_failed: bool, has_complete_images: bool) -> DeletionResult:
        """Delete the leftovers of the build.

        Args:
            has_failed: Whether the build failed.
            has_complete_images: Whether all images are finished and only a local build failed.
        """
        scope = self.request.make_scope()
        if scope is None:
            self.host.echo(
                "Skipping clean-up: without `run_tags` in the HCL, resources of this build cannot "
                "be identified"
            )
            return DeletionResult()
        if not has_failed or has_complete_images:
            scope = replace(scope, finished=False)
        if has_failed and has_complete_images:
            for each in self._list_created("image"):
                command = replace(scope, finished=True).format_command()
                self.host.echo(
                    f"Retained: image {each['id']} in {each['region']} is finished, and no build "
                    f"on EC2 failed; delete it with: {command}"
                )
        if self.request.keeps_leftovers:
            self.host.echo(
                f"Leftover resources kept as requested; delete them with: {scope.format_command()}"
            )
            return DeletionResult()
        role = self.request.role
        result = self._delete(role, scope)
        if role and result.leftovers and not result.deleted:
            # The role may have been changed, and the base credentials may have the permissions.
            second = self._delete("", scope)
            if not second.leftovers:
                result = second
        if result.has_expired_credentials:
            known = {(each["kind"], each["id"]) for each in result.leftovers}
            result.leftovers += [
                each for each in self._list_created() if (each["kind"], each["id"]) not in known
            ]
        self._print(result, scope.format_command(role))
        return result

    def _print(self, result: DeletionResult, command: str) -> None:
        for each in result.leftovers:
            self.host.echo(describe_leftover(each))
        if result.has_expired_credentials:
            self.host.echo(
                f"The AWS credentials have expired; with new credentials, run: {command}"
            )
        elif result.leftovers:
            self.host.echo(f"Some resources could not be deleted; retry later with: {command}")
        elif result.deleted:
            self.host.echo(f"Deleted leftover resources: {len(result.deleted)}; nothing remains")
        else:
            self.host.echo("Nothing remains of this build")

    def _delete(self, role: str, scope: Scope) -> DeletionResult:
        """Delete with a role; an error of AWS makes every region a leftover."""
        is_pending = any(each.is_creating for each in self.output.builds.values())
        settle = _SETTLE_SECONDS if self.signals.has_any and is_pending else 0.0
        name = f"sweep-{self.request.values.text('var.image_name')}"
        try:
            clients = make_clients(self.host.connect(role, name, scope.regions[0]))
            finder = LeftoverFinder(clients, scope, self.host.clock)
            return LeftoverDeleter(
                finder,
                timeout=_TIMEOUT,
                is_forced=lambda: self.signals.is_forced,
                echo=self.host.echo,
            ).run(settle_seconds=settle)
        except Exception as error:
            return DeletionResult(
                leftovers=[make_region_leftover(each, error) for each in scope.regions]
            )

    def _list_created(self, *kinds: str) -> Iterator[Leftover]:
        """List the resources that Packer printed, because AWS cannot list them."""
        for build in self.output.builds.values():
            for kind, id_ in build.resources:
                if not kinds or kind in kinds:
                    reason = (
                        "this build created it, and AWS cannot be asked whether it still exists"
                    )
                    yield {"kind": kind, "id": id_, "region": self.request.region, "reason": reason}
