"""The model's part: its SVD step, Gram assembly, encode, decode, a batch's extraction, and the probes.

Each takes the models after ``--model``; which one is not in a test's id, so that versions can be compared.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch

from geolip_theorems.conduit import conduit, conduit_from_svd
from geolip_theorems.data.imageset import ImageSet
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.extract import extract
from geolip_theorems.extraction.maps import Maps
from geolip_theorems.model.architectures import PatchSVAE, gram_svd, grid_shape
from geolip_theorems.model.sources import LoadedModel
from geolip_theorems.questions.readout.measure import probe_accuracies
from geolip_theorems.run.subject import model_channels

BATCH = 8  # images: the tile of the extraction on a CPU
PROBED = 100


@functools.cache
def generated(count: int, image_size: int, channels: int) -> ImageSet:
    """Scenes, or noise for a model of channels that no picture has."""
    name = "scenes" if channels in (1, 3) else "noise"
    return load_images(name, image_size=image_size, max_images=count, channels=channels)


@pytest.fixture(scope="module")
def images(contestants, device) -> torch.Tensor:
    """(B, C, H, W) generated images, the same for every model."""
    return generated(BATCH, contestants.image_size, contestants.channels).tensor().to(device)


def builtin(loaded: LoadedModel) -> PatchSVAE:
    """The model, or a skip where its parts cannot be run apart."""
    if not isinstance(loaded.model, PatchSVAE):
        pytest.skip(f"{loaded.name} is not of the built-in architecture; only its extraction can be timed")
    return loaded.model


@torch.no_grad()
def svd_of(loaded: LoadedModel, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """U, S, Vt, M of every patch, (B * N, ...)."""
    return {key: value.flatten(0, 1) for key, value in builtin(loaded).encode(images).items()}


def no_grad(call):
    return torch.no_grad()(call)


@pytest.mark.parametrize("name", ["gram_svd", "torch.linalg.svd", "geolip-core gram_eigh_svd"])
def test_svd_step(benchmark, timed_models, images, name):
    benchmark.group = "the model's SVD step, matrices of its own"
    calls = {"gram_svd": gram_svd, "torch.linalg.svd": lambda M: torch.linalg.svd(M, full_matrices=False)}
    if name not in calls:
        calls[name] = pytest.importorskip("geolip_core.linalg.svd", exc_type=ImportError).gram_eigh_svd

    def make(loaded: LoadedModel):
        M = svd_of(loaded, images)["M"]
        return no_grad(lambda: calls[name](M))

    timed_models(name, BATCH, make)


@pytest.mark.parametrize("name", ["fused", "einsum then conduit", "einsum alone"])
def test_gram_assembly(benchmark, timed_models, images, name):
    benchmark.group = "telemetry of the model's own (Vt, S)"

    def make(loaded: LoadedModel):
        svd = svd_of(loaded, images)
        Vt, S = svd["Vt"], svd["S"]

        def gram():
            return torch.einsum("bki,bk,bkj->bij", Vt, S * S, Vt)

        calls = {
            "fused": lambda: conduit_from_svd(Vt, S),
            "einsum then conduit": lambda: conduit(gram()),
            "einsum alone": gram,
        }
        return no_grad(calls[name])

    timed_models(name, BATCH, make)


@pytest.mark.parametrize("name", ["encode", "decode", "round trip"])
def test_model(benchmark, timed_models, images, name):
    benchmark.group = "images through the model"

    def make(loaded: LoadedModel):
        model = builtin(loaded)
        with torch.no_grad():
            svd = model.encode(images)
        grid = grid_shape(*images.shape[-2:], model.patch_size)
        calls = {
            "encode": lambda: model.encode(images),
            "decode": lambda: model.decode(svd, None, grid),
            "round trip": lambda: model(images),
        }
        return no_grad(calls[name])

    timed_models(name, BATCH, make)


@pytest.mark.parametrize("name", ["maps", "maps and ablations"])
def test_extraction(benchmark, timed_models, contestants, device, name):
    benchmark.group = "extraction of a batch, end to end"
    images = generated(BATCH, contestants.image_size, contestants.channels)
    ablated = np.arange(0) if name == "maps" else None  # None: all of them

    def make(loaded: LoadedModel):
        return lambda: extract(loaded.model, images, device=device, ablated=ablated)

    timed_models(name, BATCH, make, rounds=11)


@functools.cache
def maps_of(model: torch.nn.Module, image_size: int, device: str) -> Maps:
    images = generated(PROBED, image_size, model_channels(model))
    return extract(model, images, device=device, ablated=np.arange(0))


def test_probes(benchmark, timed_models, contestants, device):
    benchmark.group = f"probes of questions 4 and 5, {PROBED} images"

    def make(loaded: LoadedModel):
        maps = maps_of(loaded.model, contestants.image_size, device)
        seeds = itertools.count()  # results are kept by seed: each round takes another
        return lambda: probe_accuracies(
            maps, maps.labels, groups=maps.groups, seed=next(seeds), device=device
        )

    timed_models("ridge", PROBED, make, rounds=8)
