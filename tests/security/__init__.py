"""Each control of the threat model, taken out: `python -m tests.security`."""
