"""Our PatchSVAE against inputs and outputs of the public original."""

from pathlib import Path

import numpy as np
import pytest
import torch

from geolip_theorems import load_model
from geolip_theorems.conduit import conduit
from geolip_theorems.model.architectures import PatchSVAE, gram_svd

DATA = Path(__file__).parents[1] / "data"
CASES = ["svae_d4", "svae_d16"]
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=CASES)
def golden(request):
    """(model, its config, the original's inputs and outputs)."""
    model, config = load_model(str(DATA / f"{request.param}.pt"))
    with np.load(DATA / f"{request.param}_io.npz") as file:
        return model, config, {key: torch.from_numpy(file[key]) for key in file}


def up_to_column_signs(found, wanted):
    """``found`` with each column's sign turned to that of ``wanted``."""
    return found * torch.sign((found * wanted).sum(-2, keepdim=True))


def largest_differences(model, io):
    out = model(io["images"])
    found = {"recon": out["recon"], **out["svd"]}
    found["U"] = up_to_column_signs(found["U"], io["U"])
    found["Vt"] = up_to_column_signs(found["Vt"].mT, io["Vt"].mT).mT
    return {
        key: (found[key] - io[key]).abs().max().item() for key in ("recon", "S", "S_orig", "M", "U", "Vt")
    }


def test_outputs_are_the_originals(golden):
    model, _, io = golden
    differences = largest_differences(model, io)
    assert max(differences.values()) <= TOLERANCE, differences


def test_a_changed_weight_is_noticed(golden):
    model, _, io = golden
    with torch.no_grad():
        model.cross_attn[0].alpha_logits += 0.1
        try:
            differences = largest_differences(model, io)
        finally:
            model.cross_attn[0].alpha_logits -= 0.1
    assert differences["S"] > 1e-4
    assert differences["M"] <= TOLERANCE  # M comes before the cross-attention


def test_config_carries_the_checkpoints_entries(golden):
    _, config, _ = golden
    assert config["dataset"] == "golden"
    assert {"V", "D", "patch_size", "hidden", "depth", "n_cross_layers", "img_size"} <= set(config)


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [({}, 2_557_539), ({"V": 256, "D": 16, "patch_size": 16, "hidden": 768}, 16_942_419)],
    ids=["freckles", "fresnel"],
)
def test_published_sizes(sizes, parameters):
    with torch.device("meta"):
        model = PatchSVAE(**sizes)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_svd_is_lapacks():
    M = torch.nn.functional.normalize(
        torch.randn(50, 48, 4, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    U, S, Vt = gram_svd(M)
    reference = np.linalg.svd(M.double().numpy(), compute_uv=False)
    np.testing.assert_allclose(S.numpy(), reference, rtol=1e-6)
    torch.testing.assert_close((U * S.unsqueeze(-2)) @ Vt, M, rtol=0, atol=1e-6)


def test_the_gpus_way_to_the_svd_gives_the_same(monkeypatch):
    """On a GPU the eigenpairs are the conduit's; here the same path runs on the CPU."""
    M = torch.nn.functional.normalize(
        torch.randn(300, 48, 4, generator=torch.Generator().manual_seed(1)), dim=-1
    )
    U, S, _ = gram_svd(M)
    monkeypatch.setattr("geolip_theorems.model.architectures.spectra._wants_conduit", lambda _: True)
    U2, S2, Vt2 = gram_svd(M)
    assert not torch.equal(U, U2)
    torch.testing.assert_close(S2, S, rtol=1e-5, atol=0)
    torch.testing.assert_close((U2 * S2.unsqueeze(-2)) @ Vt2, M, rtol=0, atol=1e-5)
    torch.testing.assert_close(U2.mT @ U2, torch.eye(4).expand(300, 4, 4), rtol=0, atol=1e-4)


def test_a_small_singular_value_is_the_same_by_the_gpus_way(monkeypatch):
    """Down to 1e-3 of the largest; float32 eigenvalues, the negative control, are off by a per cent there."""
    generator = torch.Generator().manual_seed(1)
    turned = torch.linalg.qr(torch.randn(300, 4, 4, generator=generator))[0]
    M = torch.randn(300, 48, 4, generator=generator) * torch.tensor([1, 0.1, 0.01, 1e-3]) @ turned
    _, S, _ = gram_svd(M)
    alone = conduit((M.double().mT @ M.double()).float()).eigenvalues.flip(-1).sqrt()
    monkeypatch.setattr("geolip_theorems.model.architectures.spectra._wants_conduit", lambda _: True)
    _, ours, _ = gram_svd(M)
    torch.testing.assert_close(ours, S, rtol=1e-4, atol=0)
    assert ((alone - S).abs() / S).max() > 1e-2


def test_fresh_weights_do_not_depend_on_the_threads():
    from geolip_theorems.model.architectures import SVAEConfig
    from geolip_theorems.model.sources import random_twin, weights_sha256

    before = torch.get_num_threads()
    found = set()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.add(weights_sha256(random_twin(SVAEConfig(), 7)))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert len(found) == 1


def test_fresh_weights_follow_the_seed_and_leave_the_global_state():
    state = torch.random.get_rng_state()
    source = f"random:{DATA / 'svae_d4.pt'}"
    first, again, other = (load_model(source, seed=seed)[0].state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(torch.random.get_rng_state(), state)
