"""What surrounds the conduit: the model's SVD step, encode, decode, a batch's extraction, and a probe."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geolip_theorems import PatchSVAE
from geolip_theorems.conduit import conduit_from_svd
from geolip_theorems.extraction.patch_maps import decoder_of, tile_maps
from geolip_theorems.model.patch_svae import gram_svd

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
IMAGES = 8


@pytest.fixture(scope="module")
def model() -> PatchSVAE:
    torch.manual_seed(0)
    return PatchSVAE().to(DEVICE).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(IMAGES, 3, 64, 64, generator=torch.Generator().manual_seed(0)).to(DEVICE)


@pytest.mark.parametrize("name", ["gram_svd", "conduit from its result", "geolip-core gram_eigh_svd"])
def test_svd_step(benchmark, timed, name):
    benchmark.group = "SVD of 4096 matrices 48x4"
    M = torch.randn(4096, 48, 4, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    _, S, Vt = gram_svd(M)
    if name == "gram_svd":
        call = lambda: gram_svd(M)  # noqa: E731
    elif name == "conduit from its result":
        call = lambda: conduit_from_svd(Vt, S)  # noqa: E731
    else:
        svd = pytest.importorskip("geolip_core.linalg.svd", exc_type=ImportError)
        call = lambda: svd.gram_eigh_svd(M)  # noqa: E731
    timed(name, len(M), call)


@pytest.mark.parametrize("name", ["encode", "decode", "extraction"])
@torch.no_grad()
def test_model(benchmark, timed, model, images, name):
    benchmark.group = f"{IMAGES} images of 64x64"
    svd = model.encode(images)
    grid = (images.shape[-2] // model.patch_size, images.shape[-1] // model.patch_size)
    decoder = decoder_of(model, images)
    calls = {
        "encode": lambda: model.encode(images),
        "decode": lambda: model.decode(svd["U"], svd["S"], svd["Vt"], grid),
        "extraction": lambda: tile_maps(model, images, 0, decoder),
    }
    timed(name, IMAGES, calls[name], rounds=5)


def test_probe(benchmark, timed):
    from sklearn.linear_model import RidgeClassifier

    benchmark.group = "probe of 1000 images, 1024 features"
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((1000, 1024)), rng.integers(0, 10, 1000)
    timed("ridge", 1000, lambda: RidgeClassifier().fit(features, labels), rounds=5)
