"""Access to the archive of astronaut photos: tables, database queries, and downloads."""
