"""Finish what a killed process began; make catalog and folder agree."""
