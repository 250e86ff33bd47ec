"""Every fault of a submission at once, its rows in a limited child process."""
