"""Models that differ in nothing but what they do have figures of their own under one cache."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import nn

from geolip_theorems import measure
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import cache_key
from geolip_theorems.extraction.extract import Extraction
from geolip_theorems.model.architectures import PatchSVAE, SVAEConfig, extract_patches, stitch_patches
from geolip_theorems.model.sources import random_twin
from geolip_theorems.run.controls import twin_of
from geolip_theorems.run.subject import RunOptions, live_subject

SIDE, PATCH = 16, 4
SMALL = SVAEConfig(V=6, D=4, hidden=16, depth=1, n_heads=2)
IMAGES = load_images("scenes", image_size=SIDE, max_images=20)


class Codec(nn.Module):
    """A module without parameters: a function of images, with the singular values of the patches."""

    patch_size = PATCH

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        matrices = extract_patches(images, PATCH).unflatten(-1, (-1, PATCH))
        U, S, Vt = torch.linalg.svd(matrices, full_matrices=False)
        return {"recon": self.function(images), "svd": {"U": U, "S": S, "Vt": Vt}}


class Scaled(Codec):
    """A model whose only difference may be a buffer that no state dict has."""

    def __init__(self, scale):
        super().__init__(lambda images: self.scale * images)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)


def jpeg(images):
    def one(image):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "jpeg", quality=20)
        return np.asarray(Image.open(file))

    pixels = (images * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(np.stack([one(image) for image in pixels])).permute(0, 3, 1, 2) / 255


def blur(images):
    return torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, 1, 1)))


def pca(images):
    patches = extract_patches(images, PATCH)
    mean = patches.mean(-1, keepdim=True)
    return stitch_patches(mean.expand_as(patches), (images.shape[2] // PATCH,) * 2, PATCH)


def louder(constant):
    return Codec(lambda images: images * constant)


def built_in(**changes):
    model = random_twin(SMALL, 1)
    other = PatchSVAE(replace(SMALL, **changes)).eval()
    other.load_state_dict(model.state_dict())
    return other


def other_activation():
    model = built_in()
    for block in [*model.enc_blocks, *model.dec_blocks]:
        block[2] = nn.Tanh()
    return model


def patched():
    model = built_in()
    model.forward = lambda images: {**PatchSVAE.forward(model, images), "recon": images / 2}
    return model


WAYS = {
    "jpeg": lambda: Codec(jpeg),
    "blur": lambda: Codec(blur),
    "identity": lambda: Codec(lambda images: images.clone()),
    "zero": lambda: Codec(torch.zeros_like),
    "pca": lambda: Codec(pca),
    "two heads": built_in,
    "one head": lambda: built_in(n_heads=1),
    "another activation": other_activation,
    "a replaced forward": patched,
    "a buffer": lambda: Scaled(0.9),
    "another buffer": lambda: Scaled(0.8),
    "a closure's constant": lambda: louder(0.7),
    "another constant": lambda: louder(0.6),
}


def figures(model, folder, images=IMAGES):
    record = measure(model, images, ablation_images=4, cache_dir=folder)
    return record.measurements, record.timings["from_cache"]


def test_models_swapped_under_one_cache_have_their_own_figures(tmp_path):
    alone = {name: figures(make(), None)[0] for name, make in WAYS.items()}
    for name, make in WAYS.items():
        assert figures(make(), tmp_path) == (alone[name], False), name
    for name, make in WAYS.items():  # an equal model, made anew, has its maps there
        assert figures(make(), tmp_path) == (alone[name], True), name
    assert len({repr(found) for found in alone.values()}) == len(WAYS)


def key(model, images=IMAGES):
    subject = live_subject(model, images, RunOptions(), "model")
    return cache_key(subject.maps_key(subject.ablated()))


def test_a_set_that_begins_blank_tells_models_apart():
    """All of them give a blank image back as it is."""
    blank = from_arrays(np.zeros((20, SIDE, SIDE, 3), np.uint8))
    assert len({key(WAYS[name](), blank) for name in ("blur", "identity", "zero", "pca")}) == 4


def test_the_patch_size_is_in_the_key():
    class Coarse(Codec):
        patch_size = 8

    Coarse.__qualname__ = Codec.__qualname__
    assert key(Coarse(torch.zeros_like)) != key(Codec(torch.zeros_like))


class Decoding(Codec):
    """A model whose ``power`` shows in nothing but what it gives for some of the modes."""

    def __init__(self, power):
        super().__init__(lambda images: images.clone())
        self.power = power

    def decode_patches(self, U, S, Vt):
        kept = S.sum(-1, keepdim=True) / self.all.clamp(min=1e-9)
        return ((U * S[..., None, :]) @ Vt).flatten(-2) * kept**self.power

    def forward(self, images):
        out = super().forward(images)
        self.all = out["svd"]["S"].sum(-1, keepdim=True)
        return out


def test_what_a_decoder_makes_of_some_modes_is_in_the_key():
    assert key(Decoding(0)) == key(Decoding(0))
    assert key(Decoding(0)) != key(Decoding(1))


def test_what_a_cards_last_bits_depend_on_is_in_its_key_alone(monkeypatch):
    """Batch and kind of float32; a CPU's maps know neither."""
    monkeypatch.setattr(Extraction, "fingerprint", lambda self: "")

    def parts(device, batch):
        options = RunOptions(device=device, batch_size=batch)
        return replace(subject, options=options).maps_key(np.arange(0))

    subject = live_subject(built_in(), IMAGES, RunOptions(), "model")
    assert parts("cuda", None)["float32"] == "ieee"
    assert parts("cuda", None) == parts("cuda", 128) != parts("cuda", 32)
    assert parts("cpu", None) == parts("cpu", 32)
    assert "float32" not in parts("cpu", None)


def test_twins_have_keys_of_their_own():
    subject = live_subject(built_in(), IMAGES, RunOptions(), "model")
    chosen = np.arange(10)

    def twin_key(seed, **changes):
        twin = twin_of(subject, seed, chosen)
        model = twin.model.model
        for name, value in changes.items():
            setattr(model.cross_attn[0], name, value)
        return cache_key(twin.maps_key(np.arange(0)))

    assert twin_key(1001) == twin_key(1001)
    assert twin_key(1001) != twin_key(1002)
    assert twin_key(1001) != twin_key(1001, n_heads=1)


def test_a_model_that_never_repeats_itself_is_never_taken_for_another():
    noisy = Codec(lambda images: images + 0.1 * torch.rand_like(images))
    assert key(noisy) != key(noisy)


def test_a_model_is_left_as_it_was():
    class Counting(Codec):
        calls = 0

        def forward(self, images):
            self.calls += 1
            return super().forward(images)

    model = Counting(torch.zeros_like)
    key(model)
    assert model.calls == 0


def output(model):
    return Extraction(model, IMAGES).fingerprint()


PRINT = """
import torch
torch.set_num_threads({threads})
from tests.record.test_cache_key import WAYS, output
print(*(output(make()) for make in WAYS.values()))
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_processes_do_not_show(threads):
    done = subprocess.run(
        [sys.executable, "-c", PRINT.format(threads=threads)], capture_output=True, text=True, check=True
    )
    here = [output(make()) for make in WAYS.values()]
    assert done.stdout.split() == here
    assert len(set(here)) == len(WAYS)
