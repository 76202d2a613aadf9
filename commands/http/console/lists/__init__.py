"""Lists that people look through: filters, order, pages, CSV, and acts on many rows at once."""
