"""Questions 4 and 5: fair folds, no accuracy from noise or leaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from geolip_theorems.io.errors import InputError
from geolip_theorems.probes.conv import _fit_predict
from geolip_theorems.probes.features import FeatureGroups, standardised
from geolip_theorems.probes.nested import (
    PENALTIES,
    NestedProbe,
    candidates,
    cross_validated,
    stratified_folds,
)
from geolip_theorems.probes.ridge import RidgeBank
from geolip_theorems.probes.signals import COMBINATIONS, LIFTS, PARTS, logarithm
from geolip_theorems.questions import Study
from geolip_theorems.questions.readout import RELEASE
from geolip_theorems.questions.readout.measure import (
    CONFUSED,
    accuracy_figure,
    balanced,
    lift_figures,
    over_chance_figure,
    probe_accuracies,
)
from geolip_theorems.stats.decisions import Sample, decide
from geolip_theorems.stats.estimators import STEADY, Accuracy, inflation, influence_of
from geolip_theorems.stats.intervals import mean_figure

from ..make import random_maps

RNG = np.random.default_rng(0)


def verdict(figure):
    return decide(figure["value"], figure["ci95"], 0.0, ">", sample=Sample(figure["n"])).verdict


def signal_maps(n=150, seed=0, release=2.0, eigenvalues=0.0):
    """Maps of noise in which the class moves release, or eigenvalues, of some patches."""
    subject = random_maps(n, 4, 4, 2, 3, seed)
    patch = np.zeros((3, 4, 4), np.float32)
    patch[np.arange(3), np.arange(3), 0] = 1
    patch[np.arange(3), np.arange(3), 2] = 1
    subject.error = subject.error * np.exp(release * patch[subject.labels])
    subject.S = subject.S * np.exp(eigenvalues * patch[subject.labels])[..., None]
    return subject


def test_features_are_on_one_scale():
    subject = random_maps(50, 3, 4, 2)
    subject.error[:, 0, 0] = 0  # a patch that never varies
    groups = FeatureGroups(subject)
    assert groups["release"]["raw"].shape == (50, 11)
    expected = StandardScaler().fit_transform(subject.friction.reshape(50, -1)) / np.sqrt(24)
    np.testing.assert_allclose(groups["friction"]["raw"], expected, atol=1e-5)
    for variants in groups.values():
        for x in variants.values():
            assert np.square(x).sum(1).mean() == pytest.approx(1, abs=1e-4)
    assert {name for name, v in groups.items() if "log" not in v} == {"patch_means"}
    assert np.isfinite(logarithm(np.array([[0.0, 1.0], [2.0, 3.0]]))).all()
    assert standardised(np.ones((5, 3))).shape == (5, 1)
    subject.friction[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="friction"):
        FeatureGroups(subject)["friction"]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), size=st.integers(1, 4))
def test_groups_are_never_split(seed, size):
    rng = np.random.default_rng(seed)
    groups = np.arange(120) // size
    labels = rng.integers(0, 3, 120)
    folds, k = stratified_folds(labels, None if size == 1 else groups, 5, seed)
    assert set(folds) == set(range(k))
    for g in np.unique(groups):
        assert len(set(folds[groups == g])) == 1
    shares = [np.bincount(labels[folds == f], minlength=3) for f in range(k)]
    most = 1 if size == 1 else 2 * size + 3  # whole groups are dealt greedily; so for all these seeds
    assert np.ptp(shares, axis=0).max() <= most


def test_a_group_cannot_be_recognised():
    """Images of a group share a pattern and a class, and classes have none: only splitting a group pays."""
    groups = np.arange(120) // 6
    labels = (groups % 3).astype(np.int64)
    subject = random_maps(120, 4, 4, 2, 3)
    subject.labels = labels
    pattern = np.random.default_rng(5).gamma(2.0, 1.0, (20, 4, 4))
    subject.error = (subject.error * 0.05 + pattern[groups]).astype(np.float32)
    options = {"repeats": 1}
    leaking, *_ = probe_accuracies(subject, labels, **options)
    fair, lifts, _ = probe_accuracies(subject, labels, groups=groups, **options)
    assert leaking["release"]["value"] > 0.9
    assert fair["release"]["value"] < 0.65
    assert verdict(lifts["balanced-chance"]) != "holds"


def test_noise_gives_chance_and_no_lift():
    probes, lifts, _ = probe_accuracies(*(lambda m: (m, m.labels))(random_maps(150, 4, 4, 2, 3, 1)))
    assert probes["release"]["ci95"][0] < probes["chance"] < probes["release"]["ci95"][1]
    assert [name for name, figure in lifts.items() if verdict(figure) == "holds"] == []


def test_planted_signal_is_found_and_shuffled_labels_lose_it():
    subject = signal_maps()
    probes, lifts, _ = probe_accuracies(subject, subject.labels, repeats=1)
    for name in (
        "balanced-chance",
        "release-eigenvalues",
        "release+eigenvalues-eigenvalues",
        "all-eigenvalues",
    ):
        assert verdict(lifts[name]) == "holds"
    assert verdict(lifts["all-best_single"]) != "holds"
    assert probes["release"]["null"] == pytest.approx(1 / 3)
    shuffled = np.random.default_rng(0).permutation(subject.labels)
    _, lost, _ = probe_accuracies(subject, shuffled, repeats=1)
    assert verdict(lost["balanced-chance"]) != "holds"


def test_useless_features_do_not_cost_the_combination():
    """The script's one penalty lets noise lower a combination; a penalty a group does not."""
    subject = signal_maps(release=0.0, eigenvalues=2.0)
    probes, lifts, _ = probe_accuracies(subject, subject.labels, repeats=1)
    assert probes["eigenvalues"]["value"] > 0.7
    assert lifts["all-eigenvalues"]["value"] > -0.03


def test_logarithms_are_chosen_where_they_help():
    subject = random_maps(150, 4, 4, 2, 3, 2)
    wild = np.random.default_rng(1).standard_normal(subject.friction.shape) * 2
    wild[np.arange(150), subject.labels, 0] += 4
    subject.friction = np.exp(3 * wild).astype(np.float32)
    probes, *_ = probe_accuracies(subject, subject.labels, repeats=1)
    taken = probes["friction"]["chosen"]
    assert sum(c["folds"] for c in taken if "friction/log" in c["weights"]) == 5


def test_no_lift_comes_from_logarithms_alone():
    """Release says what the eigenvalues say, both lognormal: only a group denied its logarithm is behind."""
    n, rng = 240, np.random.default_rng(4)
    y = np.arange(n) % 3
    signal = 0.8 * np.eye(3)[y] @ rng.standard_normal((3, 16)) + rng.standard_normal((n, 16))
    heavy = np.exp(2.5 * signal).reshape(n, 4, 4).astype(np.float32)
    subject = random_maps(n, 4, 4, 2, 3)
    subject.labels, subject.error = y, heavy
    subject.S = np.stack([heavy, 0.5 * heavy], -1)
    subject.friction = np.stack([heavy, heavy], -1)
    for name in ("settle", "input_mean", "input_var"):
        setattr(subject, name, None)
    features = FeatureGroups(subject)
    denied = {
        name: {"raw": variants["raw"]} if name == "eigenvalues" else variants
        for name, variants in features.items()
    }
    lifts = {}
    for kind, offered in (("denied", denied), ("offered", features)):
        found = cross_validated(offered, y, None, combinations=COMBINATIONS, best_of=PARTS, repeats=1)
        lifts[kind] = lift_figures({k: v.hits for k, v in found.items()}, None, "m")
    for name in ("all-eigenvalues", "release+eigenvalues-eigenvalues", "release-eigenvalues"):
        assert lifts["denied"][name]["value"] > 0.05  # what the rule before this one gave
        assert abs(lifts["offered"][name]["value"]) < 0.02
        assert verdict(lifts["offered"][name]) != "holds"


def test_settle_counts_from_zero():
    subject = random_maps(40, 3, 4, 2)
    assert (subject.settle == 0).any()
    groups = FeatureGroups(subject)
    expected = standardised(np.log(1 + subject.settle.reshape(40, -1).astype(float)))
    np.testing.assert_allclose(groups["settle"]["log"], expected, atol=1e-6)


def test_accuracy_figure_is_the_inflated_binomial_one():
    hits = RNG.random((1, 400)) < 0.7
    figure = accuracy_figure(hits, None, "m")
    plain = mean_figure(hits[0].astype(float))
    assert figure["value"] == pytest.approx(plain["value"])
    assert np.ptp(figure["ci95"]) == pytest.approx(inflation(400, 5, 1) * np.ptp(plain["ci95"]))
    # Repeats that are copies of one another take out only what repeats are known to add.
    thrice = np.ptp(accuracy_figure(np.repeat(hits, 3, 0), None, "m")["ci95"])
    assert thrice / np.ptp(figure["ci95"]) == pytest.approx(inflation(400, 5, 3) / inflation(400, 5, 1))
    perfect = accuracy_figure(np.ones((2, 50), bool), None, "m")
    assert 0.8 < perfect["ci95"][0] < 1


def test_the_inflation_is_the_corrected_resampled_variance():
    """Against Bouckaert and Frank's formula on the variance of R x K fold accuracies of many images."""
    K, R = 5, 2
    hits = (np.random.default_rng(0).random((R, 400_000)) < 0.4).astype(float)
    folds = hits.reshape(R * K, -1).mean(1)
    assert folds.std(ddof=1) == pytest.approx(np.sqrt(K * 0.24 / 400_000), rel=0.4)  # what K / N stands for
    corrected = (1 / (R * K) + 1 / (K - 1)) * K * 0.24 / 400_000
    assert influence_of(hits, None, K)[2] == pytest.approx(STEADY * np.sqrt(corrected), rel=0.01)
    assert Accuracy().inflation(9) == inflation(9) == pytest.approx(1.3229, abs=1e-4)
    assert Accuracy().inflation(10) == inflation(2000) == pytest.approx(1.15, abs=1e-2)
    assert inflation(9, 3, 2) > inflation(9, 5, 2) > inflation(9, 5, 10)


def test_few_groups_have_no_interval():
    hits = RNG.random((2, 130)) < 0.6
    names = {name for pair in LIFTS.values() for name in pair}
    each = {name: hits ^ (RNG.random((2, 130)) < 0.2) for name in sorted(names)}
    for count, known in ((5, False), (6, True)):
        groups = np.arange(130) % count
        accuracy = accuracy_figure(hits, groups, "m")
        lifts = lift_figures(each, groups, "m")
        lifts["chance"] = over_chance_figure(hits, np.arange(130) % 2, groups, "m")
        for found in (accuracy, *lifts.values()):
            assert found["value"] is not None
            assert (found["ci95"] is not None) == known
            assert known or f"{count} groups of images, fewer than 6" in found["method"]
            assert found.get("units") == (6 if known else None)
            assert verdict(found) == "inconclusive" if not known else True


def test_one_large_group_leaves_few_degrees_of_freedom():
    hits = RNG.random((2, 240)) < 0.6
    even, uneven = np.arange(240) % 8, np.minimum(np.arange(240) // 4, 7)
    assert accuracy_figure(hits, uneven, "m")["reach"] > 1.5 * accuracy_figure(hits, even, "m")["reach"]


def test_lifts_are_paired():
    base = RNG.random((2, 500)) < 0.5
    names = {name for pair in LIFTS.values() for name in pair}
    hits = {name: base ^ (RNG.random((2, 500)) < 0.05) for name in sorted(names)}
    lifts = lift_figures(hits, None, "m")
    for name, (a, b) in LIFTS.items():
        figure = lifts[name]
        assert figure["value"] == pytest.approx(hits[a].mean() - hits[b].mean())
        assert np.ptp(figure["ci95_joint"]) > 1.1 * np.ptp(figure["ci95"])
        assert figure["smallest_detectable"] > np.ptp(figure["ci95"]) / 2
        assert np.ptp(figure["ci95"]) < 0.11  # an unpaired difference would have 0.16
        assert figure["p_joint"] == pytest.approx(min(1, figure["p"] * len(LIFTS)))


def test_probes_that_agree_on_every_image_are_not_known_to_agree_on_all():
    base = RNG.random((2, 500)) < 0.5
    same = lift_figures(dict.fromkeys({n for pair in LIFTS.values() for n in pair}, base), None, "m")
    figure = same["all-eigenvalues"]
    assert (figure["value"], figure["p"]) == (0.0, 1.0)
    most = stats.binomtest(0, 500).proportion_ci(0.95).high
    assert figure["ci95"] == pytest.approx([-most, most])


def test_the_figure_over_chance_is_balanced_accuracy():
    labels = np.array([0] * 30 + [1] * 60 + [3] * 110)
    guesses = np.where(RNG.random((2, 200)) < 0.6, labels, RNG.choice([0, 1, 3], (2, 200)))
    hits = guesses == labels
    figure = over_chance_figure(hits, labels, None, "m")
    expected = np.mean([balanced_accuracy_score(labels, row) for row in guesses])
    assert figure["value"] == pytest.approx(expected - 1 / 3)
    parts = balanced(hits, labels)
    assert parts.mean() == pytest.approx(expected)
    weights = np.full(200, 1 / 200)
    weights[7] += 1e-6  # an influence is the slope in an image's weight
    rates = [(weights * hits[0])[labels == c].sum() / weights[labels == c].sum() for c in (0, 1, 3)]
    slope = (np.mean(rates) - parts[0].mean()) / 1e-6
    assert parts[0, 7] - parts[0].mean() == pytest.approx(slope, rel=1e-3)


def test_always_the_commonest_class_is_no_lift_and_no_certainty():
    labels = (np.arange(400) % 20 == 0).astype(np.int64)
    figure = over_chance_figure(np.tile(labels == 0, (2, 1)), labels, None, "m")
    assert figure["value"] == 0
    assert figure["ci95"][0] < -0.05
    assert figure["ci95"][1] > 0.05
    assert verdict(figure) == "inconclusive"


def test_classes_drawn_at_random_do_not_take_a_lift_away():
    """Less the majority rate of the sample a lift of 7.5 points reads as 4 or less."""
    rng, truth, found, covered = np.random.default_rng(4), 0.075, [], 0
    for _ in range(300):
        labels = rng.integers(0, 10, 250)
        hits = np.tile(rng.random(250) < 0.1 + truth, (2, 1))
        figure = over_chance_figure(hits, labels, None, "m")
        found.append(figure["value"])
        covered += figure["ci95"][0] <= truth <= figure["ci95"][1]
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(300))
    assert covered / 300 > 0.93
    assert np.mean([np.bincount(rng.integers(0, 10, 250)).max() / 250 for _ in range(99)]) > 0.13


def test_everything_is_chosen_inside_the_folds():
    """What is chosen for a fold, and hit in the others, does not depend on that fold's labels."""
    subject = signal_maps(90)
    features = {
        name: group for name, group in FeatureGroups(subject).items() if name in ("release", "friction")
    }
    y = subject.labels
    folds, _ = stratified_folds(y, None, 3, 0)
    changed = y.copy()
    changed[folds == 0] = (changed[folds == 0] + 1) % 3
    options = [((("release/raw", 1.0),), PENALTIES), ((("release/log", 1.0),), PENALTIES)]
    blocks = {f"{g}/{v}": x for g, variants in features.items() for v, x in variants.items()}
    first, second = (NestedProbe(RidgeBank(blocks, labels, folds), labels) for labels in (y, changed))
    (a, other, _), (b, changed_other, _) = (probe.choose([options] * 3) for probe in (first, second))
    assert (a.candidate, a.place) == (b.candidate, b.place)
    assert a.loss == pytest.approx(b.loss)
    # but what is chosen for another fold does see them
    assert other.loss != pytest.approx(changed_other.loss)


def test_candidates_include_leaving_a_group_out():
    subject = signal_maps(60)
    found = cross_validated(
        FeatureGroups(subject), subject.labels, None, combinations={}, n_folds=3, repeats=1
    )
    parts = [found[name].choices[0][0] for name in ("release", "eigenvalues", "friction")]
    subsets = {frozenset(name for name, _ in weights) for weights, _ in candidates(parts)}
    assert len(subsets) == 7  # every way of taking some of three
    assert all(sum(w for _, w in weights) == pytest.approx(1) for weights, _ in candidates(parts))


def test_the_kept_hits_are_those_of_the_figures():
    subject = signal_maps(60)
    found = RELEASE.measure(Study(subject, seed=3))
    probes, lifts = found.figures["probes"], found.figures["lifts"]
    named = {name for name, p in probes.items() if isinstance(p, dict) and "value" in p}
    assert {"balanced/release", *(f"hits/{name}" for name in named)} == set(found.values)
    for name in named:
        hits = found.values[f"hits/{name}"]
        assert hits.shape == (2, 60)
        assert hits.mean() == pytest.approx(probes[name]["value"])
    for name, (a, b) in LIFTS.items():
        difference = found.values[f"hits/{a}"].mean() - found.values[f"hits/{b}"].mean()
        assert lifts[name]["value"] == pytest.approx(difference)
    subject.labels = np.arange(60) % 30
    subject.classes = None
    assert RELEASE.measure(Study(subject)).values == {}
    subject.labels = np.zeros(60, int)
    assert RELEASE.measure(Study(subject)).figures == {"probes": None, "lifts": None}


def test_too_few_images_are_said_not_measured():
    subject = random_maps(6, 2, 2, 2, 3)
    probes, lifts, _ = probe_accuracies(subject, subject.labels)
    assert lifts["release-friction"]["value"] is None
    assert "no class has 3 images" in probes["release"]["method"]
    with pytest.raises(InputError, match="ridge"):
        probe_accuracies(subject, subject.labels, probe="rigde")


def test_the_convolutional_readout_reads_what_is_there():
    subject = signal_maps(90, release=3.0)
    subject.settle = subject.input_mean = subject.input_var = None
    probes, lifts, _ = probe_accuracies(subject, subject.labels, repeats=1, probe="conv")
    assert "conv probe" in probes["release"]["method"]
    assert probes["release"]["value"] > 0.6
    assert verdict(lifts["balanced-chance"]) == "holds"
    assert "all-best_single" not in lifts


def test_the_readout_is_seeded_and_leaves_the_global_generator():
    x, y = RNG.standard_normal((40, 2, 4, 4)).astype(np.float32), np.arange(40) % 2
    before = torch.get_rng_state()
    first, again, other = (_fit_predict(x[:30], y[:30], x, seed, "cpu") for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert (first == again).all()
    assert set(other) <= {0, 1}


def test_confusion_counts_every_image_once_a_repeat_and_its_diagonal_is_the_accuracy():
    subject = random_maps(60, 4, 4, 2, 3)
    labels = subject.labels * 2 + 1  # labels need not be 0, 1, 2
    figures, *_ = probe_accuracies(subject, labels, seed=3)
    found = figures["confusion"]
    assert found["classes"] == [1, 3, 5]
    for name in CONFUSED:
        counts = np.array(found[name])
        np.testing.assert_array_equal(counts.sum(1), 2 * np.bincount(subject.labels))
        assert np.trace(counts) / counts.sum() == pytest.approx(figures[name]["value"])
        assert np.trace(counts) < counts.sum()  # noise is not told
