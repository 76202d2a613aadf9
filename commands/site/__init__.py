"""What every command gets: configuration, folder, ledger, read models, who acts."""
