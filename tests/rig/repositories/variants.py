"""The variants of the template: every pair of answers is in one of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import copier
from allpairspy import AllPairs  # type: ignore[import-untyped]  # it carries no types
from plumbum import local

from rig.lint.runner import File, read_tree
from rig.repositories.template import ROOT, hand_over_environment

# Where teams get the template from: it is recorded in each render, and must not differ from run to
# run, as the folder of a test does.
HOME = "https://github.com/globex/template-packer-ami.git"

# The question is left to its default, or not asked.
DEFAULT: Any = None

# Two questions, each with its answer as Python writes it.
Pair = tuple[tuple[str, str], tuple[str, str]]

_BASES = [
    "amazon-linux-2023",
    "ubuntu-26.04",
    "ubuntu-24.04",
    "debian-13",
    "debian-12",
    "rhel-10",
    "rhel-9",
    "amazon-linux-2",
]
_ACCOUNT = "012345678901"  # YAML would make an octal number of it
_ORGANISATION = "arn:aws:organizations::111122223333:organization/o-exampleorgid"
_UNIT = "arn:aws:organizations::111122223333:ou/o-exampleorgid/ou-ab12-cdefghi3"
_KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
_KEY_OF_ONE_REGION = f"arn:aws:kms:eu-central-1:111122223333:key/{_KEY_ID}"

VALUES: dict[str, list[Any]] = {
    "parent_image": [*_BASES, "own"],
    "parent_os": [DEFAULT, *_BASES],
    "parent_owner": [DEFAULT, _ACCOUNT],
    "parent_name": [DEFAULT, "CIS-AMZN2-2023*", "team's [base] (v1)/x_y@z.?-*"],
    "image_name": [DEFAULT, "a1", "web-" + "-".join(["server7"] * 7)],
    "image_description": [
        DEFAULT,
        'The shop\'s "web" server: 100 % of ${it}, %{if} C:\\new → Größe 🚀',
        "- no: # 'all' & *that* | [is, said]",
        "word " * 50 + "words",
    ],
    "image_architectures": [["x86_64"], ["arm64"], ["x86_64", "arm64"]],
    "aws_management_account": [DEFAULT, _ACCOUNT],
    "aws_region": [DEFAULT, "us-west-2", "ap-southeast-5"],
    "aws_copy_regions": [DEFAULT, "eu-west-1", "eu-central-1, us-east-1,us-west-2"],
    "image_consumers": [
        DEFAULT,
        _ACCOUNT,
        _ORGANISATION,
        _UNIT,
        f"222233334444, {_ACCOUNT},{_ORGANISATION}, {_UNIT}",
    ],
    "aws_kms_key": [
        DEFAULT,
        "alias/team/image_key-1",
        _KEY_ID,
        _KEY_OF_ONE_REGION,
        "mrk-0123456789abcdef0123456789abcdef",
    ],
    "github_host": [DEFAULT, "github.globex.example", "ghes.intern.example:8443"],
    "github_organization": [DEFAULT, "no", "Acme-2"],
    "github_runner": [DEFAULT, "self-hosted", "self-hosted, linux,ARM64"],
    "aws_build_role": [DEFAULT, f"arn:aws:iam::{_ACCOUNT}:role/a/path/Build+er=,.@_-"],
    "aws_release_role": [DEFAULT, f"arn:aws:iam::{_ACCOUNT}:role/packer-ami-releaser"],
    "toolkit_image": [DEFAULT, "ghcr.io/acme/packer-toolkit", "reg.example:5000/a/b__c/tool"],
    "personal_role_variable": [DEFAULT, "MY_ROLE_2"],
    "keep_demo": [False, True],
    "start_git": [False, True],
}


def allowed(answers: Mapping[str, Any]) -> bool:
    """Tell whether answers, which need not be complete, can be given together."""
    own = answers.get("parent_image", "own") == "own"
    asked_of_own = ("parent_os", "parent_owner", "parent_name")
    if not own and any(answers.get(name, DEFAULT) is not DEFAULT for name in asked_of_own):
        return False
    # The default of aws_region is the region of this key.
    elsewhere = answers.get("aws_region", DEFAULT) is not DEFAULT
    if elsewhere and answers.get("aws_kms_key") == _KEY_OF_ONE_REGION:
        return False
    # A key that exists in one region encrypts no copy in another.
    copied = answers.get("aws_copy_regions", DEFAULT) is not DEFAULT
    return not (copied and answers.get("aws_kms_key") in (_KEY_ID, _KEY_OF_ONE_REGION))


def pairs(answers: Mapping[str, Any]) -> set[Pair]:
    """Return the pairs of answers of a variant."""
    full = [(name, repr(answers.get(name, DEFAULT))) for name in VALUES]
    return set(combinations(full, 2))


def all_pairs() -> set[Pair]:
    """Return every pair of answers that can be given together."""
    return {
        ((one, repr(a)), (other, repr(b)))
        for one, other in combinations(VALUES, 2)
        for a in VALUES[one]
        for b in VALUES[other]
        if allowed({one: a, other: b})
    }


@functools.cache
def variants() -> Mapping[str, Mapping[str, Any]]:
    """Return answers by the variant's name; questions that are left to their default are absent."""
    names = list(VALUES)
    pairwise = AllPairs(
        list(VALUES.values()), filter_func=lambda row: allowed(dict(zip(names, row, strict=False)))
    )
    rows = [dict(zip(names, row, strict=True)) for row in pairwise]
    # It gives up on pairs when answers exclude each other: those are packed into rows of our own.
    missing = sorted(all_pairs().difference(*map(pairs, rows)))
    while missing:
        row = _packed(missing)
        rows.append(row)
        missing = [pair for pair in missing if pair not in pairs(row)]
    return {
        f"{number:02}-{row['parent_image']}": {
            name: value for name, value in row.items() if value is not DEFAULT
        }
        for number, row in enumerate(rows, 1)
    }


def _packed(wanted: Sequence[Pair]) -> dict[str, Any]:
    """Return complete answers with the first of the wanted pairs, and what fits of the others."""
    row: dict[str, Any] = {}
    for pair in wanted:
        more = {name: next(v for v in VALUES[name] if repr(v) == shown) for name, shown in pair}
        agrees = all(name not in row or row[name] == value for name, value in more.items())
        if agrees and allowed({**row, **more}):
            row |= more
    for name, values in VALUES.items():
        row.setdefault(name, next(value for value in values if allowed({**row, name: value})))
    return row


def render(
    template: Path, folder: Path, answers: Mapping[str, Any], home: str = HOME
) -> dict[str, File]:
    """Render a variant, as `copier copy HOME` of a team would, and return its files.

    Args:
        template: a template repository, such as one from `rig.repositories.template.snapshot`.
        folder: an empty folder, in which packer-ami-example is made.
        answers: answers by question.
        home: the URL that the template is got from, without a network.
    """
    destination = folder / "packer-ami-example"
    hand_over_environment()
    # Git clones the template repository wherever it is told to clone HOME.
    config = folder / "gitconfig"
    config.write_text(
        f"[include]\n\tpath = {os.environ['GIT_CONFIG_GLOBAL']}\n"
        f'[url "{template}"]\n\tinsteadOf = {home}\n'
    )
    # Copier keeps a mirror of HOME: not one that others fill, from another template, meanwhile.
    mirrors = template.with_name(f"{template.name}-mirrors-{os.getpid()}")
    with (
        local.env(GIT_CONFIG_GLOBAL=str(config)),
        patch.dict(os.environ, COPIER_CACHE_DIR=str(mirrors)),
    ):
        copier.run_copy(home, destination, dict(answers), defaults=True, unsafe=True, quiet=True)
    return read_tree(destination)


def batches(size: int = 10) -> Sequence[Sequence[str]]:
    """Return the variants' names in portions of which one worker renders and lints the whole."""
    names = list(variants())
    return [names[start : start + size] for start in range(0, len(names), size)]


def examples() -> dict[str, Path]:
    """Return the answer files of examples/ by name."""
    return {path.stem: path for path in sorted((ROOT / "examples").glob("*.yml"))}
