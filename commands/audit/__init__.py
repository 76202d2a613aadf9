"""Read, prove, sign and export the history."""
