"""What is in a picture file: pixels, EXIF, raw, FITS, records, lens profiles."""
