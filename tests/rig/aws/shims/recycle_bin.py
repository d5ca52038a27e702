"""Recycle Bin: retention rules.  The rig does not retain what is deleted."""

from __future__ import annotations

import random
import string
from typing import Any

from rig.aws.shims._registry import Rig, shim
from rig.aws.shims.rest import RefusalError, Request, Service, answer_json


@shim
def recycle_bin(rig: Rig) -> None:
    """Keep the retention rules of each account and region.

    moto: lacks the service.
    https://docs.aws.amazon.com/recyclebin/latest/APIReference/API_CreateRule.html
    """
    rig.services["rbin"] = RecycleBin()


class RecycleBin(Service):
    """All rules of a rig, by account, region and identifier."""

    def __init__(self) -> None:
        self.rules: dict[tuple[str, str, str], dict[str, Any]] = {}

    def post_rules(self, request: Request) -> Any:
        """Create a rule."""
        identifier = "".join(random.choices(string.ascii_letters, k=11))  # noqa: S311 - a name
        rule = {
            **request.body,
            "Identifier": identifier,
            "RuleArn": f"arn:aws:rbin:{request.region}:{request.account}:rule/{identifier}",
            "Status": "available",
            "LockState": "unlocked",
        }
        self.rules[(request.account, request.region, identifier)] = rule
        return answer_json(rule, 201)

    def get_rules(self, request: Request) -> Any:
        """Describe a rule."""
        rule = self._find(request)
        return answer_json({key: value for key, value in rule.items() if key != "Tags"})

    def patch_rules(self, request: Request) -> Any:
        """Change a rule."""
        self._find(request).update(request.body)
        return self.get_rules(request)

    def delete_rules(self, request: Request) -> Any:
        """Delete a rule."""
        del self.rules[(request.account, request.region, self._find(request)["Identifier"])]
        return 204, [], b""

    def post_list_rules(self, request: Request) -> Any:
        """List the rules for a type of resource."""
        rules = [
            {key: rule[key] for key in ("Identifier", "RetentionPeriod", "RuleArn")}
            for (account, region, _), rule in self.rules.items()
            if (account, region) == (request.account, request.region)
            and rule["ResourceType"] == request.body["ResourceType"]
        ]
        return answer_json({"Rules": rules})

    def get_tags(self, request: Request) -> Any:
        """List the tags of a rule."""
        return answer_json({"Tags": self._find(request).get("Tags", [])})

    def post_tags(self, request: Request) -> Any:
        """Tag a rule."""
        rule = self._find(request)
        new = {tag["Key"] for tag in request.body["Tags"]}
        kept = [tag for tag in rule.get("Tags", []) if tag["Key"] not in new]
        rule["Tags"] = kept + request.body["Tags"]
        return answer_json({}, 201)

    def _find(self, request: Request) -> dict[str, Any]:
        """Return the rule whose identifier, or ARN, ends the path."""
        identifier = request.path[-1]
        try:
            return self.rules[(request.account, request.region, identifier)]
        except KeyError:
            raise RefusalError(
                "ResourceNotFoundException", f"Rule {identifier} does not exist.", 404
            ) from None
