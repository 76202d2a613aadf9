"""Bring the tables to the ledger's head: catch up, heal, rebuild, compare."""
