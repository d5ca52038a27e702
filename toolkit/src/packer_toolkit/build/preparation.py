"""Prepares a build: everything before `packer build` starts."""

from __future__ import annotations

import contextlib
import shutil
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from packer_toolkit.aws.identity import Identity, read_identity
from packer_toolkit.aws.session import Clients, make_clients
from packer_toolkit.build.cleanup.find import LeftoverFinder
from packer_toolkit.build.host import Host
from packer_toolkit.build.image_preparation import prepare_images
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.build.validation import validate_request
from packer_toolkit.build.version_images import VersionState
from packer_toolkit.errors import RemoteError, SetupError
from packer_toolkit.repository.galaxy_install import Options, hold_requirements
from packer_toolkit.repository.missing_content import require_content
from packer_toolkit.signals import ReceivedSignals
from packer_toolkit.text.lines import join_lines

_DESCRIPTIONS = {"local": "local build", "test": "test build, no image", "image": "image"}


@dataclass
class Preparation:
    """The preparation of a build.

    Args:
        request: The request; its values and options are set.
        host: Runs programs, opens sessions of AWS, and prints for the user.
        signals: Signals that stop the preparation.
        mask: Masks secrets.

    Attributes:
        identity: Identity of the AWS credentials; None for a local build.
        state: Images of the version that exist already.
        held: Resources that have to be held until the build has ended.
    """

    request: BuildRequest
    host: Host
    signals: ReceivedSignals
    mask: Mask
    identity: Identity | None = field(default=None, init=False)
    state: VersionState = field(default_factory=lambda: VersionState(""), init=False)
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)

    def prepare(self) -> str:
        """Prepare the build; return the path of Packer.

        Raises:
            ToolkitError: If the build must not start.
        """
        request = self.request
        packer = shutil.which("packer", path=request.env.get("PATH"))
        if not packer:
            raise SetupError(
                "packer is not on PATH; build in the toolkit image with `task packer-build`, or "
                "install Packer: https://developer.hashicorp.com/packer/install"
            )
        validate_request(request, packer, self.host, self.mask.secrets)
        if "local.roles" in request.values.raw:
            require_content(request.arguments.folder)
        if request.is_local:
            self._install(packer)
        else:
            with self._call_aws():
                self._install(packer)
            if self.identity:
                role = f"; Packer assumes {request.role}" if request.role else ""
                self.host.echo(f"{self.identity.describe()}{role}")
            account = self.identity.account if self.identity else ""
            self.state = prepare_images(request, self.clients, account, self.signals, self.host)
        self.host.echo(f"Run {request.run_id}: {_DESCRIPTIONS[request.build_type]}")
        return packer

    def _install(self, packer: str) -> None:
        """Install the plugins of Packer, and once for all builds the content of Ansible."""
        request = self.request
        template = request.arguments.words[:1] or (".",)
        completed = self.host.run_program(
            [packer, "init", *template], env=request.env, check_signals=self.signals.check
        )
        if completed.code:
            self.host.show(self.mask.secrets(completed.stdout + completed.stderr))
            raise SetupError(
                "packer init failed (see above): required plugins are not installed and could not "
                "be downloaded; check the network, a proxy, and the versions in required_plugins"
            )
        if not request.values.is_true("var.install_requirements"):
            return
        options = Options(refresh=True, check_signals=self.signals.check, report=self.host.echo)
        self.held.enter_context(hold_requirements(request.arguments.folder.absolute(), options))
        request.env["PKR_VAR_install_requirements"] = "false"

    @contextlib.contextmanager
    def _call_aws(self) -> Any:
        """Read what only AWS knows while the block runs, and wait for it after the block.

        Raises:
            ToolkitError: If AWS cannot be reached or refuses, or after a signal.
        """
        errors: list[BaseException] = []

        def read() -> None:
            try:
                session = self.host.connect("", "", "")
                self.identity = read_identity(session, self.request.region)
                self._find_images_before()
            except BaseException as error:  # noqa: BLE001,RUF100 - raised again below
                errors.append(error)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        yield
        while thread.is_alive() and not self.signals.has_any:
            thread.join(0.1)
        self.signals.check()
        if errors:
            raise errors[0]

    def _find_images_before(self) -> None:
        """Find finished images with the run ID of this build; its clean-up must not delete them.

        Raises:
            RemoteError: If EC2 refuses a call.
        """
        scope = self.request.make_scope()
        if not self.request.has_given_run_id or scope is None:
            return
        session = self.host.connect(self.request.role, "packer-toolkit", scope.regions[0])
        try:
            images = LeftoverFinder(make_clients(session), scope).find_image_ids()
        except Exception as error:
            raise RemoteError(
                f"cannot list the images of the run {self.request.run_id}: "
                f"{join_lines(str(error))}; start again with credentials that may list images"
            ) from None
        self.request.images_before = images

    @cached_property
    def clients(self) -> Clients:
        """Return the function that returns the EC2 client of a region, with the build's role."""
        name = f"build-{self.request.values.text('var.image_name')}"
        return make_clients(self.host.connect(self.request.role, name, self.request.region))
