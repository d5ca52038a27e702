"""What a test may ask of the running rig, beyond the API of AWS."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.organizations.models import organizations_backends

from rig.aws import shims
from rig.aws.credentials import ACCOUNT, Credentials
from rig.aws.faults import Fault
from rig.aws.instances import Containers, Flaw, sweep
from rig.aws.leftovers import inventory
from rig.aws.session_manager import SessionManager


class Control:
    """The state of one rig; every `do_` method is a call of the admin interface."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.region: str = config["region"]
        self.front: Any = None
        self.faults: list[Fault] = []
        self.credentials = Credentials()
        self.containers = Containers(
            rig_id=config["rig_id"],
            state_dir=Path(config["state_dir"]) / "instances",
            address=config["address"],
        )
        sweep(self.containers.label)  # what a killed predecessor on this address range left
        self.containers.remove_all()
        self.session_manager = SessionManager(self._find_agent)
        self.rig = shims.Rig(self.containers, config["images"])
        shims.install(self.rig)
        self._begin()

    def _find_agent(self, instance_id: str) -> tuple[str, int] | None:
        """Return where sshd listens in a running instance whose agent has registered."""
        for backend in shims.all_backends():
            for instance in backend.all_instances():
                if instance.id == instance_id and instance.state == "running":
                    address = str(instance.private_ip)
                    return self.containers.find_agent(instance_id, address)
        return None

    def _begin(self) -> None:
        self.session_manager.open.clear()
        self.credentials.reset()
        ec2_backends[ACCOUNT][self.region]  # home comes first, and gets subnet x.y.1.0
        self.baseline = inventory()

    def do_reset(self, without: str | None = None) -> None:
        """Return to the state of the start; one shim may be left out."""
        self.faults.clear()
        self.containers.remove_all()
        shims.uninstall()
        moto_api_backend.reset()
        # After a CopyImage moto has made an EC2 anew by now, and one without shims.
        ec2_backends.clear()
        shims.install(self.rig, without)
        self.front.forget()
        self.do_distance(0)
        self._begin()

    def do_network(self) -> dict[str, str]:
        """Tell the VPC and the subnet at home."""
        backend = ec2_backends[ACCOUNT][self.region]
        vpc = backend.get_default_vpc()
        subnet = backend.get_default_subnets()[f"{self.region}a"]
        assert vpc is not None
        return {"vpc_id": vpc.id, "subnet_id": subnet.id, "cidr": subnet.cidr_block}

    def do_calls(self) -> list[dict[str, Any]]:
        """Hand out the record."""
        with self.front.lock:
            return list(self.front.calls)

    def do_fault(self, **order: Any) -> int:
        """Order a fault and return its number."""
        order["at"] = tuple(order.get("at", ()))
        with self.front.lock:
            self.faults.append(Fault(**order))
            return len(self.faults) - 1

    def do_fault_state(self, number: int) -> dict[str, int]:
        """Tell how many calls a fault has seen, and how many it has hit."""
        return {"seen": self.faults[number].seen, "hits": self.faults[number].hits}

    def do_clear_faults(self) -> None:
        """Take back all faults; calls that are held go on."""
        with self.front.lock:
            for fault in self.faults:
                fault.released.set()
            self.faults.clear()

    def do_reached(self, number: int, timeout: float) -> bool:
        """Wait until a call is held."""
        return self.faults[number].reached.wait(timeout)

    def do_release(self, number: int) -> None:
        """Let a held call go on."""
        self.faults[number].released.set()

    def do_flaw(self, **flaw: Any) -> None:
        """Order a flaw for the next instance that has none yet."""
        self.containers.flaws.append(Flaw(**flaw))

    def do_sessions(self, seconds: float | None, calls: int | None) -> None:
        """Set the lifetime of sessions that STS will issue."""
        self.credentials.session_seconds = seconds
        self.credentials.session_calls = calls

    def do_expire(self, access_key: str, after_calls: int) -> None:
        """Let a key expire after so many more calls."""
        self.credentials.keys[access_key].calls_left = after_calls

    def do_leftovers(self) -> dict[str, list[dict[str, Any]]]:
        """List what is there and was not at the start."""
        return {
            kind: [thing for id_, thing in things.items() if id_ not in self.baseline[kind]]
            for kind, things in inventory().items()
        }

    def do_drop(self, instance_id: str, stay_down: bool = False) -> int:
        """Cut the SSH sessions of an instance now."""
        return self.containers.drop_sessions(instance_id, stay_down=stay_down)

    def do_container(self, instance_id: str) -> str:
        """Name the container of an instance."""
        return self.containers.name(instance_id)

    def do_image(self, ami_id: str) -> str:
        """Name the Docker image of an AMI."""
        for backend in shims.all_backends():
            if ami_id in backend.amis:
                return self.rig.image(backend.amis[ami_id])
        raise KeyError(f"no AMI {ami_id}")

    def do_add_image(self, region: str, **about: Any) -> str:
        """Register an image that no build made, and return its ID."""
        return shims.images.add_image(ec2_backends[ACCOUNT][region], **about)

    def do_join_organization(self, account: str) -> None:
        """Add an account to the organization of the home account."""
        organizations = organizations_backends[ACCOUNT]["aws"]
        status = organizations.create_account(AccountName=account, Email=f"{account}@example.com")
        (member,) = [each for each in organizations.accounts if each.name == account]
        member.id = account
        organizations_backends.master_accounts.pop(status["CreateAccountStatus"]["AccountId"])
        organizations_backends.master_accounts[account] = (ACCOUNT, "aws")

    def do_log(self) -> list[str]:
        """Tell what the rig did to the instances."""
        return self.containers.log

    def do_open_sessions(self) -> list[str]:
        """List the sessions of Session Manager that have not been terminated."""
        return self.session_manager.open

    def do_deny_key(self, denied: bool) -> None:
        """Let EC2 use the KMS key no more, or again."""
        self.rig.key_is_denied = denied

    def do_pace(self, **seconds: float) -> None:
        """Set how long state changes take."""
        self.rig.pace(**seconds)

    def do_distance(self, round_trip: float) -> None:
        """Set how far away the API and the next instances are, in seconds."""
        self.front.round_trip = self.containers.round_trip = round_trip

    def end(self) -> None:
        """Remove everything; what is being started at this moment, too."""
        self.containers.remove_all()
        for thread in threading.enumerate():
            if thread.name == "rig-launch":
                thread.join(10)
        self.containers.remove_all()
