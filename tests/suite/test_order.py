"""The order of the tests, a selection and an early end do not show in what is found."""

import pytest

from .conftest import SMALL
from .test_runs import CLAIMS, MODEL, outcome_counts, thresholds


def order(run):
    """Names of the tests as they were run."""
    return list(run.junit)


def found(run):
    """What a run found, now: the next one from the same folder writes over it."""
    return list(run.verdicts().items()), outcome_counts(run), order(run)


def test_a_random_order_finds_the_same(run_suite, monkeypatch):
    verdicts, outcomes, names = found(run_suite(*MODEL, *SMALL))
    monkeypatch.setenv("SHUFFLE", "1")
    run = run_suite(*MODEL, *SMALL, "-p", "tests.suite.shuffled")
    assert found(run)[:2] == (verdicts, outcomes)
    assert sorted(order(run)) == sorted(names)
    assert order(run) != names, "nothing was shuffled"


def test_an_early_end_writes_what_was_asked(run_suite, tmp_path):
    file = thresholds(tmp_path, class_cosine=-1.0)
    run = run_suite(*MODEL, *SMALL, "--thresholds", file, "--maxfail", "1")
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcome_counts(run)["failed"] == 1
    assert list(run.verdicts()) == CLAIMS[: CLAIMS.index("class_cosine") + 1]
    assert run.verdicts()["class_cosine"]["verdict"] == "fails"


def test_the_last_failed_are_run_alone(run_suite, tmp_path):
    words = (*MODEL, *SMALL, "--thresholds", thresholds(tmp_path, class_cosine=-1.0))
    verdicts, outcomes, _ = found(run_suite(*words, lasting=tmp_path / "lasting"))
    again = run_suite(*words, "--lf", lasting=tmp_path / "lasting")
    assert len(order(again)) == outcome_counts(again)["failed"] == outcomes["failed"] == 1
    assert again.verdicts()["class_cosine"] == dict(verdicts)["class_cosine"]


def test_a_checkout_that_cannot_be_written_keeps_nothing_for_later_and_runs(run_suite):
    run = run_suite(*MODEL, *SMALL, "-k", "q1", lasting="/dev/null/no-folder")
    assert run.result.ret == pytest.ExitCode.OK
    assert "could not create cache path" in run.text
    assert "Traceback" not in run.text
    assert run.verdicts()["spatial_cv"]["verdict"]
