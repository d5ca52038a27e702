"""Each check finds a defect that is planted into a render: none passes because it is blind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rig.lint.checks import BY_NAME, CHECKS
from rig.lint.runner import File, Tree, lint, read_tree
from rig.repositories import template as template_module

# Some of them wait for its build, see tests/conftest.py.
pytestmark = pytest.mark.usefixtures("packer")

TASKS = "provisioners/ansible/roles/demo/tasks/main.yml"
SCRIPT = "provisioners/shell/50-demo.sh"
CONTROLS = "inspec/controls/demo.rb"
VALUES = "image.auto.pkrvars.hcl"
WORKFLOW = ".github/workflows/push-packer-build-ami.yml"
ACTION = ".github/actions/toolkit/action.yml"

SHORT_MODULE_NAME = """
- name: Link
  file:
    path: /x
    mode: "0644"
"""
UNCHECKED_CERTIFICATE = """
- name: Ask
  ansible.builtin.uri:
    url: https://example.com
    validate_certs: false
"""
# Of the right shape, and nobody's.
ACCESS_KEY = "export AWS_ACCESS_KEY_ID=" + "AKIA" + "Y3WJ2QH7LMNPR5TV" + "\n"


@pytest.fixture(scope="module")
def tree(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Return a render with the demo, which has a file of every kind."""
    answers = {"keep_demo": True, "start_git": False}
    destination = tmp_path_factory.mktemp("render") / "packer-ami-example"
    return read_tree(template_module.render(template, destination, answers))


def edited(path: str, old: str, new: str) -> Callable[[Tree], Tree]:
    """Return a defect: OLD, which must be there, becomes NEW."""

    def plant(tree: Tree) -> Tree:
        text = tree[path].content.decode()
        assert old in text
        return {**tree, path: tree[path]._replace(content=text.replace(old, new, 1).encode())}

    return plant


def appended(path: str, text: str) -> Callable[[Tree], Tree]:
    """Return a defect: TEXT at the end of a file."""

    def plant(tree: Tree) -> Tree:
        return {**tree, path: tree[path]._replace(content=tree[path].content + text.encode())}

    return plant


def added(path: str, text: str, *, executable: bool = False) -> Callable[[Tree], Tree]:
    """Return a defect: one more file."""

    def plant(tree: Tree) -> Tree:
        assert path not in tree
        return {**tree, path: File(text.encode(), executable)}

    return plant


def without(path: str) -> Callable[[Tree], Tree]:
    """Return a defect: a file that is not there."""

    def plant(tree: Tree) -> Tree:
        assert path in tree
        return {name: file for name, file in tree.items() if name != path}

    return plant


# check, what it says, what becomes what in the workflow
IN_THE_WORKFLOW = [
    ("workflow-schema", "timeout-minutes", "timeout-minutes: 20", "timeout-minutes: [x]"),
    ("actionlint", "undefined variable", "env.TRUSTED == 'true' ||", "trusted ||"),
    ("actionlint", 'property "plans"', "steps.plan.outputs.build }}", "steps.plans.outputs.x }}"),
    ("actionlint", "SC2086", '--run-id "$PKR_VAR_run_id"', "--run-id $PKR_VAR_run_id"),
    ("actionlint", 'label "mine" is unknown', 'runs-on: "ubuntu-24.04"', "runs-on: mine"),
    ("actionlint", 'input "secnods" is not defined', "seconds: ${{", "secnods: ${{"),
    ("zizmor", "template-injection", "run: task check", "run: echo ${{ github.head_ref }}"),
    ("zizmor", "unpinned-uses", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
    ("zizmor", "artipacked", "        with:\n          persist-credentials: false\n", ""),
    ("zizmor", "excessive-permissions", "permissions: {}", "permissions: write-all"),
    ("zizmor", "undocumented-permissions", "write # the issue about failed builds", "write"),
    ("zizmor", "concurrency-limits", "concurrency:", "x-concurrency:"),
]

# check, what it says, the defect
DEFECTS: list[tuple[str, str, Callable[[Tree], Tree]]] = [
    ("text", "Jinja is left: {%", appended("README.md", "{% if keep_demo %}\n")),
    ("text", "Jinja is left: {#", appended("README.md", "{# a remark #}\n")),
    ("text", "Jinja is left: {{ aws_region", appended("README.md", "{{ aws_region }}\n")),
    ("text", "Jinja is left: {{- _copier_conf", appended("README.md", "{{- _copier_conf.x }}\n")),
    ("text", "a name that should not", added("README.md.jinja", "x\n")),
    ("text", "an odd name", added("{{ image_name }}", "x\n")),
    ("text", "a placeholder is left: TODO", appended(TASKS, "# TODO later\n")),
    ("text", "a placeholder is left: example.invalid", appended("README.md", "example.invalid\n")),
    ("text", "carriage return", appended("README.md", "x\r\n")),
    ("text", "tab", appended("README.md", "\tx\n")),
    ("text", "blank at the end", appended("README.md", "x \n")),
    ("text", "no line break at the end", appended("README.md", "x")),
    ("text", "empty line at the beginning or the end", appended("README.md", "\n")),
    ("text", "two empty lines in a row", appended("README.md", "\n\nx\n")),
    ("text", "empty file", added("provisioners/ansible/empty", "")),
    ("text", "301 lines", added("long.md", "x\n" * 300)),
    ("text", "line 1: 121 columns", added("long.pkr.hcl", "# " + "x" * 119 + "\n")),
    ("text", "not UTF-8", lambda tree: {**tree, "latin.md": File("ä\n".encode("latin-1"))}),
    ("text", "scripts are", lambda tree: {**tree, SCRIPT: File(tree[SCRIPT].content)}),
    ("text", "scripts are", added("README", "x\n", executable=True)),
    ("text", "scripts are", added("run", "#!/bin/sh\ntrue\n", executable=True)),
    ("parse", VALUES, appended(VALUES, 'region = "a${"\n')),
    ("parse", "renovate.json", appended("renovate.json", "}\n")),
    ("parse", ".copier-answers.yml", appended(".copier-answers.yml", "a: b: c\n")),
    ("packer-fmt", VALUES, appended(VALUES, 'a = "b"\nlong = "c"\n')),
    ("shfmt", SCRIPT, appended(SCRIPT, "if true; then\n    true\nfi\n")),
    ("shellcheck", "SC2086", appended(SCRIPT, 'x="a b"\nls ${x}\n')),
    ("shellcheck", "SC2250", appended(SCRIPT, 'x="a b"\nls "$x"\n')),  # an optional one
    ("yamllint", "trailing-spaces", appended(TASKS, "# x \n")),
    ("yamllint", "key-duplicates", appended("inspec/inspec.yml", "name: again\n")),
    ("yamllint", "warning", appended("inspec/inspec.yml", "#no blank\n")),  # strict
    ("ruby", "syntax error", appended(CONTROLS, "control 'x' do\n")),
    ("ruby", "unused", appended(CONTROLS, "def x\n  unused = 1\nend\n")),
    ("rubocop", "Style/StringLiterals", appended(CONTROLS, '\ncontrol "x"\n')),
    ("taskfile", "Taskfile.yml", edited("Taskfile.yml", "cmds:", "commands:")),
    ("renovate", "renovate.json", edited("renovate.json", '"5 days"', "5")),
    *[(check, said, edited(WORKFLOW, old, new)) for check, said, old, new in IN_THE_WORKFLOW],
    ("workflow-schema", "using", edited(ACTION, "using: composite", "using: magic")),
    ("ansible-syntax", "nowhere.yml", edited(TASKS, "---\n", "---\n- import_tasks: nowhere.yml\n")),
    ("packer-validate", "must be a list of x86_64", edited(VALUES, '"x86_64"]', '"sed"]')),
    ("packer-validate", "Unsupported", appended("build.pkr.hcl", "locals {\n  x = var.none\n}\n")),
    ("packer-validate", "Undefined variable", appended(VALUES, 'none = "x"\n')),
    ("packer-validate", "playbook.yml", without("provisioners/ansible/playbook.yml")),
    ("ansible-lint", "fqcn", appended(TASKS, SHORT_MODULE_NAME)),
    ("ansible-lint", "name[casing]", edited(TASKS, "Write the page", "write the page")),
    ("checkov", "CKV_ANSIBLE_1", appended(TASKS, UNCHECKED_CERTIFICATE)),
    ("checkov", "CKV_SECRET_2", appended(SCRIPT, ACCESS_KEY)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "said", "plant"), DEFECTS, ids=[f"{check}-{said}" for check, said, _ in DEFECTS]
)
def test_planted_defect_is_found(
    tree: Tree, check: str, said: str, plant: Callable[[Tree], Tree]
) -> None:
    """And named, as a person would want to read it."""
    found = lint({"broken": plant(tree)}, [BY_NAME[check]])
    assert said in "".join(found["broken"])


@pytest.mark.parametrize("check", BY_NAME)
def test_nothing_is_found_without_a_defect(tree: Tree, check: str) -> None:
    """What the test above finds is the planted defect; and there is something to look at."""
    assert BY_NAME[check].paths(tree)
    assert lint({"sound": tree}, [BY_NAME[check]]) == {"sound": []}


def test_every_check_has_a_planted_defect() -> None:
    """A new check without one fails here."""
    assert {check for check, _, _ in DEFECTS} == set(BY_NAME)


def test_every_file_is_read_by_a_check_of_its_kind(tree: Tree) -> None:
    """Only prose and the settings of git and editors are left to `text` and `checkov` alone."""
    alone = set(tree)
    for check in CHECKS:
        if check.name not in {"text", "checkov"}:
            alone -= set(check.paths(tree))
    assert {path for path in alone if not path.endswith(".md")} == {
        ".editorconfig",
        ".gitattributes",
        ".gitignore",
        "toolkit.env",
    }
