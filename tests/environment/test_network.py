"""The container works behind a proxy and with a private certificate authority."""

from __future__ import annotations

import datetime
import functools
import http.server
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from packer_toolkit.environment.network import find_changes
from rig.repositories.template import git
from rig.run.tasks import Tasks, says

pytestmark = pytest.mark.integration

# --- Certificates -------------------------------------------------------------------------------


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write the certificate and the key of a server on this machine that no tool trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme internal")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca, of acme.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "ca, of acme.pem", folder / "key.pem"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the URL of a server with a Git repository, web.git, and its certificate."""
    files = tmp_path / "files"
    files.mkdir()
    subprocess.run(["git", "init", "--quiet", tmp_path / "web"], check=True)
    git(tmp_path / "web", "commit", "--quiet", "--allow-empty", "-m", "First")
    git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "web"), str(files / "web.git"))
    git(files / "web.git", "update-server-info")
    certificate, key = write_certificate(tmp_path)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(files))
    handler.func.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", certificate
        server.shutdown()
        thread.join()


TOOLS = {
    "git": "git ls-remote {url}/web.git",
    "requests": "/opt/packer-toolkit/bin/python -c 'import requests; requests.get(\"{url}\")'",
    "urllib": "/opt/packer-toolkit/bin/python -c"
    " 'import urllib.request; urllib.request.urlopen(\"{url}\")'",
    # The server has no POST; what counts is that boto3 gets so far.
    "boto3": """/opt/packer-toolkit/bin/python -c 'import boto3, botocore.exceptions, sys
sts = boto3.client(
    "sts", "eu-west-1", endpoint_url="{url}", aws_access_key_id="a", aws_secret_access_key="b"
)
try:
    sts.get_caller_identity()
except botocore.exceptions.SSLError:
    sys.exit(1)
except Exception:
    pass'""",
}


def test_one_variable_lets_every_tool_trust_a_private_authority(
    tasks: Tasks, server: tuple[str, Path]
) -> None:
    """With SSL_CERT_FILE alone git, AWS's libraries and Python trust a private CA (report 2)."""
    url, certificate = server
    script = "\n".join(
        f"{command.format(url=url)} >/dev/null || echo {name} failed"
        for name, command in TOOLS.items()
    )
    env = dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"), "")
    env |= {"SOL_CET_USER_ROLE": "none", "SSL_CERT_FILE": str(certificate)}
    done = tasks.run("docker-run", "--", "bash", "-c", script, env=env)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    without = tasks.run("docker-run", "--", "bash", "-c", script, env={**env, "SSL_CERT_FILE": ""})
    assert without.stdout.splitlines() == [f"{name} failed" for name in TOOLS], says(without)


def test_the_variable_of_a_tool_takes_precedence() -> None:
    """A bundle of one tool stays, and without SSL_CERT_FILE nothing is set (report 2)."""
    own = {"SSL_CERT_FILE": "/all.pem", "GIT_SSL_CAINFO": "/git.pem", "REQUESTS_CA_BUNDLE": ""}
    assert find_changes(own) == {"REQUESTS_CA_BUNDLE": "/all.pem"}
    assert find_changes({"REQUESTS_CA_BUNDLE": "/all.pem", "SSL_CERT_FILE": ""}) == {}


# --- Proxies ------------------------------------------------------------------------------------

METADATA = "169.254.169.254,169.254.170.2,fd00:ec2::254"


@pytest.mark.parametrize(
    ("environment", "changes"),
    [
        ({}, {}),
        ({"NO_PROXY": "x"}, {}),
        ({"HTTPS_PROXY": ""}, {}),
        ({"https_proxy": "http://p:1"}, {"NO_PROXY": METADATA, "no_proxy": METADATA}),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": ".corp"}, {"NO_PROXY": f".corp,{METADATA}"}),
        ({"HTTP_PROXY": "http://p:1", "no_proxy": "a, b"}, {"no_proxy": f"a,b,{METADATA}"}),
        (
            {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a", "no_proxy": "169.254.170.2"},
            {
                "NO_PROXY": f"a,{METADATA}",
                "no_proxy": "169.254.170.2,169.254.169.254,fd00:ec2::254",
            },
        ),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, {}),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": METADATA}, {"NO_PROXY": METADATA}),
    ],
)
def test_the_metadata_services_bypass_a_proxy(
    environment: dict[str, str], changes: dict[str, str]
) -> None:
    """Credentials of an instance come without the proxy, and exceptions stay (report 2)."""
    assert find_changes(environment) == changes


def test_the_entry_point_sets_them(tmp_path: Path) -> None:
    """A command of the container gets the variables (report 2)."""
    done = subprocess.run(
        [sys.executable, "-m", "packer_toolkit.environment.entrypoint", "env"],
        env={
            **os.environ,
            "REQUESTS_CA_BUNDLE": "",
            "SSL_CERT_FILE": "/all.pem",
            "https_proxy": "http://proxy.corp:3128",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert {"GIT_SSL_CAINFO=/all.pem", "REQUESTS_CA_BUNDLE=/all.pem"} <= set(lines)
    assert f"no_proxy={METADATA}" in lines
