"""Ways to read a fitted model: (fitted state, queries) to class scores."""
