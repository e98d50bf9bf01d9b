"""Pictures in scikit-learn's shape: arrays in, axes out, matplotlib inside `plot`."""
