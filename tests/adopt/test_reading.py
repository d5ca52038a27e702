"""How Packer files and addresses are understood, in small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packer_toolkit.adopt.answers import derive_image_name
from packer_toolkit.adopt.ci_config import parse_remote
from packer_toolkit.adopt.legacy_json import read_json_templates
from packer_toolkit.hcl.folder import read_packer
from packer_toolkit.hcl.sources import UNKNOWN

DEFINITIONS = r"""
variable "text" {
  default = "Abc"
}
variable "list" {
  type    = list(string)
  default = ["a", "b"]
}
variable "map" {
  default = { x = "1", "y-z" = { deep = true } }
}
variable "none" {
  type = string
}
variable "from_environment" {
  default = env("HOME")
}
locals {
  lower = lower(var.text)
  stamp = timestamp()
}
local "secret" {
  expression = "s"
  sensitive  = true
}
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("var.text", "Abc"),
        ('"${var.text}"', "Abc"),
        ('"x-${local.lower}-${local.stamp}"', f"x-abc-{UNKNOWN}"),
        ('"{{timestamp}} $${not} \\"q\\" \\u0041"', f'{UNKNOWN} ${{not}} "q" A'),
        ('"${var.list}"', ["a", "b"]),
        ("var.list[1]", "b"),
        ("var.list.0", "a"),
        ('var.map["x"]', "1"),
        ("var.map.y-z.deep", True),
        ("var.none", UNKNOWN),
        ("var.not_there", UNKNOWN),
        ("var.from_environment", UNKNOWN),
        ("local.secret", "s"),
        ("-3", -3),
        ("1.5", 1.5),
        ("null", None),
        ('var.text == "Abc" ? "yes" : "no"', "yes"),
        ('var.none == "Abc" ? "yes" : "no"', UNKNOWN),
        ('true && var.text != "x"', True),
        ("!false", True),
        ("(1 + 2) * 3", 9),
        ("[for item in var.list : upper(item)]", UNKNOWN),
        ("var.list[*]", UNKNOWN),
        ("unknown_function(1)", UNKNOWN),
        ('lookup(var.map, "x", "no")', "1"),
        ('lookup(var.map, "no", "other")', "other"),
        ('merge(var.map, { x = "2" }).x', "2"),
        ('coalesce("", null, "c")', "c"),
        ('concat(var.list, ["c"])', ["a", "b", "c"]),
        ('compact(["a", ""])', ["a"]),
        ('flatten([["a"], "b"])', ["a", "b"]),
        ('distinct(["a", "a"])', ["a"]),
        ('element(["a", "b"], 3)', "b"),
        ("keys(var.map)", ["x", "y-z"]),
        ('join(",", var.list)', "a,b"),
        ('split(",", "a,b")', ["a", "b"]),
        ('format("%s-%d", "a", 1)', "a-1"),
        ('replace("a b", " ", "-")', "a-b"),
        ('replace("a1b", "/[0-9]/", "")', "ab"),
        ('trimprefix("v1", "v")', "1"),
        ('trimsuffix(trimspace(" a.x "), ".x")', "a"),
        ('tolist(toset(["a"]))', ["a"]),
        ('title("abc")', "Abc"),
        ("<<EOT\n  a ${var.text}\n  b\nEOT\n", f"  a {UNKNOWN}\n  b"),
        ("<<-EOT\n    a\n      b\n  EOT\n", "a\n  b"),
        ("path.root", "."),
        ('"${path.root}/x"', "./x"),
    ],
)
def test_expression(tmp_path: Path, expression: str, value: Any) -> None:
    """A value that only a build knows is unknown; every other value is evaluated."""
    file = tmp_path / "it.pkr.hcl"
    source = f'source "amazon-ebs" "it" {{\n  ami_name = {expression}\n}}\n'
    file.write_text(DEFINITIONS + source)
    packer = read_packer(tmp_path, [file])
    assert packer.unread == []
    (found,) = packer.sources
    assert found.values["ami_name"].value == value
    assert found.values["ami_name"].place.file == "it.pkr.hcl"


@pytest.mark.parametrize("depth", [10, 2000])
def test_long_chains_of_locals_end(tmp_path: Path, depth: int) -> None:
    """Evaluation ends also for chains that are too long to follow."""
    file = tmp_path / "it.pkr.hcl"
    lines = [f"  l{index} = local.l{index + 1}" for index in range(depth)]
    file.write_text(
        "locals {\n" + "\n".join(lines) + f'\n  l{depth} = "end"\n}}\n'
        'source "amazon-ebs" "it" {\n  region = local.l0\n}\n'
    )
    (found,) = read_packer(tmp_path, [file]).sources
    assert found.values["region"].value == ("end" if depth == 10 else UNKNOWN)


def test_values_that_packer_takes_by_itself_come_first(tmp_path: Path) -> None:
    """Automatic values precede defaults, and a single other file of values sets the rest."""
    files = {
        "v.pkr.hcl": 'variable "a" {\n  default = "default"\n}\nvariable "b" {\n  default = ""\n}\n'
        'variable "c" {\n}\n'
        'source "amazon-ebs" "it" {\n  region = var.a\n  ami_name = var.b\n'
        "  ssh_username = var.c\n}\n",
        "one.pkrvars.hcl": 'a = "given"\nb = "given"\nc = "given"\n',
        "x.auto.pkrvars.hcl": 'c = "auto"\n',
    }
    paths = [tmp_path / name for name in files]
    for path in paths:
        path.write_text(files[path.name])
    (found,) = read_packer(tmp_path, paths).sources
    assert {name: value.value for name, value in found.values.items()} == {
        "region": "default",
        "ami_name": "given",
        "ssh_username": "auto",
    }
    assert str(found.values["ami_name"].place) == "one.pkrvars.hcl:2"


@pytest.mark.parametrize(
    "text",
    ["", "{", 'source "amazon-ebs" {}\n', "\x00", "a = 1\n", "locals {}\n" * 3, "build {\n"],
)
def test_odd_hcl_never_ends_in_an_error(tmp_path: Path, text: str) -> None:
    """Odd HCL is read as far as possible, or reported as unread."""
    file = tmp_path / "it.pkr.hcl"
    file.write_text(text)
    assert read_packer(tmp_path, [file]).sources == []


@pytest.mark.parametrize(
    "document",
    [
        {"builders": ["x", {}, {"type": "docker"}]},
        {"builders": []},
        {"builders": [{"type": "amazon-ebs"}], "variables": ["x"]},
        [1],
        "x",
    ],
)
def test_odd_json_never_ends_in_an_error(tmp_path: Path, document: Any) -> None:
    """Odd JSON is read without an error; a builder without content is a source."""
    file = tmp_path / "it.json"
    file.write_text(json.dumps(document))
    packer = read_json_templates(tmp_path, [file])
    assert [source.kind for source in packer.sources] in ([], ["amazon-ebs"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("packer-ami-web", "web"),
        (f"Shop_Web {UNKNOWN}", "shop-web"),
        (f"web-x86_64-{UNKNOWN}", "web"),
        ("web-2024-01-31", "web"),
        ("web-v12", "web"),
        ("web-hvm-arm64", "web"),
        (UNKNOWN, ""),
        ("123", ""),
        ("größe", "gr-e"),
    ],
)
def test_name_of_an_image_is_what_stays_the_same(text: str, name: str) -> None:
    """The derived name has no versions, dates and architectures."""
    assert derive_image_name(text) == name


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://github.com/acme/web.git", ("github.com", "acme", "web")),
        ("https://me:token@github.com/acme/web/", ("github.com", "acme", "web")),
        ("https://git.example.com:8443/acme/web", ("git.example.com:8443", "acme", "web")),
        ("git@git.example.com:acme/web.git", ("git.example.com", "acme", "web")),
        ("ssh://git@git.example.com:7999/acme/web.git", ("git.example.com", "acme", "web")),
        ("/srv/git/web.git", ()),
        ("../web", ()),
        ("https://github.com/web", ()),
    ],
)
def test_remote_is_understood(url: str, parts: tuple[str, ...]) -> None:
    """Host, owner and name are read from the address, without users and secrets."""
    assert tuple(parse_remote(url).values()) == parts
