"""backup-ledger status: what needs attention, once or again and again."""
