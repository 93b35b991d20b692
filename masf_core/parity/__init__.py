"""Whether this machine computes the numbers of the reference. Read `comparison` first.

    comparison   runs a case and compares each iteration with the recorded one
    verdict      the table of differences, and what they mean
    spread       how far rounding alone moves a case on this machine
    iterations   runs the iterations of a case
    case         reads a recorded case and makes its inputs
    measures     how numbers and arrays are compared
    mixed        what is compared in 16 bits, and how closely
"""
