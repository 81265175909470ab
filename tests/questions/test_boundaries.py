"""Question 6: planted and absent relations, hot patches against chance, true boundaries."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from geolip_theorems.questions import Study
from geolip_theorems.questions.boundaries.measure import (
    band_contrast,
    hot_patches,
    map_spread,
    measure,
    region_contrasts,
)
from geolip_theorems.stats.decisions import Sample, decide

RNG = np.random.default_rng(0)


def measured(error, n_permutations=9, **given):
    known = ("gradient", "input_var", "input_mean", "boundary", "labels", "classes", "groups")
    maps = SimpleNamespace(error=error, **dict.fromkeys(known) | given)
    return measure(Study(maps), n_permutations).figures["boundaries"]


def verdict(figure):
    return decide(figure["value"], figure["ci95"], 0.1, ">", sample=Sample(figure["n"])).verdict


def test_uniform_or_unrelated_error_fails_and_planted_holds():
    gradient = RNG.gamma(1.0, 1.0, (300, 8, 8))
    for error in (np.full((300, 8, 8), 0.2), RNG.random((300, 8, 8))):
        assert verdict(measured(error, gradient=gradient, n_permutations=9)["gradient"]) == "fails"
    related = gradient + 2 * RNG.gamma(1.0, 1.0, (300, 8, 8))
    assert verdict(measured(related, gradient=gradient, n_permutations=9)["gradient"]) == "holds"
    mixed = RNG.permuted(gradient, axis=0)  # the other images' gradients
    assert verdict(measured(related, gradient=mixed, n_permutations=9)["gradient"]) == "fails"


def test_brightness_is_removed():
    """An error that follows brightness alone, in images whose gradient does too."""
    bright = RNG.random((200, 8, 8))
    gradient = bright + 0.3 * RNG.random((200, 8, 8))
    error = bright + 0.3 * RNG.random((200, 8, 8))
    result = measured(
        error, gradient=gradient, input_mean=np.repeat(bright[..., None], 3, -1), n_permutations=9
    )
    assert result["gradient"]["value"] > 0.7
    assert abs(result["gradient_given_brightness"]["value"]) < 0.1


def test_what_an_input_is_missing_for_is_none():
    result = measured(RNG.random((5, 4, 4)), n_permutations=9)
    missing = ("gradient", "contrast", "variance", "gradient_given_brightness", "true_boundary")
    assert [result[k] for k in missing] == [None] * 5
    assert result["regions"]["per_class"] is None


def test_hot_patches_of_noise_are_as_many_as_chance_gives():
    figure = hot_patches(RNG.gamma(2.0, 1.0, (150, 12, 12)))
    assert figure["p"] > 0.01
    assert figure["spread"]["p"] > 0.01
    assert figure["beyond_chance"] <= 2


def test_planted_hot_patches_are_found():
    error = RNG.gamma(2.0, 1.0, (150, 12, 12))
    error[:, 3, 4:9] += 1.5
    figure = hot_patches(error)
    assert figure["beyond_chance"] == 5
    assert figure["spread"]["p"] == pytest.approx(1 / 200)


def test_a_flat_map_has_no_hot_patch():
    figure = hot_patches(np.full((30, 6, 6), 0.1))
    assert (figure["value"], figure["beyond_chance"]) == (0, 0)
    assert figure["p"] == 1.0
    assert figure["spread"]["p"] == 1.0
    assert hot_patches(np.ones((5, 1, 1))) is None


def test_region_contrast_is_a_paired_t_test():
    error = RNG.gamma(2.0, 1.0, (50, 8, 8))
    relative = error / error.mean((1, 2), keepdims=True)
    inner = relative[:, 2:6, 2:6].mean((1, 2))
    outer = (relative.sum((1, 2)) - relative[:, 2:6, 2:6].sum((1, 2))) / 48
    expected = stats.ttest_rel(outer, inner)
    given_ = region_contrasts(error, np.zeros(50, int), ["only", "absent"], None)
    assert given_["edge-center"]["p"] == pytest.approx(expected.pvalue)
    ci = expected.confidence_interval()
    assert given_["edge-center"]["ci95"] == pytest.approx([ci.low, ci.high])
    assert given_["per_class"]["only"]["edge-center"]["value"] == given_["edge-center"]["value"]
    assert given_["per_class"]["absent"] is None
    error[:, :2] *= 2
    assert region_contrasts(error, None, (), None)["edge-center"]["ci95"][0] > 0


def test_true_boundaries():
    band = RNG.random((60, 8, 8)) < 0.3
    error = RNG.gamma(2.0, 1.0, (60, 8, 8)) * np.where(band, 3.0, 1.0)
    result = band_contrast(error, band.astype(float), None)
    assert result["ratio"]["ci95"][0] < 3 < result["ratio"]["ci95"][1]
    assert result["inside"]["value"] == pytest.approx(
        np.mean([e[b].mean() for e, b in zip(error, band, strict=True)])
    )
    assert result["difference"]["p"] < 1e-6
    assert result["correlation"]["ci95"][0] > 0.1
    nothing = band_contrast(RNG.gamma(2.0, 1.0, (60, 8, 8)), band.astype(float), None)
    assert nothing["ratio"]["ci95"][0] < 1 < nothing["ratio"]["ci95"][1]


def test_images_without_boundary_are_left_out():
    band = np.zeros((10, 4, 4))
    band[:7, 1] = 0.5
    result = band_contrast(RNG.random((10, 4, 4)), band, None)
    assert {result[k]["n"] for k in ("inside", "outside", "difference", "ratio", "correlation")} == {7}


def test_soft_masks_weigh_patches_like_regression():
    """Inside and outside means of a 0/1 mask are the fitted values of the error on it."""
    band = (RNG.random((1, 8, 8)) < 0.5).astype(float)
    error = RNG.random((1, 8, 8))
    result = band_contrast(np.repeat(error, 2, 0), np.repeat(band, 2, 0), None)
    fit = LinearRegression().fit(band.reshape(-1, 1), error.ravel())
    assert result["outside"]["value"] == pytest.approx(fit.intercept_)
    assert result["difference"]["value"] == pytest.approx(fit.coef_[0])
    fitted = np.where(band.ravel() > 0, result["inside"]["value"], result["outside"]["value"])
    assert r2_score(error.ravel(), fitted) == pytest.approx(fit.score(band.reshape(-1, 1), error.ravel()))


@pytest.mark.parametrize("groups", [None, np.arange(150) % 30])
def test_hot_patches_have_an_interval(groups):
    """It holds the number of truly hot positions, and narrows to it."""
    error = RNG.gamma(2.0, 1.0, (150, 12, 12))
    error[:, 3, 4:9] += 4.0
    figure = hot_patches(error, groups, n=19)
    assert figure["ci95"] == [5, 5]
    faint = hot_patches(RNG.gamma(2.0, 1.0, (150, 12, 12)), groups, n=19)
    assert faint["ci95"][0] == 0
    assert faint["ci95"][0] <= faint["value"] <= faint["ci95"][1]
    assert hot_patches(error[:4], n=19)["ci95"] is None


def test_the_spread_of_the_mean_map_is_freed_of_noise():
    """Over 200 samples its square is unbiased and its interval contains the truth; without spread too."""
    for height in (0.0, 0.5):
        truth = np.zeros((6, 6))
        truth[2, 1:4] = height
        values, held = [], 0
        for seed in range(200):
            rng = np.random.default_rng(seed)
            groups = np.arange(60) // 2
            e = truth + rng.gamma(2.0, 1.0, (60, 6, 6)) + rng.standard_normal((30, 6, 6))[groups]
            figure = map_spread(e.reshape(60, -1), groups)
            values.append(np.sign(figure["value"]) * figure["value"] ** 2)
            held += figure["ci95"][0] <= truth.std(ddof=1) <= figure["ci95"][1]
        error = np.std(values) / np.sqrt(200)
        assert np.mean(values) == pytest.approx(truth.var(ddof=1), abs=4 * error)
        assert stats.binomtest(held, 200, 0.95, alternative="less").pvalue > 1e-3


def test_what_a_group_has_in_common_is_no_hot_patch():
    """Ten groups, each with a place of its own: shuffled image by image they would look like a pattern."""
    ps = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        groups = np.arange(100) % 10
        error = rng.gamma(2.0, 1.0, (100, 6, 6)) + rng.gamma(1.0, 2.0, (10, 6, 6))[groups]
        ps.append([hot_patches(error, g, n=99)["spread"]["p"] for g in (groups, None)])
    kept, ignored = np.array(ps).T
    assert stats.kstest(kept, "uniform").pvalue > 1e-3
    assert (ignored <= 0.01).mean() > 0.7


def test_every_figure_of_question_6_has_an_interval_and_a_method():
    n, groups = 60, np.arange(60) % 12
    rng = np.random.default_rng(1)
    result = measured(
        rng.random((n, 8, 8)),
        gradient=rng.random((n, 8, 8)),
        input_var=rng.random((n, 8, 8)),
        input_mean=rng.random((n, 8, 8, 3)),
        boundary=(rng.random((n, 8, 8)) < 0.3).astype(float),
        labels=np.arange(n) // 20,
        classes="abc",
        groups=groups,
        n_permutations=9,
    )

    def walk(tree):
        if isinstance(tree, dict):
            if "value" in tree:
                yield tree
            for branch in tree.values():
                yield from walk(branch)

    found = list(walk(result))
    assert len(found) == 19
    for figure in found:
        assert figure["ci95"] is not None
        assert "groups" in figure["method"]
