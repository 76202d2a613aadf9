"""Where copies stand, and which are due to be looked at again."""
