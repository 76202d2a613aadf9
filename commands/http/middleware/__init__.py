"""What each request passes before it reaches a route: admission, host, token, methods."""
