"""The published model versions: where they are and what input they were trained on."""

from __future__ import annotations

REPOSITORY = "AbstractPhil/geolip-SVAE"
ELSEWHERE = {"aleph_void": ("AbstractPhil/geolip-aleph-void", "aleph_byte_trigram_tied_hard_K64")}

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
    "v41_freckles_256": "Freckles tuned on at 256x256",
    "v42_freckles_512": "Freckles tuned on at 512x512",
    "v50_fresnel_64": "Fresnel, 64x64, ImageNet, four modes",
    "bintree_proto_v1": "sphere-solver, 16x16, binary trees as bits",
    "sentencepiece_proto_v1": "sphere-solver, 16x16, SentencePiece tokens as bits",
    "byte_trigram_proto_v1": "sphere-solver, 256x256, text as bytes",
    "aleph_void": "AlephModel with hard addresses, 64x64, text as bytes",
}

# The versions trained on each input, and the data sets that local copies of them name in their configs.
_NORMALIZE = {
    "imagenet": {"v12_imagenet128", "v13_imagenet256", "imagenet_128", "imagenet_256"},
    "0.4802,0.4481,0.3975/0.2770,0.2691,0.2821": {"v19_fresnel_tiny", "tiny_imagenet"},
    "0.5/0.5": {  # bytes, or bits, on [-1, 1]
        *("v22_alexandria_small", "bintree_proto_v1", "sentencepiece_proto_v1", "byte_trigram_proto_v1"),
        *("aleph_void", "wikipedia", "binary_tree", "sentencepiece_bits", "byte_trigram"),
    },
}


def place(version: str) -> tuple[str, str]:
    """(repository, file in it) of a key of ``PUBLISHED``."""
    repository, folder = ELSEWHERE.get(version, (REPOSITORY, version))
    return repository, f"{folder}/checkpoints/best.pt"


def trained_normalization(version: str | None, config: dict) -> str:
    """``none``, ``imagenet`` or ``MEAN/STD``: the input a version, or a config's data set, was trained on."""
    asked = {version, str(config.get("dataset"))}
    return next((how for how, names in _NORMALIZE.items() if asked & names), "none")
