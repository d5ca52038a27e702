"""Write docs/questions.md from the questions and their rules, so that they cannot differ.

uv run python docs/generate_questions.py          write the page
uv run python docs/generate_questions.py --check  exit with 1 if the page is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "questions.md"

# Defaults that depend on the name of the folder are shown for this one.
FOLDER = "packer-ami-web-server"

HEAD = """\
<!-- Written by docs/generate_questions.py from copier.yml and includes/; edit those instead. -->

# Questions

`copier copy` asks these {count} questions, in this order.
Each one has a working default, so you can always press Enter.
Without a terminal, pass answers as `--data QUESTION=ANSWER` or as a YAML file with `--data-file`, and use `--defaults` for the rest.
[Bad input](bad-input.md) explains what happens when an answer is not accepted.
The answers are recorded in `.copier-answers.yml`; to change one later, run `task template-update -- --data QUESTION=ANSWER`.

The defaults below are those for a folder named `packer-ami-web-server`.
"""  # noqa: E501, one sentence is one line

BASE_IMAGES = """\
## Base images

The base image of each choice of `parent_image` and `parent_os`.
The owner is the publisher's account; images of other owners are never used.
Each build uses the newest image whose name matches.
Amazon Linux 2023 is pinned to one kernel version, and Red Hat Enterprise Linux to one minor version, because their publishers release several in parallel.
When a release of the template moves to a newer one, its changelog has a line about it; a team can move earlier by setting `source_ami_names` in `image.auto.pkrvars.hcl`.

| Image | Owner | Name | Login user | Root device | Container image of local builds |
| --- | --- | --- | --- | --- | --- |
"""  # noqa: E501, one sentence is one line

PAIRS = """\
## Partitions

Only the standard partition of AWS, `aws`, is supported.
A rendered repository does not work in China, GovCloud, the European Sovereign Cloud or the isolated partitions, where base images have other owners, and ARNs, registries and the audience of OIDC tokens are different.
Regions, ARNs and registries of these partitions are refused in answers, in `*.auto.pkrvars.hcl` files and by the commands of packer-toolkit.
A repository of 1.x in such a partition [stays at its release](updating.md#other-partitions).

## Answers that must fit each other

These combinations are refused, because a build with them cannot succeed:

| Answers | Reason |
| --- | --- |
| `image_consumers` without a customer managed `aws_kms_key` | images that the account's default key encrypts cannot be shared |
| `aws_copy_regions` with the ID or the ARN of a single-region key | each region needs a key: use an alias or a multi-Region key. `aws_region` in the list does not count as a copy |
| `aws_kms_key` with an ARN in another region than `aws_region` | EC2 can use only keys of the same region |
| `parent_name` that contains one architecture, and another one in `image_architectures` | the filter finds no image for it |
| `parent_name` without a wildcard, and two `image_architectures` | it matches a single image, which is for one architecture |
| `parent_owner`, `parent_name` or `parent_os` without `parent_image=own` | they would be ignored |
| `personal_role_variable` with a name that programs read, such as `PATH` or `AWS_PROFILE` | the role would replace the value that they need |

These are not refused, because they work in some environments:

| Answers | When they work, and what to check |
| --- | --- |
| `aws_kms_key` with an ARN in another account than `aws_management_account` | works if a central account owns the keys and the key policy allows the build role |
| `aws_build_role` or `aws_release_role` in another account than `aws_management_account` | works if tests and releases are built in separate accounts; on a laptop, `task doctor` compares the accounts |
| `toolkit_image` in an ECR registry of another region or account | works if the repository policy allows the role; the login uses the region in the hostname |
| `github_host` of an Enterprise Server, with roles | works if the server is registered in AWS as an OIDC provider, and AWS can reach it |
| `github_host` of an Enterprise Server, with the label of a github.com runner | works if one of your own runners has that label |
| `parent_name` that matches the images of this repository | packer-toolkit skips them; plain `packer build` does not, so use a narrower name |
| `parent_os` that differs from what `parent_name` suggests | the name has no effect; the login user and the root device are those of `parent_os` |
| `image_architectures` without their instance types in the region | set `instance_types` in `image.auto.pkrvars.hcl` |
"""  # noqa: E501, one sentence is one line


def create_environment() -> Environment:
    """Create a Jinja environment that loads the template's files in the same way as Copier."""
    # The output is Markdown, not HTML.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        undefined=StrictUndefined,
    )


def find_sections(text: str) -> dict[str, str]:
    """Return the section title of each question of copier.yml, as its banner comments have it."""
    titles = {}
    title = ""
    for line in text.splitlines():
        if banner := re.match(r"# --- (.+?) -+\Z", line):
            title = banner[1]
        elif key := re.match(r"([a-z]\w*):\Z", line):
            titles[key[1]] = title
    return titles


def describe_type(question: dict[str, Any]) -> str:
    """Describe a question's type in words."""
    if question["type"] == "bool":
        return "yes or no"
    if question.get("multiselect"):
        return "a list of the choices"
    return "one of the choices" if "choices" in question else "string"


def describe_default(source: Any, value: Any) -> str:
    """Describe a question's default in Markdown: its value, and the answers that it depends on."""
    shown = f"`{value}`" if value != "" else "empty"
    if not isinstance(source, str):
        return f"`{value}`".lower()
    if "_folder_name" in source:
        return f"{shown}, from the folder's name"
    if other := re.search(r"\{% if (\w+) %\}(.+?)\{%", source):
        return f"{shown}; `{other[2]}` when `{other[1]}` is not empty"
    names = [f"`{name}`" for name in re.findall(r"\{\{ (\w+) \}\}", source)]
    return f"{shown}, from {' and '.join(names)}" if names else shown


def get_condition(question: dict[str, Any]) -> tuple[str, str] | None:
    """Return the question and the answer that this question depends on, or None."""
    match = re.search(r"\{\{ (\w+) == '(\w+)'", str(question.get("when", "")))
    return (match[1], match[2]) if match else None


def format_example(name: str, question: dict[str, Any], rule: str) -> str:
    """Format an example answer as a command-line option."""
    if "choices" in question and not question.get("multiselect"):
        value = list(question["choices"].values())[1]
    elif question["type"] == "bool":
        value = "true"
    else:
        value = rule.rpartition("; e.g. ")[2]
    condition = get_condition(question)
    first = f"--data {condition[0]}={condition[1]} " if condition else ""
    return f"`{first}--data '{name}={value}'`"


def render_page() -> str:
    """Render the page."""
    text = (ROOT / "copier.yml").read_text()
    questions = {k: v for k, v in yaml.safe_load(text).items() if not k.startswith("_")}
    jinja = create_environment()
    rules: Any = jinja.get_template("includes/rules.jinja").module
    images: Any = jinja.get_template("includes/base_images.jinja").module
    titles = find_sections(text)
    answers: dict[str, Any] = {}
    parts = [HEAD.format(count=len(questions))]
    title = ""
    for name, question in questions.items():
        if titles[name] != title:
            title = titles[name]
            parts.append(f"## {title}\n")
        source = value = question["default"]
        if isinstance(source, str):
            value = jinja.from_string(source).render(**answers, _folder_name=FOLDER)
        answers[name] = value
        rule = rules.accepted[name]
        condition = get_condition(question)
        asked = f"only if `{condition[0]}` is `{condition[1]}`" if condition else "always"
        rows = [
            ("Type", describe_type(question)),
            ("Default", describe_default(source, value)),
            ("Accepted", rule.partition("; e.g. ")[0]),
            ("Example", format_example(name, question, rule)),
            ("Asked", asked),
        ]
        if "choices" in question:
            choices = "; ".join(f"`{v}`: {k}" for k, v in question["choices"].items())
            rows.insert(1, ("Choices", choices))
        help_text = " ".join(question["help"].split())
        sentences = re.sub(r"(?<=[.?]) (?=[A-Z])", "\n", help_text)
        table = "".join(f"| {key} | {value.replace('|', chr(92) + '|')} |\n" for key, value in rows)
        parts.append(f"### {name}\n\n{sentences}\n\n| | |\n| --- | --- |\n{table}")
    table = "".join(
        "| {title} | {owner} | {names} | {ssh_user} | `{root_device}` | `{local_image}` |\n".format(
            names=", ".join(f"`{name}`" for name in image["name"].values()), **image
        )
        for image in images.base_images.values()
    )
    parts.append(BASE_IMAGES + table)
    parts.append(PAIRS)
    return "\n".join(parts)


def main() -> int:
    """Write or check the page, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="compare only, do not write")
    check = parser.parse_args().check
    page = render_page()
    if not check:
        PAGE.write_text(page)
    elif not PAGE.is_file() or PAGE.read_text() != page:
        sys.stderr.write(
            f"{PAGE.name} is not up to date; run: uv run python docs/{Path(__file__).name}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
