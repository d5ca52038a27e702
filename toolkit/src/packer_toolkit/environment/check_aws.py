"""Checks of the doctor: the role, the region, the login to AWS, and the roles of the workflows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from packer_toolkit.aws import role as aws_role, session
from packer_toolkit.aws.identity import read_identity
from packer_toolkit.aws.partitions import describe_refusal, is_region
from packer_toolkit.environment.check_tools import LOCAL_TASKFILE
from packer_toolkit.environment.machine import (
    Check,
    Machine,
    report_missing,
    report_ok,
    report_skipped,
)
from packer_toolkit.errors import ToolkitError
from packer_toolkit.repository import settings

OpenSession = Callable[[Machine], AbstractContextManager[Any]]


def check_role(machine: Machine) -> Check:
    """Check that the personal role is set and valid."""
    variable = _get_role_variable(machine)
    if machine.environ.get("AWS_PROFILE") == aws_role.PROFILE:
        return report_ok("role", "assumed by the container")
    if machine.environ.get("GITHUB_ACTIONS") == "true":
        return report_skipped("role", "workflows have a role of their own")
    if variable in machine.environ:
        role, source = machine.environ[variable], "the environment"
    elif machine.root is None:
        return report_skipped("role", "no repository")
    else:
        local_role = read_local_role(machine.root, variable)
        if local_role is None:
            return report_missing("role", f"{variable} is not set", _write_role_lines(variable))
        role, source = local_role, LOCAL_TASKFILE
    if role in ("", aws_role.NO_ROLE):
        return report_ok("role", f"{source} sets no role; using the current credentials")
    try:
        account, region = (machine.values.get(key, "") for key in ("AWS_ACCOUNT_ID", "AWS_REGION"))
        return report_ok("role", f"{aws_role.make_role_arn(role, account, region)}, from {source}")
    except ToolkitError as error:
        return report_missing(
            "role", f"{variable}, from {source}: {error}", _write_role_lines(variable)
        )


def _get_role_variable(machine: Machine) -> str:
    return machine.values.get("PERSONAL_ROLE_VARIABLE") or aws_role.DEFAULT_ROLE_VARIABLE


def read_local_role(root: Path, variable: str) -> str | None:
    """Return the role that Taskfile.local.yml sets; None when it sets none."""
    import yaml

    try:
        value = yaml.safe_load((root / LOCAL_TASKFILE).read_text())["env"][variable]
    except (OSError, yaml.YAMLError, LookupError, TypeError):
        return None
    return None if value is None else str(value)


def _write_role_lines(variable: str) -> str:
    return (
        f"write into {LOCAL_TASKFILE}, with the name or the ARN of your role:\n"
        f"version: '3'\n\nenv:\n  {variable}: \"AddYourRoleHere\""
    )


def check_region(machine: Machine) -> Check:
    """Check that the region is set and supported."""
    region = machine.values.get("AWS_REGION") or machine.values.get("AWS_DEFAULT_REGION")
    if not region:
        return report_missing(
            "region", "AWS_REGION is not set", f"set AWS_REGION in {settings.FILE}"
        )
    if not is_region(region):
        return report_missing(
            "region", f"{region} is not a region", f"fix AWS_REGION in {settings.FILE}"
        )
    if reason := describe_refusal(region):
        return report_missing(
            "region",
            f"{region}: {reason}",
            f"set AWS_REGION in {settings.FILE} to another region, or stay at release 1.1.0",
        )
    return report_ok("region", region)


@contextmanager
def open_session(machine: Machine) -> Iterator[Any]:
    """Open a session with the personal role, as the entry point of the image does."""
    values = dict(machine.values)
    variable = _get_role_variable(machine)
    if machine.root and variable not in machine.environ:
        values[variable] = read_local_role(machine.root, variable) or ""
    access = aws_role.make_environment(values)
    config = access.get("AWS_CONFIG_FILE")
    try:
        yield session.open_session(access.get("AWS_REGION"), access.get("AWS_PROFILE"), config)
    finally:
        if config:
            shutil.rmtree(Path(config).parent)


def check_aws(machine: Machine, open_session: OpenSession = open_session) -> Check:
    """Check that the credentials can assume the role, in the account that builds.

    Args:
        machine: The machine.
        open_session: Opens a session of boto3 with the personal role.
    """
    account = machine.values.get("AWS_ACCOUNT_ID")
    try:
        with open_session(machine) as session:
            caller = read_identity(session)
    except ToolkitError as error:
        problem, _, fix = str(error).partition("; ")
        return report_missing("aws", problem, fix)
    line = caller.describe().removeprefix("AWS: ")
    if account and caller.account != account:
        return report_missing(
            "aws",
            f"{line}, but images are built in account {account}",
            "use the role or the profile of that account, or fix AWS_ACCOUNT_ID in toolkit.env",
        )
    return report_ok("aws", line)


def check_trust(machine: Machine, open_session: OpenSession = open_session) -> list[Check]:
    """Compare the subject of the workflows with the trust policies of their roles.

    Args:
        machine: The machine.
        open_session: Opens a session of boto3 with the personal role.
    """
    from packer_toolkit.environment import workflow_roles

    subject = workflow_roles.find_subject(machine.root)
    trust = report_skipped("trust", "needs the subject")
    if subject.repository:
        try:
            with open_session(machine) as session:
                account = machine.values.get("AWS_ACCOUNT_ID", "")
                trust = workflow_roles.compare_trust(
                    subject.repository, subject.roles, session, account
                )
        except ToolkitError as error:
            trust = report_skipped("trust", str(error))
    return [subject.check, trust]
