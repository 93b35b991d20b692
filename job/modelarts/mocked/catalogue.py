"""What a job may ask for: flavors, engines and resource pools.

The identifiers are a small choice, in the form of those that the service lists. The real ones differ between regions
and accounts: ask the service with `show_training_job_flavors` and `show_training_job_engines`.
"""
from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple

CPU = "CPU"
ASCEND = "Ascend"
FLAVOR_TYPES = (CPU, "GPU", ASCEND)


class Flavor(NamedTuple):
    """One kind of machine."""

    id: str
    name: str
    type: str         # one of FLAVOR_TYPES
    cards: int        # Ascend devices of one node; 0 for a CPU flavor
    most_nodes: int   # of one job
    cores: int
    memory: int       # GB
    pool: bool = False  # whether only a dedicated resource pool has it

    def document(self) -> Dict[str, Any]:
        """As the service lists it."""
        info: Dict[str, Any] = {"max_num": self.most_nodes, "cpu": {"arch": self.arch, "core_num": self.cores},
                                "memory": {"size": self.memory, "unit": "GB"}, "disk": {"size": 3072, "unit": "GB"}}
        if self.type == ASCEND:
            info["npu"] = {"unit_num": str(self.cards), "product_name": "snt9", "memory": "32GB"}
        return {"flavor_id": self.id, "flavor_name": self.name, "flavor_type": self.type, "max_num": self.most_nodes,
                "billing": {"code": self.id, "unit_num": max(1, self.cards)}, "flavor_info": info, "attributes": {}}

    @property
    def arch(self) -> str:
        return "aarch64" if self.type == ASCEND else "x86"


class Engine(NamedTuple):
    """One preset image."""

    name: str
    version: str      # which is its id as well
    type: str         # of the flavors that it runs on
    run_user: str = "1000"

    def document(self) -> Dict[str, Any]:
        """As the service lists it."""
        url = f"atelier/{self.version.partition('-')[0]}:train"
        image = {"cpu_image_url": url if self.type == CPU else "", "gpu_image_url": "" if self.type == CPU else url,
                 "image_version": self.version}
        return {"engine_id": self.version, "engine_name": self.name, "engine_version": self.version,
                "v1_compatible": False, "run_user": self.run_user, "image_info": image}


FLAVORS = (
    Flavor("modelarts.vm.cpu.2u", "Computing CPU(2U) instance", CPU, 0, 1, 2, 8),
    Flavor("modelarts.vm.cpu.8u", "Computing CPU(8U) instance", CPU, 0, 16, 8, 32),
    Flavor("modelarts.kat1.xlarge", "Computing NPU(Ascend 910, 1 card) instance", ASCEND, 1, 1, 24, 96),
    Flavor("modelarts.kat1.2xlarge", "Computing NPU(Ascend 910, 2 cards) instance", ASCEND, 2, 1, 48, 192),
    Flavor("modelarts.kat1.8xlarge", "Computing NPU(Ascend 910, 8 cards) instance", ASCEND, 8, 16, 192, 720),
    Flavor("modelarts.pool.visual.xlarge", "1 card of a pool", ASCEND, 1, 16, 24, 96, pool=True),
    Flavor("modelarts.pool.visual.2xlarge", "2 cards of a pool", ASCEND, 2, 16, 48, 192, pool=True),
    Flavor("modelarts.pool.visual.4xlarge", "4 cards of a pool", ASCEND, 4, 16, 96, 384, pool=True),
    Flavor("modelarts.pool.visual.8xlarge", "8 cards of a pool", ASCEND, 8, 16, 192, 720, pool=True),
)
ENGINES = (
    Engine("Ascend-Powered-Engine", "tensorflow_1.15-cann_5.1.0-py_3.7-euler_2.8.3-aarch64", ASCEND),
    Engine("Ascend-Powered-Engine", "mindspore_1.7.0-cann_5.1.0-py_3.7-euler_2.8.3-aarch64", ASCEND),
    Engine("TensorFlow", "tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64", CPU, "1102"),
    Engine("PyTorch", "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", CPU, "1102"),
)


class Catalogue(NamedTuple):
    """What one mocked ModelArts offers."""

    flavors: Tuple[Flavor, ...] = FLAVORS
    engines: Tuple[Engine, ...] = ENGINES
    pools: Tuple[str, ...] = ("pool-mock",)

    def flavor(self, flavor_id: str) -> Optional[Flavor]:
        return next((flavor for flavor in self.flavors if flavor.id == flavor_id), None)

    def engine(self, version: str, name: Optional[str] = None) -> Optional[Engine]:
        """The engine with this id or version, and with this name if one is given."""
        return next((engine for engine in self.engines
                     if engine.version == version and name in (None, engine.name)), None)
