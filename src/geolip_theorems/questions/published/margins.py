"""The margins of the published claims; ``docs/published_claims.md`` gives the reason of each."""

CHANGE = 0.05  # share of the error: the published 4.5 % over sizes, rounded up
TILED = 1e-3  # share of S
MOST_UNSEEN = 1.4  # the published bound
UNSEEN = 0.14  # a tenth of it
GATE = 0.1  # share of the initial gate
CLASSES = 0.05  # of the logarithm of friction: five per cent
CODEBOOK = 0.05  # radians: the published limit of "uniform"
FLAT = 0.01  # of a spatial CV
SINGLE = 3.0  # standard deviations of a single draw: a codebook is one draw, not a mean of many
