"""Andon: continuous training for tabular models. This is what a pipeline file imports."""

from andon.pipeline import Pipeline
from andon.places import Delivery, Labels, Lookup, Source, Table
from modelling.spec import Retrain, Search, Training
from validation.behaviour import Invariant, Monotone
from validation.contract import Quarantine
from validation.errors import AndonError, ContractError, DefinitionError, RegistryError
from validation.gate import Gate
from validation.governor import Governor
from validation.rollout import Rollout
from validation.serving import Serving
from validation.suspicion import Suspicion
from validation.watch.drift import Drift
from validation.watch.performance import Monitor

__all__ = [
    "AndonError",
    "ContractError",
    "DefinitionError",
    "Delivery",
    "Drift",
    "Gate",
    "Governor",
    "Invariant",
    "Labels",
    "Lookup",
    "Monitor",
    "Monotone",
    "Pipeline",
    "Quarantine",
    "RegistryError",
    "Retrain",
    "Rollout",
    "Search",
    "Serving",
    "Source",
    "Suspicion",
    "Table",
    "Training",
]
