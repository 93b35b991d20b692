"""Are the numbers the reference's? Read `comparison` first.

    comparison   compares an iteration with the recorded one
    case         reads a recorded case and makes its inputs
    measures     how numbers and arrays are compared
    mixed        what is compared in 16 bits, and how closely
"""
