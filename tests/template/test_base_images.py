"""Each filter of the table of base images selects its own line of images, whatever their dates."""

from __future__ import annotations

import re

import pytest
from jinja2 import Environment, FileSystemLoader

from rig.repositories.template import ROOT

# Per row of the table: names that the publishers use, as (must be selected, must not be). Most
# were seen in public files of 2025 and 2026, the others follow the publisher's pattern.
# `{arch}` and `{deb}` are the two spellings of an architecture.
NAMES: dict[str, tuple[list[str], list[str]]] = {
    "amazon-linux-2023": (
        [
            "al2023-ami-2023.9.20251117.1-kernel-6.12-{arch}",
            "al2023-ami-2023.12.20260930.0-kernel-6.12-{arch}",
        ],
        [
            "al2023-ami-2023.9.20251117.1-kernel-6.1-{arch}",
            "al2023-ami-2023.12.20260930.0-kernel-6.18-{arch}",
            "al2023-ami-2023.5.20240903.0-kernel-6.1-{arch}",
            "al2023-ami-minimal-2023.9.20251117.1-kernel-6.12-{arch}",
            "al2023-ami-ecs-hvm-2023.0.20251117-kernel-6.1-{arch}",
            "al2023-ami-ecs-hvm-2023.0.20251117-kernel-6.12-{arch}",
            "al2023-ami-ecs-neuron-hvm-2023.0.20251117-kernel-6.12-{arch}",
            "al2023-ami-hvm-2023.0.20251117-kernel-6.12-{arch}-gpu",
        ],
    ),
    "amazon-linux-2": (
        [
            "amzn2-ami-kernel-5.10-hvm-2.0.20260615.0-{arch}-gp2",
            "amzn2-ami-kernel-5.10-hvm-2.0.20240412.0-{arch}-gp2",
        ],
        [
            "amzn2-ami-hvm-2.0.20230119.1-{arch}-gp2",
            "amzn2-ami-hvm-2.0.20230119.1-{arch}-ebs",
            "amzn2-ami-ecs-hvm-2.0.20260610-{arch}-ebs",
            "amzn2-ami-minimal-hvm-2.0.20260615.0-{arch}-ebs",
            "amzn2-ami-kernel-5.10-hvm-2.0.20260615.0-{arch}-ebs",
            "amzn2-ami-kernel-5.15-hvm-2.0.20260615.0-{arch}-gp2",
        ],
    ),
    "ubuntu-24.04": (
        [
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{deb}-server-20260904",
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{deb}-server-20240523.1",
        ],
        [
            "ubuntu-minimal/images/hvm-ssd-gp3/ubuntu-noble-24.04-{deb}-minimal-20260904",
            "ubuntu-pro-server/images/hvm-ssd-gp3/ubuntu-noble-24.04-{deb}-pro-server-20260904",
            "ubuntu-eks/k8s_1.31/images/hvm-ssd-gp3/ubuntu-noble-24.04-{deb}-server-20260904",
            "ubuntu/images-testing/hvm-ssd-gp3/ubuntu-noble-daily-{deb}-server-20260905",
        ],
    ),
    "ubuntu-26.04": (
        ["ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-{deb}-server-20260619"],
        [
            "ubuntu-minimal/images/hvm-ssd-gp3/ubuntu-resolute-26.04-{deb}-minimal-20260904",
            "ubuntu-pro-server/images/hvm-ssd-gp3/ubuntu-resolute-26.04-{deb}-pro-server-20260904",
            "ubuntu/images-testing/hvm-ssd-gp3/ubuntu-resolute-daily-{deb}-server-20260905",
            "ubuntu/images/hvm-instance/ubuntu-resolute-26.04-{deb}-server-20260904",
        ],
    ),
    "debian-13": (
        ["debian-13-{deb}-20260923-2610"],
        [
            "debian-13-backports-{deb}-20260923-2610",
            "debian-13-{deb}-daily-20260924-2611",
        ],
    ),
    "debian-12": (
        ["debian-12-{deb}-20260923-2610", "debian-12-{deb}-20250305-1234"],
        [
            "debian-12-backports-{deb}-20260923-2610",
            "debian-12-{deb}-daily-20260924-2611",
        ],
    ),
    "rhel-10": (
        ["RHEL-10.2.0_HVM-20260728-{arch}-0-Hourly2-GP3"],
        [
            "RHEL-10.0.0_HVM-20260812-{arch}-0-Hourly2-GP3",
            "RHEL-10.2.0_HVM-20260728-{arch}-0-Access2-GP3",
            "RHEL-10.3.0_HVM_BETA-20260902-{arch}-0-Hourly2-GP3",
            "RHEL_HA-10.2.0_HVM-20260728-{arch}-0-Hourly2-GP3",
            "RHEL-SAP-10.0.0_HVM-20260812-{arch}-0-Hourly2-GP3",
        ],
    ),
    "rhel-9": (
        ["RHEL-9.8.0_HVM-20260908-{arch}-0-Hourly2-GP3"],
        [
            "RHEL-9.6.0_HVM-20260811-{arch}-0-Hourly2-GP3",
            "RHEL-9.4.0_HVM-20250519-{arch}-0-Hourly2-GP3",
            "RHEL-9.8.0_HVM-20260908-{arch}-0-Access2-GP3",
            "RHEL_HA-9.8.0_HVM-20260908-{arch}-0-Hourly2-GP3",
            "RHEL-9.9.0_HVM_BETA-20260902-{arch}-0-Hourly2-GP3",
            "RHEL-SAP-9.6.0_HVM-20260812-{arch}-0-Hourly2-GP3",
        ],
    ),
}
SPELLINGS = {"x86_64": "amd64", "arm64": "arm64"}


def read_table() -> dict[str, dict[str, dict[str, str]]]:
    """Return the table of base images: answer -> row."""
    environment = Environment(loader=FileSystemLoader(ROOT))  # noqa: S701 - no HTML
    table = environment.get_template("includes/base_images.jinja").module.base_images  # type: ignore[attr-defined]
    return dict(table)


def select(pattern: str, names: list[str]) -> list[str]:
    """Return the names that EC2's `name` filter selects: * is any text, ? any one character."""
    parts = (re.escape(part) for part in re.split(r"([*?])", pattern))
    regex = re.compile("".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in parts))
    return [name for name in names if regex.fullmatch(name)]


@pytest.mark.parametrize("architecture", SPELLINGS)
@pytest.mark.parametrize("answer", NAMES)
def test_filter_selects_its_own_images_only(answer: str, architecture: str) -> None:
    """A filter selects the names of its own row only (review R1, review R3, review R11)."""
    spellings = {"arch": architecture, "deb": SPELLINGS[architecture]}
    every_name = [
        name.format(arch=arch, deb=deb)
        for selected, others in NAMES.values()
        for name in (*selected, *others)
        for arch, deb in SPELLINGS.items()
    ]
    wanted = {name.format(**spellings) for name in NAMES[answer][0]}
    row = read_table()[answer]
    assert set(select(row["name"][architecture], every_name)) == wanted


def test_every_row_of_the_table_has_names() -> None:
    """A new base image comes with names that its filter must and must not select."""
    assert set(NAMES) == set(read_table())


def test_kernel_line_of_amazon_linux_2023_is_named_in_the_docs() -> None:
    """Docs/questions.md names the one kernel line that builds take (field 11)."""
    assert "kernel-6.12" in (ROOT / "docs" / "questions.md").read_text()
