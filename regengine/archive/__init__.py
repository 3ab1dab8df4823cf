"""The archive of astronaut photos: its tables read, its database asked, its files fetched."""
