"""How quickly the service answers when its ledger is long: `python -m tests.load`."""
