"""Copies of backups elsewhere: encrypted, deduplicated by page, and facts in the ledger."""
