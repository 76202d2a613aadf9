"""Tell people: incidents read from the ledger, the ledger as the queue."""
