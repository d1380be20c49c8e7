"""Images that this machine's engine holds: they decide about the user where a document names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.model.errors import Error, NotUnderstood
from holdfast.model.facts import Facts
from holdfast.model.words import declared
from holdfast.model.workload import Described

if TYPE_CHECKING:
    from holdfast.collect.docker_socket import Engine


class Images:
    """Asks the engine about each image once; where nobody answers, nothing is known of any."""

    def __init__(self, address: str) -> None:
        """Prepare; the engine is not asked before the first image."""
        self.address = address
        self._engine: Engine | None = None
        self._silent = False
        self._known: dict[str, Facts] = {}

    def close(self) -> None:
        """Hang up."""
        if self._engine is not None:
            self._engine.connection.close()
            self._engine = None

    def facts(self, described: Described) -> Facts:
        """Return the declared facts of a workload, with its image's answer where the document leaves the user open."""
        facts, image = described.facts, described.workload.image
        left_open = facts.absent(declared.USER) is None or facts.value(declared.USER_BY_IMAGE) is True
        # a kubelet's images lie with another engine
        if declared.USER in facts or not left_open or not image or facts.value(declared.ENGINE) != "docker":
            return facts
        if image not in self._known:
            self._known[image] = self._asked(image)
        return facts.joined(self._known[image])

    def _asked(self, image: str) -> Facts:
        from holdfast.collect import docker_socket
        from holdfast.platforms.docker_image import read_image

        if self._silent:
            return Facts()
        try:
            if self._engine is None:
                self._engine = docker_socket.Engine(self.address or docker_socket.DEFAULT)
            data = docker_socket.image(self._engine, image)
            return read_image(data, image) if data else Facts()
        except NotUnderstood:
            return Facts()
        except Error:
            self._silent = True
            return Facts()
