"""Databases that SQLCipher encrypts: their keys, connections with a key, and logs without one."""
