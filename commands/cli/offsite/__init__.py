"""backup-ledger offsite: copies of backups elsewhere."""
