"""What a visitor chooses about the pages, and a cookie keeps."""
