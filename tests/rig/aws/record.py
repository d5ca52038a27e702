"""Reads AWS calls off the wire: which service and action, whose key, which parameters."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([^/]*)/([^/]+)/aws4_request")
# Ids of EC2 resources in an answer; key material never matches.
_IDS = re.compile(r"\b(?:i|ami|snap|vol|sg|key|eni|r|subnet|vpc)-[0-9a-f]{8,17}\b")
_ERROR = re.compile(r"<Error>.*?<Code>([^<]+)</Code>.*?(?:<Message>([^<]*)</Message>)", re.DOTALL)
# Signed with these names, but modelled under others.
_MODELS = {"monitoring": "cloudwatch", "email": "ses"}


def read_call(environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Decode one request.

    Returns:
        service, protocol (ec2, query, json, rest), region, access_key (None when unsigned),
        action and params; parameters carry the names and types of AWS's API reference.
    """
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = signed.groups() if signed else (None, None, None)
    content_type = environ.get("CONTENT_TYPE", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    form = MultiDict[str, str]()
    if content_type.startswith("application/x-www-form-urlencoded"):
        form = MultiDict(parse_qsl(body.decode(), keep_blank_values=True))
    if target:
        protocol, action = "json", target.rpartition(".")[2]
    elif "Action" in form:
        action = form["Action"]
        service = service or ("sts" if action.startswith("AssumeRole") else None)
        protocol = "ec2" if service == "ec2" else "query"
    else:
        protocol, action = "rest", f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
    return {
        "service": service,
        "protocol": protocol,
        "region": region,
        "access_key": key,
        "action": action,
        "params": _params(service, protocol, action, form, content_type, body),
    }


def read_answer(status: int, body: bytes) -> dict[str, Any]:
    """Pick what is worth asking for out of an answer: error, message, ids of resources."""
    text = body.decode(errors="replace")
    error = message = None
    if status >= 400:
        if found := _ERROR.search(text):
            error, message = found.groups()
        elif text.startswith("{"):
            fault = json.loads(text)
            error = str(fault.get("__type", "")).rpartition("#")[2]
            message = fault.get("message") or fault.get("Message")
        else:
            error, message = "moto", text.strip()[-300:]
    return {"error": error, "message": message, "ids": sorted(set(_IDS.findall(text)))}


def _params(
    service: str | None,
    protocol: str,
    action: str,
    form: MultiDict[str, str],
    content_type: str,
    body: bytes,
) -> dict[str, Any]:
    if protocol == "json":
        return dict(json.loads(body or b"{}"))
    if protocol == "rest" or service is None:
        return {}
    model = get_service_model(_MODELS.get(service, service))
    wire = determine_request_protocol(model, content_type)
    parsed = PROTOCOL_PARSERS[wire](model.operation_model(action)).parse(
        {
            "method": "POST",
            "values": form,
            "headers": Headers(),
            "body": body,
            "url_path": "/",
            "url_params": {},
        }
    )
    return _plain(parsed)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """Make parsed parameters fit for JSON."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
