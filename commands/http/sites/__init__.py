"""Several sites behind one listener: each at /sites/NAME, and all of them at a glance."""
