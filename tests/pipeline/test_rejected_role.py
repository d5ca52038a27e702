"""What the issue about failed builds states when a workflow cannot assume its role."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from packer_toolkit.github import oidc
from packer_toolkit.pipeline.advice import ROLE_FAILURES, suggest_fixes
from packer_toolkit.pipeline.record import extract_failure
from rig.github import GitHub, Repository
from rig.repositories.build_reports import REPOSITORY, write_report
from rig.repositories.template import ROOT
from rig.run.toolkit_process import Toolkit
from rig.servers.web import Handler, serving

OWNER, NAME = REPOSITORY.split("/")
IMMUTABLE = f"repo:{OWNER}@1001/{NAME}@2002"
PLAIN = f"repo:{REPOSITORY}"
NEW = {"use_default": True, "use_immutable_subject": True, "sub_claim_prefix": IMMUTABLE}

MESSAGES = {
    "Not authorized to perform sts:AssumeRoleWithWebIdentity": "15 July 2026",
    "Not authorized to perform: sts:AssumeRoleWithWebIdentity": "15 July 2026",
    "No OpenIDConnect provider found in your account for https://ghes.example.com": (
        "create-open-id-connect-provider"
    ),
    "Incorrect token audience": "add-client-id-to-open-id-connect-provider",
    "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint": (
        "update-open-id-connect-provider-thumbprint"
    ),
    "Couldn't retrieve verification key from your identity provider,  please reference": (
        ".well-known/openid-configuration"
    ),
    "Request ARN is invalid": "aws_release_role",
    "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.": (
        "PACKER_CREDENTIALS_SECONDS"
    ),
    "Credentials could not be loaded, please check your action inputs: Could not load": (
        "id-token: write"
    ),
    "Could not assume role with OIDC: something new": "Roles and whom they trust",
}


def log(message: str) -> bytes:
    """Return a job's log as GitHub stores it, with later errors of steps that always run."""
    lines = [
        "##[group]Run ./.github/actions/toolkit",
        "with:",
        "  registry: true",
        "##[endgroup]",
        *["Assuming role with OIDC"] * 12,
        f"##[error]Could not assume role with OIDC: {message}",
        "##[group]Run task toolkit -- summary",
        "\x1b[36;1mtask toolkit -- summary\x1b[0m",
        "##[endgroup]",
        "packer-toolkit: no AWS credentials; log in",
        "##[error]Process completed with exit code 3.",
    ]
    times = (f"2026-11-26T03:04:{number:02}.0000000Z {line}" for number, line in enumerate(lines))
    return ("\ufeff" + "\n".join(times)).encode()


@pytest.fixture
def failed(hub: Repository) -> Repository:
    """Return the repository with a run whose build could not assume the role."""
    steps = [{"name": "Set up the toolkit", "conclusion": "failure", "number": 2}]
    hub.add_run(id=77, jobs=[{"id": 5, "name": "Build", "conclusion": "failure", "steps": steps}])
    hub.logs[5] = log("Not authorized to perform sts:AssumeRoleWithWebIdentity")
    hub.oidc_subject = NEW
    return hub


def report(toolkit: Toolkit, kind: str = "daily", **env: str) -> str:
    """Report a failed build without a report; return the standard error."""
    context = {"GITHUB_EVENT_NAME": "schedule", "GITHUB_REF": "refs/heads/main", **env}
    options = ["--outcome=failure", f"--kind={kind}", "--patience=1"]
    return toolkit.run("report", *options, **context).stderr


@pytest.mark.parametrize("message", MESSAGES)
def test_each_refusal_has_its_own_next_step(message: str) -> None:
    """Each message of STS about an OIDC token leads to one advice of its own, and no other.

    (issue 9)
    """
    (text,) = suggest_fixes(
        [f"Error: Could not assume role with OIDC: {message}"], "Set up the toolkit"
    )
    assert MESSAGES[message] in text
    assert len({suggest_fixes([name])[0] for name in MESSAGES}) == len(ROLE_FAILURES)


def test_advice_and_page_name_the_same_messages() -> None:
    """docs/pipeline.md has a row for each message that the issue lists.

    (issue 9)
    """
    page = (ROOT / "docs/pipeline.md").read_text()
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    for message in (
        "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        "No OpenIDConnect provider found in your account",
        "Incorrect token audience",
        "Couldn't retrieve verification key from your identity provider",
        "Request ARN is invalid",
        "The requested DurationSeconds exceeds the MaxSessionDuration",
    ):
        assert message in rows
        assert suggest_fixes([message]) != suggest_fixes(["Could not assume role"])


def test_issue_shows_the_rejected_subject(
    toolkit: Toolkit, failed: Repository, api_url: str
) -> None:
    """The issue has the error of STS, the subject that was sent, and what to trust.

    (issue 9)
    """
    report(toolkit, GITHUB_API_URL=api_url)
    body = failed.issues[1]["body"]
    assert "`Set up the toolkit`" in body
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in body
    assert f"{IMMUTABLE}:ref:refs/heads/main" in body
    assert f"```text\n{PLAIN}:*\n{IMMUTABLE}:*\n```" in body
    assert body.count("Assuming role with OIDC") == 1
    assert "2026-11-26T03" not in body


@pytest.mark.parametrize(
    ("tag", "ending"), [("v1.2.3", "v*"), ("2026-11-25", "*")], ids=["v", "date"]
)
def test_issue_of_a_release_trusts_tags_alone(
    toolkit: Toolkit, failed: Repository, tag: str, ending: str
) -> None:
    """Of a release the issue shows a trust in tags, so that no branch gets the release role.

    (issue 9, review R5)
    """
    report(toolkit, "release", GITHUB_EVENT_NAME="release", GITHUB_REF=f"refs/tags/{tag}")
    body = failed.issues[1]["body"]
    assert f"{IMMUTABLE}:ref:refs/tags/{tag}" in body
    assert f"\n{PLAIN}:ref:refs/tags/{ending}\n{IMMUTABLE}:ref:refs/tags/{ending}\n" in body
    assert ":*" not in body


def test_subject_of_an_enterprise_server_has_the_names_alone(
    toolkit: Toolkit, failed: Repository, github: GitHub
) -> None:
    """An Enterprise Server answers without a prefix: the subject is the name of the repository.

    (issue 9)
    """
    failed.oidc_subject = {"use_default": True}
    report(toolkit, GITHUB_API_URL=github.enterprise_url)
    assert f"\n{PLAIN}:ref:refs/heads/main\n" in failed.issues[1]["body"]
    assert f"```text\n{PLAIN}:*\n```" in failed.issues[1]["body"]


@pytest.mark.parametrize("status", [403, 404, 500, 0])
@pytest.mark.parametrize("path", ["/customization/sub$", "/logs$", "/storage/"])
def test_issue_is_opened_without_what_github_withholds(
    toolkit: Toolkit, failed: Repository, github: GitHub, path: str, status: int
) -> None:
    """Without the log or the subject, the issue is opened all the same.

    (issue 9)
    """
    github.fault("GET", path, status)
    assert "note: " in report(toolkit, "daily")
    body = failed.issues[1]["body"]
    assert "`Set up the toolkit`" in body
    assert "Rejected OIDC subject" not in body


def test_customized_subject_is_not_guessed(toolkit: Toolkit, failed: Repository) -> None:
    """A subject of other claims than the default is not composed from its prefix.

    (issue 9)
    """
    failed.oidc_subject = {
        "use_default": False,
        "include_claim_keys": ["repo", "job_workflow_ref"],
        "sub_claim_prefix": IMMUTABLE,
    }
    report(toolkit)
    assert "Rejected OIDC subject" not in failed.issues[1]["body"]
    failed.oidc_subject = {**NEW, "use_default": False, "include_claim_keys": ["repo", "context"]}
    report(toolkit)
    assert f"{IMMUTABLE}:ref:refs/heads/main" in failed.said(1)[0]


def test_build_with_a_report_asks_for_no_log(
    toolkit: Toolkit, failed: Repository, github: GitHub
) -> None:
    """A build that left its own report is described by that.

    (issue 9)
    """
    write_report(toolkit.directory, ok=False)
    report(toolkit)
    assert "nginz" in failed.issues[1]["body"]
    assert github.asked("GET", "/logs$") == []


def test_log_without_an_error_gives_no_lines() -> None:
    """A log in which no step has failed, as of a lost runner, is not quoted.

    (issue 9)
    """
    assert extract_failure([]) == []
    assert extract_failure(["2026-11-26T03:04:05.0Z all is well"]) == []
    assert extract_failure(["##[error]x"]) == ["x"]


# --- The subject from the job's own token -------------------------------------------------------


def jwt(claims: object) -> str:
    """Return a token without a signature."""
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({}, claims))
    return ".".join(part.decode().rstrip("=") for part in parts) + ".sig"


ANSWERS = {
    "a-token": (200, json.dumps({"value": jwt({"sub": f"{IMMUTABLE}:environment:release"})})),
    "no-json": (200, "<html>"),
    "no-token": (200, "{}"),
    "no-jwt": (200, json.dumps({"value": "abc"})),
    "no-claims": (200, json.dumps({"value": jwt([])})),
    "no-subject": (200, json.dumps({"value": jwt({})})),
    "refused": (403, "{}"),
}


@pytest.fixture(params=ANSWERS)
def issuer(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Return the name of an answer, and an address that answers so."""
    status, body = ANSWERS[request.param]

    class Issuer(Handler):
        def get(self) -> None:
            assert self.path == "/token?v=1&audience=sts.amazonaws.com"
            assert self.headers["Authorization"] == "Bearer request-token"
            self.send(status, body)

    with serving(Issuer) as address:
        yield request.param, f"http://{address}"


def test_subject_is_taken_from_the_jobs_own_token(
    toolkit: Toolkit, failed: Repository, issuer: tuple[str, str]
) -> None:
    """In a job with `id-token: write` the subject is the one in its token, which is never shown.

    (issue 9)
    """
    name, address = issuer
    said = report(
        toolkit,
        ACTIONS_ID_TOKEN_REQUEST_URL=f"{address}/token?v=1",
        ACTIONS_ID_TOKEN_REQUEST_TOKEN="request-token",  # noqa: S106 - opens nothing
    )
    body = failed.issues[1]["body"]
    assert (f"{IMMUTABLE}:environment:release" in body) == (name == "a-token")
    assert ("GitHub issued no OIDC token" in said) == (name != "a-token")
    for secret in ("request-token", jwt({}).split(".")[0], address):
        assert secret not in body + said


@pytest.mark.parametrize(
    ("host", "issuer_name", "api"),
    [
        ("github.com", "token.actions.githubusercontent.com", "https://api.github.com"),
        ("acme.ghe.com", "token.actions.acme.ghe.com", "https://api.acme.ghe.com"),
        (
            "ghes.example:8443",
            "ghes.example:8443/_services/token",
            "https://ghes.example:8443/api/v3",
        ),
    ],
)
def test_issuer_and_api_of_each_kind_of_github(host: str, issuer_name: str, api: str) -> None:
    """Each kind of GitHub has its issuer and its API.

    (issue 9)
    """
    assert (oidc.get_issuer(host), oidc.get_api_url(host)) == (issuer_name, api)
