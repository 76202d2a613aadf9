"""backup-ledger backup: make, list, verify, restore and delete backups."""
