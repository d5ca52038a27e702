"""The source of the AWS provider, without the services that the modules do not use.

The whole provider takes half an hour to compile and a gigabyte to link.  With a dozen services it
takes three minutes, and each of those services is the real one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

# Services of the modules in terraform/.  A resource of any other service is unknown to the tests.
SERVICES = frozenset(
    {
        "autoscaling",
        "cloudwatch",
        "ec2",
        "ecr",
        "elb",  # an Auto Scaling group asks it and the next one for its instances
        "elbv2",
        "iam",
        "kms",
        "meta",  # aws_partition, aws_region
        "organizations",
        "ram",
        "rbin",
        "ssm",
        "sts",
    }
)

_SERVICE = "github.com/hashicorp/terraform-provider-aws/internal/service/"
_CLIENT = "github.com/aws/aws-sdk-go-v2/service/"
_SERVICE_PACKAGES = Path("internal/provider/sdkv2/service_packages_gen.go")
_CLIENTS = Path("internal/conns/awsclient_gen.go")


def copy_provider_source(module: Path, target: Path) -> None:
    """Copy the provider's module, with SERVICES only.

    Args:
        module: the provider in Go's module cache, whose files are read-only.
        target: a directory that does not exist yet.
    """
    services = _find_required_services(module)
    shutil.copytree(
        module, target, ignore=_ignore_all_but(services, module), copy_function=shutil.copyfile
    )
    for directory in (path for path in target.rglob("*") if path.is_dir()):
        directory.chmod(0o755)
    packages = target / _SERVICE_PACKAGES
    packages.write_text(_keep_service_packages(packages.read_text()))
    clients = target / _CLIENTS
    clients.write_text(_keep_clients(clients.read_text(), _find_client_names(target)))


def _ignore_all_but(services: set[str], module: Path) -> Callable[[str, list[str]], set[str]]:
    def ignore(directory: str, names: list[str]) -> set[str]:
        path = Path(directory)
        if path == module:
            return set(names) - {"go.mod", "go.sum", "internal", "main.go", "names", "version"}
        if path == module / "internal":
            return {"acctest", "generate"} & set(names)
        if path == module / "internal" / "service":
            return {name for name in names if (path / name).is_dir() and name not in services}
        return {name for name in names if name.endswith("_test.go") or name == "testdata"}

    return ignore


def _find_required_services(module: Path) -> set[str]:
    """Return SERVICES, and those whose packages these import."""
    required: set[str] = set()
    pending = set(SERVICES)
    while pending:
        service = pending.pop()
        required.add(service)
        imported = {
            name
            for source in _sources(module / "internal/service" / service)
            for name in re.findall(rf"{re.escape(_SERVICE)}([a-z0-9]+)", source.read_text())
        }
        pending |= imported - required
    return required


def _sources(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*.go") if not path.name.endswith("_test.go")]


def _find_client_names(target: Path) -> set[str]:
    """Return the names of the clients that the copied packages ask for, such as EC2Client."""
    return {
        name
        for source in _sources(target / "internal")
        if source != target / _CLIENTS
        for name in re.findall(r"\.([A-Za-z0-9]+Client)\(", source.read_text())
    }


def _keep_service_packages(generated: str) -> str:
    """Return the generated list of services without those that are not in SERVICES."""
    pattern = re.compile(
        rf'\s*(?:"{re.escape(_SERVICE)}([a-z0-9]+)"|([a-z0-9]+)\.ServicePackage\(ctx\),)'
    )
    lines = []
    for line in generated.splitlines(keepends=True):
        match = pattern.match(line)
        if not match or (match[1] or match[2]) in SERVICES:
            lines.append(line)
    return "".join(lines)


def _keep_clients(generated: str, names: set[str]) -> str:
    """Return the generated functions of AWSClient that are called, with the imports they need."""
    head, *functions = re.split(r"(?m)^(?=func )", generated)
    pattern = re.compile(r"func \(c \*AWSClient\) (\w+)\(")
    body = "".join(
        text for text in functions if (match := pattern.match(text)) and match[1] in names
    )
    imports = re.compile(rf'\s*(?:(\w+) )?"{re.escape(_CLIENT)}([a-z0-9]+)"')
    lines = [
        line
        for line in head.splitlines(keepends=True)
        if not (match := imports.match(line))
        or re.search(rf"\b{match[1] or match[2]}\.", body) is not None
    ]
    return "".join(lines) + body
