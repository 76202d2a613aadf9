"""In whose time zone a page shows its times."""
