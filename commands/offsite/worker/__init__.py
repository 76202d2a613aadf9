"""The helper process that reads, compresses, encrypts and sends; and the one that fetches."""
