"""GitHub's address may be answered by others: a login page, a proxy, a server under maintenance."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.github import GitHub, Repository
from rig.repositories.build_reports import REPOSITORY, SHA, write_report
from rig.run.toolkit_process import Said, Toolkit

PAGE = "<!DOCTYPE html>\n<title>Down for maintenance</title>\n" + "<p>Please wait.</p>\n" * 3000
ANSWERS = {
    "page": (200, PAGE),
    "page for something new": (201, PAGE),
    "nothing": (200, " "),
    "nothing for something new": (201, " "),
    "half of an answer": (200, '[{"number": 1'),
    "another list": (200, '["x", 7]'),
    "text": (200, '"Please wait."'),
    "object": (200, "{}"),
    "login": (302, PAGE),
    "maintenance": (503, PAGE),
    "not acceptable": (406, PAGE),
}


def report(
    github: GitHub, folder: Path, *, ok: bool, code: int = 0, strict: tuple[str, ...] = ()
) -> Said:
    """Report a build to an Enterprise Server."""
    env = {
        "GITHUB_API_URL": github.enterprise_url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": "77",
        "GITHUB_SHA": SHA,
        "GITHUB_TOKEN": "t",
    }
    write_report(folder, ok=ok)
    options = ("--kind=daily", "--patience=1", *strict)
    return Toolkit(folder, env).run("report", *options, code=code)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_answer_of_another_server_is_one_line(
    github: GitHub, hub: Repository, tmp_path: Path, answer: str, method: str
) -> None:
    """What is not an answer of GitHub's API is a warning of one line, and no defect (report 4)."""
    del hub
    status, text = ANSWERS[answer]
    headers = {"Location": f"{github.url}/login"} if status == 302 else {}
    github.fault(method, "", status, html=text, headers=headers)
    for ok in (False, True):
        if ok and method == "POST":
            continue  # nothing is created for a good build but a status
        for code, strict in ((0, ()), (4, ("--strict",))):
            said = report(github, tmp_path, ok=ok, code=code, strict=strict)
            assert "defect" not in said.stderr
            assert "<p>" not in said.stderr + said.stdout
            assert method == "GET" or "opened issue" not in said.stdout
            (warning,) = [line for line in said.stderr.splitlines() if "warning: " in line]
            if status in (200, 201, 302):
                assert "check GITHUB_API_URL (https://HOST/api/v3 on an Enterprise Serv" in warning


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("answer", ["page", "page for something new", "nothing", "text", "login"])
def test_files_are_not_attached_to_the_release_of_another_server(
    github: GitHub, hub: Repository, tmp_path: Path, answer: str, method: str
) -> None:
    """A file counts as attached only when GitHub has answered with it (report 4)."""
    hub.add_release("v1.2.3")
    status, text = ANSWERS[answer]
    headers = {"Location": f"{github.url}/login"} if status == 302 else {}
    github.fault(method, "", status, html=text, headers=headers)
    write_report(tmp_path, ok=True)
    (tmp_path / "manifest.json").write_text('{"builds": []}')
    env = {
        "GITHUB_API_URL": github.enterprise_url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": "t",
    }
    said = Toolkit(tmp_path, env).run("attach", "--tag=v1.2.3", "--patience=1", code=4)
    assert "check GITHUB_API_URL (https://HOST/api/v3 on an Enterprise Server)" in said.stderr
    assert said.stderr.count("\n") == 1
    assert hub.releases[0]["assets"] == []


def test_defects_of_our_own_are_not_hidden() -> None:
    """An error of the toolkit's own code does not become one of the server."""
    from packer_toolkit.github.client import translate_github_errors

    with pytest.raises(TypeError), translate_github_errors("fail"):
        len(7)  # type: ignore[arg-type]
