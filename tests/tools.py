"""Tools of the system that a test asks: skipped loudly where one is missing, never in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def require_tool(name: str, package: str = "systemd") -> str:
    """The tool's path. Skips the test where it is missing, and fails it where CI=true."""
    path = shutil.which(name)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing: install {package}")
    if path is None:
        pytest.skip(f"{name} is missing: NOT tested here; install {package}")
    return path
