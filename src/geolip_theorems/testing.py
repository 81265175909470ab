"""``claim``: a test of a claim, in this suite or in a model's own repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from .questions import Claim


def claim(asserted: Claim) -> pytest.MarkDecorator:
    """Mark a test as one of a claim::

        @claim(corrected_cv > 0.1)
        def test_error_varies_over_patches(verdict):
            verdict.check()

    It runs once per subject; its fixture ``verdict`` holds the figure, its interval and the verdict.
    """
    import pytest

    return pytest.mark.claim(asserted)
