"""The method: data, network, losses, meta step, evaluation and local checkpoints of MASF.

The pieces of the method, with their equations (Dou et al., NeurIPS 2019, section 3 and Algorithm 1). ψ: feature
extractor, θ: classifier, φ: metric net, D_tr and D_te: meta-train and meta-test domains of an iteration.

    network/               F_ψ and T_θ in a backbone; M_φ in `metric_net`
    method/losses          L_task: cross-entropy of T_θ(F_ψ(x)) over D_tr
                           L_global: mean over pairs (i, j) of D_tr × D_te of 1/C Σ_c ½ (KL(s_c⁽ⁱ⁾ ‖ s_c⁽ʲ⁾) +
                           KL(s_c⁽ʲ⁾ ‖ s_c⁽ⁱ⁾)), where s_c = softmax(T(mean of F(x) over class c) / τ)
                           L_local: triplet loss max(0, ‖M(a) − M(p)‖² − ‖M(a) − M(n)‖² + ξ) over all domains
    method/meta_step       inner step (ψ', θ') = (ψ, θ) − α ∇ L_task, then L_meta = β1 L_global + β2 L_local at (ψ', θ')
    method/updates         (ψ, θ) by ∇ (L_task + L_meta), φ by ∇ L_local
    method/gradients       gradients, scaled and averaged over ranks; clipped by norm in the inner step

Read `method/meta_step` first, then `trainer`. Floors, from the top; each imports only from lower ones:

    trainer                the training loop; parity/ compares with the reference's recorded numbers
    model                  a built network in a session
    devices/               processor, GPU, Ascend 910; evaluation; export/ a network as files for other programs
    method/                losses, updates, gradients, one iteration
    network/               backbones and their weights; ranks/ collectives; graph_check/ what a 910 refuses
    records/               checkpoints and logs on the local disk; data/ from images to batches
    tf1                    the one import of TensorFlow; errors, randomness, memory, words

This package gets local paths and callbacks and knows nothing of the platform or of the storage. Reading the data needs
NumPy and Pillow only.
"""
