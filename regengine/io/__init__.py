"""What every part needs once: atomic files, HTTP, tables, GDAL, HTML."""
