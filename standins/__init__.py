"""Servers that behave like the providers this service talks to, to test and measure without an account."""
