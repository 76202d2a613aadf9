"""What happened, and how it is proved: events, records, the append, the tree. Knows nobody."""
