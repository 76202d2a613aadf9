"""Recompute everything the ledger says about itself; report what does not fit."""
