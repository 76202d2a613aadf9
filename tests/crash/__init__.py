"""Processes killed at every step that matters, and what recovery makes of it."""
