"""What an administrator does now and then: copy, roles, rebuild, optimize, tokens."""
