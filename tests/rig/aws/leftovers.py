"""What exists in the account, over all regions: the question after every failed build."""

from __future__ import annotations

import re
from typing import Any

from rig.aws.shims import all_backends, rig

KINDS = (
    "instance",
    "key-pair",
    "security-group",
    "volume",
    "snapshot",
    "image",
    "network-interface",
)


def inventory() -> dict[str, dict[str, dict[str, Any]]]:
    """List everything that costs money or trust: kind, then id, then id, region, name and tags.

    Public images and their snapshots, terminated instances and the `default` security groups of
    VPCs do not count.
    """
    public = rig().parents
    found: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
    for backend in all_backends():
        things: dict[str, list[tuple[Any, str]]] = {
            "instance": [
                (instance, instance.image_id)
                for instance in backend.all_instances()
                if instance.state != "terminated"
            ],
            "key-pair": [(pair, pair.key_name) for pair in backend.key_pairs.values()],
            "security-group": [
                (group, group.name)
                for groups in backend.groups.values()
                for group in groups.values()
                if group.name != "default"
            ],
            "volume": [(volume, "") for volume in backend.volumes.values()],
            "snapshot": [(snap, snap.description) for snap in backend.snapshots.values()],
            "image": [(image, image.name) for image in backend.amis.values()],
            "network-interface": [(eni, eni.description) for eni in backend.enis.values()],
        }
        for kind, objects in things.items():
            for thing, name in objects:
                if thing.id in public or getattr(thing, "from_ami", None) in public:
                    continue
                found[kind][f"{backend.region_name}/{thing.id}"] = {
                    "id": thing.id,
                    "region": backend.region_name,
                    "name": name,
                    "tags": {tag["key"]: tag["value"] for tag in thing.get_tags()},
                }
    return found


def read_tags(params: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the tags of the resources that the parameters of a call name, by ID or key name."""
    names = set(re.findall(r"[\w-]+", str(params)))
    tags: dict[str, dict[str, str]] = {}
    for backend in all_backends():
        pairs = {pair.id: name for name, pair in backend.key_pairs.items()}
        for id_, values in backend.tags.items():
            if (name := pairs.get(id_, id_)) in names and values:
                tags[name] = dict(values)
    return tags
