"""Keras models as estimators. Nothing of it is here."""
