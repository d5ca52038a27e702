"""Whom the roles of Terraform trust: tokens of this repository, and of no other one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.aws.trust import Hosted, is_trusted
from rig.iam.calls import ACCOUNT
from rig.iam.policy import Request, decide
from rig.iam.roles import SERVER_ISSUER, PlannedRoles

NEW = Hosted("acme/packer-ami-web-server")
OLD = replace(NEW, immutable=False)
WEB = Hosted("acme/packer-ami-web")
SERVER = replace(WEB, immutable=False, issuer=SERVER_ISSUER)
MAIN = ("push", "refs/heads/main")
TAG = ("release", "refs/tags/v1.2.3")

# Event and ref -> roles that it may assume.
EVENTS = {
    MAIN: {"build", "cleanup"},
    ("schedule", "refs/heads/main"): {"build", "cleanup"},
    ("push", "refs/heads/master"): {"build"},
    ("workflow_dispatch", "refs/heads/feature/x"): {"build"},
    ("workflow_dispatch", "refs/heads/main-2"): {"build"},
    ("workflow_dispatch", "refs/heads/v1.2.3"): {"build"},
    ("workflow_dispatch", "refs/heads/refs/tags/v1.2.3"): {"build"},
    ("pull_request", "refs/pull/7/merge"): {"build"},
    TAG: {"build", "release"},
    ("workflow_dispatch", "refs/tags/v1.2.3"): {"build", "release"},
    ("workflow_dispatch", "refs/tags/latest"): {"build"},
}
ROLES = ("build", "release", "cleanup")


def find_roles(
    planned: PlannedRoles,
    name: str,
    repository: Hosted,
    event: tuple[str, str],
    environment: str = "",
) -> set[str]:
    """Return the roles of an image that a run of a workflow may assume."""
    token = repository.token(*event, environment=environment)
    return {role for role in ROLES if is_trusted(planned.trust[name, role], token)}


@pytest.mark.parametrize("event", EVENTS, ids=" ".join)
@pytest.mark.parametrize("repository", [NEW, OLD], ids=["new subject", "old subject"])
def test_events_assume_their_roles(
    planned_roles: PlannedRoles, repository: Hosted, event: tuple[str, str]
) -> None:
    """Each event of the workflows assumes its roles, with and without IDs in the subject."""
    assert find_roles(planned_roles, "web-server", repository, event) == EVENTS[event]


@pytest.mark.parametrize("event", EVENTS, ids=" ".join)
def test_events_of_an_enterprise_server(
    planned_roles: PlannedRoles, event: tuple[str, str]
) -> None:
    """The same holds on an Enterprise Server, where AWS knows subject and audience only."""
    assert find_roles(planned_roles, "server", SERVER, event) == EVENTS[event]


FOREIGN = {
    "another repository": replace(NEW, full_name="acme/packer-ami-other", repository_id="3"),
    "a longer name": replace(NEW, full_name="acme/packer-ami-web-server-2", repository_id="3"),
    "another owner": replace(NEW, full_name="acme-2/packer-ami-web-server", owner_id="9"),
    "a fork": replace(
        NEW, full_name="mallory/packer-ami-web-server", owner_id="9", repository_id="3"
    ),
    "the next owner of the names": replace(OLD, owner_id="9", repository_id="3"),
    "the next owner with IDs": replace(NEW, owner_id="9", repository_id="3"),
    "the next repository of the name": replace(OLD, repository_id="3"),
    "another server": replace(OLD, issuer="ghes.example.org/_services/token"),
    "an enterprise's own issuer": replace(NEW, issuer=f"{NEW.issuer}/acme"),
}


@pytest.mark.parametrize("repository", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("name", ["web-server", "environment"])
def test_foreign_repositories_assume_nothing(
    planned_roles: PlannedRoles, name: str, repository: Hosted
) -> None:
    """Neither forks nor other repositories nor a later owner of the name are trusted."""
    for event in EVENTS:
        for environment in ("", "release"):
            assert find_roles(planned_roles, name, repository, event, environment) == set()


def test_foreign_repositories_of_a_server_assume_nothing(planned_roles: PlannedRoles) -> None:
    """On an Enterprise Server, the names decide: other names and github.com are not trusted."""
    for repository in (
        replace(SERVER, full_name="acme/packer-ami-web-2"),
        replace(SERVER, full_name="acme-2/packer-ami-web"),
        replace(WEB, immutable=False),
        WEB,
    ):
        for event in EVENTS:
            assert find_roles(planned_roles, "server", repository, event) == set()


@pytest.mark.parametrize("immutable", [True, False])
def test_environment_of_a_release(planned_roles: PlannedRoles, immutable: bool) -> None:
    """With an environment, only its jobs release, and on github.com only those of a tag."""
    web = replace(WEB, immutable=immutable)
    assert find_roles(planned_roles, "environment", web, TAG, "release") == {"release"}
    assert find_roles(planned_roles, "environment", web, TAG) == {"build"}
    assert find_roles(planned_roles, "environment", web, TAG, "release-2") == set()
    assert find_roles(planned_roles, "environment", web, MAIN, "release") == set()


def test_environment_of_a_server(planned_roles: PlannedRoles) -> None:
    """On an Enterprise Server, the deployment rules of the environment restrict the tags."""
    for event in (TAG, MAIN):
        trusted = find_roles(planned_roles, "server-environment", SERVER, event, "release")
        assert trusted == {"release"}
    assert find_roles(planned_roles, "server-environment", SERVER, TAG) == {"build"}


def test_wrong_audience(planned_roles: PlannedRoles) -> None:
    """A token for another audience is not accepted."""
    token = NEW.token(*MAIN, audience="https://github.com/acme")
    assert not is_trusted(planned_roles.trust["web-server", "build"], token)


def test_publisher(planned_roles: PlannedRoles) -> None:
    """Only jobs of the environment in the template's repository publish the toolkit."""
    policy = planned_roles.trust["publisher", ""]
    template = Hosted("acme/template-packer-ami")
    for repository in (template, replace(template, immutable=False)):
        assert is_trusted(policy, repository.token(*MAIN, environment="toolkit"))
        assert not is_trusted(policy, repository.token(*MAIN))
        assert not is_trusted(policy, repository.token(*MAIN, environment="release"))
        fork = replace(repository, owner_id="9", repository_id="3")
        assert not is_trusted(policy, fork.token(*MAIN, environment="toolkit"))


def test_personal_role(planned_roles: PlannedRoles) -> None:
    """Only the named users and roles assume the personal role."""
    policy = planned_roles.trust["personal", ""]

    def ask(role: str, account: str = ACCOUNT) -> str:
        arn = f"arn:aws:iam::{account}:role/{role}"
        return decide([policy], Request("sts:AssumeRole", principal=("AWS", arn)))

    assert ask("developer") == "allowed"
    assert ask("developer-2") == "not allowed"
    assert ask("developer", "999999999999") == "not allowed"
