"""SQLite and PostgreSQL: what each does in its own way, and what it refuses by itself."""
