"""What is shown to programs: one model for each thing, for the command line, HTTP and Python."""
