"""SQL scripts: literals of two dialects, tables, and a writer that batches rows."""
