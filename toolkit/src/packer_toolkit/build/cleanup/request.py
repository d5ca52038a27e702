"""Delete what interrupted builds of a repository left behind, on a user's request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from packer_toolkit.aws.identity import read_identity
from packer_toolkit.aws.session import make_clients, open_role_session
from packer_toolkit.build.cleanup.calls import CredentialsExpiredError
from packer_toolkit.build.cleanup.delete import LeftoverDeleter
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.cleanup.scope import FoundResource, Scope
from packer_toolkit.build.report import Leftover, Resource
from packer_toolkit.build.values import Values, inspect_current_folder
from packer_toolkit.errors import RemoteError, SetupError


@dataclass(frozen=True)
class CleanupRequest:
    """Resources to look for; an empty value is read from the HCL.

    Attributes:
        repository: Value of the tag Repository.
        regions: Regions to look in.
        run_id: Value of the tag RunId; empty for the builds whose tag ExpiresAt has passed.
        finished_images: Whether the finished images of the build are deleted, too.
        role: ARN of the role to assume.
    """

    repository: str = ""
    regions: tuple[str, ...] = ()
    run_id: str = ""
    finished_images: bool = False
    role: str = ""


class CleanupResult(TypedDict):
    """The resources that were found, deleted and retained; the keys are those of `--json`."""

    repository: str
    regions: list[str]
    run_id: str
    dry_run: bool
    found: list[Resource]
    swept: list[Resource]
    left: list[Leftover]
    kept: list[Leftover]


@dataclass(frozen=True)
class Leftovers:
    """The resources that a request found.

    Attributes:
        deletable: Resources to delete.
        retained: Resources that stay, each with its reason.
        finder: Finds the resources again while they are deleted.
        echo: Prints a line for the user.
    """

    request: CleanupRequest
    finder: LeftoverFinder
    echo: Callable[[str], None]
    deletable: list[FoundResource]
    retained: list[FoundResource]

    def make_result(self, dry_run: bool) -> CleanupResult:
        """Return the result in which nothing was deleted."""
        return {
            "repository": self.request.repository,
            "regions": list(self.request.regions),
            "run_id": self.request.run_id,
            "dry_run": dry_run,
            "found": [each.resource for each in self.deletable],
            "swept": [],
            "left": [],
            "kept": [each.explain(each.retained) for each in self.retained],
        }

    def delete(self) -> CleanupResult:
        """Delete the resources; return which were deleted and which could not be."""
        result = LeftoverDeleter(self.finder, echo=self.echo).run()
        return {
            **self.make_result(False),
            "swept": result.deleted,
            "left": result.leftovers,
        }


def find_leftovers(
    request: CleanupRequest,
    echo: Callable[[str], None],
    connect: Callable[[str, str, str], Any] = open_role_session,
) -> Leftovers:
    """Find the resources of a request; delete nothing.

    Args:
        request: Resources to look for.
        echo: Prints a line for the user.
        connect: Opens a session of AWS: role, name of its session, region.

    Raises:
        SetupError: When the HCL or the credentials are missing.
        RemoteError: When AWS cannot be reached, or refuses the request.
    """
    values = Values()
    if not (request.repository and request.regions):
        values = inspect_current_folder("give --repository and --region")
    request = replace(
        request,
        repository=request.repository or values.table("local.run_tags").get("Repository", ""),
        regions=request.regions or tuple(values.regions),
        role=request.role or values.text("var.assume_role_arn"),
    )
    if not (request.repository and request.regions):
        raise SetupError(
            "the HCL in this folder has no run_tags or no region: give --repository and --region"
        )
    session = connect(request.role, "packer-toolkit-sweep", request.regions[0])
    identity = read_identity(session, request.regions[0])
    echo(f"{identity.describe()}; {', '.join(request.regions)}; {request.repository}")
    scope = Scope(request.repository, request.regions, request.run_id, request.finished_images)
    finder = LeftoverFinder(make_clients(session), scope)
    try:
        resources = finder.find()
    except CredentialsExpiredError as error:
        raise RemoteError(f"{error}: get new ones, and repeat the command") from None
    except Exception as error:
        raise RemoteError(f"cannot list resources: {' '.join(str(error).split())}") from None
    deletable = [each for each in resources if not each.retained]
    retained = [each for each in resources if each.retained]
    return Leftovers(request, finder, echo, deletable, retained)
