"""The same folds up to an earlier position: as of a time, and what changed since."""
