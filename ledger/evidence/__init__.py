"""Bundles that an auditor checks offline with one standard-library file."""
