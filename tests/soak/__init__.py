"""Snapshots of a database that is written to and checkpointed without pause, for a long time."""
