"""Reading model files: the public format, and everything that is not it."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geolip_theorems import load_model
from geolip_theorems.io.errors import InputError
from geolip_theorems.io.files import file_sha256
from geolip_theorems.model.architectures import PatchSVAE, SVAEConfig
from geolip_theorems.model.reading import read_checkpoint
from geolip_theorems.model.sources import open_model, random_twin
from geolip_theorems.model.writing import CONFIG_KEY, save_checkpoint, save_safetensors

SIZES = SVAEConfig(V=8, hidden=16, depth=1)
CONFIG = {**SIZES.as_dict(), "img_size": 16, "dataset": "noise"}


@pytest.fixture
def model():
    return random_twin(SIZES, 0)


def write(path: Path, content) -> Path:
    torch.save(content, path)
    return path


def content_of(model: PatchSVAE, **changes) -> dict:
    base = {"epoch": 1, "test_mse": 0.5, "model_state_dict": model.state_dict(), "config": dict(CONFIG)}
    return {**base, **changes}


class RunsCode:
    """Pickles to a call of os.mkdir."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def refusal(path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        open_model(str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_both_formats_give_the_weights_back(tmp_path, model, suffix):
    path = tmp_path / f"model{suffix}"
    if suffix == ".pt":
        save_checkpoint(path, model, epoch=3, test_mse=0.25, config=CONFIG)
    else:
        save_safetensors(path, model, CONFIG)
    loaded = open_model(str(path))
    assert loaded.sha256 == file_sha256(path)
    assert loaded.name == "model"
    assert str(tmp_path) not in loaded.source
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], value)


def test_numpy_scalars_are_read_without_numpy(tmp_path, model):
    scalars = {
        "test_mse": np.float64(0.125),
        "epoch": np.int32(7),
        "extra": [np.float32(0.5), np.float16(2.0), np.bool_(True), np.uint8(9), np.dtype(">i2").type(300)],
    }
    path = write(tmp_path / "numpy.pt", content_of(model, **scalars))
    assert read_checkpoint(path).facts == {"epoch": 7, "test_mse": 0.125}


def test_sizes_of_numpy_integers_are_taken(tmp_path, model):
    config = {key: np.int64(value) if type(value) is int else value for key, value in SIZES.as_dict().items()}
    path = write(tmp_path / "sizes.pt", content_of(model, config=config))
    assert load_model(str(path))[1]["V"] == 8


def test_text_of_numpys_is_text(tmp_path, model):
    path = write(tmp_path / "text.pt", content_of(model, config={**CONFIG, "dataset": np.str_("größe")}))
    assert read_checkpoint(path).config["dataset"] == "größe"


def test_optimizer_states_do_no_harm(tmp_path, model):
    optimizer = torch.optim.Adam(PatchSVAE(SIZES).parameters())
    extra = {"optimizer_state_dict": optimizer.state_dict(), "scheduler_state_dict": {"last_epoch": 3}}
    load_model(str(write(tmp_path / "full.pt", content_of(model, **extra))))


def test_half_precision_weights_become_float32(tmp_path, model):
    half = {key: value.half() for key, value in model.state_dict().items()}
    loaded, _ = load_model(str(write(tmp_path / "half.pt", content_of(model, model_state_dict=half))))
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}


def test_weights_may_be_called_model_state(tmp_path, model):
    content = content_of(model)
    content["model_state"] = content.pop("model_state_dict")
    content["val_mse"] = content.pop("test_mse")
    read = read_checkpoint(write(tmp_path / "battery.pt", content))
    assert read.facts == {"epoch": 1, "test_mse": 0.5}
    assert read.assumed == ()
    for key, value in model.state_dict().items():
        assert torch.equal(read.weights[key], value)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("where", ["config", "extra", "top", "legacy"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, model, where, protocol):
    bomb = RunsCode(tmp_path / "ran")
    content = content_of(model)
    if where == "config":
        content["config"]["note"] = bomb
    elif where == "extra":
        content["scheduler"] = bomb
    else:
        content = bomb
    path = tmp_path / "hostile.pt"
    if where == "legacy":
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    else:
        torch.save(content, path, pickle_protocol=protocol)
    message = refusal(path)
    assert "refused" in message or "no checkpoint" in message
    assert not (tmp_path / "ran").exists()


def test_the_bomb_is_a_bomb(tmp_path):
    pickle.loads(pickle.dumps(RunsCode(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_numpys_own_unpickling_functions_stay_out_of_reach(tmp_path, model):
    array = np.zeros(3)  # pickles through numpy's _reconstruct
    message = refusal(write(tmp_path / "array.pt", content_of(model, extra=array)))
    assert "refused" in message
    assert "numpy" in message


def damaged(path: Path, kind: str) -> None:
    data = path.read_bytes()
    if kind == "empty":
        data = b""
    elif kind == "truncated":
        data = data[: len(data) // 2]
    elif kind == "text":
        data = b"<html>404</html>"
    elif kind == "head":
        data = b"\0" * 64 + data[64:]
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["empty", "truncated", "text", "head"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_files_are_one_clear_line(tmp_path, model, suffix, kind):
    path = tmp_path / f"model{suffix}"
    save_checkpoint(
        path, model, epoch=0, test_mse=0.0, config=CONFIG
    ) if suffix == ".pt" else save_safetensors(path, model, CONFIG)
    damaged(path, kind)
    assert f"model{suffix}" in refusal(path)


def test_archive_bombs_are_not_unpacked(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb/data.pkl", b"\0" * (64 << 20))
    assert "compressed archive" in refusal(path)


def change(content: dict, what: str) -> None:
    weights = content["model_state_dict"] = dict(content["model_state_dict"])
    if what == "missing weight":
        del weights["dec_in.bias"]
    elif what == "surplus weight":
        weights["dec_in.gain"] = torch.ones(1)
    elif what == "shape":
        content["config"]["hidden"] = 32
    elif what == "nan":
        weights["enc_out.weight"] = torch.full_like(weights["enc_out.weight"], torch.nan)
    elif what == "integers":
        weights["enc_in.bias"] = torch.zeros(16, dtype=torch.int64)
    elif what == "no tensor":
        weights["enc_in.bias"] = "zeros"
    elif what == "no config":
        del content["config"]
    elif what == "two states":
        content["model_state"] = weights
    elif what == "other name":
        content["state_dict"] = content.pop("model_state_dict")
    elif what == "no size":
        del content["config"]["hidden"]
    elif what == "absurd size":
        content["config"]["hidden"] = 10**9
    elif what == "negative size":
        content["config"]["V"] = -1
    elif what == "heads":
        content["config"]["n_heads"] = 3
    elif what == "v2":
        content["config"]["model_type"] = "v2"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing weight", r"disagree at dec_in.bias: the config wants \(16,\), the file has no such"),
        ("surplus weight", "disagree at dec_in.gain: the config wants no such parameter"),
        ("shape", r"disagree at enc_in.weight: the config wants \(32, 48\), the file has \(16, 48\)"),
        ("nan", "enc_out.weight has 512 non-finite values"),
        ("integers", "expected floating-point weights"),
        ("no tensor", "no tensor"),
        ("no config", "no config"),
        ("two states", "has both model_state_dict and model_state; expected one of them"),
        ("other name", "has no model_state_dict .*; expected .* model_state_dict or model_state"),
        ("no size", "no 'hidden'"),
        ("absurd size", "hidden=1000000000"),
        ("negative size", "V=-1"),
        ("heads", "D must be a multiple of n_heads"),
        ("v2", "geolip-svae.*--implementation geolip"),
    ],
)
def test_wrong_contents_are_named(tmp_path, model, what, says):
    content = content_of(model)
    change(content, what)
    path = write(tmp_path / "wrong.pt", content)
    with pytest.raises(InputError, match=says) as caught:
        open_model(str(path), implementation="builtin")
    assert "\n" not in str(caught.value)


def test_foreign_contents_are_named(tmp_path):
    assert "model_state_dict" in refusal(write(tmp_path / "bare.pt", {"layer.weight": torch.ones(2)}))
    assert "holds a Tensor" in refusal(write(tmp_path / "tensor.pt", torch.ones(2)))
    save_file({"layer.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    assert "not a PatchSVAE's" in refusal(tmp_path / "other.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "odd.safetensors", metadata={CONFIG_KEY: json.dumps([1])})
    assert "not a dictionary" in refusal(tmp_path / "odd.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path, model, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_safetensors(path, model, CONFIG)
    before = path.read_bytes()
    monkeypatch.setattr("geolip_theorems.model.writing.save_file", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_safetensors(path, model, CONFIG)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_safetensors_may_call_the_config_config(tmp_path, model):
    path, text = tmp_path / "model.safetensors", json.dumps(CONFIG)
    save_file(model.state_dict(), path, metadata={"format": "pt", "config": text})
    assert read_checkpoint(path).config == CONFIG
    save_file(model.state_dict(), path, metadata={CONFIG_KEY: text, "config": text})
    assert read_checkpoint(path).config == CONFIG
    other = json.dumps({**CONFIG, "row_norm": "none"})
    save_file(model.state_dict(), path, metadata={CONFIG_KEY: text, "config": other})
    assert "entries that differ" in refusal(path)
    save_file(model.state_dict(), path, metadata={"config": "{"})
    assert "damaged config entry" in refusal(path)


def test_safetensors_files_need_no_pickle(tmp_path, model):
    path = tmp_path / "model.safetensors"
    save_safetensors(path, model, CONFIG)
    assert set(load_file(path)) == set(model.state_dict())
