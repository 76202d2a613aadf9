"""backup-ledger audit: read, prove, sign and export the history."""
