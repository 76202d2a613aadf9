"""Restore points: a calendar of good backups, what differs between two, and other ways back."""
