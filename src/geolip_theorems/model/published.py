"""The published model versions: where they are and what input they were trained on."""

from __future__ import annotations

REPOSITORY = "AbstractPhil/geolip-SVAE"
FILE = "{version}/checkpoints/best.pt"

PUBLISHED: dict[str, str] = {
    "v12_imagenet128": "Fresnel-small, 128x128, ImageNet",
    "v13_imagenet256": "Fresnel-base, 256x256, ImageNet",
    "v14_noise": "Johanna-small, 128x128, Gaussian noise",
    "v16_johanna_omega": "Johanna-small, 128x128, 16 noise families",
    "v18_johanna_curriculum": "Johanna-tiny, 64x64, noise curriculum",
    "v19_fresnel_tiny": "Fresnel-tiny, 64x64, TinyImageNet",
    "v20_johanna_base": "Johanna-base, 256x256, noise curriculum",
    "v22_alexandria_small": "Alexandria-small, 128x128, text",
    "v30_grandmaster": "Grandmaster, 128x128, denoiser",
    "v40_freckles_noise": "Freckles, 64x64, 16 noise families",
    "v50_fresnel_64": "Fresnel, 64x64, ImageNet, four modes",
}

_TINY_IMAGENET = "0.4802,0.4481,0.3975/0.2770,0.2691,0.2821"
_NORMALIZE = {
    "v12_imagenet128": "imagenet",
    "v13_imagenet256": "imagenet",
    "v19_fresnel_tiny": _TINY_IMAGENET,
    # the data set named in a checkpoint's own config, for local copies of the versions above
    "imagenet_128": "imagenet",
    "imagenet_256": "imagenet",
    "tiny_imagenet": _TINY_IMAGENET,
}


def trained_normalization(version: str | None, config: dict) -> str:
    """``none``, ``imagenet`` or ``MEAN/STD``: the input a version, or a config's data set, was trained on."""
    return _NORMALIZE.get(version or "", _NORMALIZE.get(str(config.get("dataset")), "none"))
