"""Fewer stored rows that answer as all of them do."""
