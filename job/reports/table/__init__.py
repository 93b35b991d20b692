"""Variants beside each other and beside the paper: accuracy on each target, over seeds. Read `build` first.

    build        from runs to the rows of the table
    runs         reads the results of runs, and finds the runs below a folder
    variants     which runs are seeds and targets of the same variant, and how the variant is called
    cells        mean and error over seeds, differences between paired runs
    student      quantiles of Student's t distribution
    published    accuracies that others have published
    formats      the table as text, Markdown, CSV and JSON
    latex        the table as LaTeX
    page         the table as an HTML page, with a dot for each seed
"""
