"""Read picture files: pixels, EXIF, raw, FITS, records and lens profiles."""
