"""The format of a repository and where one can be: knows nothing of the ledger."""
