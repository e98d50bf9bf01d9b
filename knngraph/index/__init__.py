"""The search: a protocol and the engines behind it."""
