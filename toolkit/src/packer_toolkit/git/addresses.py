"""Addresses of Git repositories: their forms, and passwords and tokens in them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

_URL = re.compile(
    # With Copier's short forms of GitHub and GitLab, such as gh:acme/t.
    # Without the limit a long text takes minutes: each of its letters may begin a scheme.
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


def expand_address(source: str) -> str:
    """Convert an address that Copier accepts into one that git accepts.

    Copier's rules: gh: and gl: mean github.com and gitlab.com, git+ is removed, ~ is the home
    directory.
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
        except RuntimeError:  # A user name that does not exist on this machine.
            return source
    return source


def split_ssh_address(url: str) -> tuple[str, str] | None:
    """Return host and path of an SSH address without ssh://; None for any other address.

    Args:
        url: The address, as `expand_address` returns it.

    Returns:
        The host with its user, if there is one, and the path.
    """
    match = _SSH.fullmatch(url)
    if not match or "://" in url or _DRIVE.match(url):
        return None
    return match["host"], match["path"]


def is_local_path(url: str) -> bool:
    """Check whether an address, as `expand_address` returns it, is a path on this machine."""
    return "://" not in url and split_ssh_address(url) is None


def build_url(source: str) -> str:
    """Convert an address into a URL with a scheme, which uv needs: with ssh:// or file://."""
    url = expand_address(source)
    if ssh := split_ssh_address(url):
        host, path = ssh
        inner = host.rpartition("@")[2].strip("[]")
        if "[" in host and inner.count(":") == 1:  # Not an IPv6 address, but a host with a port.
            host = host.replace(f"[{inner}]", inner)
        return f"ssh://{host}/{path.lstrip('/')}"
    return url if "://" in url else f"file://{quote(url)}"


def split_host_and_path(source: str) -> tuple[str, str]:
    """Split the address of a repository into its host and its path, such as OWNER/NAME.

    Returns:
        Both in a form in which they can be compared; empty for a path on this machine.
    """
    url = expand_address(source)
    if is_local_path(url):
        return "", ""
    try:
        parts = urlsplit(build_url(source))
        host = parts.hostname or ""
    except ValueError:  # Such as half an IPv6 address.
        return "", ""
    return host.lower(), parts.path.strip("/").removesuffix(".git") if host else ""


def remove_secrets(text: str) -> str:
    """Remove passwords and tokens from an address, or from a text with addresses.

    The user of an SSH address, such as git@, stays: it is needed, and not a secret. The user of a
    web address is removed, because it may be a token, and so are parameters after a question mark
    or semicolon.
    """
    return _URL.sub(lambda match: "".join(_clean_parts(match)), text)


def has_secret(address: str) -> bool:
    """Check whether an address contains a password, or what may be a token."""
    match = _URL.match(address)
    if not match:
        return False
    user, _, password = (match["user"] or "").removesuffix("@").partition(":")
    if password or _SECRET_PARAMETER.search(match["rest"]):
        return True
    known = user in ("", "git") or _is_azure_organization(user, match["rest"])
    return _is_web(match["scheme"]) and not known


def hide_secret(text: str, address: str) -> str:
    """Replace the secret part of an address wherever a text, such as a diff, repeats it."""
    match = _URL.match(address)
    if not match or not has_secret(address):
        return text
    _, _, rest = _clean_parts(match)
    for part in (match["user"], match["rest"].removeprefix(rest)):
        if part:
            text = text.replace(part, "***@" if part.endswith("@") else "***")
    return text


def describe_secret(address: str, file: str) -> str:
    """Return a warning about an address with a secret, in one line; empty without a secret."""
    if not has_secret(address):
        return ""
    return (
        f"_src_path in {file} contains a password or token, which the history of this repository "
        f"keeps; revoke it, then replace the line by `_src_path: {remove_secrets(address)}` and "
        "commit it; updates log in as git does, such as after `gh auth setup-git`"
    )


def _is_azure_organization(user: str, rest: str) -> bool:
    """Check whether a user is the organization, which Azure DevOps puts before the host, too."""
    host, _, path = rest.lower().partition("/")
    if host == f"{user}.visualstudio.com".lower():
        return True
    return host == "dev.azure.com" and path.partition("/")[0] == user.lower()


def _is_web(scheme: str) -> bool:
    return scheme.lower().removeprefix("git+") in _WEB


def _clean_parts(match: re.Match[str]) -> tuple[str, str, str]:
    """Return scheme, user and rest of an address without secrets."""
    user, rest = match["user"] or "", match["rest"]
    if _is_web(match["scheme"]):
        return match["scheme"], "", _PARAMETERS.split(rest, maxsplit=1)[0]
    name, colon, _ = user.partition(":")
    return match["scheme"], f"{name}@" if colon else user, rest
