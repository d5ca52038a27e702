"""What the stand-in answers, call by call; https://docs.github.com/en/rest is what it follows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
class Call:
    """What came in; below /repos/OWNER/REPO with the repository."""

    github: GitHub
    repository: Repository
    match: re.Match[str]
    query: Mapping[str, str]
    body: Any
    headers: Mapping[str, str]


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """Method, pattern of the path, the permission that it needs, and what answers it."""

    method: str
    pattern: str
    permission: tuple[str, str]
    answer: Handler
    needs_token: bool = True


ROUTES: list[Route] = []

_REPO = "/repos/(?P<owner>[^/]+)/(?P<repo>[^/]+)"


def _route(method: str, pattern: str, permission: str) -> Callable[[Handler], Handler]:
    """Register what answers a call below /repos/OWNER/REPO."""
    name, _, level = permission.partition(":")

    def register(answer: Handler) -> Handler:
        ROUTES.append(Route(method, _REPO + pattern, (name, level), answer))
        return answer

    return register


def _address(call: Call) -> str:
    return f"{call.github.url}/repos/{call.repository.full_name}"


def _page(call: Call) -> str:
    return f"http://{call.github.host}/{call.repository.full_name}"


# --- The repository, its files and commits ------------------------------------------------------


def _repository(call: Call) -> dict[str, Any]:
    owner, _, name = call.repository.full_name.partition("/")
    return {
        "id": sum(call.repository.full_name.encode()),
        "name": name,
        "full_name": call.repository.full_name,
        "owner": user(owner),
        "private": False,
        "fork": False,
        "archived": call.repository.archived,
        "has_issues": call.repository.has_issues,
        "default_branch": call.repository.default_branch,
        "url": _address(call),
        "html_url": _page(call),
    }


@_route("GET", "", "metadata:read")
def _get_repository(call: Call) -> Answer:
    return Answer(200, _repository(call))


def _owned(call: Call) -> Answer:
    found = [
        _repository(replace(call, repository=repository))
        for full_name, repository in sorted(call.github.repositories.items())
        if full_name.lower().startswith(call.match["owner"].lower() + "/")
    ]
    return Answer(200, found)


ROUTES.append(Route("GET", "/(?:orgs|users)/(?P<owner>[^/]+)/repos", ("metadata", "read"), _owned))


@_route("GET", "/contents/(?P<path>.+)", "contents:read")
def _get_content(call: Call) -> Answer:
    files = call.repository.files.get(call.query.get("ref", call.repository.default_branch), {})
    path = call.match["path"]
    if path in files:
        if "raw" in call.headers.get("Accept", ""):
            return Answer(200, files[path])
        return Answer(200, content_of(path, files[path]))
    below = [name for name in files if name.startswith(path.rstrip("/") + "/")]
    if not below:
        raise RefusalError(404, "Not Found")
    return Answer(200, [content_of(name, files[name]) for name in sorted(below)])


@_route("GET", "/git/trees/(?P<branch>[^/]+)", "contents:read")
def _get_tree(call: Call) -> Answer:
    branch = call.match["branch"]
    branch = call.repository.default_branch if branch == "HEAD" else branch
    files = call.repository.files.get(branch, {})
    if not files:
        raise RefusalError(409, "Git Repository is empty.")
    tree = [
        {"path": path, "mode": "100644", "type": "blob", "sha": sha_of(text), "size": len(text)}
        for path, text in sorted(files.items())
        if call.query.get("recursive") or "/" not in path
    ]
    return Answer(200, {"sha": sha_of(branch), "tree": tree, "truncated": False})


@_route("PUT", "/contents/(?P<path>.+)", "contents:write")
def _put_content(call: Call) -> Answer:
    branch = call.body.get("branch", call.repository.default_branch)
    files = call.repository.files.setdefault(branch, {})
    path = call.match["path"]
    if path in files and call.body.get("sha") != sha_of(files[path]):
        raise RefusalError(409, f"{path} does not match {call.body.get('sha')}")
    status = 200 if path in files else 201
    files[path] = base64.b64decode(call.body["content"])
    commit = {"sha": sha_of(f"{branch}{path}{len(files)}"), "message": call.body.get("message", "")}
    return Answer(status, {"content": content_of(path, files[path]), "commit": commit})


@_route("GET", "/(?:commits/(?P<commit>[^/]+)/statuses|statuses/(?P<sha>[^/]+))", "statuses:read")
def _list_statuses(call: Call) -> Answer:
    return Answer(
        200, list(call.repository.statuses.get(call.match["commit"] or call.match["sha"], []))
    )


@_route("POST", "/statuses/(?P<sha>[0-9a-f]{40})", "statuses:write")
def _create_status(call: Call) -> Answer:
    if call.body.get("state") not in {"error", "failure", "pending", "success"}:
        raise RefusalError(422, "Validation Failed")
    if len(call.body.get("description") or "") > 140:
        raise RefusalError(422, "description is too long (maximum is 140 characters)")
    values = {name: call.body.get(name) for name in ("description", "target_url")}
    context = call.body.get("context", "default")
    return Answer(
        201, call.repository.add_status(call.match["sha"], call.body["state"], context, **values)
    )


@_route("GET", "/tags", "contents:read")
def _list_tags(call: Call) -> Answer:
    address = _address(call)
    names = [release["tag_name"] for release in reversed(call.repository.releases)]
    return Answer(
        200,
        [
            {
                "name": name,
                "commit": {
                    "sha": call.repository.tags.get(name, sha_of(name)),
                    "url": f"{address}/commits/{name}",
                },
            }
            for name in names
        ],
    )


@_route("GET", "/commits/(?P<sha>[^/]+)", "contents:read")
def _get_commit(call: Call) -> Answer:
    sha = call.match["sha"]
    url = f"{_address(call)}/commits/{sha}"
    return Answer(200, call.repository.commits.get(sha, {"sha": sha, "url": url}))


@_route("GET", "/commits", "contents:read")
def _list_commits(call: Call) -> Answer:
    address = _address(call)
    found = [
        {"sha": sha, "url": f"{address}/commits/{sha}", **commit}
        for sha, commit in reversed(call.repository.commits.items())
    ]
    return Answer(200, found)


# --- Issues and labels --------------------------------------------------------------------------


def _issue(call: Call, issue: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in issue.items() if not name.startswith("_")}
    number = issue["number"]
    kind = "pull" if "pull_request" in issue else "issues"
    return {
        **shown,
        "url": f"{_address(call)}/issues/{number}",
        "comments_url": f"{_address(call)}/issues/{number}/comments",
        "repository_url": _address(call),
        "html_url": f"{_page(call)}/{kind}/{number}",
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
def _list_issues(call: Call) -> Answer:
    _with_issues(call.repository)
    wanted = {name.strip().lower() for name in call.query.get("labels", "").split(",") if name}
    state = call.query.get("state", "open")
    with call.repository.lock:
        found = [
            _issue(call, issue)
            for issue in call.repository.issues.values()
            if state in ("all", issue["state"])
            and call.query.get("creator") in (None, (issue["user"] or {}).get("login"))
            and wanted <= {label["name"].lower() for label in issue["labels"]}
        ]
    key = {"updated": "updated_at", "comments": "comments"}.get(
        call.query.get("sort", ""), "number"
    )
    found.sort(key=lambda issue: issue[key], reverse=call.query.get("direction", "desc") == "desc")
    return Answer(200, found)


@_route("POST", "/issues", "issues:write")
def _create_issue(call: Call) -> Answer:
    _with_issues(call.repository)
    if not call.body.get("title"):
        raise RefusalError(422, "Validation Failed", errors=[{"field": "title", "code": "missing"}])
    if len(call.body.get("body") or "") > 65536:
        raise RefusalError(422, "body is too long (maximum is 65536 characters)")
    issue = call.repository.add_issue(
        call.body["title"], call.body.get("body") or "", call.body.get("labels") or []
    )
    return Answer(201, _issue(call, issue))


@_route("GET", r"/issues/(?P<number>\d+)", "issues:read")
def _get_issue(call: Call) -> Answer:
    _with_issues(call.repository)
    return Answer(200, _issue(call, _numbered(call.repository, call.match)))


@_route("PATCH", r"/issues/(?P<number>\d+)", "issues:write")
def _edit_issue(call: Call) -> Answer:
    _with_issues(call.repository)
    issue = _numbered(call.repository, call.match)
    for name in ("title", "body", "state", "state_reason"):
        if name in call.body:
            issue[name] = call.body[name]
    if "labels" in call.body:
        issue["labels"] = [call.repository.add_label(name) for name in call.body["labels"]]
    issue["closed_at"] = now() if issue["state"] == "closed" else None
    issue["updated_at"] = now()
    return Answer(200, _issue(call, issue))


@_route("GET", r"/issues/(?P<number>\d+)/comments", "issues:read")
def _list_comments(call: Call) -> Answer:
    _numbered(call.repository, call.match)
    return Answer(200, list(call.repository.comments.get(int(call.match["number"]), [])))


@_route("POST", r"/issues/(?P<number>\d+)/comments", "issues:write")
def _create_comment(call: Call) -> Answer:
    _with_issues(call.repository)
    _numbered(call.repository, call.match)
    if not call.body.get("body"):
        raise RefusalError(422, "Validation Failed")
    if len(call.body["body"]) > 65536:
        raise RefusalError(422, "body is too long (maximum is 65536 characters)")
    return Answer(201, call.repository.add_comment(int(call.match["number"]), call.body["body"]))


@_route("POST", r"/issues/(?P<number>\d+)/labels", "issues:write")
def _label_issue(call: Call) -> Answer:
    issue = _numbered(call.repository, call.match)
    names = call.body["labels"] if isinstance(call.body, dict) else call.body
    for name in names:
        label = call.repository.add_label(name)
        if label not in issue["labels"]:
            issue["labels"].append(label)
    return Answer(200, list(issue["labels"]))


@_route("GET", "/labels/(?P<name>[^/]+)", "issues:read")
def _get_label(call: Call) -> Answer:
    if call.match["name"] not in call.repository.labels:
        raise RefusalError(404, "Not Found")
    return Answer(200, call.repository.labels[call.match["name"]])


@_route("GET", "/labels", "issues:read")
def _list_labels(call: Call) -> Answer:
    return Answer(200, list(call.repository.labels.values()))


@_route("POST", "/labels", "issues:write")
def _create_label(call: Call) -> Answer:
    with call.repository.lock:
        if call.body["name"].lower() in {name.lower() for name in call.repository.labels}:
            raise RefusalError(422, "Validation Failed", errors=[{"code": "already_exists"}])
        more = {name: call.body[name] for name in ("color", "description") if name in call.body}
        return Answer(201, call.repository.add_label(call.body["name"], **more))


def _search(call: Call) -> Answer:
    """Search issues by words of title and body, and by repo:, label:, is: and state:."""
    terms = call.query.get("q", "").split()
    values = {t.partition(":")[0]: t.partition(":")[2].strip('"') for t in terms if ":" in t}
    words = [term.strip('"').lower() for term in terms if ":" not in term]
    found = []
    for full_name, repository in call.github.repositories.items():
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
                found.append(_issue(replace(call, repository=repository), issue))
    total = {"total_count": len(found), "incomplete_results": False}
    return Answer(200, found, key="items", wrap=total)


ROUTES.append(Route("GET", "/search/issues", ("issues", "read"), _search))


# --- Pull requests ------------------------------------------------------------------------------


def _pull(call: Call, issue: Mapping[str, Any]) -> dict[str, Any]:
    number = issue["number"]
    shown = _issue(call, issue)
    del shown["pull_request"]
    return {
        **shown,
        **issue["_pull"],
        "url": f"{_address(call)}/pulls/{number}",
        "issue_url": f"{_address(call)}/issues/{number}",
    }


@_route("GET", "/pulls", "pull-requests:read")
def _list_pulls(call: Call) -> Answer:
    found = [
        _pull(call, issue)
        for issue in call.repository.issues.values()
        if "_pull" in issue
        and call.query.get("state", "open") in ("all", issue["state"])
        and call.query.get("head", issue["_pull"]["head"]["label"])
        == issue["_pull"]["head"]["label"]
        and call.query.get("base", issue["_pull"]["base"]["ref"]) == issue["_pull"]["base"]["ref"]
    ]
    return Answer(200, sorted(found, key=lambda pull: pull["number"], reverse=True))


@_route("POST", "/pulls", "pull-requests:write")
def _create_pull(call: Call) -> Answer:
    for issue in call.repository.issues.values():
        if (
            issue["state"] == "open"
            and issue.get("_pull", {}).get("head", {}).get("ref")
            == (call.body["head"].rpartition(":")[2])
        ):
            raise RefusalError(422, "A pull request already exists for " + call.body["head"])
    pull = call.repository.add_pull(
        call.body["title"],
        call.body["head"].rpartition(":")[2],
        call.body["base"],
        call.body.get("body") or "",
    )
    return Answer(201, _pull(call, pull))


@_route("GET", r"/pulls/(?P<number>\d+)", "pull-requests:read")
def _get_pull(call: Call) -> Answer:
    return Answer(200, _pull(call, _numbered(call.repository, call.match)))


@_route("PATCH", r"/pulls/(?P<number>\d+)", "pull-requests:write")
def _edit_pull(call: Call) -> Answer:
    issue = _numbered(call.repository, call.match)
    issue |= {name: call.body[name] for name in ("title", "body", "state") if name in call.body}
    issue["updated_at"] = now()
    return Answer(200, _pull(call, issue))


# --- Releases and their assets ------------------------------------------------------------------


def _release(call: Call, release: Mapping[str, Any]) -> dict[str, Any]:
    address = f"{_address(call)}/releases"
    # Enterprise Server's form, because a host that serves below it has no uploads.HOST.
    uploads = f"http://{call.github.host}/api/uploads/repos/{call.repository.full_name}/releases"
    return {
        **release,
        "url": f"{address}/{release['id']}",
        "assets_url": f"{address}/{release['id']}/assets",
        "upload_url": f"{uploads}/{release['id']}/assets{{?name,label}}",
        "html_url": f"{_page(call)}/releases/tag/{release['tag_name']}",
        "assets": [_asset(call, asset) for asset in release["assets"]],
    }


def _asset(call: Call, asset: Mapping[str, Any]) -> dict[str, Any]:
    page = f"{_page(call)}/releases/download"
    return {
        **asset,
        "url": f"{_address(call)}/releases/assets/{asset['id']}",
        "browser_download_url": f"{page}/{asset['id']}/{asset['name']}",
    }


def _found_release(repository: Repository, **wanted: Any) -> dict[str, Any]:
    for release in repository.releases:
        if all(release[name] == value for name, value in wanted.items()):
            return release
    raise RefusalError(404, "Not Found")


@_route("GET", "/releases", "contents:read")
def _list_releases(call: Call) -> Answer:
    return Answer(200, [_release(call, r) for r in reversed(call.repository.releases)])


@_route("POST", "/releases", "contents:write")
def _create_release(call: Call) -> Answer:
    if any(release["tag_name"] == call.body["tag_name"] for release in call.repository.releases):
        raise RefusalError(422, "Validation Failed", errors=[{"code": "already_exists"}])
    return Answer(
        201,
        _release(call, call.repository.add_release(**_renamed(call.body))),
    )


def _renamed(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"tag" if name == "tag_name" else name: value for name, value in body.items()}


@_route("GET", "/releases/latest", "contents:read")
def _latest_release(call: Call) -> Answer:
    for release in reversed(call.repository.releases):
        if not release["draft"] and not release["prerelease"]:
            return Answer(200, _release(call, release))
    raise RefusalError(404, "Not Found")


@_route("GET", "/releases/tags/(?P<tag>.+)", "contents:read")
def _release_of_tag(call: Call) -> Answer:
    release = _found_release(call.repository, tag_name=call.match["tag"], draft=False)
    return Answer(200, _release(call, release))


@_route("GET", r"/releases/(?P<id>\d+)", "contents:read")
def _get_release(call: Call) -> Answer:
    release = _found_release(call.repository, id=int(call.match["id"]))
    return Answer(200, _release(call, release))


@_route("GET", r"/releases/(?P<id>\d+)/assets", "contents:read")
def _list_assets(call: Call) -> Answer:
    release = _found_release(call.repository, id=int(call.match["id"]))
    return Answer(200, [_asset(call, asset) for asset in release["assets"]])


@_route("POST", r"/releases/(?P<id>\d+)/assets", "contents:write")
def _upload_asset(call: Call) -> Answer:
    release = _found_release(call.repository, id=int(call.match["id"]))
    name = call.query["name"]
    if any(asset["name"] == name for asset in release["assets"]):
        raise RefusalError(422, "Validation Failed", errors=[{"code": "already_exists"}])
    asset = call.repository.add_asset(release, name, call.body)
    return Answer(201, _asset(call, asset))


@_route("GET", r"/releases/assets/(?P<id>\d+)", "contents:read")
def _get_asset(call: Call) -> Answer:
    number = int(call.match["id"])
    if number not in call.repository.assets:
        raise RefusalError(404, "Not Found")
    if call.headers.get("Accept") == "application/octet-stream":
        return Answer(200, call.repository.assets[number])
    for release in call.repository.releases:
        for asset in release["assets"]:
            if asset["id"] == number:
                return Answer(200, _asset(call, asset))
    raise RefusalError(404, "Not Found")


@_route("DELETE", r"/releases/assets/(?P<id>\d+)", "contents:write")
def _delete_asset(call: Call) -> Answer:
    number = int(call.match["id"])
    if call.repository.assets.pop(number, None) is None:
        raise RefusalError(404, "Not Found")
    for release in call.repository.releases:
        release["assets"] = [asset for asset in release["assets"] if asset["id"] != number]
    return Answer(204, None)


# --- Runs of workflows --------------------------------------------------------------------------


def _run(call: Call, run: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in run.items() if name != "jobs"}
    address = f"{_address(call)}/actions/runs/{run['id']}"
    return {
        **shown,
        "url": address,
        "jobs_url": f"{address}/jobs",
        "html_url": f"{_page(call)}/actions/runs/{run['id']}",
    }


@_route("GET", "/actions/workflows", "actions:read")
def _list_workflows(call: Call) -> Answer:
    found = [
        {"id": number, "name": path, "path": f".github/workflows/{path}", "state": state}
        for number, (path, state) in enumerate(call.repository.workflows.items(), 1)
    ]
    return Answer(200, found, key="workflows", wrap={"total_count": len(found)})


@_route("GET", "/actions/workflows/(?P<workflow>[^/]+)/runs", "actions:read")
def _list_runs(call: Call) -> Answer:
    found = [
        _run(call, run)
        for run in call.repository.runs
        if run["path"].endswith("/" + call.match["workflow"])
        and call.query.get("event", run["event"]) == run["event"]
        and call.query.get("branch", run["head_branch"]) == run["head_branch"]
        and call.query.get("status", run["conclusion"]) in (run["conclusion"], run["status"])
    ]
    return Answer(200, found, key="workflow_runs", wrap={"total_count": len(found)})


@_route("GET", r"/actions/runs/(?P<id>\d+)(?:/attempts/\d+)?", "actions:read")
def _get_run(call: Call) -> Answer:
    for run in call.repository.runs:
        if run["id"] == int(call.match["id"]):
            return Answer(200, _run(call, run))
    raise RefusalError(404, "Not Found")


@_route("GET", r"/actions/runs/(?P<id>\d+)(?:/attempts/\d+)?/jobs", "actions:read")
def _list_jobs(call: Call) -> Answer:
    for run in call.repository.runs:
        if run["id"] == int(call.match["id"]):
            jobs = [
                {"url": f"{_address(call)}/actions/jobs/{job.get('id')}", **job}
                for job in run["jobs"]
            ]
            return Answer(200, jobs, key="jobs", wrap={"total_count": len(jobs)})
    raise RefusalError(404, "Not Found")


@_route("GET", r"/actions/jobs/(?P<id>\d+)/logs", "actions:read")
def _redirect_to_log(call: Call) -> Answer:
    if int(call.match["id"]) not in call.repository.logs:
        raise RefusalError(404, "Not Found")
    place = f"{call.github.url}/storage/{call.repository.full_name}/{call.match['id']}"
    return Answer(302, None, {"Location": place})


def _stored_log(call: Call) -> Answer:
    if "Authorization" in call.headers:  # as the storage refuses two kinds of authorization
        raise RefusalError(400, "InvalidAuthenticationInfo")
    return Answer(200, call.repository.logs[int(call.match["id"])])


ROUTES.append(
    Route(
        "GET",
        r"/storage/(?P<owner>[^/]+)/(?P<repo>[^/]+)/(?P<id>\d+)",
        ("", ""),
        _stored_log,
        needs_token=False,
    )
)


@_route("GET", "/actions/oidc/customization/sub", "actions:read")
def _get_subject(call: Call) -> Answer:
    return Answer(200, dict(call.repository.oidc_subject))
