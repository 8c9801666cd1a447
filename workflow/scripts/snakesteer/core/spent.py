"""What this process has spent beside its own model, by name, for the job's usage."""

from __future__ import annotations

from collections import defaultdict

SPENT: defaultdict[str, float] = defaultdict(float)
