"""Order flow over REST: generated from a seed, read from CSV, or replayed from LOBSTER files.

from random import Random
from engine.flow import FlowSettings, generate, run
result = run(FlowSettings(url, token, rate_per_s=400, duration_s=60), generate(market, Random(7)))
"""

from engine.flow.generate import MIXES, generate
from engine.flow.model import FlowResult, FlowSettings
from engine.flow.runner import run, run_async

__all__ = ["MIXES", "FlowResult", "FlowSettings", "generate", "run", "run_async"]
