"""What a stream of events adds up to: a schedule, a backup, a run, a restore. Pure."""
