"""Secrets in every common form are masked, and the ordinary output of a build is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from packer_toolkit.build import secret_forms
from packer_toolkit.build.masking import Mask

A = "Ab3" * 30  # a token's letters; no real one
H = "0a1b2c3d" * 8

NAMES = (
    "DB_PASS PGPWD MYSQL_PWD REDIS_PW ADMIN_PW PKR_VAR_db_pass DB_PASS2 SMTP_PASSWORD GITHUB_PAT "
    "NPM_AUTH STORAGE_ACCOUNT_KEY AZURE_CREDS SENTRY_DSN AzureConnectionString SIGNING_KEY "
    "ANSIBLE_VAULT_PASSPHRASE apikey"
)
OTHER_NAMES = (
    "PWD OLDPWD PATH PASS_THROUGH BYPASS COMPASS PATTERN PAT_FILE AUTHOR SSH_AUTH_SOCK TOKEN_FILE "
    "HTTP_PWA KEYMAP PASSWORD_FILE AWS_WEB_IDENTITY_TOKEN_FILE MONKEY PWD_DIR"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_a_variable_whose_name_means_a_secret_is_masked(name: str) -> None:
    """Its value is masked wherever it appears, in the log too (review C32)."""
    assert Mask({name: "correct-horse"}).secrets("x correct-horse y") == "x *** y"


@pytest.mark.parametrize("name", OTHER_NAMES.split())
def test_a_variable_of_another_name_is_shown(name: str) -> None:
    """The working directory and the places of secrets are needed to read a log (review C32)."""
    assert Mask({name: "/srv/repository"}).everything("in /srv/repository") == "in /srv/repository"


TOKENS = [
    "AKIAIOSFODNN7EXAMPLE", f"ghs_{A}", f"github_pat_{A}", f"glpat-{A[:20]}", f"glrt-{A[:20]}",
    f"glpat-{A[:27]}.01.{A[:9]}", f"gldt-{A[:20]}", f"xoxb-123456789012-{A[:24]}",
    f"xoxp-1-2-{A[:20]}", f"xoxe.xoxp-1-{A}", f"xapp-1-A0-{A[:20]}", f"npm_{A[:36]}",
    f"pypi-AgEIcHlwaS5vcmc{A}", f"rubygems_{H[:48]}", f"dckr_pat_{A[:27]}", f"AIza{A[:35]}",
    f"ya29.{A}", f"GOCSPX-{A[:28]}", f"a1b8Q~{A[:34]}", f"hvs.{A[:24]}",
    f"{A[:14]}.atlasv1.{A[:67]}", f"sk_live_{A[:24]}", f"SG.{A[:22]}.{A[:43]}",
    f"sk-proj-{A[:48]}", f"sk-{A[:48]}", f"hf_{A[:34]}", f"dop_v1_{H}", f"dapi{H[:32]}",
    f"ATATT3xFfGF0{A}", f"AKCp{A[:69]}", f"glsa_{A[:32]}_{H[:8]}", f"tskey-auth-{A[:30]}",
    f"AGE-SECRET-KEY-1{'QPZRY9X8' * 7}QP", f"eyJ{A[:20]}.eyJ{A[:20]}.{A[:20]}",
]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:10])
@pytest.mark.parametrize("around", ["{}", "token {} found", "x={}\n", '"{}",', "(see {}) ."])
def test_a_token_of_a_known_form_is_masked(token: str, around: str) -> None:
    """Without a name beside it, in the log too (review C32)."""
    assert Mask({}).secrets(around.format(token)) == around.format("***")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"https://hooks.slack.com/services/T0/B0/{A[:24]}", "https://hooks.slack.com/***"),
        (f"https://discord.com/api/webhooks/123/{A}", "https://discord.com/api/webhooks/***"),
        (f"https://a.webhook.office.com/webhookb2/{A}", "https://a.webhook.office.com/***"),
        ("postgres://app:s3cret@db/x?y=1", "postgres://***@db/x?y=1"),
        ("redis://:pw@cache:6379/0", "redis://***@cache:6379/0"),
        ("git clone https://x-token:abc@example.com/a.git", "git clone https://***@example.com/a.git"),
        (f"https://a.blob.core.windows.net/c?sv=1&sig={A[:40]}%3D&x=1",
         "https://a.blob.core.windows.net/c?sv=1&sig=***&x=1"),
        (f"https://b.s3.amazonaws.com/k?X-Amz-Signature={H}", "https://b.s3.amazonaws.com/k?X-Amz-Signature=***"),
    ],
)  # fmt: skip
def test_the_secret_of_an_address_is_masked(text: str, masked: str) -> None:
    """What leads to the server stays readable (review C32)."""
    assert Mask({}).secrets(text) == masked


BESIDE = [
    ("password=ab", "password=***"),
    ("DB_PASS=x1", "DB_PASS=***"),
    ("PGPWD: ab", "PGPWD: ***"),
    ("ADMIN_PW=ab", "ADMIN_PW=***"),
    ("pass: hunter2", "pass: ***"),
    ("pass=12", "pass=***"),
    ("db_password_2 = ab", "db_password_2 = ***"),
    ("passphrase: 'a b c'", "passphrase: '***'"),
    ('"password": "a b, c"', '"password": "***"'),
    ('{\\"password\\": \\"a b\\"}', '{\\"password\\": \\"***\\"}'),
    ("'secret' => 'abc d'", "'secret' => '***'"),
    ('password = "cut off', 'password = "*** off'),
    ("Authorization: Basic dXNlcjpwdw==", "Authorization: Basic ***"),
    ("authorization: bearer abc.def", "authorization: bearer ***"),
    ("-H 'Authorization: token abcdef'", "-H 'Authorization: token ***'"),
    ("Proxy-Authorization: Basic abcdef", "Proxy-Authorization: Basic ***"),
    ("X-Api-Key: abcdef", "X-Api-Key: ***"),
    ("X-Vault-Token: abcdef", "X-Vault-Token: ***"),
    ("//npm.example/:_authToken=abcdef", "//npm.example/:_authToken=***"),
    ("_auth=dXNlcjpwdw==", "_auth=***"),
    ('"auth": "dXNlcjpwdw=="', '"auth": "***"'),
    ("AccountName=a;AccountKey=abc/+x==;End", "AccountName=a;AccountKey=***;End"),
    ("SharedAccessKey=abcdef=;x", "SharedAccessKey=***;x"),
    ("client_secret=abcdef&x=1", "client_secret=***&x=1"),
    ("aws_secret_access_key = abc/def", "aws_secret_access_key = ***"),
    ("tool --token VALUE run", "tool --token *** run"),
    ("tool --token=VALUE run", "tool --token=*** run"),
    ("--password 'a b' x", "--password '***' x"),
    ("--api-key ab x", "--api-key *** x"),
    ("--db-password ab", "--db-password ***"),
    ("--client-secret ab", "--client-secret ***"),
    ("--github-token ab", "--github-token ***"),
    ("--pass ab", "--pass ***"),
    ("mysql -u root -pVALUE db", "mysql -u root -p*** db"),
    ("mysqldump -h x -p'ab' db", "mysqldump -h x -p'***' db"),
    ("+ mariadb-admin -pab status", "+ mariadb-admin -p*** status"),
    ("sshpass -p ab ssh -p 22 h", "sshpass -p *** ssh -p 22 h"),
    ("sshpass -pab ssh h", "sshpass -p*** ssh h"),
    ("docker login -u me -p ab example.com", "docker login -u me -p *** example.com"),
    ("az login --service-principal -u x -p ab", "az login --service-principal -u x -p ***"),
    ("redis-cli -h x -a ab ping", "redis-cli -h x -a *** ping"),
    ("curl -u me:ab https://x", "curl -u me:*** https://x"),
    ("curl -fsS --user 'me:ab' https://x", "curl -fsS --user 'me:***' https://x"),
    ("openssl rsa -passin pass:ab -in k", "openssl rsa -passin pass:*** -in k"),
    ("machine example.com login me password ab", "machine example.com login me password ***"),
]


@pytest.mark.parametrize(("text", "masked"), BESIDE, ids=[text[:24] for text, _ in BESIDE])
def test_the_value_beside_a_name_is_masked_in_what_is_published(text: str, masked: str) -> None:
    """The name stays, however short the value is (review C32)."""
    assert Mask({}).everything(text) == masked
    assert Mask({}).everything(f"    docker.local: {text}") == f"    docker.local: {masked}"
    assert Mask({}).everything(masked) == masked


ORDINARY = """
InSpec: checks passed: 1, skipped: 0
Test Summary: 12 successful, 0 failures, 3 skipped
# pass 12
pass: 120
1 passed, 2 failed, tests passed: 500
ok: [default] => changed=1 pass=
PWD=/home/packer/work
OLDPWD=/srv/work
pwd: /workspace
PasswordAuthentication: no
PasswordAuthentication yes
token_type: bearer
tokens: 4096
secret_name: prod/db
secret_arn: arn:aws:secretsmanager:eu-west-1:<account>:secret:x
password_file: /run/secrets/db
password-file=/run/secrets/db
--password-stdin
docker login --username AWS --password-stdin example.com
docker build --secret id=npm,src=.npmrc .
tool --token-file /run/token --password-file /x
ansible-playbook --private-key /tmp/key --user root -p x
tool --no-password prompt
tool --password --user x
mkdir -p /srv/demo
docker run -p 8080:80 -u 1000:1000 nginx
docker run --user 1000:1000 -p8080:80 curlimages/curl
ssh -p 22 host
cp -pR a b
patch -p1 <x.diff
[sudo] password for admin:
Enter passphrase for key '/root/.ssh/id':
Get:5 http://deb.debian.org/debian bookworm/main amd64 libpam-passwdqc amd64 1.9.2 [31.4 kB]
Setting up mysql-common (5.8+1.0.8) ...
Setting up mariadb-server -p ...
+ apt-get install -y mysql-client sshpass
Selecting previously unselected package libsecret-1-0:amd64.
authors: Jane Doe
author = Jane
authenticity of host 'x (10.0.0.1)' can't be established
AuthorizedKeysFile: .ssh/authorized_keys
keyboard: us
monkey: banana
compass: north
bypass: yes
ami-0123456789012abcd in eu-west-1
snap-0a123456789012b
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
commit 123456789012345678901234567890123456abcd
https://example.com:8443/path?x=1&signature=no
see https://docs.gitlab.com/ and glpat-TOKEN
pypi-attestations-0.0.28-py3-none-any.whl
npm_config_registry=https://registry.example.com
npm_lifecycle_script
hf_transfer
sk-learn-contrib
task-runner-for-a-large-number-of-things
gl-matrix
xoxo
==> amazon-ebs.x86_64: Provisioning with shell script: provisioners/shell/50-demo.sh
    amazon-ebs.x86_64: TASK [baseline : Write the release file] ****************
    amazon-ebs.x86_64: changed: [default] => (item={'name': 'upgrade_type', 'value': 'security'})
Build 'amazon-ebs.x86_64' finished after 7 minutes 12 seconds.
machine-id: uninitialized
login: root
curl -fsSL https://example.com/x | sh
curl --user-agent x:y https://example.com
Created symlink /etc/systemd/system/timers.target.wants/x.timer -> /usr/lib/systemd/system/x.timer.
""".strip().splitlines()


@pytest.mark.parametrize("line", ORDINARY)
def test_the_ordinary_output_of_a_build_stays_as_it_is(line: str) -> None:
    """A mask that hides words of a log makes the log useless (review C32)."""
    assert Mask({"GITHUB_TOKEN": A}).everything(line) == line


def test_the_documents_and_sources_of_this_project_stay_readable() -> None:
    """Hundreds of lines about secrets, in which only examples are masked (review C32)."""
    root = Path(__file__).parents[2]
    pages = [*(root / "template/provisioners").rglob("*.*"), root / "template/toolkit.sh"]
    lines = [line for page in pages if page.is_file() for line in page.read_text().splitlines()]
    assert len(lines) > 500
    masked = [line for line in lines if Mask({}).everything(line) != line]
    assert masked == []


PARTS = [
    "eyJ-", "token", "token=", "password", "pass_", "secret key ", "a_pw", "--token ", "--db-",
    "mysql ", "mysql -", "sshpass -p", "docker login ", "curl -u a", "machine a login ", "://a:",
    "https://", "glpat-", "xoxb", "Ab3/", "'", '"', "\\", "_auth", "A", ".", "=", " ",
    "-----BEGIN ", "hooks.slack.com/services/", "?sig=", "SG.aaaaaaaaaaaaaaaaaaaa.",
    "authorization: bearer ",
]  # fmt: skip


def work(text: str) -> float:
    """Return the seconds of this thread's processor that masking takes, the least of three."""

    def once() -> float:
        before = time.thread_time()
        Mask({}).everything(text)
        return time.thread_time() - before

    return min(once() for _ in range(3))


@pytest.mark.integration
@pytest.mark.parametrize("part", PARTS)
def test_the_work_grows_with_the_length_of_a_line_only(part: str) -> None:
    """Eight times the length is not 64 times the work, whatever repeats (review C27)."""
    length = 4_000 // len(part)
    assert work(part * length * 8) < max(24 * work(part * length), 0.02)


def test_every_form_has_an_example() -> None:
    """Each form of a value beside a name is one that a test needs (review C32)."""
    texts = [*TOKENS, *(text for text, _ in BESIDE)]
    for form in secret_forms.BESIDE:
        assert any(form.search(text) for text in texts), form.pattern
