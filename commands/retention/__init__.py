"""Which backups stay and why (pure rules), and deleting the rest."""
