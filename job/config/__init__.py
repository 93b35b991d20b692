"""Every setting: what it is called, what it may be, and where its value comes from. Read `settings` first.

    settings         the table of settings: name, default, unit, allowed values
    kinds            kinds of values and how their text is read
    files            reads a YAML file
    flags            reads `--name=value` flags
    loading          resolves defaults, file and flags to one configuration
    contradictions   values that are each right, but not together, or have no effect beside the others
    near_miss        suggests the name that was probably meant
    foreign_flags    flags of the platform, and of the published port
    make_variables   variables that make dry-run does not take
    run_names        names of runs: where none is given, and in a sweep
    given_values     blanks around a value, and paths as consoles write them
    page             docs/settings.md
    submit_options   what submit takes besides settings, also in a file
"""
