"""The read models as tables: columns, keys, and which fold fills each."""
