"""Export to database servers: the tables of photos, and the SQL dialects."""
