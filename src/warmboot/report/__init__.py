"""What a person looks at: results as text."""
