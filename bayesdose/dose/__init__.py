"""Absorbed-dose models: specification, two engines, prediction, validation."""
