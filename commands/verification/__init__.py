"""Is a backup still what was recorded? Levels, due dates, daily restore drills."""
