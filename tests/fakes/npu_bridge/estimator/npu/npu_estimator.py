"""The estimator, whose sessions and loops are its own."""
from npu_bridge.fake.not_run import not_run


class NPUEstimator:
    @not_run
    def __init__(self, model_fn=None, model_dir=None, config=None, params=None, job_start_file="",
                 warm_start_from=None):
        pass


class NPUEstimatorSpec:
    @not_run
    def __init__(self, mode, predictions=None, loss=None, train_op=None, eval_metric_ops=None, export_outputs=None,
                 training_chief_hooks=None, training_hooks=None, scaffold=None, evaluation_hooks=None,
                 prediction_hooks=None, host_call=None):
        pass
