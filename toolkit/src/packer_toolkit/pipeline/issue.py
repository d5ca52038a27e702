"""The issue about failed builds: one, that is opened, commented, reopened and closed by itself.

It is known by a label, by a hidden comment in its first line, and by its author: a program or a
member of the repository.  That line also holds what has to be known the next time:

| key | meaning |
|---|---|
| open | the last run failed: when the issue is closed nevertheless, a person closed it |
| duplicate_of | another run opened the same issue a moment earlier |
| kind, version | of the last failure |
| failures | how many runs have failed in a row |
| good | parent images, commit and run of the last good build |

docs/decisions/0014-one-issue-for-failed-builds.md has the reasons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from github import GithubException
from github.Issue import Issue
from github.Repository import Repository

from packer_toolkit.build.inspec import write_results
from packer_toolkit.github.client import require_answer, speaking
from packer_toolkit.pipeline.advice import advice
from packer_toolkit.pipeline.outcome import Facts
from packer_toolkit.text.markdown import block, code, table

LABEL = "packer-build-failure"
_LABEL_COLOR = "b60205"
_LABEL_DESCRIPTION = "A daily or release build failed; kept by packer-toolkit"

# GitHub refuses more than 65536 characters.
_LONGEST = 60_000

# A label alone could make an issue of an outsider, who copied the marker, the one that is kept.
_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")

_MARKER = re.compile(r"\A\s*<!-- packer-toolkit:build-failure (\{.*?\}) -->", re.S)

State = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """What became of the issue.

    Attributes:
        action: opened, commented, reopened, closed, noted (no more than its hidden line) or none.
        number: of the issue; 0 when there is none.
        url: of the issue.
        text: what was written, or would be.
    """

    action: str
    number: int = 0
    url: str = ""
    text: str = ""


def marked(state: Mapping[str, Any], text: str) -> str:
    """Return the body of an issue: the hidden line, and what people read."""
    # Nothing inside may end the comment.
    hidden = json.dumps(state, sort_keys=True).replace("<", "\\u003c").replace(">", "\\u003e")
    return f"<!-- packer-toolkit:build-failure {hidden} -->\n{text[:_LONGEST]}"


def state_of(body: str | None) -> State | None:
    """Return the state in a body's hidden line; None when the issue is not ours."""
    match = _MARKER.match(body or "")
    if not match:
        return None
    try:
        loaded = json.loads(match[1])
    except (ValueError, RecursionError):
        return {}  # ours, and edited by somebody
    return loaded if isinstance(loaded, dict) else {}


def _with_state(body: str | None, state: Mapping[str, Any]) -> str:
    return marked(state, _MARKER.sub("", body or "", count=1).lstrip("\n"))


# --- Finding it -------------------------------------------------------------------------------


def _ours(repository: Repository, state: str) -> Iterator[tuple[Issue, State]]:
    """Yield our issues of a state, the youngest first; others may carry the label too."""
    for issue in repository.get_issues(labels=[LABEL], state=state):
        found = state_of(issue.body)
        if found is None or issue.pull_request is not None or found.get("duplicate_of"):
            continue
        if _has_trusted_author(issue):
            yield issue, found


def _has_trusted_author(issue: Issue) -> bool:
    """Return whether a program or a member of the repository opened an issue.

    Programs need write access to open one; GitHub lists that of workflows as no member.
    """
    # The account may have been deleted.
    return getattr(issue.user, "type", "") == "Bot" or issue.author_association in _MEMBERS


def _open_one(repository: Repository) -> tuple[Issue, State] | None:
    """Return the open issue; of several, the oldest is it."""
    found = list(_ours(repository, "open"))
    return min(found, key=lambda pair: pair[0].number) if found else None


def _closed_by_hand(repository: Repository) -> tuple[Issue, State] | None:
    """Return the youngest issue when a person closed it before a run was good again."""
    youngest = next(_ours(repository, "closed"), None)
    return youngest if youngest and youngest[1].get("open") else None


# --- What it says -----------------------------------------------------------------------------


def _title(facts: Facts) -> str:
    return f"The {facts.kind} build of {facts.name} fails"


def _parent(parent: Mapping[str, str] | None) -> str:
    if not parent:
        return "not known"
    return " ".join(code(parent[key]) for key in ("id", "name") if parent.get(key)) or "not known"


def _what_failed(facts: Facts, good: Mapping[str, Any]) -> str:
    """Return the part that issue and comments share."""
    parts = []
    if facts.failed:
        rows = [(code(one.build), code(one.step)) for one in facts.failed]
        parts.append(table(("build", "failed in"), rows))
    else:
        parts.append("What failed is in the log of the run.")
    old = good.get("parents") or {}
    names = sorted({*facts.parents, *old})
    if names:
        parents = [(code(n), _parent(facts.parents.get(n)), _parent(old.get(n))) for n in names]
        changed = [n for n in names if n in old and n in facts.parents and _differ(facts, old, n)]
        parts.append(table(("", "parent image now", "at the last good build"), parents))
        if changed:
            parts.append("The parent image has changed since the last good build.")
    if good.get("url"):
        commit = code(str(good.get("commit") or ""))
        parts.append(f"The last good build: [run]({good['url']}) of {commit}.")
    else:
        parts.append("No good build is on record yet.")
    if facts.lines:
        parts += ["### The last lines that matter", block(facts.lines)]
    if facts.inspec:
        parts += ["### InSpec", *write_results(facts.inspec)]
    steps = " ".join(one.step for one in facts.failed)
    parts += ["### What to try", "\n".join(f"- {text}" for text in advice(facts.lines, steps))]
    if facts.subject:
        parts.append(_rejected(facts))
    if facts.left:
        left = "\n".join(f"- {code(thing)}" for thing in facts.left)
        parts += ["### Left behind", f"{left}\n\n`packer-toolkit sweep` removes it."]
    return "\n\n".join(parts)


def _rejected(facts: Facts) -> str:
    """Return what the trust policy of a role lacks."""
    from packer_toolkit.github.oidc import Subject

    owner_and_name = ":".join(facts.subject.split(":")[:2])
    ending = ":*"
    if facts.kind == "release" and f"{owner_and_name}:ref:refs/tags/" in facts.subject:
        ending = ":ref:refs/tags/" + ("v*" if ":ref:refs/tags/v" in facts.subject else "*")
    patterns = [prefix + ending for prefix in Subject(owner_and_name).prefixes]
    return (
        "### The rejected subject\n\n"
        f"This run sent the subject\n\n{block([facts.subject])}\n\n"
        "The trust policy of the role must accept it. These values of the condition on `sub` do, "
        f"for this repository alone:\n\n{block(patterns)}"
    )


def _differ(facts: Facts, old: Mapping[str, Any], name: str) -> bool:
    return bool(facts.parents[name].get("id") != (old[name] or {}).get("id"))


def _which(facts: Facts) -> str:
    version = f" {code(facts.version)}" if facts.kind == "release" and facts.version else ""
    return f"The {facts.kind} build of {code(facts.name)}{version} failed{_run(facts)}."


def _run(facts: Facts) -> str:
    return f": [run]({facts.run_url})" if facts.run_url else ""


_FOOT = (
    "---\nThis issue is kept by `packer-toolkit report`: the next failure comments on it, the next "
    "good build closes it."
)


def _first_text(facts: Facts, good: Mapping[str, Any]) -> str:
    return "\n\n".join([_which(facts), _what_failed(facts, good), _FOOT]) + "\n"


def _next_text(facts: Facts, good: Mapping[str, Any], failures: int) -> str:
    again = f"{_which(facts)} {failures} runs in a row have failed."
    return "\n\n".join([again, _what_failed(facts, good)]) + "\n"


def _good_text(facts: Facts, state: Mapping[str, Any]) -> str:
    parts = [f"The {facts.kind} build of {code(facts.name)} is good again{_run(facts)}."]
    if facts.parents:
        names = ", ".join(f"{n} {_parent(facts.parents[n])}" for n in sorted(facts.parents))
        parts.append(f"Parent image: {names}.")
    if state.get("kind") == "release" and facts.kind != "release":
        parts.append(
            f"The release {code(str(state.get('version') or ''))} has not been built by this: "
            "start its run again."
        )
    return "\n\n".join(parts) + "\n"


# --- What is done -----------------------------------------------------------------------------


def good_state(facts: Facts) -> State:
    """Return what is kept of a good build."""
    parents = {name: dict(parent) for name, parent in facts.parents.items()}
    return {"parents": parents, "url": facts.run_url, "commit": facts.commit[:12]}


def preview(facts: Facts, good: Mapping[str, Any]) -> Done:
    """Return the issue that a first failure would open."""
    return Done("none", text=f"{_title(facts)}\n\n{_first_text(facts, good)}")


def failed(repository: Repository, facts: Facts, good: Mapping[str, Any]) -> Done:
    """Tell of a failed run: in the open issue, in one that was closed by hand, or in a new one.

    Args:
        repository: on GitHub.
        facts: of the run.
        good: what is known of the last good build; what the issue remembers comes first.
    """
    with speaking("read issues"):
        found = _open_one(repository)
        by_hand = None if found else _closed_by_hand(repository)
    if found:
        return _comment(*found, facts, good, "commented")
    if by_hand:
        issue, state = by_hand
        # "Not planned" is a person's word that nothing is to be done: it is told, not reopened.
        if issue.state_reason == "not_planned":
            return _comment(issue, state, facts, good, "commented")
        with speaking("reopen the issue"):
            issue.edit(state="open")
        return _comment(issue, state, facts, good, "reopened")
    return _open(repository, facts, good)


def _comment(
    issue: Issue, state: State, facts: Facts, good: Mapping[str, Any], action: str
) -> Done:
    failures = int(state.get("failures") or 1) + 1
    text = _next_text(facts, state.get("good") or good, failures)
    new = {
        **state,
        "open": True,
        "kind": facts.kind,
        "version": facts.version,
        "failures": failures,
    }
    with speaking("comment on the issue"):
        issue.create_comment(text[:_LONGEST])
        issue.edit(body=_with_state(issue.body, new))
    return Done(action, issue.number, issue.html_url, text)


def _open(repository: Repository, facts: Facts, good: Mapping[str, Any]) -> Done:
    text = _first_text(facts, good)
    state: State = {
        "open": True,
        "kind": facts.kind,
        "version": facts.version,
        "failures": 1,
        "good": dict(good),
    }
    _make_label(repository)
    with speaking("open an issue"):
        issue = repository.create_issue(_title(facts), body=marked(state, text), labels=[LABEL])
        require_answer("open an issue", issue.number)
    # Another run may have done the same at the same time, or GitHub may have lost its answer to a
    # first attempt: the oldest issue stays, whoever looks.
    with speaking("look for a second issue"):
        oldest = _open_one(repository)
    if oldest is None or oldest[0].number >= issue.number:
        return Done("opened", issue.number, issue.html_url, text)
    first, first_state = oldest
    with speaking("close the second issue"):
        duplicate = {**state, "open": False, "duplicate_of": first.number}
        issue.edit(
            body=marked(duplicate, f"The same as #{first.number}.\n"),
            state="closed",
            state_reason="not_planned",
        )
    return _comment(first, first_state, facts, good, "commented")


def _make_label(repository: Repository) -> None:
    """Make the label; that it exists already is as good."""
    with speaking("make a label"):
        try:
            repository.create_label(LABEL, _LABEL_COLOR, _LABEL_DESCRIPTION)
        except GithubException as error:
            # 403: may not make labels, but perhaps open issues.
            if error.status not in (403, 404, 422):
                raise


def succeeded(repository: Repository, facts: Facts) -> Done:
    """Tell of a good run: close what is open, and note what a person has closed."""
    good = good_state(facts)
    with speaking("read issues"):
        ours = sorted(_ours(repository, "open"), key=lambda pair: pair[0].number)
        by_hand = None if ours else _closed_by_hand(repository)
    text = ""
    for issue, state in ours:
        text = _good_text(facts, state)
        with speaking("close the issue"):
            issue.create_comment(text)
            issue.edit(
                body=_with_state(issue.body, {**state, "open": False, "good": good}),
                state="closed",
                state_reason="completed",
            )
    if ours:
        return Done("closed", ours[0][0].number, ours[0][0].html_url, text)
    if by_hand:
        issue, state = by_hand
        with speaking("note the good build"):
            issue.edit(body=_with_state(issue.body, {**state, "open": False, "good": good}))
        return Done("noted", issue.number, issue.html_url)
    return Done("none")
