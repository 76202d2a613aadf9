"""When a backup is due (pure rules), and settings as events."""
