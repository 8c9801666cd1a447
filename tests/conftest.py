"""Paths shared by all tests."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "workflow" / "scripts"))
sys.path.insert(0, str(REPOSITORY / "tests"))
