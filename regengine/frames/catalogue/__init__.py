"""Catalogue of frames of many stores by place, quality and date: one Parquet file, with DuckDB."""
