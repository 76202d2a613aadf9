"""How fast it is, measured beside something else in the same run: python -m tests.benchmarks."""
