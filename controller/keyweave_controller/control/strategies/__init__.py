"""What a way costs and which one is taken: strategies by name, chosen by policy for each class of service.

Baselines that others publish stand beside ours, for operators to compare. Formulas, sources and what each
carries: docs/strategies.md.
"""

from collections.abc import Mapping
from types import MappingProxyType

from keyweave_controller.control.strategies.baselines import BALANCED, FIRST_FIT, LEAST_KM, MIN_HOP, WIDEST
from keyweave_controller.control.strategies.choosing import SCALE, Cheapest, Strategy
from keyweave_controller.control.strategies.exponential import EXPONENTIAL, EXPONENTIAL_STORE
from keyweave_controller.control.strategies.shadow import SHADOW_PRICE, STEADY_PRICE

__all__ = [
    "BALANCED",
    "EXPONENTIAL",
    "EXPONENTIAL_STORE",
    "MIN_HOP",
    "SCALE",
    "SHADOW_PRICE",
    "STEADY_PRICE",
    "STRATEGIES",
    "Cheapest",
    "Strategy",
]

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        one.name: one
        for one in (
            MIN_HOP,
            LEAST_KM,
            FIRST_FIT,
            WIDEST,
            BALANCED,
            EXPONENTIAL,
            EXPONENTIAL_STORE,
            SHADOW_PRICE,
            STEADY_PRICE,
        )
    }
)
"""All strategies by name."""
