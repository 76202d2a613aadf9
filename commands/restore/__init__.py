"""Put a backup back: plan, keep the current content, restore."""

LIVE = "live"
"""What people call the database as it is now, in the place of a backup's name."""
