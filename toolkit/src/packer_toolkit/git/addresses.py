"""Addresses of repositories: their forms, and the passwords and tokens that they may hold."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

_URL = re.compile(
    # With Copier's short forms of GitHub and GitLab, such as gh:acme/t.
    # Without a limit a long text takes minutes: each of its letters may begin a scheme.
    r"(?P<scheme>(?:git\+)?[a-z][a-z0-9+.-]{0,30}://|(?<![\w:/.+~-])g[hl]:)"
    r"(?P<user>[^/\s]*@)?(?P<rest>[^\s'\"<>]*)",
    re.I,
)
_WEB = {"http://", "https://", "ftp://", "ftps://", "git://", "gh:", "gl:"}
_PARAMETERS = re.compile(r"[?#]|;[^/;=]*=")
_SECRET_PARAMETER = re.compile(
    r"[?&#;][^=&;]*(?:token|secret|pass|pwd|key|auth|sig|credential)[^=&;]*=[^&;]", re.I
)


# An SSH address without ssh://, such as git@host:acme/t.git or, by ~/.ssh/config, work:acme/t.git.
# Git's rule: a colon comes before the first slash; one inside of brackets belongs to the host.
_SSH = re.compile(r"(?P<host>(?:[^@/:\[\]]+@)?(?:\[[^\]/]+\]|[^/:\[\]]+)):(?P<path>.+)", re.S)
_DRIVE = re.compile(r"[A-Za-z]:\\")


def git_url(source: str) -> str:
    """Return the address that git understands for one that Copier understands.

    Copier's rules: gh: and gl: stand for github.com and gitlab.com, git+ is taken away, ~ is home.
    """
    for alias, host in (("gh:", "https://github.com/"), ("gl:", "https://gitlab.com/")):
        if source.startswith(alias):
            path = source.removeprefix(alias).lstrip("/")
            return f"{host}{path}" + ("" if path.endswith(".git") else ".git")
    if source.startswith("git+"):
        return source.removeprefix("git+")
    if source.startswith("~"):
        try:
            return str(Path(source).expanduser())
        except RuntimeError:  # A user that this machine does not have.
            return source
    return source


def split_ssh_address(url: str) -> tuple[str, str] | None:
    """Return host and path of an SSH address without ssh://; None for any other address.

    Args:
        url: the address, as `git_url` returns it.

    Returns:
        The host with its user, if there is one, and the path.
    """
    match = _SSH.fullmatch(url)
    if not match or "://" in url or _DRIVE.match(url):
        return None
    return match["host"], match["path"]


def is_local_path(url: str) -> bool:
    """Check whether an address, as `git_url` returns it, is a path of this machine."""
    return "://" not in url and split_ssh_address(url) is None


def to_url(source: str) -> str:
    """Return a template's address as a URL, which uv needs: with ssh:// or file://."""
    url = git_url(source)
    if ssh := split_ssh_address(url):
        host, path = ssh
        inner = host.rpartition("@")[2].strip("[]")
        if "[" in host and inner.count(":") == 1:  # Not an IPv6 address, but a host with a port.
            host = host.replace(f"[{inner}]", inner)
        return f"ssh://{host}/{path.lstrip('/')}"
    return url if "://" in url else f"file://{quote(url)}"


def split_place(source: str) -> tuple[str, str]:
    """Return the host and the path, such as OWNER/NAME, of a template's address.

    Returns:
        Both in the form in which they can be compared; empty for a path of this machine.
    """
    url = git_url(source)
    if is_local_path(url):
        return "", ""
    try:
        parts = urlsplit(to_url(source))
        host = parts.hostname or ""
    except ValueError:  # Such as half an IPv6 address.
        return "", ""
    return host.lower(), parts.path.strip("/").removesuffix(".git") if host else ""


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
