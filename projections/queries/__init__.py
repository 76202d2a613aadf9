"""Questions to the tables. `due` is the scheduler's; `locked` asks under the head lock."""
