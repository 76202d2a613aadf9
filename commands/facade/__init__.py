"""The former service's Python interface: `from commands import BackupService`."""
