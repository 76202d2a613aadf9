"""The loop: wake, find due work, hand it to runs; who else is alive."""
