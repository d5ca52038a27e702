"""Write docs/questions.md from the questions and their rules: the page is never behind them.

uv run python docs/generate_questions.py          write the page
uv run python docs/generate_questions.py --check  exit with 1 when it is not up to date
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

# Defaults that are made from the folder's name are shown for this one.
FOLDER = "packer-ami-web-server"

HEAD = """\
<!-- Written by docs/generate_questions.py from copier.yml and includes/; edit those instead. -->

# Questions

`copier copy` asks these {count} questions, in this order.
Each has a default that works, so Enter is always an answer.
Without a terminal, give answers as `--data QUESTION=ANSWER` or as YAML with `--data-file`, and `--defaults` for the rest.
What happens to an answer that is not accepted stands in [Bad input](bad-input.md).
The answers are recorded in `.copier-answers.yml`, and `task template-update -- --data QUESTION=ANSWER` changes one later.

The defaults below are those for a folder called `packer-ami-web-server`.
"""  # noqa: E501, one sentence is one line

BASE_IMAGES = """\
## Base images

What each choice of `parent_image` or `parent_os` stands for.
The owner is the publisher's account, and images of nobody else are taken.
Each build takes the newest image whose name matches.
Amazon Linux 2023 stays on one kernel line, and Red Hat Enterprise Linux on one minor version, because their publishers release several of them side by side.
A release of the template that moves to a newer one has a line in its changelog; a team can move earlier, with `source_ami_names` in `image.auto.pkrvars.hcl`.

| Image | Owner | Name | Login user | Root device | Container of local builds |
| --- | --- | --- | --- | --- | --- |
"""  # noqa: E501, one sentence is one line

PAIRS = """\
## Partitions

Only the standard partition of AWS, `aws`, is supported.
In China, GovCloud, the European Sovereign Cloud and the isolated partitions, the base images have other owners and ARNs, registries and the audience of OIDC tokens are different, so that nothing of a rendered repository works there.
Regions, ARNs and registries of these partitions are refused, in answers, in `*.auto.pkrvars.hcl` files and by the commands of packer-toolkit.
A repository of 1.x in such a partition [stays at its release](updating.md#other-partitions).

## Answers that must fit each other

These pairs are refused, because a build with them cannot succeed:

| Answers | Reason |
| --- | --- |
| `image_consumers` without a customer-managed `aws_kms_key` | images of the account's default key cannot be shared |
| `aws_copy_regions` with the ID or the ARN of a key of one region | each region needs a key: use an alias, or a multi-region key. `aws_region` among them is not a copy |
| `aws_kms_key` with an ARN of another region than `aws_region` | EC2 encrypts with keys of its own region |
| `parent_name` with one processor in it, and another one in `image_architectures` | the filter finds no image for it |
| `parent_name` without a wildcard, and two `image_architectures` | it names one image, which is for one processor |
| `parent_owner`, `parent_name` or `parent_os` without `parent_image=own` | they would be ignored |
| `personal_role_variable` with a name that programs read, such as `PATH` or `AWS_PROFILE` | the role would replace what they need |

These are not refused, because they work in some environments:

| Answers | When it works, and what to check otherwise |
| --- | --- |
| `aws_kms_key` with an ARN of another account than `aws_management_account` | a central account owns the keys, and the key's policy admits the role of the build |
| `aws_build_role` or `aws_release_role` in another account than `aws_management_account` | tests and releases are built in accounts of their own; `task doctor` compares the account of a laptop |
| `toolkit_image` in an ECR of another region or account | the login uses the region in the host's name; the repository's policy must admit the role |
| `github_host` of an Enterprise Server, with roles | the server's OIDC provider is known to AWS, and AWS can reach it |
| `github_host` of an Enterprise Server, with the label of a runner of github.com | a runner of your own has that label |
| `parent_name` that matches the images of this repository itself | packer-toolkit skips them; plain `packer build` does not, so use a narrower name |
| `parent_os` that is not what `parent_name` suggests | the name decides nothing; the login user and the root device are those of `parent_os` |
| `image_architectures` whose instance types the region lacks | set `instance_types` in `image.auto.pkrvars.hcl` |
"""  # noqa: E501, one sentence is one line


def environment() -> Environment:
    """Return a Jinja environment that reads the template's own files as Copier does."""
    # A generator of Markdown: nothing here is shown as HTML.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
        undefined=StrictUndefined,
    )


def sections(text: str) -> dict[str, str]:
    """Return the section's title for each question of copier.yml, from its banners."""
    found = {}
    title = ""
    for line in text.splitlines():
        if banner := re.match(r"# --- (.+?) -+\Z", line):
            title = banner[1]
        elif key := re.match(r"([a-z]\w*):\Z", line):
            found[key[1]] = title
    return found


def kind(question: dict[str, Any]) -> str:
    """Return a question's type in words."""
    if question["type"] == "bool":
        return "yes or no"
    if question.get("multiselect"):
        return "a list of the choices"
    return "one of the choices" if "choices" in question else "text"


def default_in_words(source: Any, value: Any) -> str:
    """Return a question's default in Markdown: as it is written, and as it comes out."""
    shown = f"`{value}`" if value != "" else "empty"
    if not isinstance(source, str):
        return f"`{value}`".lower()
    if "_folder_name" in source:
        return f"{shown}, from the folder's name"
    if other := re.search(r"\{% if (\w+) %\}(.+?)\{%", source):
        return f"{shown}; `{other[2]}` when `{other[1]}` is not empty"
    names = [f"`{name}`" for name in re.findall(r"\{\{ (\w+) \}\}", source)]
    return f"{shown}, from {' and '.join(names)}" if names else shown


def condition_of(question: dict[str, Any]) -> tuple[str, str] | None:
    """Return which answer to which question makes this one asked; None when it always is."""
    found = re.search(r"\{\{ (\w+) == '(\w+)'", str(question.get("when", "")))
    return (found[1], found[2]) if found else None


def example_of(name: str, question: dict[str, Any], rule: str) -> str:
    """Return an answer as an option of the command line."""
    if "choices" in question and not question.get("multiselect"):
        value = list(question["choices"].values())[1]
    elif question["type"] == "bool":
        value = "true"
    else:
        value = rule.rpartition("; such as ")[2]
    needed = condition_of(question)
    first = f"--data {needed[0]}={needed[1]} " if needed else ""
    return f"`{first}--data '{name}={value}'`"


def page() -> str:
    """Return the page."""
    text = (ROOT / "copier.yml").read_text()
    questions = {k: v for k, v in yaml.safe_load(text).items() if not k.startswith("_")}
    jinja = environment()
    rules: Any = jinja.get_template("includes/rules.jinja").module
    images: Any = jinja.get_template("includes/base_images.jinja").module
    titles = sections(text)
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
        needed = condition_of(question)
        rows = [
            ("Type", kind(question)),
            ("Default", default_in_words(source, value)),
            ("Accepted", rule.partition("; such as ")[0]),
            ("Example", example_of(name, question, rule)),
            ("Asked", f"only when `{needed[0]}` is `{needed[1]}`" if needed else "always"),
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
    """Write the page, or check it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    wanted = page()
    if not check:
        PAGE.write_text(wanted)
    elif not PAGE.is_file() or PAGE.read_text() != wanted:
        sys.stderr.write(
            f"{PAGE.name} is not up to date; run: uv run python docs/{Path(__file__).name}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
