"""Population Based Training for reinforcement learning, compared with its baselines under equal compute."""

__version__ = "0.1.0"
