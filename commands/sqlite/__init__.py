"""SQLite files from outside: copy, check, hash, restore. Knows nothing of the ledger."""
