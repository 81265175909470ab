"""Nested cross-validation of the probes: everything that is chosen is chosen inside the training folds."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from ..io.errors import InputError
from ..model.threads import thread_pool
from .features import Group
from .ridge import RidgeBank, Weights
from .signals import BEST

N_FOLDS = 5
LEAST_FOLDS = 3
SMALL = 1000  # images; with fewer, threads wait for each other
PENALTIES = (0.01, 0.1, 0.5, 2.0, 6.0, 20.0)
STEP = 3.0  # a combination tries the mean of its parts' penalties and this much to either side
PAIR_WEIGHTS = ((0.2, 0.8), (0.5, 0.5), (0.8, 0.2))
TRIPLE_WEIGHTS = ((1 / 3, 1 / 3, 1 / 3), (0.2, 0.6, 0.2), (0.6, 0.2, 0.2), (0.2, 0.2, 0.6))

_folding = threading.Lock()  # filters of warnings are the process's

Map = Callable[..., Iterable[Any]]
Run = tuple[np.ndarray, list["Choice"]]  # of one repeat: the classes named (N,), the folds' choices
Candidate = tuple[Weights, tuple[float, ...]]  # a weighting and the penalties tried with it


@dataclass
class Choice:
    """What was chosen for one outer fold."""

    candidate: Candidate
    place: int  # of the chosen penalty among the candidate's
    loss: float

    @property
    def weights(self) -> Weights:
        return self.candidate[0]

    @property
    def penalty(self) -> float:
        return self.candidate[1][self.place]


@dataclass
class Predictions:
    """Out-of-fold results of one probe over repeats.

    Attributes:
        guesses: (R, N) int64, the class named by the classifier not trained on the image.
        hits: (R, N) bool, it is the image's own.
        choices: R lists of K; empty where nothing is chosen.
        n_folds: outer folds, K or fewer.
    """

    guesses: np.ndarray
    hits: np.ndarray
    choices: list[list[Choice]]
    n_folds: int


def stratified_folds(
    labels: np.ndarray, groups: np.ndarray | None, n_folds: int, seed: int
) -> tuple[np.ndarray, int]:
    """Fold of each image, (N,) int64, classes spread evenly, groups whole; and the number of folds.

    As many folds as asked, fewer where the rarest class has fewer images (or groups), never fewer than
    three, which nesting needs.

    Raises:
        InputError: too few images, or groups, to be both learned from and tested on.
    """
    reason = too_few(labels, groups)
    if reason:
        raise InputError(reason)
    units = np.arange(len(labels)) if groups is None else groups
    of_class = np.bincount(np.unique(np.stack([labels, units]), axis=1)[0])[np.unique(labels)]
    n_folds = max(LEAST_FOLDS, min(n_folds, int(of_class.min())))
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    folds = np.zeros(len(labels), np.int64)
    # Scikit-learn warns of classes rarer than the folds; they are allowed.
    with _folding, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for f, (_, test) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
            folds[test] = f
    return np.unique(folds, return_inverse=True)[1], len(np.unique(folds))


def too_few(labels: np.ndarray, groups: np.ndarray | None) -> str | None:
    """Why these images cannot be cross-validated, or None where they can."""
    units = np.arange(len(labels)) if groups is None else groups
    what = "images" if groups is None else "groups of images"
    classes = np.unique(labels)
    if len(classes) < 2:
        return f"{len(classes)} class; the probes need at least 2"
    of_class = np.bincount(np.unique(np.stack([labels, units]), axis=1)[0])
    if of_class.max() < LEAST_FOLDS or len(np.unique(units)) < LEAST_FOLDS:
        return f"no class has {LEAST_FOLDS} {what}; the probes need at least that, better {N_FOLDS} a class"
    return None


class NestedProbe:
    """Tuned probes for one set of folds.

    The inner folds of an outer fold f are the other outer folds g: their classifiers are trained without
    f and g and serve, with the roles changed, as inner classifiers of g. Squared error of the scores
    chooses; it varies less than accuracy over penalties and weights. ``run`` is ``map``, perhaps a pool's.
    """

    def __init__(self, bank: RidgeBank, labels: np.ndarray, run: Map = map) -> None:
        self.bank = bank
        self.run = run
        self.labels = labels
        self.n_folds = bank.n_folds
        self.rows = [rows.cpu().numpy() for rows in bank.of_fold]
        self._pairs: dict[tuple[Candidate, tuple[int, int]], dict[int, np.ndarray]] = {}

    def choose(self, tried: Sequence[Sequence[Candidate]]) -> list[Choice]:
        """For each outer fold the candidate and penalty with the least loss over its inner folds.

        Args:
            tried: the candidates of each outer fold.
        """
        wanted: dict[Candidate, dict[tuple[int, int], None]] = {}
        for f, of_fold in enumerate(tried):
            for candidate, g in itertools.product(of_fold, self._others(f)):
                if (candidate, _pair(f, g)) not in self._pairs:
                    wanted.setdefault(candidate, {})[_pair(f, g)] = None
        tasks = [(candidate[0], partial(self._losses, candidate), [*p]) for candidate, p in wanted.items()]
        for (candidate, pairs), losses in zip(wanted.items(), self._each(tasks), strict=True):
            self._pairs.update(zip([(candidate, pair) for pair in pairs], losses, strict=True))
        return [self._best(f, of_fold) for f, of_fold in enumerate(tried)]

    def predict(self, choices: Sequence[Choice]) -> np.ndarray:
        """(N,) int64, the classes the tuned classifiers name, each on the fold it was not trained on."""
        guesses = np.zeros(len(self.labels), np.int64)
        tasks = [(choice.weights, partial(self._guess, choice), [f]) for f, choice in enumerate(choices)]
        for rows, (guessed,) in zip(self.rows, self._each(tasks), strict=True):
            guesses[rows] = guessed
        return guesses

    def _each(self, tasks: Iterable[tuple[Weights, Callable, Sequence]]) -> Iterator[list[Any]]:
        """What functions give for their arguments; a task's products are made while the one before runs."""
        before: Iterable[Any] | None = None
        for weights, function, arguments in tasks:
            self.bank.prepare(weights)
            begun = self.run(function, arguments)
            if before is not None:
                yield [*before]
            before = begun
        if before is not None:
            yield [*before]

    def _others(self, f: int) -> list[int]:
        return [g for g in range(self.n_folds) if g != f]

    def _best(self, f: int, tried: Sequence[Candidate]) -> Choice:
        others, choices = self._others(f), []
        size = sum(len(self.rows[g]) for g in others)
        for candidate in tried:
            loss = sum(self._pairs[candidate, _pair(f, g)][g] for g in others) / size
            choices.append(Choice(candidate, int(loss.argmin()), float(loss.min())))
        return min(choices, key=lambda choice: choice.loss)

    def _guess(self, choice: Choice, f: int) -> np.ndarray:
        score = self.bank.held_out(choice.weights, (f,), (choice.penalty,))[f][0]
        return score.argmax(-1).cpu().numpy()

    def _losses(self, candidate: Candidate, pair: tuple[int, int]) -> dict[int, np.ndarray]:
        """Loss (L,) on either fold of classifiers trained without both."""
        found = {}
        for fold, score in self.bank.held_out(candidate[0], pair, candidate[1]).items():
            target = self.bank.target[self.bank.of_fold[fold]]
            found[fold] = (score - target).square().sum((1, 2)).cpu().numpy().astype(np.float64)
        return found


def _pair(f: int, g: int) -> tuple[int, int]:
    return min(f, g), max(f, g)


def candidates(parts: Sequence[Choice]) -> list[Candidate]:
    """Weightings of two or three groups as chosen alone, all of each subset included: one may be left out."""
    found = [part.candidate for part in parts]
    options = [(subset, w) for subset in itertools.combinations(parts, 2) for w in PAIR_WEIGHTS]
    if len(parts) == 3:
        options += [(tuple(parts), w) for w in TRIPLE_WEIGHTS]
    for subset, weights in options:
        middle = float(np.exp(np.dot(weights, [np.log(part.penalty) for part in subset])))
        blocks = tuple((part.weights[0][0], w) for part, w in zip(subset, weights, strict=True))
        found.append((blocks, (middle / STEP, middle, middle * STEP)))
    return found


def cross_validated(
    features: Mapping[str, Group],
    labels: np.ndarray,
    groups: np.ndarray | None,
    *,
    combinations: Mapping[str, Sequence[str]],
    best_of: Sequence[str] = (),
    n_folds: int = N_FOLDS,
    repeats: int = 2,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, Predictions]:
    """Out-of-fold results of a probe per feature group, of combinations and of the best single group.

    Args:
        features: see :class:`geolip_theorems.probes.features.FeatureGroups`.
        labels: (N,) int64 from 0 without gaps. groups: (N,) or None.
        combinations: groups each combination joins; each group in the variant chosen for it alone.
        best_of: groups of which the best, chosen inside the folds, is the probe ``"best_single"``.

    Cost: for each of about 25 weightings, n_folds (n_folds - 1) / 2 pairs of held-out folds and 3 to 8
    penalties, one Cholesky factorisation: see :class:`RidgeBank`. 10,000 images of 2,304 features, two
    repeats: 55 s of processor time, over half of it factorisations.
    """
    joined = {*best_of}.union(*combinations.values())
    folds = [stratified_folds(labels, groups, n_folds, seed + repeat)[0] for repeat in range(repeats)]
    runs: list[dict[str, Run]] = [{} for _ in folds]
    threads = torch.get_num_threads() if device == "cpu" and len(labels) > SMALL else 1
    with thread_pool(threads) as pool:
        rounds = partial(_rounds, features, labels, folds, device, pool.map)
        for name in features:  # a group that joins nothing is made and given up by itself
            if name not in joined:
                for run, (_, single) in zip(runs, rounds([name]), strict=True):
                    run.update(single)
        names = [name for name in features if name in joined]
        for run, (probe, single) in zip(runs, rounds(names), strict=True):
            run.update(single | _together(probe, single, combinations, best_of))
    found = {}
    for name in (name for name in (*features, *combinations, BEST) if name in runs[0]):
        guesses, choices = zip(*(run[name] for run in runs), strict=True)
        guessed = np.stack(guesses)
        found[name] = Predictions(guessed, guessed == labels, [*choices], len(choices[0]))
    return found


def _rounds(
    features: Mapping[str, Group],
    labels: np.ndarray,
    folds: Sequence[np.ndarray],
    device: str,
    run: Map,
    names: Sequence[str],
) -> Iterator[tuple[NestedProbe, dict[str, Run]]]:
    """A probe per repeat with each of the groups alone; their other variants are gone by then."""
    kernels: dict[str, torch.Tensor] = {}
    for fold in folds:
        groups = {name: {f"{name}/{v}": x for v, x in features[name].items()} for name in names}
        tried = {name: [(((block, 1.0),), PENALTIES) for block in group] for name, group in groups.items()}
        bank = RidgeBank(dict(ChainMap(*groups.values())), labels, fold, device, kernels)
        groups.clear()
        probe, found = NestedProbe(bank, labels, run), {}
        for name, options in tried.items():
            choices = probe.choose([options] * probe.n_folds)
            found[name] = (probe.predict(choices), choices)
            taken = {choice.weights[0][0] for choice in choices}
            bank.forget({weights[0][0] for weights, _ in options} - taken)
        yield probe, found
        bank.forget({*bank.blocks})  # before the next one makes its own


def _together(
    probe: NestedProbe,
    single: Mapping[str, Run],
    combinations: Mapping[str, Sequence[str]],
    best_of: Sequence[str],
) -> dict[str, Run]:
    """The combinations of groups, and the best group of each fold."""
    every = range(probe.n_folds)
    chosen = {
        name: probe.choose([candidates([single[part][1][f] for part in parts]) for f in every])
        for name, parts in combinations.items()
    }
    if best_of:
        alone = [[single[name][1][f] for name in best_of] for f in every]
        chosen[BEST] = [min(choices, key=lambda choice: choice.loss) for choices in alone]
    return {name: (probe.predict(choices), choices) for name, choices in chosen.items()}
