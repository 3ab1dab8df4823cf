"""Frames of many stores by place, quality and date: one Parquet file, asked with DuckDB."""
