"""Recurrent networks of the device's own. Nothing of it is here."""
