"""How late backups are at three in the morning, by number of users and schedulers."""
