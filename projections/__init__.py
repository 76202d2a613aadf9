"""What the ledger adds up to: read models folded from its events. Knows the ledger only."""
