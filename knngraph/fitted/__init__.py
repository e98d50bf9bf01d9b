"""What a fitted model is made of: settings, rows, and what a change keeps."""
