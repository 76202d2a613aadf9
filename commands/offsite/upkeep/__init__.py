"""What an administrator does at a destination: recipients, repair, adopting, a lost index."""
