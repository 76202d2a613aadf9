"""One backup's life: take, share, hold, delete. Stage, append, publish."""
