"""Several schedulers on one ledger, and everything that can go wrong at once."""
