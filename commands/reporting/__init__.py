"""For people and machines that watch: words, terminal, logs, metrics."""
