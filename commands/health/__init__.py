"""Is everything all right? The facts, what is wrong among them, and the one verdict."""
