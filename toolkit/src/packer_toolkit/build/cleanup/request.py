"""Delete the resources that interrupted builds of a repository left behind, on a user's request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from packer_toolkit.aws.identity import read_identity
from packer_toolkit.aws.session import make_clients, open_role_session
from packer_toolkit.build.cleanup.calls import CredentialsExpiredError
from packer_toolkit.build.cleanup.delete import LeftoverDeleter
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.scope import DeletionResult, FoundResource, Scope
from packer_toolkit.build.values import Values, inspect_current_folder
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.text.lines import join_lines


@dataclass(frozen=True)
class Leftovers:
    """The resources of a scope that exist.

    Attributes:
        finder: Finds the resources again while they are deleted.
        echo: Prints a line for the user.
        deletable: Resources to delete.
        retained: Resources that stay, each with its reason.
    """

    finder: LeftoverFinder
    echo: Callable[[str], None]
    deletable: list[FoundResource]
    retained: list[FoundResource]

    def make_result(
        self, *, dry_run: bool = False, deletion: DeletionResult | None = None
    ) -> dict[str, Any]:
        """Return what `--json` prints.

        Args:
            dry_run: Whether the user only wants to see what would be deleted.
            deletion: Result of the deletion; None if nothing was deleted.
        """
        scope = self.finder.scope
        deletion = deletion or DeletionResult()
        return {
            "repository": scope.repository,
            "regions": list(scope.regions),
            "run_id": scope.run_id,
            "dry_run": dry_run,
            "found": [each.resource for each in self.deletable],
            "swept": deletion.deleted,
            "left": deletion.leftovers,
            "kept": [each.explain(each.retained) for each in self.retained],
        }

    def delete(self) -> dict[str, Any]:
        """Delete the resources; return what `make_result` returns."""
        return self.make_result(deletion=LeftoverDeleter(self.finder, echo=self.echo).run())


def find_leftovers(
    scope: Scope,
    role: str,
    echo: Callable[[str], None],
    connect: Callable[[str, str, str], Any] = open_role_session,
) -> Leftovers:
    """Find the resources of a scope; delete nothing.

    Args:
        scope: Resources to find; an empty repository, and no regions, are replaced by the values of
            the HCL in the current folder.
        role: ARN of the role to assume; empty for that of the HCL.
        echo: Prints a line for the user.
        connect: Opens a session of AWS: role, name of its session, region.

    Raises:
        SetupError: When the HCL or the credentials are missing.
        RemoteError: When AWS cannot be reached, or refuses the request.
    """
    values = Values()
    if not (scope.repository and scope.regions):
        values = inspect_current_folder("add --repository and --region")
    repository = scope.repository or values.table("local.run_tags").get("Repository", "")
    scope = replace(scope, repository=repository, regions=scope.regions or tuple(values.regions))
    if not (scope.repository and scope.regions):
        raise SetupError(
            "the HCL in this folder has no run_tags or no region; add --repository and --region"
        )
    region = scope.regions[0]
    role = role or values.text("var.assume_role_arn")
    session = connect(role, "packer-toolkit-sweep", region)
    identity = read_identity(session, region)
    echo(f"{identity.describe()}; {', '.join(scope.regions)}; {scope.repository}")
    finder = LeftoverFinder(make_clients(session), scope)
    try:
        resources = finder.find()
    except CredentialsExpiredError as error:
        raise RemoteError(f"{error}; log in again, and repeat the command") from None
    except Exception as error:
        raise RemoteError(
            f"cannot list the resources in {', '.join(scope.regions)}: {join_lines(str(error))}; "
            "repeat the command later, or with --assume-role and a role that may list them"
        ) from None
    deletable = [each for each in resources if not each.retained]
    return Leftovers(finder, echo, deletable, [each for each in resources if each.retained])
