"""A user's table: from a file to typed columns and classes."""
