"""Where the test vectors that others wrote lie: $SEKISHO_VECTORS, or shared/vectors beside the checkout.

Without them the tests that need them are skipped with a loud reason; where the environment variable CI is set
they fail.
"""

import os
import warnings
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("SEKISHO_VECTORS") or Path(__file__).parents[2] / "shared" / "vectors")


def vectors(*parts: str) -> Path:
    """The path of a vector file or folder, for use at module level or in a test."""
    path = find_vectors(*parts)
    if not path.exists():
        pytest.skip(_missing(path), allow_module_level=True)
    return path


def find_vectors(*parts: str) -> Path:
    """The same for files that hold other tests too: the path may be missing, with a warning, but not under
    CI."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        if os.environ.get("CI"):
            raise FileNotFoundError(_missing(path))
        warnings.warn(_missing(path), stacklevel=3)
    return path


def _missing(path: Path) -> str:
    return f"TEST VECTORS ARE MISSING: {path} (set SEKISHO_VECTORS); what needs them was not checked"
