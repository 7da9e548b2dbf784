"""Where the test vectors that others wrote lie: $SEKISHO_VECTORS, or shared/vectors beside the checkout.

Without them the tests that need them are skipped with a loud reason; where the environment variable CI is set they fail.
"""

import os
import warnings
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("SEKISHO_VECTORS") or Path(__file__).parents[2] / "shared" / "vectors")


def vectors(*parts: str) -> Path:
    """The path of a vector file or folder, for use at module level or in a test."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        message = f"TEST VECTORS ARE MISSING: {path} (set SEKISHO_VECTORS); nothing in this file was checked against them"
        if os.environ.get("CI"):
            raise FileNotFoundError(message)
        warnings.warn(message, stacklevel=2)
        pytest.skip(message, allow_module_level=True)
    return path
