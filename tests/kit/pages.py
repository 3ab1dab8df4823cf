"""The review server, in this process and beside a browser."""
