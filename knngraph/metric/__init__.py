"""A linear map of the rows, learned from their labels and chosen honestly."""
