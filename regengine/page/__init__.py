"""Web pages that need no network: one template, one place where text is made harmless."""
