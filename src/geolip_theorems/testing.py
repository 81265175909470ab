"""``claim`` and ``metric``: claims and figures of one's own, in this suite or in a model's repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from .extraction.maps import Maps
    from .questions import Claim, Metric


def claim(asserted: Claim) -> pytest.MarkDecorator:
    """Mark a test as one of a claim::

        @claim(corrected_cv > 0.1)
        def test_error_varies_over_patches(verdict):
            verdict.check()

    It runs once per subject; its fixture ``verdict`` holds the figure, its interval and the verdict.
    """
    import pytest

    return pytest.mark.claim(asserted)


def metric(
    function: Callable[[Maps], Any] | None = None, *, better: int = 0, smallest: float = 0.0
) -> Metric | Callable[[Callable[[Maps], Any]], Metric]:
    """Make a metric of a function that gives one number per image::

        @metric
        def worst_patch(maps):
            '''share of the error in the worst patch'''
            error = maps.error.reshape(len(maps), -1)
            return error.max(1) / error.sum(1)

        @claim(worst_patch < 0.1)
        def test_no_patch_dominates(verdict):
            verdict.check()

    The figure is the mean over images, with the interval, twins and comparisons that every mean has. It is
    computed in every run, whatever the cache holds. In a record it is ``own.NAME``.

    Args:
        function: from :class:`geolip_theorems.extraction.maps.Maps` to (N,) numbers; NaN for an image without
            one. The first line of its docstring, else its name, is the metric's title.
        better: +1 where larger is better, -1 where smaller is, 0 where neither is.
        smallest: the smallest change of interest.

    Raises:
        InputError: when it is measured, and the function raises or gives anything else.
    """
    from .questions.own import own_metric

    def made(function: Callable[[Maps], Any]) -> Metric:
        return own_metric(function, better, smallest)

    return made if function is None else made(function)
