"""Distribution strategies. Nothing of it is here."""
