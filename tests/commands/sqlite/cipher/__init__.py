"""Tests of keys, of connections with a key, and of logs that are read without one."""
