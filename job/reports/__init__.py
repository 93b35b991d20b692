"""What a person reads of a run.

    report           report.html
    charts           figures and tables as SVG and HTML text
    compare          several runs beside each other
    show             what a run has left in the store
    evaluated        what `evaluate` found
    image_results    its CSV file, a line for each image; cells that no spreadsheet takes for a formula
    predictions      what `predict` found
    prediction_page  its page, a grid of the images
"""
