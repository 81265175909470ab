"""Question 3: energies always, ablation where the decoder allows it, class dependence against shuffles."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder

from geolip_theorems.questions import Study
from geolip_theorems.questions.modes.measure import (
    MARGIN,
    class_dependence,
    costliest_modes,
    measure,
    share_elsewhere,
)
from geolip_theorems.stats.class_null import ClassNull
from geolip_theorems.stats.decisions import Sample, decide
from geolip_theorems.stats.intervals import permutation_p, share_figure

from ..make import random_maps

N, SIDE, D = 60, 8, 4
LABELS = (np.arange(N) % 3).astype(np.int64)
NAMES = ("a", "b", "c")


def ablated(cost, only=None):
    """Arrays of a model in which losing mode k adds ``cost`` (N, gh, gw, D) to an error of 1."""
    error = np.ones(cost.shape[:3])
    return error, cost + 2 if only is None else only, cost + 1


def mode_maps(S, error, only, without, ablated=None, absent=None):
    rows = np.arange(0 if without is None else len(without)) if ablated is None else ablated
    parts = {"S": S, "error": error, "error_only": only, "error_without": without}
    return SimpleNamespace(**parts, ablated=rows, absent=absent or {})


def mode_structure(maps, labels=None, names=None, groups=None, **options):
    """The figures of maps with these labels, class names and groups."""
    given = {**vars(maps), "labels": labels, "classes": names, "groups": groups}
    return measure(Study(SimpleNamespace(**given), **options)).figures["modes"]


def measured(cost, S=None, labels=LABELS, **options):
    error, only, without = ablated(cost)
    S = np.broadcast_to(np.arange(cost.shape[-1], 0, -1.0), cost.shape) if S is None else S
    options = {"n_permutations": 499, "names": NAMES} | options
    return mode_structure(mode_maps(S, error, only, without), labels, **options)


def verdict(result):
    figure = result["share"]
    p = figure.get("p")
    return decide(
        figure["value"], figure["ci95"], 0.05, ">", p, sample=Sample(figure["n"]), needs_p=True
    ).verdict


def noisy(rng, lift):
    """Costs of which mode 0's is the greatest on average by ``lift`` standard deviations of the rest."""
    cost = rng.standard_normal((N, SIDE, SIDE, D))
    cost[..., 0] += lift
    return cost


def planted(rng):
    """Class c loses most without mode c in the upper half, without mode 3 in the lower."""
    cost = 0.1 * rng.standard_normal((N, SIDE, SIDE, D))
    cost[:, SIDE // 2 :, :, 3] += 3
    cost[
        np.arange(N)[:, None, None], np.arange(SIDE // 2)[:, None], np.arange(SIDE), LABELS[:, None, None]
    ] += 2
    return cost


def test_one_mode_that_always_matters_most_fails():
    result = measured(noisy(np.random.default_rng(0), 50.0))
    figure = result["share"]
    assert (figure["value"], result["ablation"]["overall_mode"]) == (0.0, 0)
    assert 0 < figure["ci95"][1] < 0.065  # no false certainty from sixty equal images
    assert (
        verdict(measured(np.tile(noisy(np.random.default_rng(0), 50.0), (3, 1, 1, 1)), labels=None))
        == "fails"
    )


def test_variation_without_class_does_not_hold():
    result = measured(noisy(np.random.default_rng(1), 0.5))
    assert result["share"]["ci95"][0] > 0.05
    assert result["share"]["p"] > 0.01
    assert verdict(result) == "inconclusive"


def test_planted_dependence_is_found():
    result = measured(planted(np.random.default_rng(2)))
    assert verdict(result) == "holds"
    assert result["ablation"]["overall_mode"] == 3
    assert result["share"]["value"] == pytest.approx(0.5)
    dominant = np.array(result["ablation"]["dominant_map"])
    assert (dominant[SIDE // 2 :] == 3).all()
    shuffled = np.random.default_rng(0).permutation(LABELS)
    assert verdict(measured(planted(np.random.default_rng(2)), labels=shuffled)) != "holds"


def test_p_is_uniform_under_the_null():
    ps = [
        measured(noisy(np.random.default_rng(seed), 0.5), n_permutations=99, seed=seed)["share"]["p"]
        for seed in range(100)
    ]
    assert stats.kstest(ps, "uniform").pvalue > 1e-3


def test_costs_are_the_differences_of_the_errors():
    cost = planted(np.random.default_rng(3))
    result = measured(cost)["ablation"]
    assert [f["value"] for f in result["cost"]] == pytest.approx(cost.mean((0, 1, 2)))
    of_class, region = result["cost_per_class"]["b"], result["cost_per_region"]
    assert [f["value"] for f in of_class] == pytest.approx(cost[LABELS == 1].mean((0, 1, 2)))
    expected = stats.ttest_1samp(cost[LABELS == 1].mean((1, 2))[:, 2], 0).confidence_interval()
    assert of_class[2]["ci95"] == pytest.approx([expected.low, expected.high])
    assert of_class[2]["n"] == (LABELS == 1).sum()
    a = SIDE // 4
    assert [f["value"] for f in region["center"]] == pytest.approx(
        cost[:, a : SIDE - a, a : SIDE - a].mean((0, 1, 2))
    )
    sizes = {"center": (SIDE - 2 * a) ** 2}
    sizes["edge"] = SIDE**2 - sizes["center"]
    whole = sum(np.array([f["value"] for f in region[r]]) * size for r, size in sizes.items()) / SIDE**2
    assert whole == pytest.approx(cost.mean((0, 1, 2)))


def test_energy_rank_is_spearmans():
    subject = random_maps(n=20, D=3)
    result = mode_structure(subject, n_permutations=9)
    energy = subject.S**2 / (subject.S**2).sum(-1, keepdims=True)
    cost = subject.error_without - subject.error[:10, ..., None]
    expected = [
        stats.spearmanr(c.ravel(), e.ravel()).statistic for c, e in zip(cost, energy[:10], strict=True)
    ]
    assert result["ablation"]["energy_rank"]["value"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert [f["value"] for f in result["energy"]] == pytest.approx(energy.mean((0, 1, 2)))


def test_class_dependence_has_r_squared():
    rng = np.random.default_rng(4)
    share = rng.dirichlet(np.ones(D), N)
    observed, null, described = class_dependence(share, LABELS, None, 0, 99)
    onehot = OneHotEncoder(sparse_output=False).fit_transform(LABELS[:, None])
    fit = LinearRegression().fit(onehot, share)
    left = np.square(share - fit.predict(onehot)).sum() / np.square(share - share.mean(0)).sum()
    assert described["r_squared"] == pytest.approx(1 - left)
    assert null.shape == (99,)
    assert observed == described["observed"] != described["r_squared"]
    assert described["shuffled"] == "labels of images"
    assert class_dependence(np.ones((N, D)) / D, LABELS, None, 0, 9)[0] == 0


def test_the_statistic_is_each_classes_distance_in_its_own_standard_errors():
    """For one mode and two classes of single images: the square of Welch's t, with n for n - 1."""
    rng = np.random.default_rng(5)
    share, y = rng.random((N, 1)), np.arange(N) % 2
    observed, _, _ = class_dependence(share, y, None, 0, 9)
    a, b = share[y == 0, 0], share[y == 1, 0]
    assert observed == pytest.approx(stats.ttest_ind(a, b, equal_var=False).statistic ** 2, rel=1e-4)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_small_class_that_scatters_is_no_effect_of_class(grouped):
    """Equal means, unlike scatter (or groups unlike in size): R squared takes that for class."""
    rng = np.random.default_rng(6)
    sizes = np.r_[np.full(4, 20), np.full(40, 2)] if grouped else np.ones(255, int)
    of_unit = (np.arange(len(sizes)) >= (4 if grouped else 15)).astype(int)
    g, y = np.repeat(np.arange(len(sizes)), sizes), np.repeat(of_unit, sizes)
    scatter = np.where(of_unit == 0, 0.2 if grouped else 0.45, 0.2 if grouped else 0.1)
    wrong, plain = 0, 0
    for seed in range(100):
        part = (0.5 + scatter * rng.choice([-1, 1], len(sizes)))[g]
        share = np.stack([1 - 0.3 * part, 0.3 * part], 1) + 0.01 * rng.standard_normal((len(y), 2))
        observed, null, described = class_dependence(share, y, g if grouped else None, seed, 199)
        wrong += permutation_p(observed, null, "greater", 1e-5 * observed) < 0.01
        chance = ClassNull.of(share, y, g if grouped else None)
        squares = [(np.square(s) / c[..., None]).sum((1, 2)) for s, c in chance.draws(2, 199, seed)]
        plain += (
            permutation_p(described["r_squared"], np.concatenate(squares) / chance.total, "greater") < 0.01
        )
    assert wrong <= 6, "nominal 1 in 100"
    assert plain >= (2 if grouped else 10), "the control: R squared of shuffled labels"


def test_without_a_separable_decoder_only_energies():
    subject = random_maps()
    why = "the decoder does not take modes apart"
    result = mode_structure(
        mode_maps(subject.S, subject.error, None, None, absent={"error_without": why}), subject.labels
    )
    assert result["ablation"] is None
    assert result["share"]["method"] == why
    assert sum(f["value"] for f in result["energy"]) == pytest.approx(1)


def test_a_share_of_one_has_an_interval_too():
    figure = share_figure(np.ones(20), None)
    assert figure["ci95"] == pytest.approx([0.025 ** (1 / 20), 1.0])


def test_rounding_noise_is_no_other_mode():
    """A model to which no mode matters: float32 errors that differ in their last bits alone."""
    rng = np.random.default_rng(5)
    error = rng.gamma(2.0, 0.1, (2 * N, SIDE, SIDE)).astype(np.float32)
    noise = 1 + 1e-6 * rng.standard_normal((2 * N, SIDE, SIDE, D))
    without = (error[..., None] * noise).astype(np.float32)
    assert (without - error[..., None]).argmax(-1).std() > 1  # the old rule: each mode a quarter of the time
    dominant, overall = costliest_modes(error, without)
    assert share_elsewhere(dominant, overall).max() == 0
    result = mode_structure(mode_maps(np.ones(without.shape), error, without, without), n_permutations=9)
    assert verdict_without_labels(result) == "fails"


def verdict_without_labels(result):
    figure = result["share"]
    return decide(figure["value"], figure["ci95"], 0.05, ">", None, sample=Sample(figure["n"])).verdict


def test_another_mode_must_cost_more_by_a_margin_and_more_than_nothing():
    error = np.ones((1, 1, 4))
    cost = np.zeros((1, 1, 4, 2))
    cost[0, 0, 1:, 0] = 1.0  # mode 0 in three patches of four
    for other, counts in ((0.5 * MARGIN, False), (2 * MARGIN, True)):
        cost[0, 0, 0, 1] = other
        dominant, overall = costliest_modes(error, error[..., None] + cost)
        assert overall == 0
        assert (dominant[0, 0, 0] == 1) == counts
    cost[0, 0, 0] = [-0.5, -0.1]  # losing either helps: neither matters
    assert costliest_modes(error, error[..., None] + cost)[0][0, 0, 0] == 0


def test_no_other_choice_of_the_overall_mode_gives_a_smaller_share():
    """A mode seldom but hugely costly has the greatest mean cost; the overall mode is the frequent one."""
    cost = np.ones((N, SIDE, SIDE, D)) * [1.0, 0.5, 0.2, 0.1]
    cost[:, 0, 0, 3] = 1000.0
    result = measured(cost)
    assert result["ablation"]["overall_mode"] == 0
    assert result["ablation"]["costliest_on_average"] == 3
    assert result["share"]["value"] == pytest.approx(1 / SIDE**2)
    dominant, overall = costliest_modes(*ablated(cost)[::2])
    shares = [share_elsewhere(dominant, k).mean() for k in range(D)]
    assert shares[overall] == min(shares)


def test_the_overall_mode_is_said_to_be_uncertain_where_two_are_near():
    rng = np.random.default_rng(3)
    shares = measured(noisy(rng, 0.0))["ablation"]["overall_shares"]
    assert sum(shares) == pytest.approx(1)
    assert max(shares) < 0.95
    sure = measured(noisy(rng, 3.0))["ablation"]["overall_shares"]
    assert sure == [1, 0, 0, 0]


def test_ablated_images_keep_their_labels_and_groups():
    cost = planted(np.random.default_rng(2))
    error, only, without = ablated(cost)
    few = np.arange(1, N, 2)
    S = np.ones(cost.shape)
    groups = np.arange(N) % 10
    options = {"labels": LABELS, "names": NAMES, "groups": groups, "n_permutations": 99}
    part = mode_structure(mode_maps(S, error, only[few], without[few], few), **options)
    options |= {"labels": LABELS[few], "groups": groups[few]}
    alone = mode_structure(mode_maps(S[few], error[few], only[few], without[few]), **options)
    assert part["share"] == alone["share"]
    assert part["ablation"] == alone["ablation"]


def test_few_groups_give_a_value_and_no_verdict():
    result = measured(planted(np.random.default_rng(2)), groups=np.arange(N) % 5)
    assert result["share"]["value"] == pytest.approx(0.5)
    assert "no interval from 5 groups" in result["share"]["method"]
    assert verdict(result) == "inconclusive"


def test_no_order_of_the_modes_is_assumed():
    """Modes in another order give the same figures in that order: S may be column norms, in none."""
    subject, order = random_maps(D=5), np.array([3, 0, 4, 1, 2])
    first = mode_structure(subject)
    S, only, without = (a[..., order] for a in (subject.S, subject.error_only, subject.error_without))
    again = mode_structure(mode_maps(S, subject.error, only, without))

    def values(figures):
        return pytest.approx([figure["value"] for figure in figures])

    assert [figure["value"] for figure in again["energy"]] == values([first["energy"][k] for k in order])
    assert again["share"] == first["share"]
    for part in ("cost", "only"):
        assert again["ablation"][part] == [first["ablation"][part][k] for k in order]
    for part in ("overall_mode", "costliest_on_average"):
        assert order[again["ablation"][part]] == first["ablation"][part]
    rank = first["ablation"]["energy_rank"]["value"]
    assert again["ablation"]["energy_rank"]["value"] == pytest.approx(rank)
    assert [figure["value"] for figure in again["energy"]] != values(first["energy"])
