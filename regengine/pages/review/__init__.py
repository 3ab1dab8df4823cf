"""The review page: a person confirms proposals, or puts them right, in the browser."""
