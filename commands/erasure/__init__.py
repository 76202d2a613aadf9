"""Erase records on request: find a person's, plan, redact, and say how long copies remain."""
