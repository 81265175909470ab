"""The comparison with the script's own way gives the script's figures on both sides."""

from __future__ import annotations

from benchmarks import against_script
from geolip_theorems.data.sources import load_images
from geolip_theorems.model.sources import open_model


def test_the_suites_side_is_the_scripts_protocol_and_the_same_from_the_cache(tmp_path):
    model = open_model("freckles_embedded", offline=True).model
    images = load_images("scenes", image_size=32, max_images=40)
    found = against_script.suite(model, images, tmp_path)
    assert found["counts"]["images"] == 40
    assert found["probes"] is not None
    assert against_script.suite(model, images, tmp_path) == found
    other = against_script.suite(model, images.take(images.order[:30]), tmp_path)  # negative control
    assert other["spatial_cv"] != found["spatial_cv"]
