"""Names that the stand-in has and does not run: programs that import them load, and those that call them hear of it."""
import functools


class NotRun(NotImplementedError):
    """The real adapter would have done something here."""


def not_run(function):
    """A function of the adapter, or the constructor of a class, with its signature: a call has its arguments checked as
    Python does it, and raises NotRun then."""
    @functools.wraps(function)
    def refused(*arguments, **keywords):
        function(*arguments, **keywords)
        raise NotRun("this stand-in of npu_bridge does not run {}".format(
            function.__qualname__.replace(".__init__", "")))

    return refused
