"""Whatever text is given, it is refused in one line, or arrives exactly and changes nothing else.

What is drawn goes through the template's own macros and files and through real Packer, without the
rest of Copier; the worst of it goes through all of Copier and `packer validate` as well.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings, strategies as st

from rig.host.tools import Packer
from rig.lint.checks import CHECKS
from rig.lint.runner import lint, read_tree
from rig.repositories import template as template_module
from rig.repositories.template_rules import environment, macros, rules

# What has a meaning to HCL, Go's templates, Jinja, YAML, shells, Markdown or terminals.
SIGNS = [
    *[
        '"',
        "'",
        "\\",
        "\\\\",
        "`",
        "${",
        "$${",
        "%{",
        "%%{",
        "}",
        "~}",
        "\\u0024{",
        '${env("HOME")}',
    ],
    *["{{", "}}", "{{-", "-}}", "{{`", "`}}", "{{ . }}", "{{ build `ID` }}", "{{ env `HOME` }}"],
    *["{%", "%}", "{#", "#}", "{% endraw %}", "{{ image_name }}"],
    *["\n", "\r\n", "\t", "\0", "\x0c", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff"],
    *["\u202e", "\u2066", "\u061c", "\u200d", "\ud800", "\udfff", "\ufffe", "\U0010ffff"],
    *["🚀", "👩\u200d👩\u200d👧", "\u00e9", "e\u0301", "\ufb01"],
    *[": ", " #", "- ", "*x", "&x", "!tag", "!!int 1", "|", ">", "%", "@", "? ", "[", "]", ","],
    *["---", "...", "null", "~", "no", "yes", "1e3", "0x1f", "017", "012345678901", "1_000", "<<"],
    *["12:30:45", "2026-01-01", ".inf", "$(id)", "; rm -rf /", "&&", "$HOME", "../", "/", "//"],
    *["<!--", "<script>", "&lt;", "# ", "1. ", "```", "|---|", "[a]: b", " ", "  "],
]

# One good value each, into which signs are put.
GOOD = {
    "image_name": "web-server",
    "image_description": "Web server of the shop",
    "parent_owner": "111122223333",
    "parent_name": "CIS-AMZN2-2023*",
    "aws_management_account": "111122223333",
    "aws_region": "eu-central-1",
    "aws_copy_regions": "eu-west-1, us-east-1",
    "image_consumers": "111122223333,"
    " arn:aws:organizations::111122223333:organization/o-exampleorgid",
    "aws_kms_key": "alias/packer-ami",
    "github_host": "github.example.com:8443",
    "github_organization": "my-organization",
    "github_runner": "self-hosted, linux",
    "aws_build_role": "arn:aws:iam::111122223333:role/packer-ami-builder",
    "aws_release_role": "arn:aws:iam::111122223333:role/packer-ami-releaser",
    "toolkit_image": "reg.example.com:5000/team/packer-toolkit",
    "personal_role_variable": "SOL_CET_USER_ROLE",
}

# Where an answer ends up in image.auto.pkrvars.hcl; a comma makes a list of it.
VALUES_OF = {
    "image_name": ["image_name"],
    "image_description": ["image_description"],
    "parent_owner": ["source_ami_owners"],
    "parent_name": ["source_ami_names"],
    "aws_region": ["region"],
    "aws_copy_regions": ["copy_regions"],
    "image_consumers": ["ami_users", "ami_org_arns", "ami_ou_arns"],
    "aws_kms_key": ["kms_key_id"],
}

ANY_TEXT = st.text(max_size=40) | st.lists(st.sampled_from(SIGNS), max_size=6).map("".join)
UNICODE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\b\f"), max_size=40)


def hostile(question: str) -> st.SearchStrategy[str]:
    """Draw signs and texts, alone and inside a good value, and long ones."""
    good = GOOD[question]
    cut = st.integers(0, len(good))
    inside = st.tuples(cut, cut, ANY_TEXT).map(
        lambda t: good[: min(t[:2])] + t[2] + good[max(t[:2]) :]
    )
    long = st.tuples(st.sampled_from([*SIGNS, *good, good]), st.sampled_from([60, 255, 256, 4096]))
    return ANY_TEXT | inside | st.sampled_from(SIGNS) | long.map(lambda t: (t[0] * t[1])[: t[1]])


def composed(value: Any) -> Any:
    """Return a value as Packer holds it: its strings are normalised to NFC (cty.StringVal)."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    return [composed(item) for item in value]


class Files:
    """The files of a render that hold free texts."""

    NAMES = ("image.auto.pkrvars.hcl", "README.md", "inspec/inspec.yml")

    def __init__(self, answers: Mapping[str, Any]) -> None:
        """Read the templates; ANSWERS are those of a render with the defaults."""
        self.answers = {**answers, "parent_image": "own"}
        for question in GOOD:
            self.answers.setdefault(question, GOOD[question])
        self.answers["parent_os"] = "debian-12"

    def why_not(self, question: str, value: str) -> str:
        """Return what the question's validator says to a value."""
        macro = getattr(rules(), question)
        return str(macro(value, "", "") if question == "aws_kms_key" else macro(value))

    def render(self, **answers: str) -> dict[str, str]:
        """Return the files by name, and the answers file under the name `answers`."""
        full = {**self.answers, **answers}
        files = {
            name: environment().get_template(f"template/{name}.jinja").render(**full)
            for name in self.NAMES
        }
        name = "template/{{ _copier_conf.answers_file }}.jinja"
        files["answers"] = environment().get_template(name).render(_copier_answers=full, **full)
        return files


@pytest.fixture(scope="module")
def files(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return the files with free texts, and check that they are rendered as Copier does."""
    destination = tmp_path_factory.mktemp("default") / "packer-ami-example"
    given_answers = {"parent_image": "own", "parent_os": "debian-12", "parent_owner": "self"}
    template_module.render(template, destination, {**given_answers, "start_git": False})
    recorded = yaml.safe_load((destination / ".copier-answers.yml").read_text())
    made = Files(recorded)
    for name, text in made.render().items():
        path = ".copier-answers.yml" if name == "answers" else name
        if name != "answers":
            assert text == (destination / path).read_text()
    return made


def values(text: str) -> dict[str, Any]:
    """Return the values of a file of Packer variables; each literal is decoded."""

    def decoded(value: Any) -> Any:
        if isinstance(value, list):
            return [decoded(item) for item in value]
        if isinstance(value, dict):
            return {name: decoded(item) for name, item in value.items() if name[:2] != "__"}
        assert "${" not in value
        assert "%{" not in value
        return json.loads(value)

    return {
        name: decoded(value)
        for name, value in hcl2.load(io.StringIO(text)).items()
        if name[:2] != "__"
    }


def console(packer: Packer, folder: Path, expression: str) -> Any:
    """Return the value that Packer gives to an expression in a folder."""
    result = subprocess.run(
        [packer.path, "console", folder],
        input=f"jsonencode({expression})\n",
        env={**os.environ, **packer.env},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


@given(
    texts=st.lists(UNICODE | st.lists(st.sampled_from(SIGNS), max_size=6).map("".join), max_size=30)
)
@example(texts=['a"b', "${x}", "$${x}", "%%{x}", "\\${", "$", "%", "x" * 4096, "\0", "e\u0301"])
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_packer_reads_any_text_as_it_was_written(
    packer: Packer, tmp_path: Path, texts: list[str]
) -> None:
    """Also texts that no question accepts: the literal alone keeps Packer's languages out.

    But for half a surrogate pair, which is no text, and two escapes that HCL does not have.
    """
    assume(not any(re.search("[\\b\f\ud800-\udfff]", text) for text in texts))
    literals = macros("hcl").strings(texts)
    (tmp_path / "texts.pkr.hcl").write_text('variable "texts" {\n  type = list(string)\n}\n')
    (tmp_path / "texts.auto.pkrvars.hcl").write_text(f"texts = {literals}\n", newline="")
    assert console(packer, tmp_path, "var.texts") == composed(texts)


@pytest.mark.parametrize("question", GOOD)
def test_text_is_refused_or_arrives(files: Files, question: str) -> None:
    """And all that is not this answer stays as it was with a harmless one."""
    harmless = files.render(**{question: GOOD[question]})
    seen = {"refused": 0, "accepted": 0}

    @given(value=hostile(question))
    @example(value=GOOD[question])
    @example(value=GOOD[question] + "\n")  # what `$` in a pattern lets pass
    @example(value="\n" + GOOD[question])
    @example(value=GOOD[question] + "\u2028x")
    @example(value=" " + GOOD[question] + " ")
    @settings(deadline=None, max_examples=150, database=None)
    def check(value: str) -> None:
        refusal = files.why_not(question, value)
        seen["refused" if refusal else "accepted"] += 1
        if refusal:
            # The value is not in it: it may hold anything, a terminal's control codes too.
            assert re.fullmatch(r"[ -~]{5,45}", refusal)
        else:
            assert_arrived(question, value, files.render(**{question: value}), harmless)

    check()
    assert seen["refused"] >= 20
    assert seen["accepted"] >= 2


def assert_arrived(
    question: str, value: str, rendered: Mapping[str, str], harmless: Mapping[str, str]
) -> None:
    """Compare the files of an answer with those of a harmless one."""
    assert yaml.safe_load(rendered["answers"]) == {
        **yaml.safe_load(harmless["answers"]),
        question: value,
    }
    found, before = (values(text["image.auto.pkrvars.hcl"]) for text in (rendered, harmless))
    for name in VALUES_OF.get(question, []):
        if question not in ("aws_copy_regions", "image_consumers"):
            shape = {
                "source_ami_owners": [value],
                "source_ami_names": dict.fromkeys(before.get("source_ami_names", ()), value),
            }
            assert found[name] == shape.get(name, value)
        before[name] = found[name]
    if question == "image_consumers":
        kept = {item for name in VALUES_OF[question] for item in found[name]}
        assert kept == {item.strip() for item in value.split(",")} - {""}
    if question == "aws_copy_regions":
        assert found["copy_regions"] == [
            item.strip() for item in value.split(",") if item.strip() not in ("", "eu-central-1")
        ]
    assert found == before

    profile, profile_before = (
        yaml.safe_load(text["inspec/inspec.yml"]) for text in (rendered, harmless)
    )
    expected = {
        "image_name": {"name": f"packer-ami-{value}", "title": f"Tests of the image {value}"},
        "github_organization": {"copyright": value, "maintainer": value},
    }
    assert profile == {**profile_before, **expected.get(question, {})}

    for name, text in rendered.items():
        assert "\r" not in text
        if name == "answers" or question in ("image_consumers",):
            continue
        assert len(text.splitlines()) == len(harmless[name].splitlines()), name
        assert len(text.split("\n")) == len(harmless[name].split("\n")), name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Web server (v2) of the shop's R&D, 3 < 4", "Web server (v2) of the shop's R&D, 3 < 4"),
        ("2nd web server", "2nd web server"),
        ("<!-- hides the rest", "&lt;!-- hides the rest"),
        ("a <script> or </div>", "a &lt;script> or &lt;/div>"),
        ("&lt;b>", "&amp;lt;b>"),
        ("# heading", "\\# heading"),
        ("- item", "\\- item"),
        ("--- rule", "\\--- rule"),
        ("1. item", "1\\. item"),
        ("```sh", "\\```sh"),
        ("[a]: https://example.com", "\\[a]: https://example.com"),
    ],
)
def test_description_stays_a_sentence_of_the_readme(text: str, shown: str) -> None:
    """No heading, list, code block or comment comes of it; ordinary text is left as it is."""
    assert str(macros("markdown").paragraph(text)) == shown


# Each went wrong once, or is what this kind of template goes wrong with.
WORST = {
    "quotes": "He said \"hi\" and 'ho', `so`",
    "backslashes": 'C:\\new\\temp \\" \\\\',
    "hcl": "${path.root} $${x} %{if true}y%{endif} %%{z} ~} }",
    "hcl-escaped": "\\u0024{x} $$${y}",
    "go-template": "{{ timestamp }} {{- isotime -}} }} {{ build `ID` }} {{{x}}}",
    "go-template-raw": "{{`{{`}} {{ `x` }} `}}",
    "go-template-open": "{{",
    "jinja": "{% if x %}{{ image_name }}{# c #}{% endraw %}",
    "jinja-close": "#} %} }} -%}",
    "yaml-key": "a: b # c",
    "yaml-list": "- a",
    "yaml-alias": "*a &b !!int 1",
    "yaml-null": "null",
    "yaml-bool": "no",
    "yaml-float": "1e3",
    "yaml-octal": "012345678901",
    "yaml-date": "2026-01-01",
    "yaml-document": "--- ...",
    "shell": "$(id) `id`; rm -rf / && $HOME",
    "markdown": "<!-- | a | b |",
    "emoji": "🚀👩\u200d👩\u200d👧 ﬁ",
    "nfd": "e\u0301a\u0308",
    "long": "ä" * 255,
    "long-words": "word " * 50 + "words",
    "slashes": "../../etc/passwd",
}


@pytest.mark.parametrize("text", WORST.values(), ids=WORST)
def test_worst_description_arrives_in_packer(
    template: Path, packer: Packer, tmp_path: Path, text: str
) -> None:
    """Through all of Copier and of Packer: value, tag and AMI description, with no finding."""
    repository = tmp_path / "packer-ami-example"
    answers = {"image_description": text, "start_git": False, "image_architectures": ["x86_64"]}
    template_module.render(template, repository, answers)
    recorded = yaml.safe_load((repository / ".copier-answers.yml").read_text())
    assert recorded["image_description"] == text
    assert console(packer, repository, "var.image_description") == composed(text)

    # Packer reads tags twice as its own templates: the template keeps the opening sign from it.
    shown = re.sub(r"\{(?=\{)", "{ ", composed(text))
    tag = console(packer, repository, "local.image_tags.Description")
    read_once = written_by_packer(packer, tmp_path / "once", tag)
    assert read_once == written_by_packer(packer, tmp_path / "twice", read_once) == shown
    # `text` looks for what is left of Jinja, which some of these are made of.
    checks = [check for check in CHECKS if check.name in CHECKED_HERE]
    assert lint({"it": read_tree(repository)}, checks) == {"it": []}


CHECKED_HERE = {"parse", "packer-fmt", "yamllint", "packer-validate"}


def written_by_packer(packer: Packer, folder: Path, value: str) -> str:
    """Return what a value comes to in a field of a source, where Packer reads {{ as a template."""
    folder.mkdir()
    (folder / "file.pkr.hcl").write_text(
        'variable "value" {\n  type = string\n}\n'
        'source "file" "it" {\n  content = var.value\n  target  = "${path.root}/out"\n}\n'
        'build {\n  sources = ["source.file.it"]\n}\n'
    )
    (folder / "value.auto.pkrvars.json").write_text(json.dumps({"value": value}))
    packer.run("build", folder, cwd=folder)
    return (folder / "out").read_text()


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("image_description", "reversed \u202e and \u061c"),
        ("image_description", "\x1b[31mred\x07"),
        ("image_description", "half \ud800 a pair"),
        ("aws_build_role", "arn:aws:iam::111122223333:role/{{ x }}"),
        ("aws_release_role", "arn:aws:iam::111122223333:role/${{ github.token }}"),
        ("github_runner", "${x}\n- `id`"),
    ],
)
def test_refused_text_costs_one_line(
    template: Path, tmp_path: Path, question: str, text: str
) -> None:
    """Copier refuses the text with one line that has the reason and a valid value.

    The other refusals are in tests/template/test_bad_answers.py; these could harm a terminal.
    """
    destination = tmp_path / "packer-ami-example"
    data = tmp_path / "data.yml"
    data.write_text(json.dumps({question: text}))
    command = [sys.executable, "-m", "copier", "copy", "--trust", "--defaults"]
    result = subprocess.run(
        [*command, f"--data-file={data}", template, destination], capture_output=True, check=False
    )
    assert result.returncode == 1
    message = result.stderr.decode().removesuffix("\n")
    assert message.isprintable()
    assert question in message
    assert "; e.g. " in message
    assert not destination.exists()
