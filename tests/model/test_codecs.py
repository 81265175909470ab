"""Codecs against scikit-learn's PCA, SciPy's Gaussian filter and Pillow; what ``--model codec:`` takes."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA

from geolip_theorems import load_model, measure
from geolip_theorems.cli.listings import model_rows
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.extract import extract
from geolip_theorems.extraction.patch_maps import decodes
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import extract_patches
from geolip_theorems.model.codecs import (
    CODECS,
    REFERENCE_SEED,
    make_codec,
    mean_error,
    open_codec,
    reference_images,
)
from geolip_theorems.model.sources import open_model
from geolip_theorems.run.options import LARGEST_SEED

SIZE = (24, 40)


def images_of(channels=3, n=5, seed=0):
    return torch.rand(n, channels, *SIZE, generator=torch.Generator().manual_seed(seed))


def recon(model, images):
    with torch.inference_mode():
        return model(images)["recon"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("d", "patch_size"), [(1, 4), (9, 4), (3, 2)])
def test_pca_is_scikit_learns(channels, d, patch_size):
    images = images_of(channels)
    model = open_codec(f"codec:pca:d={d},patch_size={patch_size},channels={channels}")
    fitted = extract_patches(reference_images(channels)[::2], model.patch_size).flatten(0, 1).double().numpy()
    reference = PCA(d, svd_solver="full").fit(fitted)
    patches = extract_patches(images, model.patch_size).double().numpy()
    code = reference.transform(patches.reshape(-1, patches.shape[-1]))
    wanted = reference.inverse_transform(code).reshape(patches.shape)
    found = extract_patches(recon(model, images), model.patch_size).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    S = model(images)["svd"]["S"].numpy()
    np.testing.assert_allclose(S.reshape(-1, d), np.abs(code), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.4, 1.5, 20])
def test_blur_is_scipys(channels, sigma):
    images = images_of(channels)
    wanted = gaussian_filter(images.double().numpy(), (0, 0, sigma, sigma), mode="nearest")
    found = recon(make_codec("blur", sigma, channels=channels), images).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [1, 50, 100])
def test_jpeg_is_pillows(channels, quality):
    images = (images_of(channels) * 255).round() / 255
    found = recon(make_codec("jpeg", quality, channels=channels), images)
    for image, again in zip(images, found, strict=True):
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        picture = Image.fromarray(pixels[..., 0], "L") if channels == 1 else Image.fromarray(pixels, "RGB")
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, subsampling="4:4:4")
        wanted = np.asarray(Image.open(file)).reshape(pixels.shape)
        assert np.array_equal((again * 255).round().byte().permute(1, 2, 0).numpy(), wanted)


def test_jpeg_takes_images_beyond_0_to_1():
    """Stretched by whole numbers, an image is coded as it was."""
    images = (images_of() * 255).round() / 255
    images[:, 0, 0, 0], images[:, 0, 0, 1] = 0, 1
    model = make_codec("jpeg", 90)
    torch.testing.assert_close(recon(model, 8 * images - 4), 8 * recon(model, images) - 4, rtol=0, atol=1e-4)


def test_a_code_put_together_again_is_the_reconstruction():
    images, model = images_of(), make_codec("pca", 6)
    assert decodes(model, images)
    svd = model(images)["svd"]
    whole = model.decode_patches(svd["U"], svd["S"], svd["Vt"])
    without = model.decode_patches(svd["U"], svd["S"] * (1 - torch.eye(6)[2]), svd["Vt"])
    signed = svd["S"][..., 2:3] * svd["Vt"][..., 2, 2:3]
    torch.testing.assert_close(whole - without, signed * model.components[2], rtol=0, atol=1e-5)
    product = (svd["U"] * svd["S"].unsqueeze(-2)) @ svd["Vt"]
    assert (product.mT @ product - torch.diag_embed(svd["S"].square())).abs().max() < 1e-4
    assert (svd["S"].diff(dim=-1) > 0).any()  # in the components' order, not sorted


def test_more_components_and_quality_lose_less_and_more_blur_loses_more():
    images = reference_images(3)[:8]

    def errors(name, values):
        return [mean_error(make_codec(name, value), images) for value in values]

    for found in (
        errors("pca", (48, 12, 4, 1)),
        errors("jpeg", (100, 60, 20, 1)),
        errors("blur", (0.3, 1, 4)),
    ):
        assert found == sorted(found)
        assert found[0] < found[-1] / 50
    assert mean_error(make_codec("pca", 48), images) < 1e-12


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("mse", [0.0008, 0.002])
def test_an_error_asked_for_is_the_nearest_there_is(name, mse):
    model = open_codec(f"codec:{name}:mse={mse}")
    images, config = reference_images(3)[1::2], model.config
    assert config.mse_reached == pytest.approx(mean_error(model, images), rel=1e-6)
    if name == "blur":
        assert config.mse_reached == pytest.approx(mse, rel=1e-3)
        return
    assert isinstance(config.value, int)
    distance = abs(np.log(config.mse_reached / mse))
    for value in (config.value - 1, config.value + 1):
        other = mean_error(make_codec(name, value), images)
        assert abs(np.log(other / mse)) >= distance


def test_the_reference_is_of_no_run():
    assert REFERENCE_SEED > LARGEST_SEED
    assert torch.equal(
        reference_images(3)[:3], load_images("scenes", max_images=200, seed=REFERENCE_SEED).tensor(0, 3)
    )
    assert not torch.equal(reference_images(3)[:3], load_images("scenes", max_images=3).tensor())
    luma = np.asarray([0.299, 0.587, 0.114]) @ reference_images(3)[0].flatten(1).double().numpy()
    np.testing.assert_allclose(reference_images(1)[0].flatten(), luma, atol=1e-6)


def test_a_reference_of_ones_own():
    images = images_of(n=20)
    other = make_codec("pca", 4, images=images)
    assert not torch.equal(other.components, make_codec("pca", 4).components)
    fitted = extract_patches(images[::2], 4).flatten(0, 1).double().numpy()
    wanted = PCA(4, svd_solver="full").fit(fitted).components_
    np.testing.assert_allclose(np.abs(other.components.numpy()), np.abs(wanted), atol=1e-4)
    matched = make_codec("blur", mse=0.05, images=images)
    assert mean_error(matched, images[1::2]) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("codec:", "unknown codec ''; known: pca, jpeg, blur"),
        ("codec:jpg", "did you mean 'jpeg'"),
        ("codec:jpeg:", "OPTION=NUMBER, as in codec:jpeg:q=50"),
        ("codec:jpeg:50", "'50' is not an option"),
        ("codec:jpeg:q=nan", "'q=nan' is not an option"),
        ("codec:jpeg:q=-5", "'q=-5' is not an option"),
        ("codec:jpeg:q=0", "q=0; expected a whole number from 1 to 100"),
        ("codec:jpeg:q=50.5", "q=50.5; expected a whole number"),
        ("codec:jpeg:q=1e999", "q=inf; expected a whole number"),
        ("codec:jpeg:quality=3", "known: q, mse, patch_size, channels"),
        ("codec:jpeg:q=5,q=6", "q is given twice"),
        ("codec:jpeg:q=5,mse=0.1", "either q or mse"),
        ("codec:jpeg:mse=7", r"it can have .* \(q=100\) to .* \(q=1\)"),
        ("codec:blur:mse=0", r"mse=0; .*\(sigma=0.2\)"),
        ("codec:blur:sigma=0", "from 0.2 to 32"),
        ("codec:pca:d=49", "from 1 to 48"),
        ("codec:pca:d=17,channels=1", "from 1 to 16"),
        ("codec:pca:patch_size=17", "from 1 to 16"),
        ("codec:pca:channels=2", "expected 1 or 3"),
        ("codec:jpeg:q=50\x1b[1m", r"x1b"),
        ("random:codec:jpeg", "a codec has no weights"),
        ("codex:jpeg", "did you mean 'codec:jpeg'"),
    ],
)
def test_what_cannot_be_read_is_one_line(text, says):
    with pytest.raises(InputError, match=says) as caught:
        open_model(text)
    assert str(caught.value).isprintable()


def test_codecs_are_models_by_name():
    loaded = open_model("codec:jpeg")
    assert loaded.name == "codec-jpeg-q-50"
    assert loaded.implementation == "codec"
    assert loaded.config == {"codec": "jpeg", "q": 50, "patch_size": 4, "channels": 3}
    texts = ["codec:jpeg:q=50", "codec:jpeg:q=49", "codec:jpeg:q=50,patch_size=8", "codec:blur", "codec:pca"]
    assert loaded.sha256 == open_model(texts[0]).sha256
    assert len({open_model(text).sha256 for text in texts}) == len(texts)
    model, config = load_model("codec:pca:d=3,channels=1")
    assert (model.patch_size, model.channels, config["d"]) == (4, 1, 3)
    assert open_model(model.config.text).sha256 == open_model("codec:pca:d=3,channels=1").sha256
    listed = {row["name"]: row for row in model_rows() if row["kind"] == "codec"}
    assert list(listed) == [f"codec:{name}" for name in CODECS]


PRINT = """
import sys, torch
torch.set_num_threads(int(sys.argv[1]))
from geolip_theorems.model.sources import open_model
print(*(open_model(t).sha256 for t in ("codec:pca:d=7", "codec:blur:mse=0.002", "codec:jpeg:mse=0.001")))
"""


def test_threads_and_processes_do_not_show():
    found = {
        subprocess.run([sys.executable, "-c", PRINT, n], capture_output=True, text=True, check=True).stdout
        for n in ("1", "3")
    }
    assert len(found) == 1
    assert len(set(found.pop().split())) == 3


def test_pca_is_measured_like_any_model():
    images = load_images("scenes", image_size=16, max_images=20)
    model, _ = load_model("codec:pca:d=4")
    record = measure(model, images, ablation_images=4)
    verdicts = {verdict.claim: verdict.verdict for verdict in record.verdicts}
    assert verdicts["spatial_cv"] != "not measured"
    maps = extract(model, images, ablated=np.arange(4))
    patches = extract_patches(images.tensor(), 4)
    code = (patches - model.mean) @ model.components.mT
    np.testing.assert_allclose(maps.S.reshape(20, 16, 4), code.abs(), atol=1e-5)
    # What a component's absence costs is its coefficient squared, over the patch's values.
    cost = maps.error_without.reshape(4, 16, 4) - maps.error[:4].reshape(4, 16, 1)
    np.testing.assert_allclose(cost, code[:4].square() / 48, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("text", ["codec:jpeg:q=30", "codec:blur:sigma=1"])
def test_a_codec_without_svd_has_errors_and_no_modes(text, tmp_path):
    images = load_images("scenes", image_size=16, max_images=20)
    model, _ = load_model(text)
    maps = extract(model, images)
    pixels = images.tensor()
    squared = extract_patches(pixels - recon(model, pixels), 4).square()
    np.testing.assert_allclose(maps.error.reshape(20, 16), squared.mean(-1), rtol=1e-5)
    assert {"S", "friction", "settle"} <= set(maps.absent)
    assert maps.S is None
    record = measure(model, images, cache_dir=tmp_path)
    found = {verdict.question: verdict.verdict for verdict in record.verdicts}
    assert found["q3"] == found["q5"] == "not measured"
    assert found["q1"] != "not measured"
    assert found["q6"] != "not measured"


def test_one_channel_is_measured():
    images = replace(load_images("scenes", image_size=16, max_images=20, channels=1), name="grey")
    model, _ = load_model("codec:pca:d=4,channels=1")
    assert measure(model, images, ablation_images=4).verdicts[0].verdict != "not measured"
