"""Bare state dicts: what shapes tell, what is assumed and said to be, and what is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geolip_theorems import load_model
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import SVAEConfig
from geolip_theorems.model.reading import infer_config
from geolip_theorems.model.sources import open_model, random_twin
from geolip_theorems.model.writing import save_checkpoint

SIZES = SVAEConfig(V=8, hidden=16, depth=1)


@pytest.fixture
def model():
    return random_twin(SIZES, 0)


def refusal(path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        open_model(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def bare(folder: Path, suffix: str, weights: dict, metadata: dict | None = None) -> Path:
    path = folder / f"bare{suffix}"
    if suffix == ".pt":
        torch.save(weights, path)
    else:
        save_file(weights, path, metadata=metadata)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_bare_state_dict_tells_its_sizes_and_what_was_assumed(tmp_path, model, suffix):
    path = bare(tmp_path, suffix, model.state_dict(), {"format": "pt"})
    loaded, config = load_model(str(path))
    assert loaded.config == SIZES
    assert config["patch_size"] == 4
    assert {"n_heads", "activations", "row_norm", "svd_mode"} <= set(config["assumed"])
    assert open_model(f"random:{path}").config["assumed"] == config["assumed"]
    assert open_model(str(path)).model.state_dict().keys() == model.state_dict().keys()


def test_with_a_config_nothing_is_assumed(tmp_path, model):
    save_checkpoint(tmp_path / "whole.pt", model, epoch=1, test_mse=0.5, config={})
    assert "assumed" not in load_model(str(tmp_path / "whole.pt"))[1]


@pytest.mark.parametrize("key", ["row_norm", "V"])
def test_a_config_in_other_metadata_is_not_overlooked(tmp_path, model, key):
    path = bare(tmp_path, ".safetensors", model.state_dict(), {"format": "pt", key: "layernorm"})
    assert f"has '{key}' in its metadata but no geolip_config" in refusal(path)


def shapes_of(config: dict) -> dict[str, torch.Tensor]:
    """A public state dict, written down from the description of the format and not from the code."""
    v, d, h, c = config["V"], config["D"], config["hidden"], config["channels"]
    patch, mid, made = c * config["ps"] ** 2, config["mid"], {}

    def linear(name, inputs, outputs):
        made[f"{name}.weight"], made[f"{name}.bias"] = (outputs, inputs), (outputs,)

    def blocks(name, width, depth):
        for i in range(depth):
            made[f"{name}.{i}.0.weight"] = made[f"{name}.{i}.0.bias"] = (width,)
            linear(f"{name}.{i}.1", width, width)
            linear(f"{name}.{i}.3", width, width)

    linear("enc_in", patch, h)
    blocks("enc_blocks", h, config["depth"])
    linear("enc_out", h, v * d)
    for i in range(config["cross"]):
        made[f"cross_attn.{i}.alpha_logits"] = (d,)
        made[f"cross_attn.{i}.norm.weight"] = made[f"cross_attn.{i}.norm.bias"] = (d,)
        linear(f"cross_attn.{i}.qkv", d, 3 * d)
        linear(f"cross_attn.{i}.out_proj", d, d)
    if mid:
        made["boundary_smooth.net.0.weight"], made["boundary_smooth.net.0.bias"] = (mid, c, 3, 3), (mid,)
        made["boundary_smooth.net.2.weight"], made["boundary_smooth.net.2.bias"] = (c, mid, 3, 3), (c,)
    if config.get("readout"):
        linear("readout", v * d, v * d)
    if config.get("K"):
        made["codebook"] = (config["K"], d)
    if config["decoder"] == "mlp":
        wide, deep = config.get("own", (h, config["depth"]))
        linear("dec_in", v * d, wide)
        blocks("dec_blocks", wide, deep)
        linear("dec_out", wide, patch)
    elif config["decoder"] == "tied":
        linear("dec", v * d, patch)
    else:
        linear("code_proj", v * d, 20)
        made["atoms"] = (20, patch)
    return {key: torch.zeros(shape) for key, shape in made.items()}


PLAIN = {
    "V": 12,
    "D": 4,
    "ps": 4,
    "hidden": 24,
    "depth": 1,
    "channels": 3,
    "cross": 1,
    "mid": 8,
    "decoder": "mlp",
}
H2 = {**PLAIN, "V": 32, "D": 3, "hidden": 64, "depth": 0, "mid": 16, "readout": True}
ALEPH = {**PLAIN, "V": 32, "cross": 0, "K": 64, "decoder": "tied"}
ASSUMED = {"activations", "row_norm", "n_heads"}
V1_ASSUMED = {*ASSUMED, "model_type", "linear_readout", "svd_mode"}


@pytest.mark.parametrize(
    ("config", "tells", "assumed"),
    [
        (PLAIN, {"V": 12, "D": 4, "patch_size": 4, "channels": 3, "linear_readout": False}, V1_ASSUMED),
        ({**PLAIN, "channels": 5, "ps": 2}, {"patch_size": 2, "channels": 5}, V1_ASSUMED),
        (H2, {"V": 32, "D": 3, "depth": 0, "linear_readout": True, "smooth_mid": 16}, ASSUMED),
        (
            ALEPH,
            {
                "model_type": "aleph",
                "patch_size": 4,
                "K": 64,
                "D": 4,
                "decode_mode": "tied",
                "address": "soft",
            },
            {"activation", "row_norm", "address", "address_tau"},
        ),
        (
            {**ALEPH, "K": 0, "cross": 2, "decoder": "dict"},
            {"n_cross_layers": 2, "decode_mode": "dict", "n_atoms": 20, "address": "none"},
            {"activation", "row_norm", "code_tau", "n_heads"},
        ),
        (
            {**ALEPH, "decoder": "mlp", "own": (48, 3)},
            {"decode_mode": "mlp", "hidden": 24, "dec_hidden": 48, "dec_depth": 3},
            {"activation", "row_norm", "address", "address_tau"},
        ),
    ],
)
def test_shapes_tell_what_they_can(config, tells, assumed):
    found, left_open = infer_config("model file 'x'", shapes_of(config))
    assert {key: found[key] for key in tells} == tells
    assert set(left_open) == assumed


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({**PLAIN, "cross": 0}, "how enc_out's 48 values are V x D"),
        ({**H2, "cross": 0}, "how enc_out's 96 values are V x D"),
        ({**ALEPH, "mid": 0}, "how enc_in's 48 values are channels x patch x patch"),
        ({**PLAIN, "ps": 3, "channels": 2, "wrong": "enc_in.weight"}, "not a PatchSVAE's"),
        ({**PLAIN, "wrong": "enc_out.weight"}, "not a PatchSVAE's"),
    ],
)
def test_shapes_of_several_models_or_of_none_are_refused(tmp_path, config, says):
    weights = shapes_of(config)
    if wrong := config.get("wrong"):
        weights[wrong] = torch.zeros(19, 19)
    assert says in refusal(bare(tmp_path, ".pt", weights))


def test_a_bare_state_dict_with_a_part_too_many_is_refused(tmp_path, model):
    path = bare(tmp_path, ".pt", {**model.state_dict(), "enc_in.gain": torch.ones(1)})
    assert "disagree at enc_in.gain" in refusal(path)
