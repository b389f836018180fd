"""A mesh to look at, and the page that shows it, plain and in a browser."""
