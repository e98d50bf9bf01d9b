"""Rows that come and go after fit: only what they touch is searched and solved."""
