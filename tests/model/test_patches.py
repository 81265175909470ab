"""Cutting images into patches and putting them together again."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import extract_patches, grid_shape, stitch_patches

sizes = st.integers(1, 5)


@given(batch=st.integers(1, 3), channels=sizes, gh=sizes, gw=sizes, ps=sizes)
def test_stitch_undoes_extract(batch, channels, gh, gw, ps):
    images = torch.arange(batch * channels * gh * gw * ps * ps, dtype=torch.float32)
    images = images.reshape(batch, channels, gh * ps, gw * ps)
    patches = extract_patches(images, ps)
    assert patches.shape == (batch, gh * gw, channels * ps * ps)
    assert torch.equal(stitch_patches(patches, (gh, gw), ps), images)


@given(channels=sizes, gh=sizes, gw=sizes, ps=sizes, data=st.data())
def test_patch_order_is_row_major_and_values_channel_row_column(channels, gh, gw, ps, data):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(1, channels, gh * ps, gw * ps)).astype(np.float32)
    row, column = data.draw(st.integers(0, gh - 1)), data.draw(st.integers(0, gw - 1))
    patch = images[0, :, row * ps : (row + 1) * ps, column * ps : (column + 1) * ps]
    found = extract_patches(torch.from_numpy(images), ps)[0, row * gw + column]
    np.testing.assert_array_equal(found.numpy(), patch.reshape(-1))


def test_a_transposed_grid_would_be_noticed():
    images = torch.arange(2 * 12, dtype=torch.float32).reshape(1, 1, 4, 6)
    patches = extract_patches(images, 2)
    assert not torch.equal(stitch_patches(patches, (3, 2), 2).reshape(-1), images.reshape(-1))


@pytest.mark.parametrize("size", [(6, 8), (8, 6), (0, 8)])
def test_sides_must_be_multiples(size):
    with pytest.raises(InputError, match="not a multiple of the model's patch size 4"):
        grid_shape(*size, 4)
