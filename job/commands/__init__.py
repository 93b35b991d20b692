"""The sub-commands of ``python -m job``: a module for each.

The module of a command has

- a docstring, with which the command's help begins, and ``EXAMPLES``, with which it ends;
- ``add_arguments(parser)``;
- ``main(args, console)``, which returns an exit code, or None for 0, or raises an error that ``job.exits`` knows.

A module that sets ``TAKES_SETTINGS`` finds the words that argparse does not know in ``args.settings``. Its ``USAGE`` is
the first line of its help if it takes more than settings. A module that has ``explain_unknown(words)`` returns the
sentences of an error about such words.
"""
