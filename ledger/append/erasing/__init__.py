"""Take the bytes of records away, and read what stands in for them."""
