"""The sub-commands of ``python -m job``, a module each.

A command has a docstring (the first line of its help), ``EXAMPLES`` (the last lines), ``add_arguments(parser)`` and
``main(args, console)``, which returns an exit code or None for 0, or raises. One that sets ``TAKES_SETTINGS`` finds
the words that argparse does not know in ``args.settings``.
"""
