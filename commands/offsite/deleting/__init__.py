"""Deleting at a destination without losing: retention, condemning, deletion, in this order."""
