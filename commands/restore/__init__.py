"""Put a backup back: plan, keep the current content, restore."""
