"""The theorems as tests: a folder each, ``baseline`` for comparisons, ``benchmarks`` in a checkout."""
