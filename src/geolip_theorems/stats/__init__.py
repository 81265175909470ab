"""Statistics that know nothing of models or questions: units, figures, estimators, nulls, decisions."""
