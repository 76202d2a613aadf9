"""backup-ledger ledger: begin, copy and look after a ledger."""
