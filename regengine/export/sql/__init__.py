"""Export to database servers: the tables of photos."""
