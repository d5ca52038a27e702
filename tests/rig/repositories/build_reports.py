"""Build reports for tests, as `packer-toolkit build` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPOSITORY = "globex/packer-ami-web-server"
SHA = "0123456789abcdef0123456789abcdef01234567"


def build_report(*, ok: bool, parent: str = "ami-0aaaaaaaaaaaaaaaa", **more: Any) -> dict[str, Any]:
    """Return a report of a build of one architecture."""
    return {
        "schema": 1,
        "image_name": "web-server",
        "version": "1.2.3",
        "commit": SHA,
        "template_version": "v1.0.0",
        "toolkit_version": "1.0.0",
        "kind": "image",
        "started_at": "2026-11-25T03:17:00Z",
        "seconds": 431.2,
        "exit_code": 0 if ok else 1,
        "run_id": "77",
        "account": {
            "id": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/packer-ami-builder/build",
            "expires_at": "2026-11-25T04:16:30Z",
        },
        "builds": [
            {
                "name": "amazon-ebs.x86_64",
                "ok": ok,
                "failed_step": None if ok else "shell: provisioners/shell/10-update-packages.sh",
                "parent": {"id": parent, "name": "debian-12-amd64-20261101"},
                "instance_type": "m7i.large",
                "phases": [
                    {"name": "prepare", "seconds": 31.5},
                    {"name": "shell", "seconds": 240.0},
                    {"name": "ansible", "seconds": 120.0},
                ],
                "images": [{"region": "eu-west-1", "id": "ami-0fedcba9876543210", "size_gib": 8}]
                if ok
                else [],
            }
        ],
        "inspec": [
            {"build": "amazon-ebs.x86_64", "passed": 12, "failed": 0, "skipped": 1, "failures": []}
        ],
        "last_lines": []
        if ok
        else [
            "==> amazon-ebs.x86_64: E: Unable to locate package nginz",
            "==> amazon-ebs.x86_64: Script exited with non-zero exit status: 100",
        ],
        "swept": [],
        "left": [],
        **more,
    }


def write_report(directory: Path, *, ok: bool, **more: Any) -> Path:
    """Write a report into a repository; return its path."""
    path = directory / "build-report.json"
    path.write_text(json.dumps(build_report(ok=ok, **more)))
    return path
