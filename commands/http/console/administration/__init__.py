"""What an operator looks after: who may come in, and who is told."""
