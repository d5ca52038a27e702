"""What the stand-in answers, call by call; https://docs.github.com/en/rest is what it follows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rig.github.state import Repository, content_of, now, sha_of, user

if TYPE_CHECKING:
    import re

    from rig.github.server import GitHub

Query = Mapping[str, str]


@dataclass
class Answer:
    """An answer; a list is cut into pages, and put under `key` when there is one."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    key: str = ""
    wrap: dict[str, Any] = field(default_factory=dict)


class RefusalError(Exception):
    """The request is refused as GitHub refuses it."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.more = more


@dataclass(frozen=True)
class Route:
    """A call: method, pattern of the path, the permission it needs, and what answers it."""

    method: str
    pattern: str
    permission: tuple[str, str] | None
    call: Callable[[GitHub, re.Match[str], Query, Any, Mapping[str, str]], Answer]


ROUTES: list[Route] = []

_REPO = "/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)"

Handler = Callable[["GitHub", Repository, "re.Match[str]", Query, Any], Answer]


def _route(
    method: str, pattern: str, permission: str, *, wants_headers: bool = False
) -> Callable[[Any], Any]:
    """Register a call below /repos/OWNER/REPO."""
    name, _, level = permission.partition(":")

    def register(call: Any) -> Any:
        def find(
            github: GitHub,
            match: re.Match[str],
            query: Query,
            body: Any,
            headers: Mapping[str, str],
        ) -> Answer:
            known = {full.lower(): found for full, found in github.repositories.items()}
            repository = known.get(f"{match['owner']}/{match['repo']}".lower())
            if repository is None:
                raise RefusalError(404, "Not Found")
            arguments = (headers,) if wants_headers else ()
            answer: Answer = call(github, repository, match, query, body, *arguments)
            return answer

        ROUTES.append(Route(method, _REPO + pattern, (name, level), find))
        return call

    return register


def _address(github: GitHub, repository: Repository) -> str:
    return f"{github.url}/repos/{repository.full_name}"


def _page(github: GitHub, repository: Repository) -> str:
    return f"http://{github.host}/{repository.full_name}"


# --- The repository, its files and commits ------------------------------------------------------


def _repository(github: GitHub, repository: Repository) -> dict[str, Any]:
    owner, _, name = repository.full_name.partition("/")
    return {
        "id": sum(repository.full_name.encode()),
        "name": name,
        "full_name": repository.full_name,
        "owner": user(owner),
        "private": False,
        "fork": False,
        "archived": repository.archived,
        "has_issues": repository.has_issues,
        "default_branch": repository.default_branch,
        "url": _address(github, repository),
        "html_url": _page(github, repository),
    }


@_route("GET", "", "metadata:read")
def _get_repository(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query, body
    return Answer(200, _repository(github, repository))


def _owned(
    github: GitHub, match: re.Match[str], query: Query, body: Any, headers: Mapping[str, str]
) -> Answer:
    del query, body, headers
    found = [
        _repository(github, repository)
        for full_name, repository in sorted(github.repositories.items())
        if full_name.lower().startswith(match["owner"].lower() + "/")
    ]
    return Answer(200, found)


ROUTES.append(Route("GET", "/(?:orgs|users)/(?P<owner>[^/]+)/repos", ("metadata", "read"), _owned))


@_route("GET", "/contents/(?P<path>.+)", "contents:read", wants_headers=True)
def _get_content(
    github: GitHub,
    repository: Repository,
    match: re.Match[str],
    query: Query,
    body: Any,
    headers: Mapping[str, str],
) -> Answer:
    del github, body
    files = repository.files.get(query.get("ref", repository.default_branch), {})
    path = match["path"]
    if path in files:
        if "raw" in headers.get("Accept", ""):
            return Answer(200, files[path])
        return Answer(200, content_of(path, files[path]))
    below = [name for name in files if name.startswith(path.rstrip("/") + "/")]
    if not below:
        raise RefusalError(404, "Not Found")
    return Answer(200, [content_of(name, files[name]) for name in sorted(below)])


@_route("PUT", "/contents/(?P<path>.+)", "contents:write")
def _put_content(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query
    branch = body.get("branch", repository.default_branch)
    files = repository.files.setdefault(branch, {})
    path = match["path"]
    if path in files and body.get("sha") != sha_of(files[path]):
        raise RefusalError(409, f"{path} does not match {body.get('sha')}")
    status = 200 if path in files else 201
    files[path] = base64.b64decode(body["content"])
    commit = {"sha": sha_of(f"{branch}{path}{len(files)}"), "message": body.get("message", "")}
    return Answer(status, {"content": content_of(path, files[path]), "commit": commit})


@_route("GET", "/(?:commits/(?P<commit>[^/]+)/statuses|statuses/(?P<sha>[^/]+))", "statuses:read")
def _list_statuses(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query, body
    return Answer(200, list(repository.statuses.get(match["commit"] or match["sha"], [])))


@_route("POST", "/statuses/(?P<sha>[0-9a-f]{40})", "statuses:write")
def _create_status(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query
    if body.get("state") not in {"error", "failure", "pending", "success"}:
        raise RefusalError(422, "Validation Failed")
    if len(body.get("description") or "") > 140:
        raise RefusalError(422, "description is too long (maximum is 140 characters)")
    values = {name: body.get(name) for name in ("description", "target_url")}
    context = body.get("context", "default")
    return Answer(201, repository.add_status(match["sha"], body["state"], context, **values))


@_route("GET", "/tags", "contents:read")
def _list_tags(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query, body
    address = _address(github, repository)
    names = [release["tag_name"] for release in reversed(repository.releases)]
    return Answer(
        200,
        [
            {"name": name, "commit": {"sha": sha_of(name), "url": f"{address}/commits/{name}"}}
            for name in names
        ],
    )


@_route("GET", "/commits/(?P<sha>[^/]+)", "contents:read")
def _get_commit(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    sha = match["sha"]
    url = f"{_address(github, repository)}/commits/{sha}"
    return Answer(200, repository.commits.get(sha, {"sha": sha, "url": url}))


@_route("GET", "/commits", "contents:read")
def _list_commits(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query, body
    address = _address(github, repository)
    found = [
        {"sha": sha, "url": f"{address}/commits/{sha}", **commit}
        for sha, commit in reversed(repository.commits.items())
    ]
    return Answer(200, found)


# --- Issues and labels --------------------------------------------------------------------------


def _issue(github: GitHub, repository: Repository, issue: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in issue.items() if not name.startswith("_")}
    number = issue["number"]
    kind = "pull" if "pull_request" in issue else "issues"
    return {
        **shown,
        "url": f"{_address(github, repository)}/issues/{number}",
        "comments_url": f"{_address(github, repository)}/issues/{number}/comments",
        "repository_url": _address(github, repository),
        "html_url": f"{_page(github, repository)}/{kind}/{number}",
    }


def _with_issues(repository: Repository) -> None:
    if not repository.has_issues:
        raise RefusalError(410, "Issues are disabled for this repo")


def _numbered(repository: Repository, match: re.Match[str]) -> dict[str, Any]:
    found = repository.issues.get(int(match["number"]))
    if found is None:
        raise RefusalError(404, "Not Found")
    return found


@_route("GET", "/issues", "issues:read")
def _list_issues(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, body
    _with_issues(repository)
    wanted = {name.strip().lower() for name in query.get("labels", "").split(",") if name}
    state = query.get("state", "open")
    with repository.lock:
        found = [
            _issue(github, repository, issue)
            for issue in repository.issues.values()
            if state in ("all", issue["state"])
            and wanted <= {label["name"].lower() for label in issue["labels"]}
        ]
    key = {"updated": "updated_at", "comments": "comments"}.get(query.get("sort", ""), "number")
    found.sort(key=lambda issue: issue[key], reverse=query.get("direction", "desc") == "desc")
    return Answer(200, found)


@_route("POST", "/issues", "issues:write")
def _create_issue(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query
    _with_issues(repository)
    if not body.get("title"):
        raise RefusalError(422, "Validation Failed", errors=[{"field": "title", "code": "missing"}])
    if len(body.get("body") or "") > 65536:
        raise RefusalError(422, "body is too long (maximum is 65536 characters)")
    issue = repository.add_issue(body["title"], body.get("body") or "", body.get("labels") or [])
    return Answer(201, _issue(github, repository, issue))


@_route("GET", r"/issues/(?P<number>\d+)", "issues:read")
def _get_issue(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    _with_issues(repository)
    return Answer(200, _issue(github, repository, _numbered(repository, match)))


@_route("PATCH", r"/issues/(?P<number>\d+)", "issues:write")
def _edit_issue(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query
    _with_issues(repository)
    issue = _numbered(repository, match)
    for name in ("title", "body", "state", "state_reason"):
        if name in body:
            issue[name] = body[name]
    if "labels" in body:
        issue["labels"] = [repository.add_label(name) for name in body["labels"]]
    issue["closed_at"] = now() if issue["state"] == "closed" else None
    issue["updated_at"] = now()
    return Answer(200, _issue(github, repository, issue))


@_route("GET", r"/issues/(?P<number>\d+)/comments", "issues:read")
def _list_comments(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query, body
    _numbered(repository, match)
    return Answer(200, list(repository.comments.get(int(match["number"]), [])))


@_route("POST", r"/issues/(?P<number>\d+)/comments", "issues:write")
def _create_comment(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query
    _with_issues(repository)
    _numbered(repository, match)
    if not body.get("body"):
        raise RefusalError(422, "Validation Failed")
    if len(body["body"]) > 65536:
        raise RefusalError(422, "body is too long (maximum is 65536 characters)")
    return Answer(201, repository.add_comment(int(match["number"]), body["body"]))


@_route("POST", r"/issues/(?P<number>\d+)/labels", "issues:write")
def _label_issue(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query
    issue = _numbered(repository, match)
    names = body["labels"] if isinstance(body, dict) else body
    for name in names:
        label = repository.add_label(name)
        if label not in issue["labels"]:
            issue["labels"].append(label)
    return Answer(200, list(issue["labels"]))


@_route("GET", "/labels/(?P<name>[^/]+)", "issues:read")
def _get_label(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query, body
    if match["name"] not in repository.labels:
        raise RefusalError(404, "Not Found")
    return Answer(200, repository.labels[match["name"]])


@_route("GET", "/labels", "issues:read")
def _list_labels(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, match, query, body
    return Answer(200, list(repository.labels.values()))


@_route("POST", "/labels", "issues:write")
def _create_label(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, match, query
    with repository.lock:
        if body["name"].lower() in {name.lower() for name in repository.labels}:
            raise RefusalError(422, "Validation Failed", errors=[{"code": "already_exists"}])
        more = {name: body[name] for name in ("color", "description") if name in body}
        return Answer(201, repository.add_label(body["name"], **more))


def _search(
    github: GitHub, match: re.Match[str], query: Query, body: Any, headers: Mapping[str, str]
) -> Answer:
    """Search issues by words of title and body, and by repo:, label:, is: and state:."""
    del match, body, headers
    terms = query.get("q", "").split()
    values = {t.partition(":")[0]: t.partition(":")[2].strip('"') for t in terms if ":" in t}
    words = [term.strip('"').lower() for term in terms if ":" not in term]
    found = []
    for full_name, repository in github.repositories.items():
        if values.get("repo", full_name).lower() != full_name.lower():
            continue
        for issue in repository.issues.values():
            text = f"{issue['title']} {issue['body']}".lower()
            names = {label["name"] for label in issue["labels"]}
            if (
                all(word in text for word in words)
                and values.get("state", issue["state"]) == issue["state"]
                and ("label" not in values or values["label"] in names)
            ):
                found.append(_issue(github, repository, issue))
    total = {"total_count": len(found), "incomplete_results": False}
    return Answer(200, found, key="items", wrap=total)


ROUTES.append(Route("GET", "/search/issues", ("issues", "read"), _search))


# --- Pull requests ------------------------------------------------------------------------------


def _pull(github: GitHub, repository: Repository, issue: Mapping[str, Any]) -> dict[str, Any]:
    number = issue["number"]
    shown = _issue(github, repository, issue)
    del shown["pull_request"]
    return {
        **shown,
        **issue["_pull"],
        "url": f"{_address(github, repository)}/pulls/{number}",
        "issue_url": f"{_address(github, repository)}/issues/{number}",
    }


@_route("GET", "/pulls", "pull-requests:read")
def _list_pulls(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, body
    found = [
        _pull(github, repository, issue)
        for issue in repository.issues.values()
        if "_pull" in issue
        and query.get("state", "open") in ("all", issue["state"])
        and query.get("head", issue["_pull"]["head"]["label"]) == issue["_pull"]["head"]["label"]
        and query.get("base", issue["_pull"]["base"]["ref"]) == issue["_pull"]["base"]["ref"]
    ]
    return Answer(200, sorted(found, key=lambda pull: pull["number"], reverse=True))


@_route("POST", "/pulls", "pull-requests:write")
def _create_pull(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query
    for issue in repository.issues.values():
        if (
            issue["state"] == "open"
            and issue.get("_pull", {}).get("head", {}).get("ref")
            == (body["head"].rpartition(":")[2])
        ):
            raise RefusalError(422, "A pull request already exists for " + body["head"])
    pull = repository.add_pull(
        body["title"], body["head"].rpartition(":")[2], body["base"], body.get("body") or ""
    )
    return Answer(201, _pull(github, repository, pull))


@_route("GET", r"/pulls/(?P<number>\d+)", "pull-requests:read")
def _get_pull(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    return Answer(200, _pull(github, repository, _numbered(repository, match)))


@_route("PATCH", r"/pulls/(?P<number>\d+)", "pull-requests:write")
def _edit_pull(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query
    issue = _numbered(repository, match)
    issue |= {name: body[name] for name in ("title", "body", "state") if name in body}
    issue["updated_at"] = now()
    return Answer(200, _pull(github, repository, issue))


# --- Releases and their assets ------------------------------------------------------------------


def _release(github: GitHub, repository: Repository, release: Mapping[str, Any]) -> dict[str, Any]:
    address = f"{_address(github, repository)}/releases"
    # Enterprise Server's form, because a host that serves below it has no uploads.HOST.
    uploads = f"http://{github.host}/api/uploads/repos/{repository.full_name}/releases"
    return {
        **release,
        "url": f"{address}/{release['id']}",
        "assets_url": f"{address}/{release['id']}/assets",
        "upload_url": f"{uploads}/{release['id']}/assets{{?name,label}}",
        "html_url": f"{_page(github, repository)}/releases/tag/{release['tag_name']}",
        "assets": [_asset(github, repository, asset) for asset in release["assets"]],
    }


def _asset(github: GitHub, repository: Repository, asset: Mapping[str, Any]) -> dict[str, Any]:
    page = f"{_page(github, repository)}/releases/download"
    return {
        **asset,
        "url": f"{_address(github, repository)}/releases/assets/{asset['id']}",
        "browser_download_url": f"{page}/{asset['id']}/{asset['name']}",
    }


def _found_release(repository: Repository, **wanted: Any) -> dict[str, Any]:
    for release in repository.releases:
        if all(release[name] == value for name, value in wanted.items()):
            return release
    raise RefusalError(404, "Not Found")


@_route("GET", "/releases", "contents:read")
def _list_releases(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query, body
    return Answer(200, [_release(github, repository, r) for r in reversed(repository.releases)])


@_route("POST", "/releases", "contents:write")
def _create_release(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query
    if any(release["tag_name"] == body["tag_name"] for release in repository.releases):
        raise RefusalError(422, "Validation Failed", errors=[{"code": "already_exists"}])
    return Answer(201, _release(github, repository, repository.add_release(**_renamed(body))))


def _renamed(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"tag" if name == "tag_name" else name: value for name, value in body.items()}


@_route("GET", "/releases/latest", "contents:read")
def _latest_release(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del match, query, body
    for release in reversed(repository.releases):
        if not release["draft"] and not release["prerelease"]:
            return Answer(200, _release(github, repository, release))
    raise RefusalError(404, "Not Found")


@_route("GET", "/releases/tags/(?P<tag>.+)", "contents:read")
def _release_of_tag(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    release = _found_release(repository, tag_name=match["tag"], draft=False)
    return Answer(200, _release(github, repository, release))


@_route("GET", r"/releases/(?P<id>\d+)", "contents:read")
def _get_release(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    release = _found_release(repository, id=int(match["id"]))
    return Answer(200, _release(github, repository, release))


@_route("GET", r"/releases/(?P<id>\d+)/assets", "contents:read")
def _list_assets(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    release = _found_release(repository, id=int(match["id"]))
    return Answer(200, [_asset(github, repository, asset) for asset in release["assets"]])


@_route("POST", r"/releases/(?P<id>\d+)/assets", "contents:write")
def _upload_asset(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    release = _found_release(repository, id=int(match["id"]))
    name = query["name"]
    if any(asset["name"] == name for asset in release["assets"]):
        raise RefusalError(422, "Validation Failed", errors=[{"code": "already_exists"}])
    asset = repository.add_asset(release, name, body)
    return Answer(201, _asset(github, repository, asset))


@_route("GET", r"/releases/assets/(?P<id>\d+)", "contents:read", wants_headers=True)
def _get_asset(
    github: GitHub,
    repository: Repository,
    match: re.Match[str],
    query: Query,
    body: Any,
    headers: Mapping[str, str],
) -> Answer:
    del query, body
    number = int(match["id"])
    if number not in repository.assets:
        raise RefusalError(404, "Not Found")
    if headers.get("Accept") == "application/octet-stream":
        return Answer(200, repository.assets[number])
    for release in repository.releases:
        for asset in release["assets"]:
            if asset["id"] == number:
                return Answer(200, _asset(github, repository, asset))
    raise RefusalError(404, "Not Found")


@_route("DELETE", r"/releases/assets/(?P<id>\d+)", "contents:write")
def _delete_asset(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query, body
    number = int(match["id"])
    if repository.assets.pop(number, None) is None:
        raise RefusalError(404, "Not Found")
    for release in repository.releases:
        release["assets"] = [asset for asset in release["assets"] if asset["id"] != number]
    return Answer(204, None)


# --- Runs of workflows --------------------------------------------------------------------------


def _run(github: GitHub, repository: Repository, run: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in run.items() if name != "jobs"}
    address = f"{_address(github, repository)}/actions/runs/{run['id']}"
    return {
        **shown,
        "url": address,
        "jobs_url": f"{address}/jobs",
        "html_url": f"{_page(github, repository)}/actions/runs/{run['id']}",
    }


@_route("GET", "/actions/workflows/(?P<workflow>[^/]+)/runs", "actions:read")
def _list_runs(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del body
    found = [
        _run(github, repository, run)
        for run in repository.runs
        if run["path"].endswith("/" + match["workflow"])
        and query.get("event", run["event"]) == run["event"]
        and query.get("branch", run["head_branch"]) == run["head_branch"]
        and query.get("status", run["conclusion"]) in (run["conclusion"], run["status"])
    ]
    return Answer(200, found, key="workflow_runs", wrap={"total_count": len(found)})


@_route("GET", r"/actions/runs/(?P<id>\d+)(?:/attempts/\d+)?", "actions:read")
def _get_run(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del query, body
    for run in repository.runs:
        if run["id"] == int(match["id"]):
            return Answer(200, _run(github, repository, run))
    raise RefusalError(404, "Not Found")


@_route("GET", r"/actions/runs/(?P<id>\d+)(?:/attempts/\d+)?/jobs", "actions:read")
def _list_jobs(
    github: GitHub, repository: Repository, match: re.Match[str], query: Query, body: Any
) -> Answer:
    del github, query, body
    for run in repository.runs:
        if run["id"] == int(match["id"]):
            jobs = list(run["jobs"])
            return Answer(200, jobs, key="jobs", wrap={"total_count": len(jobs)})
    raise RefusalError(404, "Not Found")
