"""The console in an application that has a sign-in of its own."""
