"""A signal of the probes in one file: how bright a patch is."""

from geolip_theorems.probes.signals import SIGNALS, Signal

SIGNALS.add(Signal("brightness", ("input_mean",), lambda mean: mean.mean(-1), label="B"))
