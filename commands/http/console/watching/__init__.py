"""What changes while somebody looks: running work, the event stream, and what needs attention."""
