"""Texts: with a label each, or one long text."""
