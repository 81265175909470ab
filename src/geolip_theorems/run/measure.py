"""``measure``: the suite's record of a model in memory, for notebooks and training loops."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from torch import nn

from ..data.imageset import ImageSet, from_arrays
from ..extraction.cache import MapsCache
from ..io.console import progress
from ..io.temporary import temporary_folder
from ..questions import Claim
from ..results.record import SubjectRecord
from .analyse import analyse, unwatched
from .options import DEFAULT_ABLATION_IMAGES, RunOptions, check_seed
from .subject import live_subject, model_channels
from .verdicts import adjust


def measure(
    model: nn.Module,
    images: Any,
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    groups: Any = None,
    name: str = "model",
    dataset: str = "arrays",
    seed: int = 0,
    claims: Sequence[Claim] | None = None,
    ablation_images: int | None = DEFAULT_ABLATION_IMAGES,
    probe: str = "ridge",
    controls: int = 0,
    cache_dir: str | Path | None = None,
    show_progress: bool = True,
) -> SubjectRecord:
    """Measure a live model on images in memory.

    Args:
        model: maps (B, C, H, W) float32 images to the decoded images, a tensor, or to ``{"recon": (B, C, H,
            W), "svd": {"U": (B, N, V, D), "S": (B, N, D), "Vt": (B, N, D, D)}}`` and has ``patch_size``; C is
            its attribute ``channels``, 3 where it has none. ``svd``, or parts of it, may be missing: then
            what needs them is not measured and says why, see ``docs/methods.md``. A ``spectrum`` of
            ``"column norms"`` says that S are no singular values. The model is run in evaluation mode,
            without gradients, on the device its parameters or buffers are on (without any: the CPU), and left
            in the mode it was in.
        images: an :class:`ImageSet`; (N, H, W, C) uint8, scaled to [0, 1] (3 channels become 1 by luma, 1
            becomes 3 by repetition); or float (N, C, H, W), taken as they are.
        labels: (N,) whole numbers, or None: then only the questions without classes are answered.
        classes, groups: class names, and (N,) numbers that images from one source share.
        name, dataset: what the record calls the two.
        seed: of splits and resampling.
        claims: to judge, such as ``[metrics.error < 1e-4]``; by default the questions' own.
        ablation_images: images whose modes are ablated; None for all, 0 for none.
        probe: the readout of questions 4 and 5, ``ridge`` or ``conv``.
        controls: random-weight twins to compare with, at least; each that the bank does not have costs a
            pass over up to 512 images.
        cache_dir: keep the maps there; by default nothing is kept.
        show_progress: with bars on a terminal and in a notebook; elsewhere there are none.

    Returns:
        The same record as a subject in ``results.json``.

    Raises:
        InputError: images, labels or model cannot be used; one line.
    """
    check_seed(seed)
    if not isinstance(images, ImageSet):
        images = from_arrays(images, labels, classes, groups, name=dataset, channels=model_channels(model))
    first = next(chain(model.parameters(), model.buffers()), None)
    options = RunOptions(
        device="cpu" if first is None else str(first.device),
        seed=seed,
        ablation_images=ablation_images,
        probe=probe,
        controls=controls,
    )
    training = model.training
    model.eval()
    try:
        subject = live_subject(model, images, options, name)
        with temporary_folder() as temporary:
            cache = MapsCache(Path(cache_dir or temporary))
            watch = progress if show_progress else unwatched
            asked = None if claims is None else tuple(claims)
            record = analyse(subject, cache, asked=asked, watch=watch).record
            adjust([record])
            return record
    finally:
        model.train(training)
