"""The loop: activation, latency, settlement, sampling.

Imports engine, market, agents, processes (their data) and core.
"""

from simlab.kernel.interface import Market
from simlab.kernel.simulation import Simulation, Sink
from simlab.kernel.spec import Activation, Capacities, Latency, Population, RecordingPlan, SimulationSpec

__all__ = [
    "Activation",
    "Capacities",
    "Latency",
    "Market",
    "Population",
    "RecordingPlan",
    "Simulation",
    "SimulationSpec",
    "Sink",
]
