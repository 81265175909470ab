from geolip_theorems import claim, metrics


@claim(metrics.error < 1e-4)
def test_it_loses_next_to_nothing(verdict):
    verdict.check()
