"""The registry: each key of a config has its place, fresh weights are as the public code's, an entry does."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.extraction.extract import extract
from geolip_theorems.extraction.tiles import replicable
from geolip_theorems.io.errors import InputError
from geolip_theorems.model import architectures
from geolip_theorems.model.architectures import (
    ARCHITECTURES,
    AlephConfig,
    Architecture,
    PatchSVAE,
    SVAEConfig,
    architecture_named,
    architecture_of,
    fast,
    fast_forward,
    read_config,
)
from geolip_theorems.model.architectures.configs import SYNONYMS, describes
from geolip_theorems.model.architectures.layers import ACTIVATIONS, INIT_SCHEMES
from geolip_theorems.model.reading import Checkpoint, build_model
from geolip_theorems.model.sources import random_twin

# As the public trainers write them: the first trainer's nine, the later one's, and AlephModel.get_config's.
FIRST = {"V": 8, "D": 4, "patch_size": 4, "hidden": 16, "depth": 1, "n_cross_layers": 1}
FIRST |= {"target_cv": 0.125, "dataset": "omega_noise", "img_size": 64, "lr": 1e-4}
LATER = {
    **FIRST,
    **{"n_heads": None, "smooth_mid": None, "channels": 3, "solver": "default", "activation": "gelu"},
    **{"activations": None, "row_norm": "sphere", "svd_mode": "default", "svd_method": "auto"},
    **{"svd_compute_dtype": "fp64", "linear_readout": False, "linear_readout_power": 1, "match_params": True},
    **{
        "init_scheme": "orthogonal",
        "sp_tokenizer": None,
        "sp_corpus": None,
        "sp_n_bits": None,
        "tree_depth": 4,
    },
}
SPHERE = {**LATER, "linear_readout": True, "svd_mode": "none", "bt_corpus": "wikitext-103-raw-v1"}
ALEPH = {
    **{"model_type": "aleph", "V": 8, "D": 4, "ps": 4, "hidden": 16, "depth": 1, "channels": 3},
    **{"address": "soft", "K": 6, "address_tau": 0.1, "address_chunk": None, "codebook_init": "random"},
    **{"freeze_codebook": False, "decode_mode": "tied", "n_atoms": 64, "code_tau": 1.0, "readout": "linear"},
    **{"dec_hidden": 16, "dec_depth": 1, "row_norm": "sphere", "n_cross": 0, "n_heads": 2, "smooth_mid": 8},
    **{"boundary_smooth": True, "activation": "gelu", "init_scheme": "orthogonal"},
}
TRAINERS = {"first": FIRST, "later": LATER, "sphere": SPHERE, "aleph": ALEPH}


@pytest.mark.parametrize("name", TRAINERS)
def test_a_config_with_every_key_of_the_public_trainer_is_read(name):
    config = TRAINERS[name]
    found = read_config(config)
    assert read_config(found.as_dict()) == found  # and what it writes is read to the same
    assert hash(read_config(found.as_dict())) == hash(found)
    for key, value in config.items():
        if describes(key) or (key == "linear_readout_power" and not config["linear_readout"]):
            assert read_config({**config, key: "anything"}) == found, key
        elif key not in ("model_type", "freeze_codebook"):
            kept = getattr(found, SYNONYMS.get(key, key), value)
            assert kept == value or value is None or key == "activations", key
            with pytest.raises(InputError) as error:
                read_config({**config, key: "anything"})
            assert key in str(error.value) or SYNONYMS.get(key, key) in str(error.value)
            assert "anything" in str(error.value)
            assert "\n" not in str(error.value)


def test_a_power_needs_a_readout_to_do_anything():
    assert read_config({**LATER, "linear_readout_power": 2.0}) == read_config(LATER)
    assert read_config({**SPHERE, "linear_readout_power": 1.0}) == read_config(SPHERE)
    with pytest.raises(InputError, match=r"linear_readout_power=2\.0; expected 1"):
        read_config({**SPHERE, "linear_readout_power": 2.0})


@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        ("readout_radial_power", 2.0, "not known"),
        ("svd_mode", "fp16", "'batch_shared'"),
        ("svd_mode", "none", "linear_readout=True"),
        ("row_norm", "Sphere", "'layernorm'"),
        ("activation", "prelu", "'tanhshrink'"),
        ("activations", {"enc_out": "relu"}, "dec_block_inner"),
        ("activations", {"enc_in": "prelu"}, "'tanhshrink'"),
        ("activations", "relu", "names by site"),
        ("init_scheme", "zeros", "'kaiming_normal'"),
        ("channels", 0, "1 to"),
        ("linear_readout", "yes", "True"),
        ("spectral_gain", 3, "not known"),
        ("n_cross", 2, "n_cross_layers=1"),
        ("model_type", "v2", "'v1' and 'aleph'"),
        ("model_type", ["v1"], "'v1' and 'aleph'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(key, value, known):
    with pytest.raises(InputError) as error:
        read_config({**LATER, key: value})
    for part in (key.split("[")[0], known):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_the_sites_activations_beat_the_older_key():
    found = read_config({**FIRST, "activation": "relu", "activations": {"dec_in": "silu"}})
    sites = {"enc_in": "relu", "enc_block_inner": "gelu", "dec_in": "silu", "dec_block_inner": "gelu"}
    assert found.activations == {**sites, "boundary_smooth": "gelu"}
    assert (
        read_config({**FIRST, "activation": "relu", "activations": {"enc_in": "silu"}}).activation == "silu"
    )


def test_published_sizes():
    h2 = {"V": 32, "hidden": 64, "depth": 1, "n_cross_layers": 1, "n_heads": 4, "smooth_mid": 16}
    configs = [SVAEConfig(**h2, linear_readout=True, svd_mode="none"), AlephConfig()]
    for config, wanted in zip(configs, (57_215, 26_795), strict=True):
        model = architecture_named(config.model_type).build(config)
        assert sum(p.numel() for p in model.parameters()) == wanted


@pytest.mark.parametrize("scheme", INIT_SCHEMES)
def test_twins_start_as_the_scheme_says(scheme):
    """Spread of the weights and biases of a layer of 400 inputs and 100 outputs, and enc_out's columns."""
    model = random_twin(SVAEConfig(V=100, D=4, hidden=100, depth=0, init_scheme=scheme), 5)
    layer = model.dec_in
    spread = {
        "orthogonal": 400**-0.5 / 3**0.5,
        "kaiming_normal": (2 / 400) ** 0.5,
        "xavier_uniform": (2 / 500) ** 0.5,
        "normal_0_02": 0.02,
    }
    assert layer.weight.std().item() == pytest.approx(spread[scheme], rel=0.02)
    assert (layer.bias.abs().max() == 0) == (scheme != "orthogonal")
    assert (model.cross_attn[0].qkv.bias.abs().max() == 0) == (scheme != "orthogonal")
    gram = model.enc_out.weight.T @ model.enc_out.weight
    torch.testing.assert_close(gram, torch.eye(100), rtol=0, atol=1e-4)
    assert model.boundary_smooth.net[-1].weight.abs().max() == 0


def test_aleph_twins():
    model = random_twin(AlephConfig(K=500, codebook_init="fibonacci", decode_mode="dict"), 1)
    torch.testing.assert_close(model.codebook.norm(dim=-1), torch.ones(500))
    moments = model.codebook.T @ model.codebook / 500
    torch.testing.assert_close(moments, torch.eye(4) / 4, rtol=0, atol=0.01)  # spread evenly
    assert model.atoms.std().item() == pytest.approx(0.02, rel=0.05)
    assert random_twin(AlephConfig(K=5000), 1).codebook.std().item() == pytest.approx(1, rel=0.05)
    frozen = random_twin(AlephConfig(freeze_codebook=True), 1)
    assert "codebook" in dict(frozen.named_buffers())
    assert "codebook" in frozen.state_dict()


@pytest.mark.parametrize(
    "config", [SVAEConfig(**{k: FIRST[k] for k in ("V", "hidden", "depth")}), AlephConfig()]
)
def test_twins_follow_the_seed(config):
    one, again, other = (random_twin(config, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["enc_in.weight"], other["enc_in.weight"])


def test_other_channels_are_refused():
    model = random_twin(SVAEConfig(V=8, hidden=16, depth=1, channels=1), 1)
    with pytest.raises(InputError, match="3 channels; the model expects 1"):
        model(torch.zeros(1, 3, 8, 8))


@dataclasses.dataclass(frozen=True)
class ToyConfig(SVAEConfig):
    model_type = "toy"


class Toy(PatchSVAE):
    """An architecture that nobody but this file knows."""

    def put_together(self, svd, modes):
        return 2 * super().put_together(svd, modes)


def test_an_entry_is_all_that_a_new_architecture_needs(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "toy", Architecture("toy", "a toy", ToyConfig, Toy))
    plain = random_twin(SVAEConfig(V=8, hidden=16, depth=1), 1)
    config = {**plain.config.as_dict(), "model_type": "toy"}
    toy = build_model(Checkpoint(plain.state_dict(), config, "", "model_state_dict"), "toy")
    assert type(random_twin(toy.config, 1)) is Toy
    assert architecture_of(toy).model_type == "toy"
    assert replicable(toy)
    images = from_arrays(torch.rand(3, 3, 8, 8))
    ours, plains = extract(toy, images), extract(plain, images)
    assert ours.error_only is not None
    assert not np.array_equal(ours.error, plains.error)
    np.testing.assert_array_equal(ours.S, plains.S)


def test_an_unregistered_type_is_foreign():
    assert architecture_of(Toy(SVAEConfig(V=8, hidden=16, depth=1))) is None
    assert architecture_of(nn.Linear(2, 2)) is None
    assert fast_forward(random_twin(SVAEConfig(V=8, hidden=16, depth=1), 1).double()) is None


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_fused_or_not_is_torchs(name, monkeypatch):
    if fast.kernels(torch.device("cpu")) != "onednn":
        pytest.skip("this torch has no fused oneDNN layers")
    activation, x = ACTIVATIONS[name](), torch.linspace(-30, 30, 512).reshape(16, 32)
    layer = nn.Linear(32, 32)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    with torch.inference_mode():
        fused = fast.Packed(layer, 16, activation)(x)
        monkeypatch.setattr(fast, "fused", lambda activation: None)
        apart = fast.Packed(layer, 16, activation)(x)
    torch.testing.assert_close(fused, activation(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(apart, activation(x), rtol=1e-6, atol=1e-6)


def test_the_registry_is_keyed_by_its_configs_types():
    for model_type, entry in architectures.ARCHITECTURES.items():
        assert model_type == entry.model_type == entry.config.model_type


@pytest.mark.parametrize("svd_mode", ["default", "fp32", "fp64", "batch_shared"])
def test_weights_so_large_that_a_model_overflows_are_one_line(svd_mode):
    config = SVAEConfig(V=8, D=4, patch_size=4, hidden=16, depth=1, n_cross_layers=0, svd_mode=svd_mode)
    model = random_twin(config, 0)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1e30)
    images = from_arrays(np.full((2, 16, 16, 3), 200, np.uint8))
    with pytest.raises(InputError, match="is not finite for image 0"):
        extract(model, images, ablated=[])
