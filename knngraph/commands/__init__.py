"""Commands that fit a table of the user's and write pages about its rows."""
