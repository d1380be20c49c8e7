"""What every test shares: the marks that need more than Python, and the rule that CI skips nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest
from hypothesis import settings

# How long one example takes says more about the machine's other work than about the program.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


# A shell ignores SIGINT in what it starts in the background, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MARKS = ("root", "engine", "browser", "vm")


def _engine_missing() -> str:
    if shutil.which("docker") is None:
        return "docker is not installed"
    try:
        answer = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer within 20 seconds"
    return "" if answer.returncode == 0 else os.environ.get("HOLDFAST_ENGINE") or "no Docker engine answers"


def _machine_missing() -> str:
    from holdfast.drill.machine import build

    obstacle = None if build.cached() else build.obstacle()
    return str(obstacle).replace("\n", "; ") if obstacle else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    wanted = {mark for item in items for mark in MARKS if item.get_closest_marker(mark)}
    reasons = {
        "root": "needs root" if "root" in wanted and os.geteuid() != 0 else "",
        "engine": _engine_missing() if "engine" in wanted else "",
        "browser": "chromium is not installed" if "browser" in wanted and not shutil.which("chromium") else "",
        "vm": _machine_missing() if "vm" in wanted else "",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure: there everything that a test needs is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of the person who runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("HOLDFAST_") and name not in {"HOLDFAST_ENGINE", "HOLDFAST_VM_CACHE"}:
            monkeypatch.delenv(name)
