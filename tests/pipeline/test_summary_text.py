"""The text of the build summary."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.releases import ReleasedPackages
from packer_toolkit.pipeline.summary import get_credential_lifetime, write_summary
from rig.repositories.build_reports import build_report


def make_artifacts(*, ok: bool = True, packages: str = "", **report: Any) -> BuildArtifacts:
    """Return the artifacts of a build."""
    files = {"build-report.json": json.dumps(build_report(ok=ok, **report)).encode()}
    return BuildArtifacts(
        {**files, "packages-x86_64.txt": packages.encode()} if packages else files
    )


def test_summary_of_a_successful_build() -> None:
    """Images, base images, phases, controls, and what built them."""
    text = write_summary(make_artifacts(kind="test"), result="success", note="Why not.")
    for part in (
        "## `web-server` `1.2.3` succeeded\n\nWhy not.\n\nA test build: no image was created.",
        "| `x86_64` | `eu-west-1` | `ami-0fedcba9876543210` | 8 GiB |",
        "| `x86_64` | `ami-0aaaaaaaaaaaaaaaa` | `debian-12-amd64-20261101` |",
        "| `amazon-ebs.x86_64` | shell | 4.0 |",
        "Total: **7.2 minutes** (12% of the 59.5-minute credential lifetime).",
        "| `amazon-ebs.x86_64` | 12 | 0 | 1 |",
        "Commit `0123456789ab`, template `v1.0.0`, toolkit `1.0.0`, run `77`.\n",
    ):
        assert part in text, text
    assert "Leftover" not in text


def test_summary_of_a_failed_build() -> None:
    """The failed step, the last lines, and the resources that were not deleted."""
    left = [{"kind": "volume", "id": "vol-1", "region": "eu-west-1", "reason": "in use"}]
    text = write_summary(make_artifacts(ok=False, left=left), result="failure")
    assert "## `web-server` `1.2.3` failed" in text
    assert "| `amazon-ebs.x86_64` | `shell: provisioners/shell/10-update-packages.sh` |" in text
    assert "E: Unable to locate package nginz" in text
    assert "- `volume` `vol-1` in `eu-west-1`: `in use`\n\nDelete them: `packer-" in text


def test_deleted_leftovers_are_counted() -> None:
    """One line says that the clean-up deleted something."""
    swept = [{"kind": "volume", "id": "vol-1", "region": "eu-west-1"}]
    text = write_summary(make_artifacts(swept=swept), result="success")
    assert "The clean-up deleted 1 resource that Packer left behind." in text


def test_summary_without_a_report() -> None:
    """A skipped build shows the reason, a killed one that there is no report."""
    nothing = BuildArtifacts()
    assert (
        write_summary(nothing, result="skipped")
        == "## Nothing was built\n\nAn earlier step failed.\n"
    )
    assert write_summary(nothing, result="failure", note="Why.").endswith("\n\nWhy.\n")
    text = write_summary(nothing, result="cancelled")
    assert text.startswith("## `image` was cancelled\n\nThe build wrote no report")


def test_local_build_has_no_credentials() -> None:
    """The time of a local build is no share of anything."""
    text = write_summary(make_artifacts(kind="local", version=""), result="success")
    assert "## `web-server` succeeded\n\nA local build, without AWS." in text
    assert "Total: **7.2 minutes**." in text


@pytest.mark.parametrize(
    ("instance_type", "advice"),
    [
        ("m7i.large", '`image.auto.pkrvars.hcl`: `x86_64 = "m7i.xlarge"` instead of `m7i.large`.'),
        ("m7i.metal", "`image.auto.pkrvars.hcl`."),
    ],
)
def test_larger_type_is_suggested(instance_type: str, advice: str) -> None:
    """A build that takes more than 70 % of the lifetime should get a larger instance."""
    build = {**build_report(ok=True)["builds"][0], "instance_type": instance_type}
    artifacts = make_artifacts(seconds=2600, builds=[build])
    text = write_summary(artifacts, result="success", seconds=3600)
    assert f"close to the limit: set a larger type in `instance_types` of {advice}" in text
    assert "close to the limit" not in write_summary(artifacts, result="success", seconds=7200)


def test_credential_lifetime_has_four_sources() -> None:
    """The recorded expiry, the requested duration, the report, and an hour at last."""
    report = build_report(ok=True)
    expires = datetime(2026, 11, 25, 3, 27, tzinfo=timezone.utc)
    assert get_credential_lifetime(report, 7200, expires) == 600
    assert get_credential_lifetime(report, 7200) == 7200
    assert get_credential_lifetime(report) == 3570
    assert get_credential_lifetime({**report, "account": None}) == 3600


def test_packages_are_compared() -> None:
    """Changed packages are listed, fifty at most, and without an earlier list only counted."""
    new = "".join(f"p{number} 2\n" for number in range(60))
    last = ReleasedPackages("v1", {"x86_64": ["p0 2", *(f"p{n} 1" for n in range(1, 60))]})
    text = write_summary(make_artifacts(packages=new), result="success", last=last)
    assert "`x86_64`: 60 packages, 59 changed since `v1`." in text
    assert "| `p1` | `1` | `2` |" in text
    assert "And 9 more." in text
    text = write_summary(make_artifacts(packages="p 1"), result="success")
    assert "`x86_64`: 1 package; there is no earlier list to compare with." in text
