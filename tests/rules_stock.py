"""The stock rule files of Falco and what Falco itself says of them; they are not part of the repository."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from holdfast.rules.ruleset import Loaded, load

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "falco"
NAMES = ("falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml")
needs_stock = pytest.mark.skipif(not FOLDER.is_dir(), reason="Falco's stock rules are not beside the repository")


@cache
def described() -> dict[str, Any]:
    with gzip.open(FOLDER / "describe.json.gz") as file:
        found: dict[str, Any] = json.load(file)
    return found


@cache
def stock() -> Loaded:
    return load((name, (FOLDER / name).read_text(encoding="utf-8")) for name in NAMES)
