"""Compile the drill's probe and the sensor's programs into the wheel, for every machine type they are for."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProbeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The custom hook that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the programs put beside their sources in the wheel.

        An editable installation gets none: there ``probe_file`` builds what is needed from the sources at hand.

        Args:
            version: ``standard`` or ``editable``.
            build_data: What goes into the wheel; extended here.
        """
        if version == "editable":
            return
        probe_build = _loaded(Path(self.root) / "src" / "holdfast" / "drill" / "probe_build.py")
        self._folder = tempfile.TemporaryDirectory(prefix="holdfast-build-")
        folder = Path(self._folder.name)
        for machine in probe_build.MACHINES:
            made = folder / f"probe-{machine}"
            # Kept between builds of one work tree: the first takes a minute, the next a second or two.
            probe_build.build([sys.executable], machine, made, Path(self.root) / "build" / "zig")
            build_data["force_include"][str(made)] = f"holdfast/drill/probe/{made.name}"
        bpf_build = _loaded(Path(self.root) / "src" / "holdfast" / "sensor" / "bpf_build.py")
        for machine in bpf_build.MACHINES:
            for program in bpf_build.programs():
                made = folder / f"{program}-{machine}.o"
                bpf_build.build([sys.executable], machine, program, made, Path(self.root) / "build" / "zig")
                build_data["force_include"][str(made)] = f"holdfast/sensor/bpf/{made.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder of the build.

        Args:
            version: As for ``initialize``.
            build_data: As for ``initialize``.
            artifact_path: The wheel that was written.
        """
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()


def _loaded(path: Path) -> Any:
    """Load a module of the source tree that imports nothing of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
