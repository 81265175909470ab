"""Two runs side by side: whether they can be compared, what changed, and runs kept as baselines."""
