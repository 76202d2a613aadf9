"""Where copies stand, which are due to be looked at again, and how that looks as JSON."""
