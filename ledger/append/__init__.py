"""The one write: lock the head, decide, insert, grow the tree, commit. And reading it back."""
