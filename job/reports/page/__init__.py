"""What the pages of reports, comparisons and tables share. Read `document` first.

    document    the frame of a page: its style sheet, its head, its tables
    colours     one colour for each domain, class and method, on every page
    plotting    figures as SVG, by matplotlib where it is installed
    curves      figures of a run: accuracy, losses, classes
    measures    tables of a run: intervals, classes, confusion
    facts       tables of a run: data, attempts, versions
    mistakes    the worst mistakes on the target domain, as thumbnails
    embeddings  features in two dimensions, by domain and by class
"""
