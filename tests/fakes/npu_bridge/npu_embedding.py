"""The embedding service of the newest releases. Nothing of it is here."""
