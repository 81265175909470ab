"""The extraction's own round trip is the model's, to rounding, with either kind of linear layer."""

import pytest
import torch

from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.extraction.extract import extract
from geolip_theorems.model.architectures import (
    FastForward,
    PatchSVAE,
    SVAEConfig,
    architecture_of,
    extract_patches,
    fast,
    kernels,
)
from geolip_theorems.model.sources import random_twin

CONFIGS = [
    SVAEConfig(V=48, D=4, patch_size=4, hidden=96, depth=2),
    SVAEConfig(V=32, D=16, patch_size=8, hidden=64, depth=1, n_cross_layers=1),
    SVAEConfig(V=8, D=2, patch_size=4, hidden=32, depth=0, n_cross_layers=0),
]


def images_of(n=3, size=(32, 48)):
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["onednn", "torch"])
def kind(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(fast, "fused", lambda activation: None)
    elif kernels(torch.device("cpu")) != "onednn":
        pytest.skip("this torch has no fused oneDNN layers")
    return request.param


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"D{c.D}")
@torch.inference_mode()
def test_it_gives_what_the_model_gives(kind, config):
    model, images = random_twin(config, 1), images_of()
    torch.nn.init.normal_(model.boundary_smooth.net[-1].weight, std=0.1)
    assert kernels(torch.device("cpu")) == kind
    found, wanted = FastForward(model)(images), model(images)
    torch.testing.assert_close(found["recon"], wanted["recon"], rtol=1e-4, atol=1e-5)
    for key in ("S", "S_orig", "M"):
        torch.testing.assert_close(found["svd"][key], wanted["svd"][key], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_modes_without_u_are_those_with_it(kind):
    model, images = random_twin(CONFIGS[0], 1), images_of()
    ours, out = FastForward(model), model(images)
    svd = out["svd"]
    for k in range(4):
        mode = torch.eye(4)[k]
        wanted = model.decode(svd, mode, (8, 12))
        without = {key: value for key, value in svd.items() if key != "U"}
        torch.testing.assert_close(ours.decode(without, mode, (8, 12)), wanted, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_matrix_without_rank_stays_finite(kind):
    model = random_twin(CONFIGS[0], 1)
    with torch.no_grad():
        model.enc_out.weight.zero_()
        model.enc_out.bias.copy_(torch.tensor([1.0, 0, 0, 0]).repeat(48))  # every row the same: rank 1
    images = images_of()
    found, wanted = FastForward(model)(images), model(images)
    torch.testing.assert_close(found["recon"], wanted["recon"], rtol=1e-3, atol=1e-4)


def test_other_weights_give_other_images():
    images = images_of()
    with torch.inference_mode():
        one, two = (FastForward(random_twin(CONFIGS[0], seed))(images)["recon"] for seed in (1, 2))
    assert not torch.allclose(one, two, atol=1e-2)


def test_only_the_unchanged_model_is_replaced():
    class Louder(PatchSVAE):
        def forward(self, images):
            out = super().forward(images)
            return {**out, "recon": out["recon"] + 3}

    plain, louder = random_twin(CONFIGS[0], 1), Louder(CONFIGS[0]).eval()
    louder.load_state_dict(plain.state_dict())
    patched = random_twin(CONFIGS[0], 1)
    patched.forward = louder.forward
    assert [architecture_of(model) is not None for model in (plain, louder, patched)] == [True, False, False]
    images = from_arrays(images_of())
    quiet = extract(plain, images, ablated=[])
    for model in (louder, patched):
        assert (extract(model, images, ablated=[]).error > quiet.error + 1).all()


def exchanged(model):
    model.dec_blocks[0][2] = torch.nn.Tanh()


def of_another_kind(model):
    model.enc_blocks[0][2].approximate = "tanh"


def replaced(model):
    layer = model.enc_in
    layer.forward = lambda x: 2 * torch.nn.Linear.forward(layer, x)


def hooked(model):
    model.dec_out.register_forward_hook(lambda layer, given, found: found + 1)


@pytest.mark.parametrize("change", [exchanged, of_another_kind, replaced, hooked])
def test_a_model_with_a_part_changed_runs_as_it_is(change):
    model, images = random_twin(CONFIGS[0], 1), images_of()
    assert architecture_of(model)
    change(model)
    assert not architecture_of(model)
    found = extract(model, from_arrays(images), ablated=[]).error
    squared = (extract_patches(images, 4) - extract_patches(model(images)["recon"], 4)).square()
    torch.testing.assert_close(torch.from_numpy(found).flatten(1), squared.mean(-1), rtol=1e-4, atol=1e-6)
