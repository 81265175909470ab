"""The ridge classifiers against scikit-learn's and NumPy's, also where float32 is not enough."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from geolip_theorems.model.threads import one_thread
from geolip_theorems.probes import nested
from geolip_theorems.probes.features import standardised
from geolip_theorems.probes.ridge import RidgeBank, _solve_positive

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("n", "p"), [(60, 7), (60, 90), (1100, 512)])  # primal, dual, a power of two
def test_scores_are_scikit_learns_ridge(n, p):
    X, y = RNG.standard_normal((n, p)).astype(np.float32), np.arange(n) % 3
    folds = np.arange(n) % 4
    bank = RidgeBank({"x": X}, y, folds)
    train = (folds != 1) & (folds != 2)
    given_ = bank.held_out((("x", 1.0),), (1, 2), (0.3, 5.0))
    for penalty, of_penalty in zip((0.3, 5.0), zip(given_[1], given_[2], strict=True), strict=True):
        fit = Ridge(alpha=penalty).fit(X[train].astype(float), np.eye(3)[y[train]])
        for fold, scores in zip((1, 2), of_penalty, strict=True):
            np.testing.assert_allclose(scores.numpy(), fit.predict(X[folds == fold]), atol=2e-4)


@pytest.mark.parametrize("n", [48, 240])  # dual, then primal
def test_banded_scores_are_those_of_the_weighted_kernel(n):
    a, b = (RNG.standard_normal((n, p)).astype(np.float32) for p in (40, 30))
    y, folds = np.arange(n) % 2, np.arange(n) % 3
    bank = RidgeBank({"a": a, "b": b}, y, folds)
    scores = bank.held_out((("a", 0.2), ("b", 0.8)), (0,), (0.7,))[0][0]
    train = folds != 0
    mean_a, mean_b = a[train].mean(0), b[train].mean(0)
    features = np.concatenate([0.2**0.5 * (a - mean_a), 0.8**0.5 * (b - mean_b)], 1).astype(float)
    target = np.eye(2)[y[train]]
    fit = KernelRidge(alpha=0.7, kernel="linear").fit(features[train], target - target.mean(0))
    expected = fit.predict(features[~train]) + target.mean(0)
    np.testing.assert_allclose(scores.numpy(), expected, atol=2e-4)


@pytest.mark.parametrize("n", [48, 240])
def test_what_is_given_up_changes_nothing_else(n):
    blocks = {name: RNG.standard_normal((n, 40)).astype(np.float32) for name in "abc"}
    bank = RidgeBank(blocks, np.arange(n) % 2, np.arange(n) % 3)
    how = ((("a", 0.2), ("b", 0.8)), (0,), (0.7,))
    before = bank.held_out(*how)[0]
    bank.forget({"c"})
    assert torch.equal(bank.held_out(*how)[0], before)
    bank.forget({"a"})
    with pytest.raises(KeyError):
        bank.held_out(*how)


def test_threads_change_no_prediction(monkeypatch):
    n = 300
    features = {name: {"raw": RNG.standard_normal((n, 30)).astype(np.float32)} for name in "abc"}
    y = np.arange(n) % 3
    features["a"]["raw"][:, 0] += y
    how = {"combinations": {"a+b": ("a", "b")}, "best_of": ("a", "b"), "repeats": 1}

    def guesses(threads, small):
        monkeypatch.setattr(nested, "SMALL", small)
        with one_thread():  # gives the number back that there was
            torch.set_num_threads(threads)
            found = nested.cross_validated(features, y, None, **how)
        return {name: predictions.guesses for name, predictions in found.items()}

    alone, beside = guesses(1, 1000), guesses(3, 0)
    assert list(alone) == ["a", "b", "c", "a+b", "best_single"]
    assert all(np.array_equal(alone[name], beside[name]) for name in alone)
    assert not np.array_equal(alone["a"], alone["b"])  # negative control


@pytest.mark.parametrize(("n", "p"), [(60, 7), (400, 200), (60, 90)])  # primal at once, one by one, dual
def test_features_all_alike_are_one_feature(n, p):
    """Below float32's rounding a penalty does nothing, and what rounding adds has no say."""
    x, y, folds = RNG.standard_normal((n, 1)), np.arange(n) % 3, np.arange(n) % 4
    bank = RidgeBank({"x": standardised(np.repeat(x, p, 1))}, y, folds)
    train, one = folds != 1, standardised(x).astype(float)
    for penalty, scores in zip((1e-9, 5.0), bank.held_out((("x", 1.0),), (1,), (1e-9, 5.0))[1], strict=True):
        fit = Ridge(alpha=penalty).fit(one[train], np.eye(3)[y[train]])
        np.testing.assert_allclose(scores.numpy(), fit.predict(one[~train]), atol=2e-5)


def test_a_matrix_that_rounding_made_indefinite_is_solved_where_it_says_something():
    x = RNG.standard_normal((50, 1)).astype(np.float32)
    X, target = np.repeat(x, 40, 1), RNG.standard_normal((50, 3)).astype(np.float32)
    alike, right = X.T @ X, X.T @ target
    definite = np.diag(np.logspace(0, -9, 40)).astype(np.float32)  # a Cholesky factor loses none of it
    given_ = _solve_positive(torch.tensor(np.stack([alike, definite])), torch.tensor(right)).numpy()
    rcond = 40 * np.finfo(np.float32).eps
    expected = np.linalg.lstsq(alike.astype(float), right.astype(float), rcond=rcond)[0]
    np.testing.assert_allclose(given_[0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(given_[1], np.linalg.solve(definite, right), rtol=1e-5)
    for matrix, solution in zip((alike, definite), given_, strict=True):  # by LAPACK, not torch
        alone = _solve_positive(torch.tensor(matrix), torch.tensor(right)).numpy()
        np.testing.assert_allclose(alone, solution, rtol=1e-4, atol=1e-6)
    with pytest.raises(torch.linalg.LinAlgError):  # negative control: neither factorisation has an answer
        torch.linalg.cholesky(torch.tensor(alike))
    ones = torch.ones(5, 5)
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.solve(ones.double(), ones.double())
    np.testing.assert_allclose(_solve_positive(ones, ones).numpy(), np.full((5, 5), 0.2), rtol=1e-5)
