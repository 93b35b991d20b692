"""Groups of options; without the estimator nothing reads them."""


class MemoryConfig:
    """Its presence tells releases apart."""
