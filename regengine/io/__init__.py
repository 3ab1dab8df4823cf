"""Input and output for all packages: atomic files, HTTP, tables, GDAL, HTML."""
