"""Margin methodologies beside the expected shortfall: rules of exchanges, clearing houses and regulators, for comparison and floors."""
