"""Addresses of repositories, and the passwords and tokens that they may hold."""

from __future__ import annotations

import re

_URL = re.compile(
    # With Copier's short forms of GitHub and GitLab, such as gh:acme/t.
    r"(?P<scheme>(?:git\+)?[a-z][a-z0-9+.-]*://|(?<![\w:/.+~-])g[hl]:)"
    r"(?P<user>[^/\s]*@)?(?P<rest>[^\s'\"<>]*)",
    re.I,
)
_WEB = {"http://", "https://", "ftp://", "ftps://", "git://", "gh:", "gl:"}
_PARAMETERS = re.compile(r"[?#]|;[^/;=]*=")
_SECRET_PARAMETER = re.compile(
    r"[?&#;][^=&;]*(?:token|secret|pass|pwd|key|auth|sig|credential)[^=&;]*=[^&;]", re.I
)


def without_secret(text: str) -> str:
    """Return an address, or a text with addresses, without passwords and tokens.

    The user of an SSH address, such as git@, stays: it is needed, and not a secret. That of a web
    address goes, because it may be a token, and so do the parameters after a question mark or
    semicolon.
    """
    return _URL.sub(lambda match: "".join(_clean_parts(match)), text)


def has_secret(address: str) -> bool:
    """Return whether an address holds a password, or what may be a token."""
    match = _URL.match(address)
    if not match:
        return False
    user, _, password = (match["user"] or "").removesuffix("@").partition(":")
    if password or _SECRET_PARAMETER.search(match["rest"]):
        return True
    known = user in ("", "git") or _is_azure_organization(user, match["rest"])
    return _is_web(match["scheme"]) and not known


def hide_secret(text: str, address: str) -> str:
    """Replace what is secret in an address wherever a text repeats it, such as a diff."""
    match = _URL.match(address)
    if not match or not has_secret(address):
        return text
    _, _, rest = _clean_parts(match)
    for part in (match["user"], match["rest"].removeprefix(rest)):
        if part:
            text = text.replace(part, "***@" if part.endswith("@") else "***")
    return text


def describe_secret(address: str, file: str) -> str:
    """Return the warning about an address with a secret, in one line; empty when it has none."""
    if not has_secret(address):
        return ""
    return (
        f"_src_path in {file} holds a password or token, which the history of this repository "
        f"keeps; revoke it, then replace the line by `_src_path: {without_secret(address)}` and "
        "commit it; updates log in as git does, such as after `gh auth setup-git`"
    )


def _is_azure_organization(user: str, rest: str) -> bool:
    """Return whether a user is the organization, which Azure DevOps puts before the host, too."""
    host, _, path = rest.lower().partition("/")
    if host == f"{user}.visualstudio.com".lower():
        return True
    return host == "dev.azure.com" and path.partition("/")[0] == user.lower()


def _is_web(scheme: str) -> bool:
    return scheme.lower().removeprefix("git+") in _WEB


def _clean_parts(match: re.Match[str]) -> tuple[str, str, str]:
    """Return scheme, user and rest of an address as they may be shown."""
    user, rest = match["user"] or "", match["rest"]
    if _is_web(match["scheme"]):
        return match["scheme"], "", _PARAMETERS.split(rest, maxsplit=1)[0]
    name, colon, _ = user.partition(":")
    return match["scheme"], f"{name}@" if colon else user, rest
