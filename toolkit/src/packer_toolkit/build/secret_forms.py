"""Forms by which a secret is recognized: names of variables, tokens, and values beside a name.

Every repetition is bounded, or begins after something that cannot repeat: the time to search a line
grows with its length only.
"""

from __future__ import annotations

import re

# Names of variables whose values are masked wherever they appear.
NAME = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|ACCOUNT_?KEY"
    r"|SIGNING_?KEY|MASTER_?KEY|CREDENTIAL|CONNECTION_?STRING"
    r"|(?:^|_)(?:PASS|PW|PAT|AUTH|CREDS?|DSN)\d*$|(?<=.)(?<!^OLD)PWD\d*$",
    re.I,
)
# These names are of a location of a secret, not of the secret.
PLACE = re.compile(r"_(FILE|PATH|URL|URI|EXPIRATION|EXPIRE_AT|DIR|ID_TOKEN_REQUEST_URL)$", re.I)

# Tokens that are recognized by themselves, with where they are from.
_TOKENS = (
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",  # AWS
    r"\bgh[a-z]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}",  # GitHub
    r"\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct)-[\w.=-]{16,}",  # GitLab
    r"\bxox[a-z](?:\.xox[a-z])?-[\w-]{10,}|\bxapp-\d-[\w-]{10,}",  # Slack
    r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]{16,}",
    r"(?<=/api/webhooks/)\d+/[\w-]{30,}",  # Discord
    r"(?<=\.webhook\.office\.com/)webhookb2/[\w@/-]{30,}",  # Microsoft Teams
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bpypi-AgE[\w-]{16,}",
    r"\brubygems_[0-9a-f]{40,}|\bcio[A-Za-z0-9]{32}\b",  # RubyGems, crates.io
    r"\bdckr_[op]at_[\w-]{20,}",  # Docker Hub
    r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}",  # Google
    r"(?<![\w~.-])[\w~.-]{3}[78]Q~[\w~.-]{31,34}|[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}",  # Azure
    r"(?<=[?&]sig=)[\w%+/=-]{20,}",  # signed addresses of Azure
    r"(?<=X-Amz-Signature=)[0-9a-f]{64}|(?<=X-Amz-Security-Token=)[\w%+/=-]{20,}",  # and of AWS
    r"\bhv[sbr]\.[\w-]{20,}|\b\w{14}\.atlasv1\.[\w-]{40,}",  # Vault, HCP Terraform
    r"\b[rs]k_(?:live|test)_\w{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}",  # Stripe, SendGrid
    r"\bsk-(?:[a-z]{3,8}-)?[A-Za-z0-9_]{20}[\w-]{10,}|\bhf_[A-Za-z0-9]{30,}",  # OpenAI and alike
    r"\bdo[opr]_v1_[0-9a-f]{40,}|\bdapi[0-9a-f]{32}\b",  # DigitalOcean, Databricks
    r"\bAT[AC]TT3[\w=-]{30,}|\bAKCp[A-Za-z0-9]{50,}",  # Atlassian, Artifactory
    r"\bgl(?:sa|c)_[\w=+/-]{30,}|\bNRAK-[A-Z0-9]{20,}",  # Grafana, New Relic
    r"\bsntry[su]_[\w=+/-]{30,}|\btskey-[a-z]+-[\w-]{16,}",  # Sentry, Tailscale
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}",
    r"(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*",  # JSON web tokens
    # Name and password in an address; for HTTP the name alone may be a token.
    r"(?<=://)[^/\s:@]*:[^/\s]+(?=@)|(?<=http://)[^/\s@]+(?=@)|(?<=https://)[^/\s@]+(?=@)",
)
TOKEN = re.compile("|".join(_TOKENS))

# --- Values beside a name: the name stays, the value goes -------------------------------------

_QUOTE = r"(?:\\{0,3}[\"'])?"
_EQUALS = rf"{_QUOTE}\s{{0,8}}[:=]>?\s{{0,8}}{_QUOTE}"
# Masked before, or the architecture of a package.
_SHOWN = r"(?!(?:(?:bearer|basic|token|apikey) )?\*\*\*|(?:amd64|arm64|i386|all)\b)"
_VALUE = (
    _SHOWN + r"(?:(?<=\")[^\"\\]{1,500}(?=\\{0,3}\")|(?<=')[^'\\]{1,500}(?=\\{0,3}')"
    r"|[^\s\"',;&\\]{%d,})"
)
# What follows the name may specify it, as in password_2, but not lead to something else.
_ENDING = (
    r"(?![A-Za-z])(?![_.-](?:file|path|dir|url|uri|name|arn|id|type|count|length|policy|ttl|min|max"
    r"|expir\w{0,8})(?![A-Za-z]))[\w.-]{0,64}"
)
# A value of one character is masked beside these; "token: x" is also prose.
_ANY_LENGTH = (
    r"(?:pass(?:word|wd|phrase|code)s?|(?<=[_-])pass|(?<![A-Za-z])pass(?=[\"']?\s{0,8}(?:=|:\s{0,8}[^\s\d]))"
    r"|(?<=[A-Za-z0-9_])(?<!\bold)pwd|(?<=_)pw)"
)
_LONGER = (
    r"(?:secret(?:[_ -]?(?:access[_ -]?)?key)?|authorization|token|(?<=_)auth(?=[\"']?\s{0,8}[:=])"
    r"|(?:api|access|account|private|session|auth|signing|master)[_-]?(?:key|token)"
    r"|shared[_-]?access[_-]?(?:key|signature)|connection[_-]?string|(?<=[\"'])auth(?=[\"']))"
)
_SCHEME = r"(?:bearer |basic |token |apikey )?"
_OPTIONS = (
    r"(?:pass(?:word|wd|phrase)?|token|secret|secret-key|api-?key|access-key|auth-token|pat"
    r"|client-secret|credentials?)"
)
_BESIDE = (
    rf"({_ANY_LENGTH}{_ENDING}{_EQUALS}){_VALUE % 1}",
    rf"({_LONGER}{_ENDING}{_EQUALS}{_SCHEME}){_VALUE % 3}",
    # --token VALUE; the end of a name must not be another option's beginning.
    rf"((?<![\w-])--(?!no-)(?:[a-z]{{1,20}}-){{0,3}}{_OPTIONS}(?:\s{{1,4}}|=){_QUOTE})(?!-|id=)"
    rf"{_VALUE % 1}",
    # mysql -pVALUE, sshpass -p VALUE: of other programs -p is a port, a path, or has no value.
    r"(\b(?:mysql|mariadb)[\w-]{0,20}\s(?:[^\n|;&]{0,200}\s)?-p[\"']?)(?![\s-])[^\s\"']{1,500}",
    r"(\bsshpass\s{1,4}-p\s{0,4}[\"']?)[^\s\"']{1,500}",
    r"(\b(?:docker|podman|helm|az|oras|skopeo)\s(?:[^\n|;&]{0,40}\s)?login\s(?:[^\n|;&]{0,200}\s)?-p"
    r"(?:\s{1,4}|=)?[\"']?)(?![\s-])[^\s\"']{1,500}",
    r"(\bredis-cli\s(?:[^\n|;&]{0,200}\s)?-a\s{1,4}[\"']?)[^\s\"']{1,500}",
    # curl --user NAME:PASSWORD, openssl -passin pass:VALUE, a line of .netrc.
    r"(\bcurl\s(?:[^\n|;&]{0,300}\s)?(?:-u|--(?:proxy-)?user)(?:\s{1,4}|=)?[\"']?[^\s:\"']{1,100}:)"
    r"[^\s\"']{1,500}",
    r"(-pass(?:in|out)?\s{1,4}[\"']?pass:)[^\s\"']{1,500}",
    r"(\b(?:machine|login)\s{1,4}\S{1,200}\s(?:[^\n]{0,200}\s)?password\s{1,4})\S{1,500}",
)
BESIDE = [re.compile(pattern, re.I) for pattern in _BESIDE]
# Session tokens of AWS, and whatever else is that long and without a space.
LONG = re.compile(r"(?<![\w/+])[A-Za-z0-9/+]{120,}={0,2}")
