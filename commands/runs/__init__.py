"""A due slot's run: claim, snapshot, publish, retention, completed or failed."""
