"""The stages of fit, as pure functions on arrays."""
