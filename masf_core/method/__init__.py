"""MASF itself, as pure functions of tensors. Read `meta_step` first.

    meta_step    one iteration: inner step, losses at θ', updates
    step_settings  the settings of an iteration
    losses       task, global and local loss
    updates      from gradients to new values: three Adams, or one joint step
    gradients    gradients: scaled, and averaged over ranks
    loss_scale   loss scaling for 16-bit products
    variables    groups of variables and tensors by name
    outcome      whether an iteration was applied, was skipped, or ends the training
"""
