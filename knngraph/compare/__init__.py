"""`knngraph compare`: which classifier of neighbors suits a table of the user's."""
