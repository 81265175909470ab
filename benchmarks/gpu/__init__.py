"""What ten minutes of one CUDA card settle: ``make gpu``. See :mod:`benchmarks.gpu.__main__`."""
