"""How maps become pictures: values and colours, the maps' safety for colour vision, text in drawings."""

import base64
import io
import re

import matplotlib
import numpy as np
import pytest
from PIL import Image

from geolip_theorems.drawing import charts, style

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    name: np.reshape(numbers, (3, 3))
    for name, numbers in {
        "protan": (
            0.152286,
            1.052583,
            -0.204868,
            0.114503,
            0.786281,
            0.099216,
            -0.003882,
            -0.048116,
            1.051998,
        ),
        "deutan": (
            0.367322,
            0.860646,
            -0.227968,
            0.280085,
            0.672501,
            0.047413,
            -0.011820,
            0.042940,
            0.968881,
        ),
        "tritan": (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039),
    }.items()
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def pixels(uri: str) -> np.ndarray:
    assert uri.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def lab(rgb: np.ndarray, vision: str | None = None) -> np.ndarray:
    """(n, 3) sRGB in 0..1 to CIELAB as eyes with that colour vision see it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if vision:
        linear = np.clip(linear @ VISION[vision].T, 0, 1)
    xyz = linear @ np.array(TO_XYZ).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def colours(name: str, n: int = 21) -> np.ndarray:
    return matplotlib.colormaps[name](np.linspace(0, 1, n))[:, :3]


def rises(name: str, vision: str | None) -> bool:
    """Whether a map only gets lighter, by a step that can be seen."""
    return bool((np.diff(lab(colours(name), vision)[:, 0]) > 0.5).all())


@pytest.mark.parametrize("vision", [None, *VISION])
@pytest.mark.parametrize("name", [style.SEQUENTIAL, style.OTHER])
def test_amounts_get_lighter_for_everyone(name, vision):
    assert rises(name, vision)


def test_a_rainbow_would_not_pass():
    assert not rises("jet", None)


def tells_signs_apart(name: str, vision: str | None) -> bool:
    """Whether colours of opposite signs differ by more than 15, and the middle is the lightest."""
    found = lab(colours(name), vision)
    halves = np.linalg.norm(found[:8] - found[::-1][:8], axis=1)
    return bool(halves.min() > 15 and np.argmax(found[:, 0]) in (9, 10, 11))


@pytest.mark.parametrize("vision", [None, *VISION])
def test_the_sign_of_a_difference_is_seen_by_everyone(vision):
    assert tells_signs_apart(style.DIVERGING, vision)


def test_red_and_green_would_not_pass():
    assert not tells_signs_apart("RdYlGn", "deutan")


@pytest.mark.parametrize("vision", [None, *VISION])
def test_modes_are_told_apart_by_everyone(vision):
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in style.CATEGORIES[:6]])
    found = lab(rgb, vision)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)[~np.eye(6, dtype=bool)]
    assert apart.min() > 9


def test_a_maps_pixels_are_its_values_colours():
    values = np.array([[0.0, 1.0], [2.0, np.nan]])
    found = pixels(style.map_png(values, 0.0, 2.0))
    assert found.shape == (2, 2, 3)
    wanted = np.round(np.array(matplotlib.colormaps["cividis"]([0.0, 0.5, 1.0]))[:, :3] * 255)
    for place, colour in zip(((0, 0), (0, 1), (1, 0)), wanted, strict=True):
        assert np.abs(found[place].astype(int) - colour).max() <= 2
    assert tuple(found[1, 1]) == (128, 128, 128)  # absent


def test_a_flat_map_and_a_long_one_are_drawn():
    assert pixels(style.map_png(np.ones((1, 1)), 1.0, 1.0)).shape == (1, 1, 3)
    assert pixels(style.map_png(np.ones((3, 300)), 0.0, 1.0)).shape == (3, 300, 3)


def test_categories_have_their_own_colours():
    found = pixels(style.category_png(np.array([[0, 1]]), style.categories(2)))
    assert tuple(found[0, 0]) == (0x00, 0x72, 0xB2)
    assert tuple(found[0, -1]) == (0xE6, 0x9F, 0x00)
    assert len(set(style.categories(40))) == 40


def test_an_overlay_keeps_the_picture_and_shows_the_map():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, 4:] = 255
    values = np.array([[0.0, 0.0], [1.0, 1.0]])
    found = pixels(style.overlay_png(picture, values, 0.0, 1.0, "cividis")).astype(int)
    assert (found[0, -1] > found[0, 0]).all()  # brighter picture
    assert found[-1, 0, 0] > found[0, 0, 0]  # larger value: more yellow


@pytest.mark.parametrize(
    ("values", "factor", "text"),
    [
        ([0.5, 3.0], 1.0, ""),
        ([7e-6], 1e6, "10⁻⁶ "),
        ([2.5e-4], 1e6, "10⁻⁶ "),
        ([3e7], 1e-6, "10⁶ "),
        ([0.0], 1.0, ""),
        ([], 1.0, ""),
    ],
)
def test_powers_make_numbers_easy_to_read(values, factor, text):
    found = style.power(values)
    assert found[0] == pytest.approx(factor)
    assert found[1] == text


def test_a_drawing_follows_the_page_and_names_nothing_twice():
    rows = [charts.Dot("a <b>&amp;</b> $x^2$", 0.5, (0.4, 0.6), 0.3, (0.2, 0.4)), charts.Dot("none", None)]
    made = [
        str(style.svg(charts.dot_plot(rows, unit="x", line=0.1, line_text="here"), key, 'says "it" <all>'))
        for key in ("first", "second")
    ]
    for text in made:
        assert "var(--ink)" in text
        assert "#0102" not in text
        assert "<b>" not in text
        assert "$x^2$" in text
        assert "<style" not in text
        assert "<metadata" not in text
        assert 'aria-label="says &#34;it&#34; &lt;all&gt;"' in text
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in made]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_ticks_close_together_are_plain_numbers():
    """Not -0.0002 to 0.0002 with a "+1" in a corner."""
    rows = [charts.Dot("", 1 + 1e-4 * i) for i in range(-2, 3)]
    made = str(style.svg(charts.dot_plot(rows, unit="cosine"), "k", "a"))
    ticks = re.findall(r">([^<>]*\d)</text>", made)
    assert len(ticks) >= 3
    assert all(abs(float(tick) - 1) < 0.001 for tick in ticks), ticks


def test_long_names_are_folded_and_cut():
    assert charts.fold("release") == "release"
    assert charts.fold("release+eigenvalues − eigenvalues") == "release+eigenvalues −\neigenvalues"
    assert charts.fold("x" * 60) == "x" * 21 + "…"
