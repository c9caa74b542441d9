"""Who moved between two snapshot dates, and where the base goes if it moves on like that."""
