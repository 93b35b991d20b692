"""MASF itself, as pure functions of tensors. Read `meta_step` first.

    meta_step    one iteration: inner step, losses at θ', updates
    step_settings  the settings of an iteration
    losses       task, global and local loss
    updates      from gradients to new values: three Adams, or one joint step
    gradients    gradients: scaled, averaged over ranks, clipped
    loss_scale   loss scaling for 16-bit products
    variables    the groups of variables that the method works with
    outcome      was an iteration applied, skipped, or fatal?
"""
