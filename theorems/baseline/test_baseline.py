"""Is this run worse than the baseline? Collected where ``--baseline`` names one.

A verdict that got worse fails, and a metric whose interval of the difference lies beyond its smallest change
of interest in the bad direction. What is better, certain but too small to matter, or cannot be told passes
and says so, in the JUnit properties and in the summary. The rules: ``geolip_theorems.compare.judging``.
"""


def test_verdict_is_no_worse(baseline_claim, assert_verdict_no_worse):
    assert_verdict_no_worse(baseline_claim)


def test_metric_is_no_worse(baseline_metric, assert_metric_no_worse):
    assert_metric_no_worse(baseline_metric)
